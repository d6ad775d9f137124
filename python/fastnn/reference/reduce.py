"""Reductions in NumPy, over the middle axis of (o, n, i)."""

import math

import numpy as np

from . import T, kernel_case, op_case

# Rows (i = 1), narrow and wide columns; n around registers, strips and parts; one long row.
SHAPES = [
    (1, 1, 1), (3, 5, 1), (1, 7, 1), (2, 8, 1), (2, 33, 1), (1, 5000, 1), (1, 100_003, 1),
    (300, 10, 1),
    (1, 5, 3), (2, 9, 7), (1, 1000, 3), (1, 40_009, 5), (1, 301, 512), (1, 300, 513), (2, 65, 1030),
    (3, 1, 4), (1, 2000, 64), (40, 3, 100),
]  # fmt: skip
FULL = [dict(o=o, n=n, i=i) for o, n, i in SHAPES]
SIZES = FULL + [dict(o=o, n=n, i=i) for o, n, i in [(0, 3, 1), (2, 0, 3), (2, 0, 1), (1, 3, 0)]]
INTEGERS = [{**s, "dtype:n": "int32"} for s in FULL[::3]]
BENCH = [
    dict(o=1, n=1_000_000, i=1),
    dict(o=1000, n=1000, i=1),
    dict(o=1, n=4096, i=256),
    dict(o=32, n=784, i=32),
]
SMALL = [dict(o=o, n=n, i=i) for o, n, i in SHAPES if o * n * i < 20_000]


# A float32 sum goes on in double after 512 additions, a float64 one does not: its error grows with
# n, like sqrt(n) for random signs. So does the sum of magnitudes relative to the sum itself.
def tolerance(o, n, i, **_):
    return 8 + math.sqrt(max(n, 1))


@kernel_case(SIZES + INTEGERS, BENCH, tolerance=tolerance)
def sum_(x):
    return x.sum(1)


@kernel_case(FULL, BENCH, tolerance=8)
def mean(x):
    return x.mean(1)


@kernel_case(
    SIZES,
    BENCH,
    inputs=dict(x=lambda rng, shape, sizes: rng.uniform(0.999, 1.001, shape)),
    tolerance=lambda o, n, i: 8 + 2 * math.sqrt(max(n, 1)),
)
def prod(x):
    return x.prod(1)


@kernel_case(FULL + INTEGERS + [dict(o=0, n=3, i=1), dict(o=1, n=0, i=0)], BENCH, exact=True)
def max_(x):
    return x.max(1) if x.shape[1] else np.zeros((x.shape[0], x.shape[2]))


@kernel_case(FULL + INTEGERS + [dict(o=0, n=3, i=1), dict(o=1, n=0, i=0)], BENCH, exact=True)
def min_(x):
    return x.min(1) if x.shape[1] else np.zeros((x.shape[0], x.shape[2]))


# One row in four is decided before its end; were it most of them, a benchmark would time calls that look at
# nothing.
RARE = dict(x=lambda rng, shape, sizes: rng.random(shape) < 1 / (4 * max(shape[1], 1)))
OFTEN = dict(x=lambda rng, shape, sizes: rng.random(shape) >= 1 / (4 * max(shape[1], 1)))


@kernel_case(SIZES, BENCH, inputs=RARE)
def any_(x):
    return x.any(1)


@kernel_case(SIZES, BENCH, inputs=OFTEN)
def all_(x):
    return x.all(1)


@kernel_case(FULL, BENCH, tolerance=tolerance)
def var(x, mean):
    return ((x - mean[:, None]) ** 2).mean(1)


@kernel_case(SIZES, BENCH, tolerance=tolerance)
def norm(x):
    return np.sqrt((x * x).sum(1))


@kernel_case(FULL, BENCH, inputs=dict(max=lambda rng, shape, sizes: np.full(shape, 2.5)), tolerance=16)
def logsumexp(x, max):
    return np.log(np.exp(x).sum(1))


@kernel_case(FULL, BENCH, tolerance=4)
def var_grad(x, mean, dy):
    return 2 / x.shape[1] * (x - mean[:, None]) * dy[:, None]


@kernel_case(FULL, BENCH, tolerance=4, inputs=dict(y=lambda rng, shape, sizes: rng.uniform(0.5, 2, shape)))
def norm_grad(x, y, dy):
    return x * dy[:, None] / y[:, None]


@kernel_case(FULL, BENCH, tolerance=16)
def logsumexp_grad(x, y, dy):
    return dy[:, None] * np.exp(x - y[:, None])


# Small integers tie often; y is 2, the maximum wherever it occurs at all.
TIES = dict(x=lambda rng, shape, sizes: rng.integers(-2, 3, shape))


@kernel_case(SMALL, BENCH, tolerance=4, inputs={**TIES, "y": lambda rng, shape, sizes: np.full(shape, 2.0)})
def extremum_grad(x, y, dy):
    hit = x == y[:, None]
    return np.where(hit, dy[:, None] / np.maximum(hit.sum(1, keepdims=True), 1), 0)


@kernel_case(
    SMALL + SIZES[-4:], BENCH[1:], tolerance=lambda o, n, i: 8 + 2 * math.sqrt(max(n, 1)),
    inputs=dict(x=lambda rng, shape, sizes: rng.uniform(0.999, 1.001, shape)),
)  # fmt: skip
def prod_grad(x, dy):
    return dy[:, None] * x.prod(1, keepdims=True) / x


@kernel_case(SIZES + INTEGERS, BENCH, scalars=[dict(reverse=False), dict(reverse=True)], tolerance=2)
def cumsum(x, reverse):
    return x[:, ::-1].cumsum(1)[:, ::-1] if reverse else x.cumsum(1)


PLACES = FULL + INTEGERS + [dict(o=0, n=3, i=1), dict(o=1, n=0, i=0)]


@kernel_case(PLACES, BENCH, inputs=TIES)
def argmax(x):
    return x.argmax(1) if x.shape[1] else np.zeros((x.shape[0], x.shape[2]))


@kernel_case(PLACES, BENCH)
def argmin(x):
    return x.argmin(1) if x.shape[1] else np.zeros((x.shape[0], x.shape[2]))


# --- gradients ------------------------------------------------------------------------------------

for _name in ("sum", "mean", "prod", "amax", "amin", "var", "logsumexp"):
    for _axis in (None, 0, -1, 1, (0, 2), (1, 2)):
        op_case(_name, x=T(2, 3, 4), axis=_axis)
    op_case(_name, x=T(2, 3, 4), axis=(0, 2), keepdims=True)
    op_case(_name, x=T(5))
for _axis in (None, 0, 1, 2):
    op_case("cumsum", x=T(2, 3, 4), axis=_axis)
for _axis in (None, 0, (0, 2)):
    op_case("norm", x=T(2, 3, 4), axis=_axis)
op_case("norm", x=T(2, 3), ord=3, axis=1)
op_case("norm", x=T(2, 3), ord=1, axis=0)
op_case("std", x=T(4, 5), axis=0)
op_case("normalize", x=T(4, 5), axis=0)
op_case("average", x=T(4, 5), axis=1, weights=T(4, 5, low=0.5, high=2.0))
