"""Orders in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [
    dict(r=r, n=n)
    for r, n in [
        ((), 1),
        ((3,), 0),
        ((0,), 3),
        ((2, 3), 7),
        ((5,), 47),
        ((5,), 48),
        ((2,), 1000),
        ((), 40_009),
    ]
]
INTEGERS = [{**s, "dtype:n": "int32"} for s in SIZES[3:7]]
# Few values, so that ties are common, -0 and infinities among them.
TIES = dict(x=lambda rng, shape, sizes: np.round(rng.standard_normal(shape) * 8) / 4)


@kernel_case(
    SIZES + INTEGERS, [dict(r=(), n=1_000_000), dict(r=(1000,), n=100)],
    scalars=[dict(descending=False), dict(descending=True)], inputs=TIES, exact=True,
)  # fmt: skip
def sort(x, descending):
    order = np.argsort(-x if descending else x, -1, kind="stable")
    return np.take_along_axis(x, order, -1), order, np.argsort(order, -1)


@kernel_case(
    [{**s, "k": k} for s in SIZES + INTEGERS for k in (0, 1, 3, s["n"]) if k <= s["n"]],
    [dict(r=(1000,), n=1000, k=5)],
    inputs=TIES,
    exact=True,
)
def top_k(x, sizes):
    index = np.argsort(-x, -1, kind="stable")[..., : sizes["k"]]
    return np.take_along_axis(x, index, -1), index


@kernel_case(
    [{"n": n, "s": s} for n in (0, 1, 2, 9, 1000) for s in [(), (0,), (50,)]]
    + [{"n": 9, "s": (50,), "dtype:n": "int32"}],
    [dict(n=10_000, s=(100_000,))],
    scalars=[dict(right=False), dict(right=True)],
    inputs=dict(sorted=lambda rng, shape, sizes: np.sort(np.round(rng.standard_normal(shape) * 4)),
                values=lambda rng, shape, sizes: np.round(rng.standard_normal(shape) * 4)),
)  # fmt: skip
def searchsorted(sorted, values, right):
    return np.searchsorted(sorted, values, "right" if right else "left")


op_case("sort", x=T(3, 4))
op_case("sort", x=T(3, 4), axis=0)
op_case("sort", x=T(3, 4), axis=None)
op_case("top_k", x=T(3, 6), k=2)
op_case("median", x=T(3, 4), axis=1)
