"""Matrix products in NumPy."""

import math

from . import kernel_case

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
    return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])
