"""Orders: NaN counts as the largest, of equal elements the lower index comes first."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor
from .axes import normalized_axis, numbers
from .index import take_along_axis
from .move import expand_dims, moveaxis, ravel, reshape
from .promotion import promote

__all__ = ["argsort", "median", "searchsorted", "sort", "top_k"]


@op
def _sort_last(x: Tensor):
    y, index, rank = empty(x.shape, like=x), *(empty(x.shape, "int32", x.device) for _ in range(2))
    kernels.sort(x, y, index, rank, False)
    return (y, index), lambda dy, _: grad_to(x, kernels.take_along, dy, rank)


def _sorted(name: str, x: Any, axis: int | None, result: int) -> Tensor:
    x = numbers(x)
    x, axis = (ravel(x), 0) if axis is None else (x, normalized_axis(name, axis, x.ndim))
    last = axis == x.ndim - 1
    y = _sort_last(x if last else moveaxis(x, axis, -1))[result]
    return y if last else moveaxis(y, -1, axis)


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """x in rising order along `axis`; flattened without one."""
    return _sorted("sort", x, axis, 0)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The indices that sort x along `axis`; of the flattened x without one. Stable."""
    return _sorted("argsort", x, axis, 1)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis in falling order, and their indices.

    Only the values are differentiable. They come in order whether `sorted` or not.
    """
    x = numbers(x)
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise ValueError(f"top_k: k is {k}, expected 0 <= k <= the last axis of {x.shape}")
    shape = (*x.shape[:-1], k)
    values, index = empty(shape, like=x), empty(shape, "int32", x.device)
    kernels.top_k(x, values, index)
    return (take_along_axis(x, index, -1) if needs_grad(x) else values), index


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """How many elements of the sorted vector are below each value, or not above it ("right")."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', got {side!r}")
    s, v = promote(to_tensor(sorted_sequence), to_tensor(values))
    if s.ndim != 1:
        raise ValueError(f"searchsorted: the sorted sequence is a vector, got shape {s.shape}")
    y = empty(v.shape, "int32", v.device)
    kernels.searchsorted(s, v, y, side == "right")
    return y


def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The middle element along `axis`, or the mean of the two middle ones."""
    from .reduce import mean
    from .slice import strided_slice

    x = numbers(x)
    rank = x.ndim
    x, axis = (ravel(x), 0) if axis is None else (x, normalized_axis("median", axis, rank))
    n = x.shape[axis]
    if not n:
        raise ValueError("median: the axis is empty")
    s = moveaxis(sort(x, axis), axis, -1)
    size = [*s.shape[:-1], 2 - n % 2]
    y = mean(strided_slice(s, [0] * (s.ndim - 1) + [(n - 1) // 2], size, [1] * s.ndim), -1)
    if not keepdims:
        return y
    return reshape(y, (1,) * rank) if x.ndim != rank or rank == 1 else expand_dims(y, axis)
