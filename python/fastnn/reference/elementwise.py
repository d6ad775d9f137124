"""Arithmetic in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

# Equal shapes at the edges of registers and tiles; then rows, columns, scalars, short inner axes.
SAME = [dict(s=s) for s in [(), (0,), (1,), (7,), (8,), (33,), (3, 5), (16385,), (40009,)]]
SIZES = SAME + [
    dict(s=(3, 5), a=(5,)),
    dict(s=(3, 5), b=(3, 1)),
    dict(s=(3, 5), a=(3, 1), b=(1, 5)),
    dict(s=(3, 5), a=()),
    dict(s=(0, 5), a=(5,)),
    dict(s=(70, 129), a=(70, 1), b=(129,)),
    dict(s=(1000, 3), b=(3,)),
    dict(s=(1000, 3), a=(1000, 1)),
    dict(s=(2, 3, 4, 5), a=(3, 1, 5), b=(2, 1, 4, 1)),
    dict(s=(300, 257), b=(257,)),
    {"s": (37,), "dtype:n": "int32"},
    {"s": (40, 41), "b": (41,), "dtype:n": "int32"},
]
FLOATS = [s for s in SIZES if "dtype:n" not in s]
BENCH = [dict(s=(1_000_000,)), dict(s=(4096, 256), b=(256,)), dict(s=(100_000, 3), b=(3,))]
POSITIVE = lambda rng, shape, sizes: rng.uniform(0.2, 3, shape)  # noqa: E731
SCALARS = [dict(value=2.0), dict(value=-3.0)]
SLOW = SIZES[:6] + SIZES[9:16] + SIZES[-2:]  # those that call the C library for every element
SLOW_BENCH = [dict(s=(100_000,))]


@kernel_case(SIZES, BENCH, tolerance=1)
def add(a, b):
    return a + b


@kernel_case(SIZES, BENCH, tolerance=1)
def subtract(a, b):
    return a - b


@kernel_case(SIZES, BENCH, tolerance=1)
def multiply(a, b):
    return a * b


@kernel_case(FLOATS, BENCH, tolerance=1)
def divide(a, b):
    return a / b


@kernel_case(SIZES, BENCH, exact=True)
def maximum(a, b):
    return np.maximum(a, b)


@kernel_case(SIZES, BENCH, exact=True)
def minimum(a, b):
    return np.minimum(a, b)


def _power(a, b):
    if np.asarray(a).dtype.kind == "f":
        return np.power(a, b)
    return np.vectorize(lambda p, q: int(p) ** int(q) if q >= 0 else int(p in (1, -1)) * int(p) ** int(-q))(a, b)


@kernel_case(SLOW, SLOW_BENCH, inputs=dict(a=POSITIVE), tolerance=8)
def power(a, b):
    return _power(a, b)


@kernel_case(SLOW, SLOW_BENCH, tolerance=2)
def mod(a, b):
    return np.mod(a, b)


@kernel_case(SLOW, SLOW_BENCH, exact=True)
def floor_divide(a, b):
    return np.floor_divide(a, b)


INTEGERS = [dict(s=(40,)), {"s": (40,), "dtype:n": "int32"}]
SAME_BENCH = [dict(s=(1_000_000,))]


@kernel_case(SAME + INTEGERS, SAME_BENCH, scalars=SCALARS, tolerance=1)
def add_scalar(x, value):
    return x + value


@kernel_case(SAME + INTEGERS, SAME_BENCH, scalars=SCALARS, tolerance=1)
def rsubtract_scalar(x, value):
    return value - x


@kernel_case(SAME + INTEGERS, SAME_BENCH, scalars=SCALARS, tolerance=1)
def multiply_scalar(x, value):
    return x * value


@kernel_case(SAME, SAME_BENCH, scalars=SCALARS, tolerance=1)
def divide_scalar(x, value):
    return x / value


@kernel_case(SAME, SAME_BENCH, scalars=SCALARS, tolerance=1)
def rdivide_scalar(x, value):
    return value / x


@kernel_case(SAME + INTEGERS, SAME_BENCH, scalars=SCALARS, exact=True)
def maximum_scalar(x, value):
    return np.maximum(x, value)


@kernel_case(SAME + INTEGERS, SAME_BENCH, scalars=SCALARS, exact=True)
def minimum_scalar(x, value):
    return np.minimum(x, value)


@kernel_case(
    SAME + INTEGERS[:1], SLOW_BENCH,
    scalars=[dict(value=v) for v in (2.0, 3.0, 0.5, -1.0, 1.0, 0.0, 1.7)],
    inputs=dict(x=POSITIVE), tolerance=8,
)  # fmt: skip
def power_scalar(x, value):
    return x**value


@kernel_case(SAME, SLOW_BENCH, scalars=[dict(value=v) for v in (2.0, 3.0, 0.5, 1.7)], inputs=dict(x=POSITIVE))
def power_scalar_grad(x, dy, value):
    return dy * value * x ** (value - 1)


@kernel_case(SAME + INTEGERS, SLOW_BENCH, scalars=[dict(value=2.0)], tolerance=8)
def rpower_scalar(x, value):
    return np.power(value, x) if x.dtype.kind == "f" else _power(np.full(x.shape, int(value)), x)


@kernel_case(SAME + INTEGERS, SLOW_BENCH, scalars=SCALARS, exact=True)
def floor_divide_scalar(x, value):
    return x // type(x.flat[0] if x.size else value)(value)


@kernel_case(SAME + INTEGERS, SLOW_BENCH, scalars=SCALARS, exact=True)
def rfloor_divide_scalar(x, value):
    return np.floor_divide(x.dtype.type(value), x)


@kernel_case(SAME + INTEGERS, SLOW_BENCH, scalars=SCALARS, tolerance=2)
def mod_scalar(x, value):
    return np.mod(x, x.dtype.type(value))


@kernel_case(SAME + INTEGERS, SLOW_BENCH, scalars=SCALARS, tolerance=2)
def rmod_scalar(x, value):
    return np.mod(x.dtype.type(value), x)


@kernel_case(FLOATS, [dict(s=(1_000_000,))], tolerance=1)
def maximum_grad(a, b, dy):
    return dy * np.where(a > b, 1.0, np.where(a == b, 0.5, 0.0))


@kernel_case([s for s in SLOW if s in FLOATS], SLOW_BENCH, inputs=dict(a=POSITIVE), tolerance=16)
def power_grad(a, b, dy):
    return dy * b * a ** (b - 1)


@kernel_case([s for s in SLOW if s in FLOATS], SLOW_BENCH, inputs=dict(a=POSITIVE), tolerance=16)
def power_exponent_grad(a, b, dy):
    return dy * a**b * np.log(a)


CASTS = [
    {"s": (1031,), "dtype:x": x, "dtype:y": y}
    for x in ("float32", "float64", "int32", "uint8", "bool")
    for y in ("float32", "float64", "int32", "uint8", "bool")
]


@kernel_case(
    [
        *CASTS,
        {"s": (), "dtype:y": "int32"},
        {"s": (0,), "dtype:y": "bool"},
        {"s": (40009,), "dtype:y": "float32"},
    ],
    [{"s": (1_000_000,), "dtype:x": "uint8", "dtype:y": "float32"}],
    inputs=dict(x=lambda rng, shape, sizes: rng.integers(0, 100, shape) * 0.75),
    tolerance=1,
)
def cast(x, sizes):
    return x.astype(sizes["dtype:y"])


# --- gradients ------------------------------------------------------------------------------------

for _name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "arctan2"):
    _low = dict(low=0.5, high=2.0) if _name in ("divide", "arctan2") else {}
    op_case(_name, x1=T(3, 4), x2=T(3, 4, **_low))
    op_case(_name, x1=T(3, 4), x2=T(4, **_low))
    op_case(_name, x1=T(3, 1), x2=T(2, 1, 5, **_low))
    op_case(_name, x1=T(3, 4), x2=-1.5)
    op_case(_name, x1=2.5, x2=T(3, 4, **_low))
op_case("power", x1=T(3, 4, low=0.3, high=2.0), x2=T(3, 4))
op_case("power", x1=T(3, 1, low=0.3, high=2.0), x2=T(4))
op_case("power", x1=2.5, x2=T(3, 4))
for _value in (2, 3.0, 0.5, -1, 1.0, 0, 2.7):
    op_case("power", x1=T(3, 4, low=0.3, high=2.0), x2=_value)
op_case("mod", x1=T(7, low=0.1, high=0.9), x2=T(7, low=1.1, high=2.0))
op_case("mod", x1=T(7, low=2.3, high=2.9), x2=T(7, low=1.0, high=1.1))
# The one step of differences that float32 can still resolve is coarse: 6e-8 of rounding over 1e-6.
op_case("cast", x=T(3, 4, low=1.0, high=2.0), dtype="float32", tolerance=0.3)
