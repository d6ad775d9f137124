"""Python's operators on Tensor: arithmetic, comparisons, `@`, indexing. Each calls an op, so that
gradients flow and broadcasting and types are the same.

Indexing takes ints, slices (also with negative steps), `...`, None, and one int32 tensor; leading
rows share memory with the tensor, everything else copies. `x[...] = v` writes into x at once and
is not differentiable: `ops.slice_update` is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import kernels
from .tensor import Tensor, empty, to_tensor, view

_OPERANDS = (Tensor, bool, int, float, np.generic, np.ndarray, list, tuple)

_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "floordiv": "floor_divide", "mod": "mod", "pow": "power", "matmul": "matmul",
}  # fmt: skip
_COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
_LOGIC = {"and": "logical_and", "or": "logical_or", "xor": "logical_xor"}


def _operator(name: str, reflected: bool) -> Callable:
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        from . import ops

        op = getattr(ops, name)
        return op(other, self) if reflected else op(self, other)

    return method


def _logic(name: str) -> Callable:
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        other = to_tensor(other)
        if self.dtype != "bool" or other.dtype != "bool":
            raise TypeError(f"& | ^ are for truth values, got {self.dtype} and {other.dtype}")
        from . import ops

        return getattr(ops, name)(self, other)

    return method


def _invert(self: Tensor) -> Tensor:
    if self.dtype != "bool":
        raise TypeError(f"~ is for truth values, got {self.dtype}")
    from . import ops

    return ops.logical_not(self)


# --- indexing -------------------------------------------------------------------------------------


class _Box:
    """What a key means: start, size and step along each axis, the shape of the result, and for one
    axis perhaps a tensor of indices."""

    def __init__(self, key: Any, shape: tuple[int, ...]):
        keys = list(key) if isinstance(key, tuple) else [key]
        named = sum(1 for k in keys if k is not None and k is not Ellipsis)
        if named > len(shape):
            raise IndexError(f"{named} indices for a tensor of {len(shape)} dimensions")
        dots = [i for i, k in enumerate(keys) if k is Ellipsis]
        if len(dots) > 1:
            raise IndexError("an index can have only one ellipsis")
        rest: list[Any] = [slice(None)] * (len(shape) - named)
        at = dots[0] if dots else len(keys)
        keys = keys[:at] + rest + keys[at + 1 :]
        self.start: list[int] = []
        self.size: list[int] = []
        self.step: list[int] = []
        self.shape: list[int] = []
        self.pick: tuple[int, Tensor] | None = None  # axis of the result, indices
        for k in keys:
            if k is None:
                self.shape.append(1)
                continue
            n = shape[len(self.start)]
            if isinstance(k, slice):
                r = range(*k.indices(n))
                self._axis(r.start if r else 0, len(r), r.step if len(r) > 1 else 1)
                self.shape.append(len(r))
            elif isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)):
                if not -n <= k < n:
                    raise IndexError(f"index {k} is out of range for axis {len(self.start)} of {shape}")
                self._axis(int(k) % n, 1, 1)
            elif isinstance(k, (Tensor, np.ndarray, list)):
                if self.pick is not None:
                    raise TypeError("only one index can be a tensor")
                indices = to_tensor(k)
                if indices.dtype == "bool":
                    raise TypeError("masks give shapes that depend on values; use ops.where")
                self.pick = (len(self.shape), indices)
                self._axis(0, n, 1)
                self.shape.append(n)
            else:
                raise TypeError(f"an index is an int, slice, ..., None or int32 tensor, got {k!r}")

    def _axis(self, start: int, size: int, step: int) -> None:
        self.start.append(start)
        self.size.append(size)
        self.step.append(step)


def _get_item(self: Tensor, key: Any) -> Tensor:
    from . import ops

    box = _Box(key, self.shape)
    y = self
    if tuple(box.size) != self.shape or any(s != 1 for s in box.step):
        y = ops.strided_slice(y, box.start, box.size, box.step)
    if y.shape != tuple(box.shape):
        y = ops.reshape(y, box.shape)
    if box.pick is not None:
        y = ops.take(y, box.pick[1], axis=box.pick[0])
    return ops.reshape(y, y.shape) if y is self else y


def _set_item(self: Tensor, key: Any, value: Any) -> None:
    if self.requires_grad or self._node is not None:
        raise RuntimeError("x[...] = v on a tensor with a gradient; use ops.slice_update")
    box = _Box(key, self.shape)
    if box.pick is not None:
        raise TypeError("x[indices] = v is not supported; use ops.where")
    part = empty(box.shape, like=self)
    if isinstance(value, (bool, int, float, np.generic)):
        kernels.fill(part, float(value))
    else:
        kernels.broadcast_copy(to_tensor(value, self.dtype), part)
    kernels.slice_update(self, view(part, box.size), box.start, box.step)


def attach() -> None:
    """Gives Tensor its operators."""
    for symbol, name in _BINARY.items():
        setattr(Tensor, f"__{symbol}__", _operator(name, reflected=False))
        setattr(Tensor, f"__r{symbol}__", _operator(name, reflected=True))
    for symbol, name in _COMPARISONS.items():
        setattr(Tensor, f"__{symbol}__", _operator(name, reflected=False))
    for symbol, name in _LOGIC.items():
        method = _logic(name)
        setattr(Tensor, f"__{symbol}__", method)
        setattr(Tensor, f"__r{symbol}__", method)

    def unary(name: str) -> Callable:
        def method(self: Tensor) -> Tensor:
            from . import ops

            return getattr(ops, name)(self)

        return method

    others: dict[str, Callable] = {
        "neg": unary("negative"), "abs": unary("absolute"), "pos": lambda self: self, "invert": _invert,
        "getitem": _get_item, "setitem": _set_item,
    }  # fmt: skip
    for symbol, method in others.items():
        setattr(Tensor, f"__{symbol}__", method)


attach()
