"""Softmax in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [dict(r=r, n=n) for r in [(), (1,), (5,), (2, 3)] for n in (1, 2, 7, 8, 9, 16, 33, 1000)] + [
    dict(r=(0,), n=3),
    dict(r=(3,), n=0),
]
BENCH = [dict(r=(1024,), n=1000), dict(r=(32,), n=10)]


@kernel_case(SIZES, BENCH, tolerance=16)
def softmax(x):
    if not x.size:
        return x
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@kernel_case(SIZES, BENCH, tolerance=64)
def softmax_grad(y, dy):
    return y * (dy - (dy * y).sum(-1, keepdims=True))


op_case("softmax", x=T(3, 5))
op_case("softmax", x=T(2, 3, 4), axis=1)
