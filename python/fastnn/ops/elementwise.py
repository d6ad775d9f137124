"""Arithmetic of two operands with broadcasting; either may be a Python number.

Types meet as `promotion.py` says. Integers divide to `config.floatx()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import kernels
from ..autograd import op
from ..tensor import Tensor, dtype_name, empty, to_tensor
from .promotion import broadcast_shapes, converted, gradient_for, promote

__all__ = ["add", "cast", "divide", "multiply", "subtract", "true_divide"]


def _arithmetic(name: str) -> Callable[[Any, Any], Tensor]:
    """f(a, b) on promoted operands, by the kernel that fits: two tensors, or one and a number."""
    kernel = getattr(kernels, name)
    right = getattr(kernels, name + "_scalar")
    left = getattr(kernels, f"r{name}_scalar", right)

    def run(a: Any, b: Any) -> Tensor:
        if not isinstance(b, Tensor):
            y = empty(a.shape, like=a)
            right(a, y, b)
        elif not isinstance(a, Tensor):
            y = empty(b.shape, like=b)
            left(b, y, a)
        else:
            y = empty(broadcast_shapes(name, a.shape, b.shape), like=a)
            kernel(a, b, y)
        return y

    return run


_add, _multiply, _divide = map(_arithmetic, ("add", "multiply", "divide"))


def _subtract(a: Any, b: Any) -> Tensor:
    if not isinstance(b, Tensor):
        return _add(a, -b)
    if not isinstance(a, Tensor):
        y = empty(b.shape, like=b)
        kernels.rsubtract_scalar(b, y, a)
        return y
    y = empty(broadcast_shapes("subtract", a.shape, b.shape), like=a)
    kernels.subtract(a, b, y)
    return y


@op
def add(x1: Any, x2: Any):
    """x1 + x2."""
    a, b = promote(x1, x2)

    def backward(dy):
        return gradient_for(x1, lambda: dy), gradient_for(x2, lambda: dy)

    return _add(a, b), backward


@op
def subtract(x1: Any, x2: Any):
    """x1 - x2."""
    a, b = promote(x1, x2)

    def backward(dy):
        return gradient_for(x1, lambda: dy), gradient_for(x2, lambda: _multiply(dy, -1.0))

    return _subtract(a, b), backward


@op
def multiply(x1: Any, x2: Any):
    """x1 x2, element by element."""
    a, b = promote(x1, x2)

    def backward(dy):
        return gradient_for(x1, lambda: _multiply(dy, b)), gradient_for(x2, lambda: _multiply(dy, a))

    return _multiply(a, b), backward


@op
def divide(x1: Any, x2: Any):
    """x1 / x2, a float."""
    a, b = promote(x1, x2, floating=True)
    y = _divide(a, b)

    def backward(dy):
        return (
            gradient_for(x1, lambda: _divide(dy, b)),
            gradient_for(x2, lambda: _multiply(_divide(_multiply(dy, y), b), -1.0)),
        )

    return y, backward


true_divide = divide


@op
def cast(x: Any, dtype: Any):
    """x as `dtype`: floats lose their fraction towards zero, bool is x != 0."""
    x = to_tensor(x)
    name = dtype_name(dtype)

    def backward(dy):
        return converted(dy, x.dtype)

    differentiable = name.startswith("float") and x.dtype.startswith("float")
    return converted(x, name), backward if differentiable else None
