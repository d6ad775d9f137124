"""Embedding in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [
    dict(r=r, v=v, d=d)
    for r, v, d in [
        ((), 1, 1),
        ((5,), 3, 4),
        ((2, 3), 7, 8),
        ((0,), 3, 2),
        ((4,), 3, 0),
        ((3, 50), 1000, 33),
    ]
]
BENCH = [dict(r=(32, 100), v=10_000, d=64)]


def index_to_the_last_row(rng, shape, sizes):
    index = rng.integers(0, sizes["v"], shape)
    index.reshape(-1)[-1:] = sizes["v"] - 1  # so that the indices tell the size of the table
    return index


@kernel_case(SIZES, BENCH, inputs=dict(index=index_to_the_last_row), exact=True)
def embedding(index, table):
    return table[index]


# An index that comes k times adds k numbers; here k stays below 100.
@kernel_case(
    [s for s in SIZES if s["r"] != (0,)],
    BENCH,
    inputs=dict(index=index_to_the_last_row),
    tolerance=100,
)
def embedding_grad(index, dy):
    dtable = np.zeros((index.max() + 1, dy.shape[-1]))
    np.add.at(dtable, index, dy)
    return dtable


MEANS = [dict(n=n, l=l, v=v, d=d) for n, l, v, d in [(1, 1, 1, 1), (3, 5, 4, 7), (2, 3, 9, 0), (4, 200, 30, 130)]]
MEANS_BENCH = [dict(n=64, l=200, v=20_000, d=64)]


def counted(mask, shape):
    mask = np.ones(shape, bool) if mask is None else mask
    return mask, np.maximum(mask.sum(1), 1)[:, None]


# Sums of 128, then of these, as for global_average_pool.
@kernel_case(
    [*MEANS, dict(n=2, l=0, v=3, d=3)], MEANS_BENCH, [{}, dict(mask=None)], inputs=dict(index=index_to_the_last_row),
    tolerance=20,
)  # fmt: skip
def embedding_mean(index, mask, table):
    mask, count = counted(mask, index.shape)
    return (table[index] * mask[..., None]).sum(1) / count


# An index comes up to 40 times.
@kernel_case(MEANS, MEANS_BENCH, [{}, dict(mask=None)], inputs=dict(index=index_to_the_last_row), tolerance=40)
def embedding_mean_grad(index, mask, dy):
    mask, count = counted(mask, index.shape)
    dtable = np.zeros((index.max() + 1, dy.shape[-1]))
    np.add.at(dtable, index, mask[..., None] * (dy / count)[:, None])
    return dtable


op_case("embedding_mean", indices=np.array([[1, 2, 1], [4, 0, 1]], "int32"), table=T(5, 3))
op_case(
    "embedding_mean", indices=np.array([[1, 2, 1], [4, 0, 1]], "int32"), table=T(5, 3),
    mask=np.array([[1, 0, 1], [0, 0, 0]], bool),
)  # fmt: skip
op_case("embedding_lookup", indices=np.array([[1, 2, 1], [4, 0, 1]], "int32"), table=T(5, 3))
