"""Elements picked by int32 indices. An index may count from the end; one that lies outside is a
ValueError."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from ..autograd import needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .axes import normalized_axis
from .move import broadcast_to, moveaxis, reshape
from .promotion import converted

__all__ = ["segment_sum", "take", "take_along_axis"]


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
    from .compare import where

    a, ids = to_tensor(data), _indices("segment_sum", segment_ids)
    if ids.shape != a.shape[:1]:
        raise ValueError(f"segment_sum: ids {ids.shape} do not fit data {a.shape}")
    # The kernel counts negative indices from the end; one that is too large has to stay so.
    row = where(ids < 0, num_segments, where(ids < num_segments, ids, num_segments + 1))
    return _segment_sum(a, row, num_segments)[:num_segments]
