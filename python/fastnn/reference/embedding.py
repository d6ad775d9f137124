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


op_case("embedding_lookup", indices=np.array([[1, 2, 1], [4, 0, 1]], "int32"), table=T(5, 3))
