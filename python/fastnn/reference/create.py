"""Tensors made from nothing."""

import numpy as np

from . import kernel_case

SIZES = [dict(s=s) for s in [(), (0,), (1,), (33,), (3, 5), (40009,)]]
TYPES = [{"s": (37,), "dtype:x": t} for t in ("int32", "uint8", "bool")]


@kernel_case(SIZES + TYPES, [dict(s=(1_000_000,))], scalars=[dict(value=0.0), dict(value=3.0)], exact=True)
def fill(value, sizes):
    return np.full(sizes["s"], value)


LABELS = dict(index=lambda rng, shape, sizes: rng.integers(-1, sizes["k"] + 1, shape))


@kernel_case(
    [dict(s=s, k=k) for s in [(), (0,), (5,), (2, 3), (1000,)] for k in (0, 1, 10, 33)]
    + [{"s": (20,), "k": 4, "dtype:x": t} for t in ("int32", "uint8", "bool")],
    [dict(s=(100_000,), k=10)],
    inputs=LABELS,
    exact=True,
)
def one_hot(index, sizes):
    return index[..., None] == np.arange(sizes["k"])


@kernel_case(
    [{"n": n, **t} for n in (0, 1, 9, 1000, 16385) for t in ({}, {"dtype:n": "int32"})],
    [dict(n=1_000_000)],
    scalars=[dict(start=0.0, step=1.0), dict(start=5.0, step=-2.0)],
    exact=True,
)
def arange(start, step, sizes):
    return start + np.arange(sizes["n"]) * step
