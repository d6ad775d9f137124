"""Elements picked by index, in NumPy."""

import numpy as np

from . import T, kernel_case, op_case


def _within(name):
    """Indices of an axis called `name`, also counted from the end."""
    return lambda rng, shape, sizes: rng.integers(-max(sizes[name], 1), max(sizes[name], 1), shape)


INDEX = dict(index=_within("n"))
SIZES = [
    dict(o=o, n=n, i=i, k=k)
    for o, n, i, k in [(1, 1, 1, 1), (2, 5, 1, 7), (3, 4, 5, 6), (1, 10, 33, 3), (2, 3, 4, 0),
    (0, 3, 2, 4), (2, 3, 0, 5),
                       (1, 100, 1, 5000), (1, 50, 64, 3000), (5, 40, 3, 900)]
]  # fmt: skip
BENCH = [dict(o=1, n=10_000, i=64, k=4096), dict(o=1, n=100_000, i=1, k=100_000)]


@kernel_case(
    SIZES + [{**SIZES[2], "dtype:x": t} for t in ("int32", "uint8", "bool")],
    BENCH,
    inputs=INDEX,
    exact=True,
)
def take(x, index):
    return x[:, index]


# As many additions as an index occurs; k / n on average.
@kernel_case(SIZES, BENCH, inputs=INDEX, tolerance=64)
def take_grad(index, dy, sizes):
    dx = np.zeros((sizes["o"], sizes["n"], sizes["i"]))
    np.add.at(dx, (slice(None), index), dy)
    return dx


ROWS = [
    dict(r=r, n=n, k=k)
    for r, n, k in [
        ((), 1, 1),
        ((3,), 5, 7),
        ((2, 3), 4, 2),
        ((0,), 3, 2),
        ((3,), 4, 0),
        ((500,), 10, 3),
    ]
]


@kernel_case(ROWS, [dict(r=(1000,), n=1000, k=100)], inputs=INDEX, exact=True)
def take_along(x, index):
    return np.take_along_axis(x, np.mod(index, x.shape[-1]), -1)


@kernel_case(ROWS, [dict(r=(1000,), n=1000, k=100)], inputs=INDEX, tolerance=16)
def take_along_grad(index, dy, sizes):
    n = sizes["n"]
    dx = np.zeros((int(np.prod(sizes["r"])), n))
    for row, i, d in zip(dx, index.reshape(len(dx), index.shape[-1]), dy.reshape(len(dx), dy.shape[-1])):
        np.add.at(row, i, d)
    return dx.reshape(*sizes["r"], n)


BATCH = dict(index=lambda rng, shape, sizes: rng.integers(0, sizes["n"], shape))
BATCHES = [
    dict(n=n, r=r, b=b) for n, r, b in [(1, (), 1), (10, (3,), 4), (50, (28, 28), 33), (5, (0,), 3), (5, (2,), 0)]
]
FULL_BATCH = [dict(n=60_000, r=(784,), b=128)]


@kernel_case(
    BATCHES + [{**BATCHES[1], "dtype:x": t} for t in ("int32", "uint8", "bool")],
    FULL_BATCH,
    inputs=BATCH,
    exact=True,
)
def gather_rows(data, index):
    return data[index]


PIXELS = dict(BATCH, data=lambda rng, shape, sizes: rng.integers(0, 256, shape))


@kernel_case(BATCHES, FULL_BATCH, scalars=[dict(scale=0.25)], inputs=PIXELS, exact=True)
def gather_rows_scaled(data, index, scale):
    return data[index] * scale


# --- gradients ------------------------------------------------------------------------------------

_AT = np.array([[0, 2, 1], [-1, 2, 2]], np.int32)
for _axis in (None, 0, 1, 2):
    op_case("take", x=T(3, 4, 5), indices=_AT, axis=_axis)
op_case("take_along_axis", x=T(2, 4), indices=_AT, axis=1)
op_case("take_along_axis", x=T(4, 3), indices=_AT, axis=0)
op_case("segment_sum", data=T(5, 2), segment_ids=np.array([0, 2, 2, 0, 3], np.int32), num_segments=4)
