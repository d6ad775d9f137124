"""Boxes of elements in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

TYPES = [{"s": (9, 10, 11), "t": (3, 4, 2), "dtype:x": t} for t in ("float32", "float64", "int32", "uint8", "bool")]
BOXES = TYPES + [
    dict(s=(7, 8, 9), t=(2, 0, 1)),
    dict(s=(7, 8, 9), t=(1, 1, 1)),
    dict(s=(20, 30, 40), t=(4, 4, 2)),
]
# Valid for every size above.
STEPS = [
    dict(start=[1, 0, 2], step=[1, 1, 1]),
    dict(start=[0, 1, 0], step=[2, 2, 3]),
    dict(start=[6, 7, 8], step=[-2, -2, -1]),
    dict(start=[2, 0, 5], step=[0, 1, -1]),
]


def _places(start, step, shape):
    return np.ix_(*[b + d * np.arange(n) for b, d, n in zip(start, step, shape)])


@kernel_case(BOXES, [dict(s=(100, 100, 100), t=(90, 90, 90))], scalars=STEPS, exact=True)
def slice_(x, start, step, sizes):
    return x[_places(start, step, sizes["t"])]


@kernel_case(BOXES, [dict(s=(100, 100, 100), t=(90, 90, 90))], scalars=STEPS[:3], exact=True)
def slice_update(x, value, start, step):
    x = x.copy()
    x[_places(start, step, value.shape)] = value
    return x


@kernel_case(
    [{"s": (3, 4, 2), "t": (8, 9, 7), "dtype:x": d} for d in ("float32", "uint8", "bool")]
    + [dict(s=(0, 4, 2), t=(5, 9, 7)), dict(s=(1, 1, 1), t=(6, 5, 7))],
    [dict(s=(32, 28, 28), t=(34, 30, 30))],
    scalars=[dict(before=[0, 1, 2], value=0.0), dict(before=[2, 0, 0], value=1.0),
    dict(before=[0, 0, 0], value=0.0)],
    exact=True,
)  # fmt: skip
def pad(x, before, value, sizes):
    y = np.full(sizes["t"], value).astype(x.dtype)
    y[tuple(np.s_[b : b + n] for b, n in zip(before, x.shape))] = x
    return y


@kernel_case(
    [dict(b=b, m=m, n=n) for b in [(), (2,)] for m, n in [(1, 1), (3, 5), (5, 3), (0, 3), (3, 0), (33, 31)]],
    [dict(b=(), m=1000, n=1000)],
    scalars=[dict(k=k, upper=u) for k in (0, 1, -2, 100, -100) for u in (False, True)],
    exact=True,
)
def triangle(x, k, upper):
    return np.triu(x, k) if upper else np.tril(x, k)


# --- gradients ------------------------------------------------------------------------------------

op_case("strided_slice", x=T(5, 6), start=[1, 0], size=[2, 6], step=[1, 1])
op_case("strided_slice", x=T(5, 6), start=[4, 1], size=[3, 2], step=[-2, 3])
op_case("slice", inputs=T(5, 6), start_indices=(1, 2), shape=(3, 2))
op_case("slice_update", inputs=T(5, 6), start_indices=(1, 2), updates=T(3, 2))
op_case("flip", x=T(3, 4), axis=1)
for _axis in (0, 1, -1):
    op_case("concatenate", xs=[T(2, 3, 2), T(2, 3, 2)], axis=_axis)
op_case("concatenate", xs=[T(2, 3), T(2, 1), T(2, 4)], axis=1)
op_case("stack", x=[T(2, 3), T(2, 3)], axis=1)
op_case("split", x=T(2, 6), indices_or_sections=[1, 4], axis=1)
op_case("unstack", x=T(2, 3), axis=1)
op_case("roll", x=T(3, 4), shift=(1, -2), axis=(0, 1))
op_case("roll", x=T(3, 4), shift=5)
op_case("pad", x=T(3, 4), pad_width=((1, 0), (0, 2)))
op_case("pad", x=T(3, 4), pad_width=((1, 2), (2, 3)), mode="reflect")
op_case("pad", x=T(3, 4), pad_width=((1, 2), (4, 3)), mode="symmetric")
for _k in (-1, 0, 2):
    op_case("diagonal", x=T(2, 3, 4), offset=_k, axis1=1, axis2=2)
    op_case("diag", x=T(3), k=_k)
op_case("trace", x=T(3, 4), offset=1)
