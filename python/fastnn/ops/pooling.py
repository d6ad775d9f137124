"""Pooling over windows and over everything in one to three dimensions, and up-sampling in one and two.

Inputs are (batch, *spatial, channels); one dimension is two with a height of 1, windows in three are pooled over
height and width first, then over depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import geometry, kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .move import reshape
from .promotion import common_type, converted

__all__ = ["average_pool", "global_average_pool", "global_max_pool", "max_pool", "upsample"]


def _image(x: Tensor) -> Tensor:
    """(n, l, c) as (n, 1, l, c)."""
    return x if x.ndim == 4 else view(x, (x.shape[0], 1, *x.shape[1:]))


def _sequence(x: Tensor) -> Tensor:
    """(n, *spatial, c) as (n, l, c)."""
    return view(x, (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))


def max_windows(x: Tensor, size: tuple, windows: tuple, keep: bool) -> tuple[Tensor, Tensor | None]:
    """The largest of each window and, with `keep`, which of its inputs that is."""
    y = empty((x.shape[0], *size, x.shape[-1]), like=x)
    arg = None
    if keep:
        arg = empty(y.shape, "uint8" if windows[0] * windows[1] <= 256 else "int32", x.device)
    kernels.max_pool2d(_image(x), _image(y), None if arg is None else _image(arg), *windows)
    return y, arg


@op
def _max_pool(x: Tensor, size: tuple, windows: tuple):
    y, arg = max_windows(x, size, windows, needs_grad(x))

    def backward(dy):
        return grad_to(x, lambda dx: kernels.max_pool2d_grad(_image(arg), _image(dy), _image(dx), *windows))

    return y, backward


@op
def _average_pool(x: Tensor, size: tuple, windows: tuple):
    y = empty((x.shape[0], *size, x.shape[-1]), like=x)
    kernels.average_pool2d(_image(x), _image(y), *windows)

    def backward(dy):
        return grad_to(x, lambda dx: kernels.average_pool2d_grad(_image(dy), _image(dx), *windows))

    return y, backward


@op
def _global_average_pool(x: Tensor, mask: Tensor | None):
    y = empty((x.shape[0], x.shape[-1]), like=x)
    kernels.global_average_pool(_sequence(x), mask, y)

    def backward(dy):
        return grad_to(x, lambda dx: kernels.global_average_pool_grad(mask, dy, _sequence(dx))), None

    return y, backward


@op
def _global_max_pool(x: Tensor):
    y = empty((x.shape[0], x.shape[-1]), like=x)
    kernels.global_max_pool(_sequence(x), y)

    def backward(dy):
        return grad_to(x, lambda dx: kernels.global_max_pool_grad(_sequence(x), y, dy, _sequence(dx)))

    return y, backward


@op
def _upsample_nearest(x: Tensor, size: tuple):
    """size (height, width), the height 1 in one dimension."""
    shape = [n * f for n, f in zip(x.shape[1:-1], size[-(x.ndim - 2) :])]
    y = empty((x.shape[0], *shape, x.shape[-1]), like=x)
    kernels.upsample_nearest2d(_image(x), _image(y), *size)

    def backward(dy):
        return grad_to(x, lambda dx: kernels.upsample_nearest2d_grad(_image(dy), _image(dx), *size))

    return y, backward


@op
def _resize_bilinear(x: Tensor, shape: tuple):
    y = empty((x.shape[0], *shape, x.shape[-1]), like=x)
    kernels.resize_bilinear(_image(x), _image(y))

    def backward(dy):
        return grad_to(x, lambda dx: kernels.resize_bilinear_grad(_image(dy), _image(dx)))

    return y, backward


# --- arguments -----------------------------------------------------------------------------------


def _operand(name: str, inputs: Any, data_format: str | None, most: int = 3) -> Tensor:
    geometry.check_channels_last(data_format)
    x = to_tensor(inputs)
    x = converted(x, common_type(x, floating=True))
    if not 3 <= x.ndim <= most + 2:
        many = "one or two" if most == 2 else "one to three"
        raise ValueError(f"{name}: inputs are (batch, *spatial, channels) with {many} spatial axes, got {x.shape}")
    return x


def windows_of(name: str, shape: tuple, pool_size: Any, strides: Any, padding: str) -> tuple[tuple, tuple]:
    """Sizes of the result of pooling inputs of this shape, and the kernel's arguments."""
    rank = len(shape) - 2
    pool = geometry.sizes(pool_size, rank, "pool_size")
    step = pool if strides is None else geometry.sizes(strides, rank, "strides")
    padding = geometry.check_padding(padding)
    try:
        size = geometry.output_sizes(shape[1:-1], pool, step, padding)
    except ValueError as error:
        raise ValueError(f"{name}: inputs {shape}, pool_size {pool}: {error}") from None
    pads = geometry.pads_before(shape[1:-1], pool, step, padding)
    if rank == 1:
        pool, step, pads = (1, *pool), (1, *step), (0, *pads)
    return size, (*pool, *step, *pads)


def _pooled(name: str, function: Callable, x: Tensor, pool_size: Any, strides: Any, padding: str) -> Tensor:
    size, windows = windows_of(name, x.shape, pool_size, strides, padding)
    if x.ndim < 5:
        return function(x, size, windows)
    # The largest of largest values; and the mean of means, as all windows of a slice hold equally many.
    n, depth, h, w, c = x.shape
    (pool, *pools), (step, *steps), (before, *befores) = windows[:3], windows[3:6], windows[6:]
    area = size[1] * size[2]
    y = function(reshape(x, (n * depth, h, w, c)), size[1:], (*pools, *steps, *befores))
    y = function(reshape(y, (n, depth, area, c)), (size[0], area), (pool, 1, step, 1, before, 0))
    return reshape(y, (n, *size, c))


# --- Keras' names, and the layers' ---------------------------------------------------------------


def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest of each window; NaN where it holds one.

    inputs (batch, *spatial, channels) -> (batch, *outputs, channels). The gradient goes to the
    first of equals. strides: pool_size unless given.
    """
    x = _operand("max_pool", inputs, data_format)
    return _pooled("max_pool", _max_pool, x, pool_size, strides, padding)


def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window; padding does not count. Shapes as for `max_pool`."""
    x = _operand("average_pool", inputs, data_format)
    return _pooled("average_pool", _average_pool, x, pool_size, strides, padding)


def global_average_pool(inputs: Any, mask: Any = None) -> Tensor:
    """The mean over all spatial axes: (batch, *spatial, channels) -> (batch, channels).

    mask: bool (batch, steps), for inputs (batch, steps, channels): only steps where it is true
    count. A row without any gives 0.
    """
    x = _operand("global_average_pool", inputs, None)
    if mask is not None:
        mask = to_tensor(mask, "bool")
        if mask.shape != x.shape[:-1] or x.ndim != 3:
            raise ValueError(f"global_average_pool: a mask {mask.shape} does not fit inputs {x.shape}")
    return _global_average_pool(x, mask)


def global_max_pool(inputs: Any) -> Tensor:
    """The largest over all spatial axes: (batch, *spatial, channels) -> (batch, channels).

    Equals share the gradient.
    """
    x = _operand("global_max_pool", inputs, None)
    if not math.prod(x.shape[1:-1]):
        raise ValueError(f"global_max_pool: inputs {x.shape} have no positions to take the largest of")
    return _global_max_pool(x)


def upsample(inputs: Any, size: Any = 2, interpolation: str = "nearest", data_format: str | None = None) -> Tensor:
    """inputs (batch, *spatial, channels) enlarged by the integer factors `size`.

    "nearest" repeats every pixel; "bilinear" (two dimensions) interpolates between pixel centres at
    i + 1/2, as Keras does.
    """
    x = _operand("upsample", inputs, data_format, most=2)
    rank = x.ndim - 2
    size = geometry.sizes(size, rank, "size")
    if interpolation == "nearest":
        return _upsample_nearest(x, size if rank == 2 else (1, *size))
    if interpolation != "bilinear" or rank != 2:
        expected = "'nearest' or 'bilinear'" if rank == 2 else "'nearest'"
        raise ValueError(f"upsample: interpolation is {expected}, got {interpolation!r}")
    if not all(x.shape[1:3]):
        raise ValueError(f"upsample: inputs {x.shape} have no pixels to interpolate between")
    return _resize_bilinear(x, tuple(n * f for n, f in zip(x.shape[1:3], size)))
