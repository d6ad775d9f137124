"""Elements picked by int32 indices. An index may count from the end; one that lies outside is a
ValueError."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import kernels
from ..autograd import needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .axes import normalized_axis
from .compare import logical_and, not_equal, where
from .create import ones
from .move import broadcast_to, moveaxis, reshape
from .promotion import common_type, converted
from .reduce import all as all_of
from .reduce import sum as sum_of
from .slice import concatenate

__all__ = ["scatter", "scatter_update", "segment_sum", "take", "take_along_axis"]


def _indices(name: str, indices: Any) -> Tensor:
    t = to_tensor(indices)
    if t.dtype not in ("int32", "uint8"):
        raise TypeError(f"{name}: indices are integers, got {t.dtype}")
    return converted(t, "int32")


@op
def take(x: Any, indices: Any, axis: int | None = None):
    """x at `indices` along `axis`: x (*o, n, *i), indices (*k) -> (*o, *k, *i).

    Without axis, of the flattened x. The gradient is added up in the order of the indices.
    """
    a, at = to_tensor(x), _indices("take", indices)
    shape = (a.size,) if axis is None else a.shape
    axis = 0 if axis is None else normalized_axis("take", axis, a.ndim)
    before, n, after = shape[:axis], shape[axis], shape[axis + 1 :]
    o, k, i = math.prod(before), at.size, math.prod(after)
    y = empty((*before, *at.shape, *after), like=a)
    at = view(at, (k,))
    kernels.take(view(a, (o, n, i)), at, view(y, (o, k, i)))

    def backward(dy):
        dx = empty(a.shape, like=a)
        kernels.take_grad(at, view(dy, (o, k, i)), view(dx, (o, n, i)))
        return dx, None

    return y, backward


@op
def _take_along_last(x: Tensor, at: Tensor):
    y = empty(at.shape, like=x)
    kernels.take_along(x, at, y)

    def backward(dy):
        dx = empty(x.shape, like=x)
        kernels.take_along_grad(at, dy, dx)
        return dx

    return y, backward


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """y[..., k, ...] = x[..., indices[..., k, ...], ...] along `axis`; flattened without one.

    Off the axis, x and indices broadcast to one another.
    """
    x, at = to_tensor(x), _indices("take_along_axis", indices)
    if axis is None:
        return _take_along_last(reshape(x, (x.size,)), view(at, (at.size,)))
    axis = normalized_axis("take_along_axis", axis, x.ndim)
    sizes = [(m, n) for d, (m, n) in enumerate(zip(at.shape, x.shape)) if d != axis]
    if at.ndim != x.ndim or any(m != n and 1 not in (m, n) for m, n in sizes):
        raise ValueError(f"take_along_axis: indices {at.shape} do not fit x {x.shape} off axis {axis}")
    if any(m != n for m, n in sizes):
        common = [n if m == 1 else m for m, n in sizes]
        x = broadcast_to(x, common[:axis] + [x.shape[axis]] + common[axis:])
        at = broadcast_to(at, common[:axis] + [at.shape[axis]] + common[axis:])
    if axis == x.ndim - 1:
        return _take_along_last(x, at)
    return moveaxis(_take_along_last(moveaxis(x, axis, -1), moveaxis(at, axis, -1)), -1, axis)


@op
def _segment_sum(data: Tensor, ids: Tensor, n: int):
    """Sums of rows by their number -> (n + 1, *r); the last one takes those without."""
    row = math.prod(data.shape[1:])
    y = empty((n + 1, *data.shape[1:]), like=data)
    kernels.take_grad(ids, view(data, (1, data.shape[0], row)), view(y, (1, n + 1, row)))

    def backward(dy):
        dx = empty(data.shape, like=data)
        kernels.take(view(dy, (1, n + 1, row)), ids, view(dx, (1, data.shape[0], row)))
        return dx

    return y, backward if needs_grad(data) else None


def segment_sum(data: Any, segment_ids: Any, num_segments: int, sorted: bool = False) -> Tensor:
    """y[j] = sum of the rows of `data` (n, *r) whose segment id is j -> (num_segments, *r).

    Rows are added in their order; those with a negative id belong to no segment. Raises ValueError
    for an id of num_segments or above.
    """
    a, ids = to_tensor(data), _indices("segment_sum", segment_ids)
    if ids.shape != a.shape[:1]:
        raise ValueError(f"segment_sum: ids {ids.shape} do not fit data {a.shape}")
    # The kernel counts negative indices from the end; one that is too large has to stay so.
    row = where(ids < 0, num_segments, where(ids < num_segments, ids, num_segments + 1))
    if a.dtype.startswith("float"):
        return _segment_sum(a, row, num_segments)[:num_segments]
    whole = _segment_sum(converted(a, "float64"), row, num_segments)[:num_segments]  # exact: sums below 2^53
    return converted(whole, common_type(a))


def _rows(name: str, indices: Any, shape: Sequence[int]) -> tuple[Tensor, int]:
    """The places that `indices` (*k, d) name in the first d axes of `shape`, counted through; and how
    many there are. An index that lies outside names a place beyond all."""
    at = _indices(name, indices)
    d = at.shape[-1] if at.ndim else 0
    if not 0 < d <= len(shape):
        raise ValueError(f"{name}: the last axis of indices {at.shape} does not fit the rank of {tuple(shape)}")
    sizes = to_tensor(list(shape[:d]))
    strides = to_tensor([math.prod(shape[axis + 1 : d]) for axis in range(d)])
    at = where(at < 0, at + sizes, at)
    inside = all_of(logical_and(at >= 0, at < sizes), axis=-1)
    count = math.prod(shape[:d])
    return reshape(where(inside, sum_of(at * strides, axis=-1), count), (-1,)), count


def _values(name: str, values: Any, indices: Any, shape: Sequence[int]) -> Tensor:
    """`values` (*k, *shape[d:]) as one row for each of the indices (*k, d)."""
    v, k = to_tensor(values), to_tensor(indices).shape
    rest = tuple(shape[k[-1] :])
    if v.shape != k[:-1] + rest:
        raise ValueError(f"{name}: values {v.shape} do not fit indices {k}, expected {k[:-1] + rest}")
    return reshape(v, (math.prod(k[:-1]), *rest))


def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of `shape`, to which values[k] is added at indices[k]: indices (*k, d), values
    (*k, *shape[d:]).

    Values of the same place add up. Raises ValueError for an index that lies outside.
    """
    shape = tuple(int(n) for n in shape)
    rows, count = _rows("scatter", indices, shape)
    return reshape(segment_sum(_values("scatter", values, indices, shape), rows, count), shape)


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with updates[k] at indices[k]: indices (*k, d), updates (*k, *inputs.shape[d:]).

    Without `reduction` an update takes the place of what is there, and the last one of several for a
    place stays; with "add" all are added to it. Raises ValueError for an index that lies outside.
    """
    from .sort import argsort

    x = to_tensor(inputs)
    if reduction not in (None, "add"):
        raise ValueError(f"scatter_update: reduction is None or 'add', got {reduction!r}")
    if reduction == "add":
        return x + converted(scatter(indices, updates, x.shape), x.dtype)
    rows, count = _rows("scatter_update", indices, x.shape)
    values = converted(_values("scatter_update", updates, indices, x.shape), x.dtype)
    if not rows.size:
        return x
    order = argsort(rows)  # stable: of equal rows, the last update is the last of its run
    rows = take(rows, order)
    last = where(not_equal(rows[1:], rows[:-1]), rows[:-1], -1)
    rows = concatenate([last, rows[-1:]])
    box = (count, math.prod(values.shape[1:]))
    put = segment_sum(reshape(take(values, order, 0), (-1, box[1])), rows, count)
    met = segment_sum(ones((rows.size, 1), "int32"), rows, count)
    return reshape(where(met > 0, put, reshape(x, box)), x.shape)
