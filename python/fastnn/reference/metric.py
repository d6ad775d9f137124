"""What metrics add up, in NumPy."""

import numpy as np

from . import kernel_case

SIZES = [dict(s=s) for s in [(), (0,), (1,), (7,), (8,), (33,), (3, 5), (1031,), (100003,)]]
BENCH = [dict(s=(32,)), dict(s=(10000,)), dict(s=(1024, 1024))]


@kernel_case(SIZES, BENCH, scalars=[dict(scale=1.0), dict(scale=-0.25)], tolerance=256)
def accumulate(x, scale, total):
    return total + scale * x.sum()


@kernel_case(SIZES, BENCH, scalars=[dict(scale=1.0), dict(scale=0.5)], tolerance=4)
def accumulate_each(x, scale, total):
    return total + scale * x


@kernel_case(SIZES, BENCH, scalars=[dict(value=3.0)], tolerance=4)
def accumulate_constant(value, total):
    return total + value


def _thresholds(rng, shape, sizes):
    t = np.sort(rng.standard_normal(shape))
    t[:1] = -np.inf
    return t


def _zeros_and_ones(rng, shape, sizes):
    return rng.integers(0, 2, shape)


def _count_thresholds_fast(y_true, y_pred, weight, thresholds, counts, column):
    # For all columns together, as the benchmark asks.
    at = np.searchsorted(thresholds, y_pred.ravel(), side="left") - 1
    at += (y_true.ravel() == 0) * thresholds.size
    counts += np.bincount(at, weight.ravel(), counts.size).reshape(counts.shape)


@kernel_case(
    [
        dict(n=n, c=c, l=l, t=t)
        for n in (0, 1, 5, 1009)
        for c, l in ((0, 1), (1, 1), (3, 1), (3, 3))
        for t in (1, 2, 7, 200)
    ]
    + [dict(n=40009, c=3, l=3, t=200), dict(n=100003, c=1, l=1, t=5)],
    bench=[dict(n=10000, c=1, l=1, t=200)],
    scalars=[dict(column=-1), dict(column=0)],
    inputs=dict(y_true=_zeros_and_ones, thresholds=_thresholds),
    tolerance=256,
    speed_of=_count_thresholds_fast,
)
def threshold_counts(y_true, y_pred, weight, thresholds, counts, column):
    counts, bounds = counts.copy(), thresholds.astype(np.float32).astype(np.float64)
    # float32 predictions meet float32 thresholds: the same order either way, but for ties.
    n, c = y_pred.shape
    bounds = thresholds if not np.array_equal(y_pred, y_pred.astype(np.float32)) else bounds
    at = np.maximum(np.searchsorted(bounds, y_pred.ravel(), side="left") - 1, 0).reshape(n, c)
    label = np.arange(c) if counts.shape[1] == c else np.zeros(c, int)
    chosen = slice(None) if column < 0 else slice(column, column + 1)
    row = (y_true == 0).astype(int)
    np.add.at(
        counts,
        (row[:, chosen], np.broadcast_to(label, (n, c))[:, chosen], at[:, chosen]),
        weight[:, chosen],
    )
    return counts


def _classes(rng, shape, sizes):
    return rng.integers(-1, sizes["c"] + 1, shape)  # out of range too


@kernel_case(
    [dict(n=n, c=c) for n in (0, 1, 9, 1009) for c in (1, 2, 21)] + [dict(n=100003, c=3)],
    bench=[dict(n=65536, c=21)],
    scalars=[dict(ignored=-(2**63)), dict(ignored=1)],
    inputs=dict(y_true=_classes, y_pred=_classes),
    tolerance=256,
)
def confusion_counts(y_true, y_pred, weight, counts, ignored):
    counts, c = counts.copy(), len(counts)
    ok = (y_true >= 0) & (y_true < c) & (y_pred >= 0) & (y_pred < c) & (y_true != ignored)
    np.add.at(counts, (y_true[ok], y_pred[ok]), weight[ok])
    return counts


ROWS = [dict(r=r, n=n) for r in [(), (0,), (1,), (7,), (2, 3)] for n in (1, 2, 10, 1000)] + [dict(r=(3,), n=0)]


def _targets(rng, shape, sizes):
    return rng.integers(-1, sizes["n"] + 1, shape)


def _with_ties(rng, shape, sizes):
    return np.round(rng.standard_normal(shape), 1)


@kernel_case(
    ROWS,
    bench=[dict(r=(256,), n=1000)],
    scalars=[dict(k=1), dict(k=5)],
    inputs=dict(targets=_targets, x=_with_ties),
    exact=True,
)
def in_top_k(targets, x, k):
    n = x.shape[-1]
    inside = (targets >= 0) & (targets < n)
    if not n:
        return np.zeros(targets.shape)
    own = np.take_along_axis(x, np.clip(targets, 0, n - 1)[..., None], -1)
    return (inside & ((x > own).sum(-1) < k)).astype(float)


@kernel_case(
    ROWS,
    bench=[dict(r=(256,), n=1000)],
    scalars=[dict(k=1, other=-1e10), dict(k=5, other=0.0)],
    inputs=dict(x=_with_ties),
    exact=True,
)
def keep_top_k(x, k, other):
    y = np.full(x.shape, other)
    first = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    np.put_along_axis(y, first, np.take_along_axis(x, first, -1), -1)
    return y
