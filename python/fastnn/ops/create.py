"""Tensors made from nothing, and the way into and out of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config, kernels
from ..tensor import Tensor, dtype_name, is_tensor, to_tensor, view
from ..tensor import empty as _empty
from .elementwise import cast

__all__ = [
    "arange", "array", "convert_to_numpy", "convert_to_tensor", "copy", "empty", "empty_like",
    "eye",
    "full", "full_like", "identity", "is_tensor", "linspace", "ndim", "one_hot", "ones",
    "ones_like",
    "shape", "size", "stop_gradient", "zeros", "zeros_like",
]  # fmt: skip

Shape = int | Sequence[int]


def _sizes(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def full(shape: Shape, fill_value: float, dtype: Any = None) -> Tensor:
    """A tensor with `fill_value` everywhere."""
    if isinstance(fill_value, (Tensor, np.ndarray, list, tuple)):
        from .move import broadcast_to

        value = to_tensor(fill_value)
        return broadcast_to(cast(value, dtype or config.floatx()), _sizes(shape))
    y = _empty(_sizes(shape), dtype_name(dtype or config.floatx()))
    kernels.fill(y, float(fill_value))
    return y


def zeros(shape: Shape, dtype: Any = None) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0.0, dtype)


def ones(shape: Shape, dtype: Any = None) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1.0, dtype)


def empty(shape: Shape, dtype: Any = None) -> Tensor:
    """A tensor whose values are whatever the memory held."""
    return _empty(_sizes(shape), dtype_name(dtype or config.floatx()))


def full_like(x: Any, fill_value: float, dtype: Any = None) -> Tensor:
    """A tensor with x's shape, and type unless given, and `fill_value` everywhere."""
    x = to_tensor(x)
    y = _empty(x.shape, dtype_name(dtype) if dtype else x.dtype, x.device)
    kernels.fill(y, float(fill_value))
    return y


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of x's shape and type."""
    return full_like(x, 0.0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of x's shape and type."""
    return full_like(x, 1.0, dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of x's shape and type whose values are whatever the memory held."""
    x = to_tensor(x)
    return _empty(x.shape, dtype_name(dtype) if dtype else x.dtype, x.device)


def _progression(n: int, start: float, step: float, dtype: str) -> Tensor:
    y = _empty((n,), dtype if dtype.startswith("float") else "int32")
    kernels.arange(y, float(start), float(step))
    return cast(y, dtype)


def arange(start: float, stop: float | None = None, step: float | None = None, dtype: Any = None) -> Tensor:
    """start, start + step, ... below stop (0, 1, ... below start with one argument).

    int32 if all arguments are integers, else `config.floatx()`.
    """
    start, stop, step = (0, start, 1) if stop is None else (start, stop, step)
    step = 1 if step is None else step
    if step == 0:
        raise ValueError("arange: step cannot be 0")
    whole = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
    name = dtype_name(dtype) if dtype else "int32" if whole else config.floatx()
    return _progression(max(0, math.ceil((stop - start) / step)), start, step, name)


def linspace(
    start: float, stop: float, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """`num` equally spaced numbers from start to stop, which is the last one if `endpoint`.

    With `retstep`, also the step between them. `axis` is that of the numbers: there is one only.
    """
    if axis not in (0, -1):
        raise ValueError(f"linspace: between two numbers there is axis 0 only, got {axis!r}")
    if num < 0:
        raise ValueError(f"linspace: num cannot be negative, got {num}")
    gaps = num - 1 if endpoint else num
    step = (stop - start) / gaps if gaps > 0 else math.nan
    name = dtype_name(dtype) if dtype else config.floatx()
    whole = name if name.startswith("float") else "float64"
    y = cast(_progression(num, start, step if gaps > 0 else 0.0, whole), name)
    return (y, step) if retstep else y


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """An (N, M) matrix with ones on its diagonal k (above the main one for k > 0)."""
    M = N if M is None else M
    y = zeros((N, M), dtype)
    length = min(N, M - k) if k >= 0 else min(N + k, M)
    if length > 0:
        # Along a diagonal, elements lie M + 1 apart.
        start = k if k >= 0 else -k * M
        kernels.slice_update(view(y, (N * M,)), ones((length,), dtype), [start], [M + 1])
    return y


def identity(n: int, dtype: Any = None) -> Tensor:
    """The (n, n) unit matrix."""
    return eye(n, dtype=dtype)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 at the index that x gives, else 0, along a new `axis` of `num_classes`.

    An index outside of [0, num_classes) gives zeros only.
    """
    if sparse:
        raise ValueError("one_hot: sparse tensors are not supported")
    x = cast(to_tensor(x), "int32")
    y = _empty((*x.shape, num_classes), dtype_name(dtype or config.floatx()), x.device)
    kernels.one_hot(x, y)
    if axis in (-1, x.ndim):
        return y
    from .move import moveaxis

    return moveaxis(y, -1, axis)


# --- into and out of tensors ----------------------------------------------------------------------


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None) -> Tensor:
    """x as a tensor of type `dtype`; a tensor of that type is returned itself."""
    if sparse:
        raise ValueError("convert_to_tensor: sparse tensors are not supported")
    return to_tensor(x, dtype)


def array(x: Any, dtype: Any = None) -> Tensor:
    """x as a tensor."""
    return to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """The values of x as a NumPy array of its own memory."""
    return x.numpy() if isinstance(x, Tensor) else np.array(x)


def copy(x: Any) -> Tensor:
    """A copy of x, cut off from its gradient."""
    x = to_tensor(x)
    y = _empty(x.shape, like=x)
    kernels.copy(x, y)
    return y


def stop_gradient(variable: Any) -> Tensor:
    """The same values as a constant: no gradient flows through."""
    return to_tensor(variable).detach()


def shape(x: Any) -> tuple[int, ...]:
    """The sizes of x's axes."""
    return tuple(to_tensor(x).shape)


def size(x: Any) -> int:
    """The number of x's elements."""
    return to_tensor(x).size


def ndim(x: Any) -> int:
    """The number of x's axes."""
    return to_tensor(x).ndim
