"""Axes of an op's argument: checked, counted from the front, and brought into the form (o, n, i)
that the kernels take."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import Any

from .. import kernels
from ..autograd import grad_buffer, needs_grad
from ..tensor import Tensor, empty, to_tensor, view
from .promotion import common_type, converted

Axes = int | tuple[int, ...] | list[int] | None


def normalized_axis(name: str, axis: int, rank: int) -> int:
    """`axis` counted from the front. Raises ValueError if there is no such axis."""
    axis = index(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis {axis} is out of range for {rank} dimensions")
    return axis % rank


def normalized_axes(name: str, axis: Axes, rank: int) -> list[int]:
    """`axis` as a sorted list of axes >= 0. Raises ValueError for what is no axis of the rank."""
    if axis is None:
        return list(range(rank))
    axes = [axis] if isinstance(axis, int) else [index(a) for a in axis]
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"{name}: axis {a} is out of range for a tensor of {rank} dimensions")
    axes = sorted(a % rank for a in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return axes


def without(shape: tuple[int, ...], axes: list[int], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if d in axes else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in axes)


def numbers(x: Any, floating: bool = False) -> Tensor:
    """x as a tensor that arithmetic takes: bool and uint8 as int32, or a float type."""
    x = to_tensor(x)
    return converted(x, common_type(x, floating=floating))


class Middle:
    """A tensor as (o, n, i), the reduced axes in the middle; transposed first if they lie apart."""

    def __init__(self, name: str, x: Any, axis: Axes, floating: bool = False):
        self.source = x
        self.x = x = numbers(x, floating)
        self.axes = normalized_axes(name, axis, x.ndim)
        begin, end = (self.axes[0], self.axes[-1] + 1) if self.axes else (0, 0)
        self.order = None
        if end - begin > len(self.axes):
            kept = [d for d in range(x.ndim) if d not in self.axes]
            self.order = kept + self.axes
            moved = empty([x.shape[d] for d in self.order], like=x)
            kernels.transpose(x, moved, self.order)
            x, begin, end = moved, len(kept), len(self.order)
        o, n, i = (math.prod(p) for p in (x.shape[:begin], x.shape[begin:end], x.shape[end:]))
        self.moved_shape = x.shape
        self.data = view(x, (o, n, i))
        self.n = n

    def result(self, dtype: str | None = None) -> Tensor:
        """An uninitialised (o, i)."""
        o, _, i = self.data.shape
        return empty((o, i), dtype or self.data.dtype, self.data.device)

    def shaped(self, y: Tensor, keepdims: bool) -> Tensor:
        return view(y, without(self.x.shape, self.axes, keepdims))

    def gradient(self, kernel: Callable, *args: Any) -> Tensor | None:
        """What kernel(*args, dx) writes into dx (o, n, i), in the shape of the source."""
        if not needs_grad(self.source):
            return None
        if self.order is None:
            dx = grad_buffer(self.x)
            kernel(*args, view(dx, self.data.shape))
            return dx
        moved = empty(self.moved_shape, like=self.x)
        kernel(*args, view(moved, self.data.shape))
        dx = grad_buffer(self.x)
        kernels.transpose(moved, dx, sorted(range(len(self.order)), key=self.order.__getitem__))
        return dx
