"""Matrix products in NumPy."""

import math

import numpy as np

from .. import _core, activations
from . import T, kernel_case, op_case

# One accumulator per element over k terms: error grows like sqrt(k) for random signs, k at worst.
SIZES = [
    dict(m=(m,), k=k, n=n)
    for m, k, n in [(1, 1, 1), (2, 3, 4), (6, 16, 16), (5, 17, 15), (7, 31, 33), (0, 3, 4), (3, 0, 4), (3, 4, 0),
                    (1, 64, 64), (64, 1, 64), (64, 64, 1), (13, 127, 10), (97, 101, 103), (32, 784, 128)]
] + [dict(m=(2, 3), k=5, n=7)]  # fmt: skip
BENCH = [dict(m=(m,), k=k, n=n) for m, k, n in [(64, 64, 64), (512, 512, 512), (32, 784, 128)]]


def tolerance(m, k, n):
    return 4 * math.sqrt(max(k, math.prod(m), 1)) + 4


@kernel_case(SIZES, BENCH, tolerance=tolerance)
def matmul_nn(a, b):
    return a @ b


@kernel_case(SIZES, BENCH, tolerance=tolerance)
def matmul_nt(a, b):
    return a @ b.T


@kernel_case(SIZES, BENCH, tolerance=tolerance)
def matmul_tn(a, b):
    rows = math.prod(a.shape[:-1])
    return a.reshape(rows, a.shape[-1]).T @ b.reshape(rows, b.shape[-1])


BATCH_SIZES = [
    dict(b=b, m=m, k=k, n=n)
    for b, m, k, n in [((1,), 1, 1, 1), ((3,), 5, 7, 4), ((2, 2), 6, 16, 16), ((0,), 2, 3, 4), ((2,), 17, 33, 9)]
]
BATCH_BENCH = [dict(b=(32,), m=64, k=64, n=64)]


def batch_tolerance(b, m, k, n):
    return 4 * math.sqrt(max(k, m, 1)) + 4


@kernel_case(BATCH_SIZES, BATCH_BENCH, tolerance=batch_tolerance)
def batch_matmul_nn(a, b):
    return a @ b


@kernel_case(BATCH_SIZES, BATCH_BENCH, tolerance=batch_tolerance)
def batch_matmul_nt(a, b):
    return a @ b.swapaxes(-1, -2)


@kernel_case(BATCH_SIZES, BATCH_BENCH, tolerance=batch_tolerance)
def batch_matmul_tn(a, b):
    return a.swapaxes(-1, -2) @ b


def _kind(name):
    return _core.activations[name][0]


def _activate(z, kind, alpha):
    if kind == _kind("relu"):
        return np.maximum(z, 0)
    if kind == _kind("tanh"):
        return np.tanh(z)
    if kind == _kind("leaky_relu"):
        return np.where(z >= 0, z, alpha * z)
    return z


@kernel_case(
    SIZES,
    BENCH,
    scalars=[dict(activation=_kind(n), alpha=0.1) for n in ("linear", "relu", "tanh", "leaky_relu")]
    + [dict(activation=_kind("linear"), alpha=0.0, b=None)],
    # tanh brings the result down to 1 but not the error of z, whose terms are sqrt(k) in size.
    tolerance=lambda m, k, n: 3 * tolerance(m, k, n),
)
def dense(x, w, b, activation, alpha):
    z = x @ w if b is None else x @ w + b
    return _activate(z, activation, alpha)


@kernel_case(
    [dict(m=m, n=n) for m in [(0,), (1,), (7,), (255,), (257,), (1700,), (3, 5)] for n in (1, 3, 8, 17, 100)]
    + [dict(m=(12345,), n=1)],
    [dict(m=(1024,), n=512), dict(m=(100000,), n=1), dict(m=(20000,), n=32)],
    # Chunks of 256 rows, then their sums in order.
    tolerance=64,
)
def sum_rows(x):
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).sum(0)


op_case("dense", x=T(3, 4), W=T(4, 5), b=T(5))
op_case("dense", x=T(2, 3, 4), W=T(4, 5), activation=activations.tanh)
op_case("dense", x=T(3, 4), W=T(4, 5), b=T(5), activation=activations.gelu)
op_case("matmul", x1=T(3, 4), x2=T(4, 5))
op_case("matmul", x1=T(2, 3, 4), x2=T(4, 5))
op_case("matmul", x1=T(2, 3, 4), x2=T(2, 4, 5))
op_case("matmul", x1=T(3, 1, 2, 4), x2=T(2, 4, 5))
op_case("matmul", x1=T(4), x2=T(4))
op_case("tensordot", x1=T(2, 3, 4), x2=T(3, 4, 2), axes=2)
