"""What operands of different types and shapes become, for every op of two tensors.

Types: bool < int32 < float32 < float64, the wider one wins; uint8 and bool count as int32 in
arithmetic. A Python number takes the type of the tensor beside it, except that a float beside
integers makes them `config.floatx()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config, kernels
from ..autograd import needs_grad
from ..tensor import Tensor, empty, to_tensor, view

_RANK = {"bool": 0, "uint8": 1, "int32": 2, "float32": 3, "float64": 4}


def is_number(x: Any) -> bool:
    """True for Python and NumPy scalars, which become part of a kernel call."""
    return isinstance(x, (bool, int, float, np.generic))


def is_float(x: Any) -> bool:
    """True for a float tensor or number."""
    if isinstance(x, Tensor):
        return x.dtype in ("float32", "float64")
    return isinstance(x, (float, np.floating))


def converted(x: Tensor, dtype: str) -> Tensor:
    """x as `dtype`, outside of any gradient."""
    if x.dtype == dtype:
        return x
    y = empty(x.shape, dtype, x.device)
    kernels.cast(x, y)
    return y


def whole_numbers(x: Tensor) -> Tensor:
    """x as int32, outside of any gradient. What is not a whole number (0.5, NaN) becomes -2^31, which is
    no index of anything, so that the kernel that takes it as one refuses it.
    """
    if is_float(x) and x.device == "cpu":
        whole, same, lowest = empty(x.shape, like=x), empty(x.shape, "bool", x.device), empty((), like=x)
        kernels.floor(x, whole)
        kernels.equal(x, whole, same)
        kernels.fill(lowest, -(2.0**31))
        kernels.where(same, x, lowest, whole)
        x = whole
    return converted(x, "int32")


def common_type(*operands: Any, floating: bool = False) -> str:
    """The type in which tensors and numbers meet; a float type if `floating`."""
    tensors = [x for x in operands if isinstance(x, Tensor)]
    dtype = max((t.dtype for t in tensors), key=_RANK.__getitem__, default="int32")
    if _RANK[dtype] < _RANK["int32"]:
        dtype = "int32"
    if dtype == "int32" and (floating or any(is_float(x) for x in operands)):
        wide = any(t.dtype == "float64" for t in tensors)
        dtype = "float64" if wide else config.floatx()
    return dtype


def promote(*operands: Any, floating: bool = False) -> list[Any]:
    """The operands in their common type: tensors, and numbers where one operand is a tensor.

    Raises OverflowError for a number that int32 cannot hold.
    """
    given = [x if isinstance(x, Tensor) or is_number(x) else to_tensor(x) for x in operands]
    if not any(isinstance(x, Tensor) for x in given):
        given[0] = to_tensor(given[0])
    dtype = common_type(*given, floating=floating)
    return [converted(x, dtype) if isinstance(x, Tensor) else plain(x, dtype) for x in given]


def plain(value: Any, dtype: str) -> float | int:
    """A scalar as a Python number that fits `dtype`."""
    if dtype != "int32":
        return float(value)
    value = int(value)
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f"{value} does not fit in int32")
    return value


def as_tensor(value: Any, like: Tensor) -> Tensor:
    """A promoted number as a tensor without axes; tensors as they are."""
    if isinstance(value, Tensor):
        return value
    t = empty((), like=like)
    kernels.fill(t, value)
    return t


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `shapes` broadcast to. Raises ValueError, naming the op."""
    if all(s == shapes[0] for s in shapes):
        return shapes[0]
    rank = max(map(len, shapes))
    result = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(sizes) > 1:
            shown = " and ".join(map(str, shapes))
            raise ValueError(f"{name}: shapes {shown} do not broadcast to one another")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def reduce_axes(kernel: Callable, x: Tensor, axes: list[int], dtype: str | None = None) -> Tensor:
    """x reduced over sorted `axes`, which keep length 1: a kernel call per group of neighbours."""
    groups: list[list[int]] = []
    for d in axes:
        if groups and groups[-1][-1] == d - 1:
            groups[-1].append(d)
        else:
            groups.append([d])
    # The largest group first leaves the least for the others.
    groups.sort(key=lambda g: -math.prod(x.shape[d] for d in g))
    for group in groups or [[]]:
        begin, end = (group[0], group[-1] + 1) if group else (0, 0)
        shape = x.shape
        o, n, i = math.prod(shape[:begin]), math.prod(shape[begin:end]), math.prod(shape[end:])
        y = empty((o, i), dtype or x.dtype, x.device)
        kernel(view(x, (o, n, i)), y)
        x = view(y, shape[:begin] + (1,) * (end - begin) + shape[end:])
    return x


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x summed over the axes along which `shape` was broadcast to x's shape, in a fixed order."""
    if x.shape == shape:
        return x
    aligned = (1,) * (x.ndim - len(shape)) + tuple(shape)
    axes = [d for d in range(x.ndim) if aligned[d] == 1 and x.shape[d] != 1]
    return view(reduce_axes(kernels.sum, x, axes), shape)


def gradient_for(x: Any, make: Callable[[], Tensor]) -> Tensor | None:
    """The gradient of x from that of its promoted, broadcast self; None if x needs none."""
    if not needs_grad(x):
        return None
    return converted(sum_to(make(), x.shape), x.dtype)
