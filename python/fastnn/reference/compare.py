"""Truth values in NumPy."""

import numpy as np

from . import T, kernel_case, op_case
from .elementwise import SAME, SIZES

BENCH = [dict(s=(1_000_000,)), dict(s=(4096, 256), b=(256,))]
SAME_BENCH = [dict(s=(1_000_000,))]
# Few different values, NaN among them, so that equality happens.
FEW = lambda rng, shape, sizes: (  # noqa: E731
    rng.choice([-1.0, 0.0, 2.0] + [np.nan] * ("dtype:n" not in sizes), shape)
)
TRUTH = lambda rng, shape, sizes: rng.integers(0, 2, shape)  # noqa: E731
ODD = lambda rng, shape, sizes: rng.choice([np.nan, np.inf, -np.inf, 1.0, 0.0], shape)  # noqa: E731
INTEGERS = {"s": (37,), "dtype:n": "int32"}
AB = dict(inputs=dict(a=FEW, b=FEW))
X = dict(inputs=dict(x=FEW), scalars=[dict(value=0.0), dict(value=0.5)])


@kernel_case(SIZES, BENCH, **AB)
def equal(a, b):
    return a == b


@kernel_case(SIZES, BENCH, **AB)
def not_equal(a, b):
    return a != b


@kernel_case(SIZES, BENCH, **AB)
def less(a, b):
    return a < b


@kernel_case(SIZES, BENCH, **AB)
def less_equal(a, b):
    return a <= b


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def equal_scalar(x, value):
    return x == value


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def not_equal_scalar(x, value):
    return x != value


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def less_scalar(x, value):
    return x < value


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def less_equal_scalar(x, value):
    return x <= value


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def greater_scalar(x, value):
    return x > value


@kernel_case([*SAME, INTEGERS], SAME_BENCH, **X)
def greater_equal_scalar(x, value):
    return x >= value


TRUTHS = dict(inputs=dict(a=TRUTH, b=TRUTH))


@kernel_case(SIZES, BENCH, **TRUTHS)
def logical_and(a, b):
    return a & b


@kernel_case(SIZES, BENCH, **TRUTHS)
def logical_or(a, b):
    return a | b


@kernel_case(SIZES, BENCH, **TRUTHS)
def logical_xor(a, b):
    return a ^ b


@kernel_case(SAME, SAME_BENCH, inputs=dict(x=TRUTH))
def logical_not(x):
    return ~x


@kernel_case(SAME, SAME_BENCH, inputs=dict(x=ODD))
def isnan(x):
    return np.isnan(x)


@kernel_case(SAME, SAME_BENCH, inputs=dict(x=ODD))
def isinf(x):
    return np.isinf(x)


@kernel_case(SAME, SAME_BENCH, inputs=dict(x=ODD))
def isfinite(x):
    return np.isfinite(x)


@kernel_case(
    [*SAME, dict(s=(6, 70), condition=(70,)), dict(s=(6, 70), condition=(6, 1), a=(), b=(70,)),
     dict(s=(6, 70), a=(70,), b=()), dict(s=(6, 70), a=(), b=()),
     dict(s=(40, 3), condition=(40, 1), a=(3,)),
     {"s": (40,), "dtype:x": "int32"}, {"s": (40,), "dtype:x": "bool"}],
    [dict(s=(1_000_000,)), dict(s=(1_000_000,), b=())],
    inputs=dict(condition=TRUTH),
    exact=True,
)  # fmt: skip
def where(condition, a, b):
    return np.where(condition, a, b)


# Bounds that both storage types hold exactly.
LIMITS = [dict(low=-0.5, high=0.75), dict(low=-np.inf, high=0.0), dict(low=0.0, high=np.inf)]


@kernel_case([*SAME, INTEGERS], SAME_BENCH, scalars=LIMITS, exact=True)
def clip(x, low, high):
    if x.dtype.kind == "i":
        low, high = np.ceil(low), np.floor(high)
    return np.minimum(np.maximum(x, low), high)


@kernel_case(SAME, SAME_BENCH, scalars=LIMITS, exact=True)
def clip_grad(x, dy, low, high):
    return np.where((x >= low) & (x <= high), dy, 0)


op_case("where", condition=np.array([[True, False, True]]), x1=T(2, 3), x2=T(2, 3))
op_case("where", condition=np.array([[True], [False]]), x1=T(3), x2=T(2, 1))
op_case("where", condition=np.array([True, False, True]), x1=T(2, 3), x2=0.5)
op_case("clip", x=T(4, 5), x_min=-0.5, x_max=0.8)
op_case("clip", x=T(4, 5), x_min=T(5), x_max=None)
