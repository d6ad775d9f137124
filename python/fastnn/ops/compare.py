"""Truth values: comparisons, logic, tests of numbers, and choices by them.

Operands broadcast and meet in a common type, as in arithmetic; results are bool.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..autograd import grad_buffer, op
from ..tensor import Tensor, empty, to_tensor
from .elementwise import divide, maximum, minimum, multiply, power, subtract
from .promotion import (
    as_tensor,
    broadcast_shapes,
    common_type,
    converted,
    gradient_for,
    is_float,
    is_number,
    promote,
)  # fmt: skip
from .unary import absolute, sign, sin

__all__ = [
    "allclose", "cbrt", "clip", "equal", "fmax", "fmin", "greater", "greater_equal", "heaviside",
    "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "nan_to_num", "not_equal", "select",
    "sinc", "where",
]  # fmt: skip

_MIRRORED = {
    "equal": "equal",
    "not_equal": "not_equal",
    "less": "greater",
    "less_equal": "greater_equal",
}


def _compare(name: str, x1: Any, x2: Any) -> Tensor:
    """Kernels know equal, not_equal, less and less_equal of two tensors, all six with a number."""
    if is_number(x1) and not is_number(x2):
        return _compare_number(_MIRRORED[name], x2, x1)
    if is_number(x2) and not is_number(x1):
        return _compare_number(name, x1, x2)
    a, b = promote(x1, x2)
    b = as_tensor(b, a)
    y = empty(broadcast_shapes(name, a.shape, b.shape), "bool", a.device)
    getattr(kernels, name)(a, b, y)
    return y


def _compare_number(name: str, x: Any, value: Any) -> Tensor:
    x = to_tensor(x)
    x = converted(x, common_type(x))  # not that of the number: 2 < 2.5 compares exactly
    y = empty(x.shape, "bool", x.device)
    getattr(kernels, name + "_scalar")(x, y, float(value))
    return y


def equal(x1: Any, x2: Any) -> Tensor:
    """x1 == x2."""
    return _compare("equal", x1, x2)


def not_equal(x1: Any, x2: Any) -> Tensor:
    """x1 != x2; true for NaN, whatever it is compared with."""
    return _compare("not_equal", x1, x2)


def less(x1: Any, x2: Any) -> Tensor:
    """x1 < x2."""
    return _compare("less", x1, x2)


def less_equal(x1: Any, x2: Any) -> Tensor:
    """x1 <= x2."""
    return _compare("less_equal", x1, x2)


def greater(x1: Any, x2: Any) -> Tensor:
    """x1 > x2."""
    return _compare("less", x2, x1)


def greater_equal(x1: Any, x2: Any) -> Tensor:
    """x1 >= x2."""
    return _compare("less_equal", x2, x1)


# --- logic ----------------------------------------------------------------------------------------


def _truth(x: Any) -> Tensor:
    return converted(to_tensor(x), "bool")


def _logic(name: str, x1: Any, x2: Any) -> Tensor:
    a, b = _truth(x1), _truth(x2)
    y = empty(broadcast_shapes(name, a.shape, b.shape), like=a)
    getattr(kernels, name)(a, b, y)
    return y


def logical_and(x1: Any, x2: Any) -> Tensor:
    """x1 and x2; numbers count as true where they are not 0."""
    return _logic("logical_and", x1, x2)


def logical_or(x1: Any, x2: Any) -> Tensor:
    """x1 or x2."""
    return _logic("logical_or", x1, x2)


def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Either x1 or x2, not both."""
    return _logic("logical_xor", x1, x2)


def logical_not(x: Any) -> Tensor:
    """not x."""
    x = _truth(x)
    y = empty(x.shape, like=x)
    kernels.logical_not(x, y)
    return y


def _test(kernel: Callable, x: Any, of_integers: bool) -> Tensor:
    x = to_tensor(x)
    y = empty(x.shape, "bool", x.device)
    if is_float(x):
        kernel(x, y)
    else:
        kernels.fill(y, of_integers)
    return y


def isnan(x: Any) -> Tensor:
    """x is not a number."""
    return _test(kernels.isnan, x, False)


def isinf(x: Any) -> Tensor:
    """x is infinite."""
    return _test(kernels.isinf, x, False)


def isfinite(x: Any) -> Tensor:
    """x is neither infinite nor NaN."""
    return _test(kernels.isfinite, x, True)


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|x1 - x2| <= atol + rtol |x2|, or both are the same infinity (or NaN, with `equal_nan`)."""
    a, b = to_tensor(x1), to_tensor(x2)
    bound = multiply(absolute(b), rtol) + atol
    close = logical_and(isfinite(b), less_equal(absolute(subtract(a, b)), bound))
    close = logical_or(close, equal(a, b))
    return logical_or(close, logical_and(isnan(a), isnan(b))) if equal_nan else close


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `isclose` holds everywhere."""
    from .reduce import all

    return all(isclose(x1, x2, rtol, atol, equal_nan))


def isposinf(x: Any) -> Tensor:
    """x is +infinity."""
    return logical_and(isinf(x), greater(x, 0))


def isneginf(x: Any) -> Tensor:
    """x is -infinity."""
    return logical_and(isinf(x), less(x, 0))


# --- choices --------------------------------------------------------------------------------------


@op
def where(condition: Any, x1: Any, x2: Any):
    """x1 where the condition is true, else x2; all three broadcast."""
    c = _truth(condition)
    if is_number(x1) and is_number(x2):
        x1 = to_tensor(x1)
    a: Any
    b: Any
    if isinstance(x1, Tensor) and isinstance(x2, Tensor) and x1.dtype == x2.dtype:
        a, b = x1, x2  # bool and uint8 stay as they are
    else:
        a, b = promote(x1, x2)
    device = c.device
    like = a if isinstance(a, Tensor) else b
    a, b = as_tensor(a, like), as_tensor(b, like)
    y = empty(broadcast_shapes("where", c.shape, a.shape, b.shape), a.dtype, device)
    kernels.where(c, a, b, y)

    def part(dy, first):
        zero, d = as_tensor(0.0, dy), empty(dy.shape, like=dy)
        kernels.where(c, *((dy, zero) if first else (zero, dy)), d)
        return d

    return y, lambda dy: (
        None,
        gradient_for(x1, lambda: part(dy, True)),
        gradient_for(x2, lambda: part(dy, False)),
    )


@op
def _clip(x: Tensor, low: float, high: float):
    y = empty(x.shape, like=x)
    kernels.clip(x, y, low, high)

    def backward(dy):
        dx = grad_buffer(x)
        kernels.clip_grad(x, dy, dx, low, high)
        return dx

    return y, backward


def clip(x: Any, x_min: Any = None, x_max: Any = None) -> Tensor:
    """min(max(x, x_min), x_max); its gradient is 1 inside the bounds and on them, else 0."""
    low = float("-inf") if x_min is None else x_min
    high = float("inf") if x_max is None else x_max
    if is_number(low) and is_number(high):
        x = to_tensor(x)
        # A fractional bound makes floats of integers, as in any arithmetic.
        fractions = [v for v in (low, high) if is_float(v) and abs(v) != float("inf")]
        return _clip(converted(x, common_type(x, *fractions)), float(low), float(high))
    x = x if x_min is None else maximum(x, low)
    return x if x_max is None else minimum(x, high)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """From the choice of the first condition that is true; `default` where none is."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        y = where(condition, choice, y)
    return y


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with other numbers for NaN and the infinities: 0 and the largest of its type."""
    x = to_tensor(x)
    if not is_float(x):
        return converted(x, common_type(x))
    largest = float(np.finfo(x.dtype).max)
    y = where(isposinf(x), largest if posinf is None else float(posinf), x)
    y = where(isneginf(x), -largest if neginf is None else float(neginf), y)
    return where(isnan(x), float(nan), y)


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 below 0, x2 at 0, 1 above it; NaN of NaN."""
    a, b = promote(x1, x2, floating=True)
    a = a if isinstance(a, Tensor) else as_tensor(a, b)
    step = where(isnan(a), a.detach(), where(less(a, 0), 0.0, 1.0))
    return where(equal(a, 0), b, step)


def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of x1 and x2; of a number and a NaN the number."""
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of x1 and x2; of a number and a NaN the number."""
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    angle = multiply(x, math.pi)
    zero = equal(angle, 0)
    angle = where(zero, 1.0, angle)
    return where(zero, 1.0, divide(sin(angle), angle))


def cbrt(x: Any) -> Tensor:
    """The cube root, of negative numbers too."""
    return multiply(sign(x), power(absolute(x), 1 / 3))
