"""Softmax in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

ROWS = [dict(r=r, n=n) for r in [(), (1,), (5,), (2, 3)] for n in (1, 2, 7, 8, 9, 16, 33, 1000)]
EMPTY = [dict(r=(0,), n=3), dict(r=(3,), n=0)]
SIZES = [*ROWS, *EMPTY, dict(r=(2,), n=4096), dict(r=(2,), n=9001)]
BENCH = [dict(r=(1024,), n=1000), dict(r=(32,), n=10)]
AXIS_SIZES = [
    dict(o=o, n=n, i=i) for o, n, i in [(1, 1, 1), (2, 3, 4), (1, 7, 8), (3, 5, 9), (2, 1, 17), (1, 100, 3)]
] + [dict(o=0, n=3, i=2), dict(o=2, n=0, i=3), dict(o=2, n=3, i=0)]
AXIS_BENCH = [dict(o=32, n=100, i=64)]


def along(x, axis, log=False):
    if not x.size:
        return x
    shifted = x - x.max(axis, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis, keepdims=True)
    return shifted - np.log(total) if log else e / total


@kernel_case(SIZES, BENCH, tolerance=16)
def softmax(x):
    return along(x, -1)


@kernel_case(SIZES, BENCH, tolerance=64)
def softmax_grad(y, dy):
    return y * (dy - (dy * y).sum(-1, keepdims=True))


@kernel_case(SIZES, BENCH, tolerance=16)
def log_softmax(x):
    return along(x, -1, log=True)


def log_probabilities(rng, shape, sizes):
    return along(rng.standard_normal(shape), -1, log=True)


@kernel_case(SIZES, BENCH, inputs=dict(y=log_probabilities), tolerance=64)
def log_softmax_grad(y, dy):
    return dy - np.exp(y) * dy.sum(-1, keepdims=True)


@kernel_case(AXIS_SIZES, AXIS_BENCH, scalars=[dict(log_result=False), dict(log_result=True)], tolerance=32)
def softmax_axis(x, log_result):
    return along(x, 1, log_result)


@kernel_case(AXIS_SIZES, AXIS_BENCH, scalars=[dict(log_result=False), dict(log_result=True)], tolerance=128)
def softmax_axis_grad(y, dy, log_result):
    if log_result:
        return dy - np.exp(y) * dy.sum(1, keepdims=True)
    return y * (dy - (dy * y).sum(1, keepdims=True))


for name in ("softmax", "log_softmax"):
    op_case(name, x=T(3, 5))
    op_case(name, x=T(2, 3, 4), axis=1)
    op_case(name, x=T(4, 3), axis=0)
    op_case(name, x=T(2, 3, 1), axis=-2)
