"""Reductions over axes: `axis` is an int, several, or None for all; `keepdims` leaves them with
length 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor, view
from .promotion import common_type, converted, reduce_axes

__all__ = ["mean", "sum"]


def normalized_axes(name: str, axis: Any, rank: int) -> list[int]:
    """`axis` as a sorted list of axes >= 0. Raises ValueError for what is not an axis of the rank."""
    if axis is None:
        return list(range(rank))
    axes = [axis] if isinstance(axis, int) else [int(a) for a in axis]
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"{name}: axis {a} is out of range for a tensor of {rank} dimensions")
    axes = sorted(a % rank for a in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return axes


def _without(shape: tuple[int, ...], axes: list[int], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if d in axes else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in axes)


def _spread(x: Tensor, axes: list[int], dy: Tensor) -> Tensor | None:
    """dy, the gradient of a sum, for every element of x."""
    dy = view(dy, _without(x.shape, axes, True))
    return grad_to(x, kernels.broadcast_copy, dy)


def _numbers(x: Any, floating: bool = False) -> Tensor:
    x = to_tensor(x)
    return converted(x, common_type(x, floating=floating))


@op
def sum(x: Any, axis: Any = None, keepdims: bool = False):
    """The sum over `axis`. Truth values are counted (int32)."""
    a = _numbers(x)
    axes = normalized_axes("sum", axis, a.ndim)
    y = view(reduce_axes(kernels.sum, a, axes), _without(a.shape, axes, keepdims))
    return y, lambda dy: _spread(x, axes, dy)


@op
def mean(x: Any, axis: Any = None, keepdims: bool = False):
    """The mean over `axis`, a float."""
    a = _numbers(x, floating=True)
    axes = normalized_axes("mean", axis, a.ndim)
    y = view(reduce_axes(kernels.mean, a, axes), _without(a.shape, axes, keepdims))

    def backward(dy):
        share = empty(dy.shape, like=dy)
        kernels.multiply_scalar(dy, share, y.size / a.size)
        return _spread(x, axes, share)

    return y, backward if a.size and a is x else None
