"""Tensors made from nothing, and the way into and out of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config, kernels
from ..tensor import Tensor, dtype_name, is_tensor, to_tensor, view
from ..tensor import empty as _empty
from .elementwise import cast, multiply, power

__all__ = [
    "arange", "array", "bartlett", "blackman", "convert_to_numpy", "convert_to_tensor", "copy",
    "empty", "empty_like", "eye", "full", "full_like", "geomspace", "hamming", "hanning",
    "identity", "is_tensor", "linspace", "logspace", "ndim", "one_hot", "ones", "ones_like",
    "shape", "size", "stop_gradient", "tri", "vander", "zeros", "zeros_like",
]  # fmt: skip

Shape = int | Sequence[int]


def _sizes(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def full(shape: Shape, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor with `fill_value` everywhere: a number, or what broadcasts to the shape."""
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


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor with x's shape, and type unless given, and `fill_value` everywhere.

    `fill_value` may be a tensor or an array that broadcasts to the shape.
    """
    x = to_tensor(x)
    if isinstance(fill_value, (Tensor, np.ndarray, list, tuple)):
        return full(x.shape, fill_value, dtype or x.dtype)
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
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """`num` equally spaced numbers from start to stop, which is the last one if `endpoint`.

    With `retstep`, also the step between them. start and stop may be tensors, which broadcast: the
    numbers then lie along the new `axis`, and the gradient flows to both.
    """
    if any(to_tensor(v).ndim for v in (start, stop) if not isinstance(v, (int, float))):
        return _linspace_between(start, stop, num, endpoint, retstep, dtype, axis)
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


def _linspace_between(start: Any, stop: Any, num: int, endpoint: bool, retstep: bool, dtype: Any, axis: int) -> Any:
    from .elementwise import add, subtract
    from .move import moveaxis, reshape

    if num < 0:
        raise ValueError(f"linspace: num cannot be negative, got {num}")
    apart = subtract(stop, start)
    gaps = num - 1 if endpoint else num
    part = linspace(0.0, 1.0, num, endpoint)
    y = add(start, multiply(reshape(part, (num, *[1] * apart.ndim)), apart))
    y = cast(moveaxis(y, 0, axis), dtype or y.dtype)
    return (y, multiply(apart, 1 / gaps if gaps > 0 else math.nan)) if retstep else y


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


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """An (N, M) matrix with ones on and below its diagonal k, zeros above."""
    from .move import tril

    return tril(ones((N, N if M is None else M), dtype), k)


def logspace(
    start: float, stop: float, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0,
) -> Tensor:  # fmt: skip
    """base^start ... base^stop, `num` numbers of which each is the same factor larger."""
    return cast(power(float(base), linspace(start, stop, num, endpoint, axis=axis)), dtype or config.floatx())


def geomspace(
    start: float, stop: float, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """start ... stop, `num` numbers of which each is the same factor larger; neither is 0."""
    if start * stop <= 0:
        raise ValueError(f"geomspace: {start} and {stop} are not both above 0, or both below")
    powers = linspace(math.log(abs(start)), math.log(abs(stop)), num, endpoint, dtype="float64", axis=axis)
    return cast(multiply(power(math.e, powers), math.copysign(1.0, start)), dtype or config.floatx())


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of x's powers, row by row: x^(N-1) ... x 1, or rising."""
    x = to_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: takes a vector, got shape {x.shape}")
    from .slice import stack

    columns = [ones_like(x)]
    for _ in range(1, x.size if N is None else N):
        columns.append(multiply(columns[-1], x))
    columns = columns[: x.size if N is None else N]
    return stack(columns if increasing else columns[::-1], 1)


def _window(n: int, terms: Sequence[float]) -> Tensor:
    """a0 - a1 cos(t) + a2 cos(2 t) ..., t from 0 to 2 pi in n steps."""
    if n <= 1:
        return ones((max(n, 0),))
    t = 2 * np.pi * np.arange(n) / (n - 1)
    return cast(to_tensor(np.sum([a * (-1) ** k * np.cos(k * t) for k, a in enumerate(terms)], 0)), config.floatx())


def hanning(x: int) -> Tensor:
    """Hann's window of x points."""
    return _window(int(x), (0.5, 0.5))


def hamming(x: int) -> Tensor:
    """Hamming's window of x points."""
    return _window(int(x), (0.54, 0.46))


def blackman(x: int) -> Tensor:
    """Blackman's window of x points."""
    return _window(int(x), (0.42, 0.5, 0.08))


def bartlett(x: int) -> Tensor:
    """The triangular window of x points."""
    return cast(to_tensor(np.bartlett(int(x))), config.floatx())


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
