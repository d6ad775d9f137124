"""Functions of one number in NumPy."""

import math

import numpy as np

from . import T, kernel_case, op_case

SIZES = [dict(s=s) for s in [(), (0,), (1,), (7,), (8,), (9,), (33,), (3, 5), (16385,)]]
INTEGERS = SIZES + [{"s": (37,), "dtype:n": "int32"}]
BENCH = [dict(s=(1_000_000,))]
POSITIVE = dict(x=lambda rng, shape, sizes: rng.uniform(0.1, 4, shape))
POSITIVE_Y = dict(y=lambda rng, shape, sizes: rng.uniform(0.1, 4, shape))
WIDE = dict(x=lambda rng, shape, sizes: rng.standard_normal(shape) * 20)


@kernel_case(INTEGERS, BENCH, exact=True)
def negative(x):
    return -x


@kernel_case(INTEGERS, BENCH, exact=True)
def abs_(x):
    return np.abs(x)


@kernel_case(INTEGERS, BENCH, exact=True)
def sign(x):
    return np.sign(x)


@kernel_case(INTEGERS, BENCH, tolerance=1)
def square(x):
    return x * x


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=1)
def sqrt(x):
    return np.sqrt(x)


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=2)
def rsqrt(x):
    return 1 / np.sqrt(x)


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=1)
def reciprocal(x):
    return 1 / x


# The errors in ULP of the functions themselves are tests/test_vecmath.py's business.
@kernel_case(SIZES, BENCH, tolerance=4)
def exp(x):
    return np.exp(x)


@kernel_case(SIZES, BENCH, tolerance=4)
def expm1(x):
    return np.expm1(x)


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=4)
def log(x):
    return np.log(x)


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=4)
def log1p(x):
    return np.log1p(x)


@kernel_case(SIZES, BENCH, inputs=WIDE, tolerance=4)
def sin(x):
    return np.sin(x)


@kernel_case(SIZES, BENCH, inputs=WIDE, tolerance=4)
def cos(x):
    return np.cos(x)


_erf = np.vectorize(math.erf, otypes=[np.float64])


@kernel_case(SIZES, BENCH, tolerance=4)
def erf(x):
    return _erf(x)


@kernel_case(SIZES, BENCH, inputs=WIDE, exact=True)
def floor(x):
    return np.floor(x)


@kernel_case(SIZES, BENCH, inputs=WIDE, exact=True)
def ceil(x):
    return np.ceil(x)


@kernel_case(
    SIZES,
    BENCH,
    inputs=dict(x=lambda rng, shape, sizes: rng.integers(-9, 9, shape) * 0.5),
    exact=True,
)
def round_(x):
    return np.round(x)


@kernel_case(SIZES, BENCH, exact=True)
def abs_grad(x, dy):
    return dy * np.sign(x)


@kernel_case(SIZES, BENCH, tolerance=2)
def square_grad(x, dy):
    return 2 * x * dy


@kernel_case(SIZES, BENCH, inputs=POSITIVE_Y, tolerance=2)
def sqrt_grad(y, dy):
    return dy / (2 * y)


@kernel_case(SIZES, BENCH, inputs=POSITIVE_Y, tolerance=4)
def rsqrt_grad(y, dy):
    return -0.5 * y**3 * dy


@kernel_case(SIZES, BENCH, tolerance=2)
def reciprocal_grad(y, dy):
    return -(y**2) * dy


@kernel_case(SIZES, BENCH, tolerance=2)
def expm1_grad(y, dy):
    return (y + 1) * dy


@kernel_case(SIZES, BENCH, inputs=POSITIVE, tolerance=2)
def log1p_grad(x, dy):
    return dy / (1 + x)


@kernel_case(SIZES, BENCH, tolerance=4)
def sin_grad(x, dy):
    return np.cos(x) * dy


@kernel_case(SIZES, BENCH, tolerance=4)
def cos_grad(x, dy):
    return -np.sin(x) * dy


@kernel_case(SIZES, BENCH, tolerance=4)
def erf_grad(x, dy):
    return 2 / np.sqrt(np.pi) * np.exp(-x * x) * dy


for _name in ("negative", "absolute", "square", "exp", "expm1", "sin", "cos", "erf"):
    op_case(_name, x=T(3, 4))
for _name in ("sqrt", "rsqrt", "reciprocal", "log", "log1p"):
    op_case(_name, x=T(3, 4, low=0.3, high=3.0))
