"""Softmax and its logarithm along an axis (Goodfellow et al., Deep Learning, section 4.1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor, view
from .move import reshape, transpose
from .reduce import normalized_axes

__all__ = ["log_softmax", "softmax"]


def _around(name: str, x: Tensor, axis: Any) -> tuple[int, int, int]:
    """x's shape as (outer, n, inner) with `axis` in the middle."""
    if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis {axis!r} is out of range for a tensor {x.shape}")
    if not x.dtype.startswith("float"):
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    axis %= x.ndim
    return math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])


def _softmax(name: str, x: Any, axis: int):
    x = to_tensor(x)
    outer, n, inner = _around(name, x, axis)
    y = empty(x.shape, like=x)
    shape: tuple[int, ...] = (outer, n)
    forward, grad = getattr(kernels, name), getattr(kernels, name + "_grad")
    flag: tuple[bool, ...] = ()
    if inner != 1:
        shape, forward, grad = (outer, n, inner), kernels.softmax_axis, kernels.softmax_axis_grad
        flag = (name == "log_softmax",)
    saved = view(y, shape)
    forward(view(x, shape), saved, *flag)

    def run_grad(dy, dx):
        grad(saved, view(dy, shape), view(dx, shape), *flag)

    return y, lambda dy: grad_to(x, run_grad, dy)


def _over_axes(function: Callable) -> Callable:
    """`function` of one axis, also for several axes, which it takes together; None is all."""

    @functools.wraps(function)
    def call(x: Any, axis: Any = -1) -> Tensor:
        if axis is not None and not isinstance(axis, (tuple, list)):
            return function(x, axis)
        x = to_tensor(x)
        axes = normalized_axes(function.__name__, axis, x.ndim)
        if len(axes) == 1:
            return function(x, axes[0])
        order = [a for a in range(x.ndim) if a not in axes] + axes
        moved = x if order == sorted(order) else transpose(x, order)
        y = reshape(function(reshape(moved, (*moved.shape[: x.ndim - len(axes)], -1)), -1), moved.shape)
        return y if moved is x else transpose(y, [order.index(a) for a in range(x.ndim)])

    return call


@_over_axes
@op
def softmax(x: Any, axis: int = -1):
    """y = exp(x - max x) / sum exp(x - max x) along `axis`; NaN where all of x is -infinity."""
    return _softmax("softmax", x, axis)


@_over_axes
@op
def log_softmax(x: Any, axis: int = -1):
    """y = x - max x - log sum exp(x - max x) along `axis`."""
    return _softmax("log_softmax", x, axis)
