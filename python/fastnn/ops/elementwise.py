"""Arithmetic of two operands with broadcasting; either may be a Python number.

Types meet as `promotion.py` says. Integers divide to `config.floatx()`, wrap on overflow, and give
0 where they are floor-divided by 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from ..autograd import op
from ..tensor import Tensor, dtype_name, empty, to_tensor
from .promotion import as_tensor, broadcast_shapes, converted, gradient_for, promote

__all__ = [
    "add", "arctan2", "cast", "divide", "divide_no_nan", "floor_divide", "fmod", "hypot", "logaddexp",
    "logaddexp2", "maximum", "minimum", "mod", "multiply", "power", "subtract", "true_divide",
]  # fmt: skip


def _arithmetic(name: str) -> Callable[[Any, Any], Tensor]:
    """f(a, b) on promoted operands, by the kernel that fits: two tensors, or one and a number."""
    kernel = getattr(kernels, name)
    right: Any = getattr(kernels, f"{name}_scalar", None)
    left: Any = getattr(kernels, f"r{name}_scalar", right)

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


_add, _multiply, _divide, _mod, _floor_divide, _power, _maximum, _minimum = map(
    _arithmetic, ["add", "multiply", "divide", "mod", "floor_divide", "power", "maximum", "minimum"]
)
_tensor_subtract = _arithmetic("subtract")


def _subtract(a: Any, b: Any) -> Tensor:
    return _tensor_subtract(a, b) if isinstance(b, Tensor) else _add(a, -b)


def _negative(x: Tensor) -> Tensor:
    y = empty(x.shape, like=x)
    kernels.negative(x, y)
    return y


def _times_derivative(kernel: Callable, a: Any, b: Any, dy: Tensor) -> Tensor:
    """dy times the derivative that `kernel` computes from both operands."""
    d = empty(dy.shape, like=dy)
    kernel(as_tensor(a, dy), as_tensor(b, dy), dy, d)
    return d


@op
def add(x1: Any, x2: Any):
    """x1 + x2."""
    a, b = promote(x1, x2)
    return _add(a, b), lambda dy: (gradient_for(x1, lambda: dy), gradient_for(x2, lambda: dy))


@op
def subtract(x1: Any, x2: Any):
    """x1 - x2."""
    a, b = promote(x1, x2)
    return _subtract(a, b), lambda dy: (
        gradient_for(x1, lambda: dy),
        gradient_for(x2, lambda: _negative(dy)),
    )


@op
def multiply(x1: Any, x2: Any):
    """x1 x2, element by element."""
    a, b = promote(x1, x2)
    return _multiply(a, b), lambda dy: (
        gradient_for(x1, lambda: _multiply(dy, b)),
        gradient_for(x2, lambda: _multiply(dy, a)),
    )


@op
def divide(x1: Any, x2: Any):
    """x1 / x2, a float."""
    a, b = promote(x1, x2, floating=True)
    y = _divide(a, b)
    return y, lambda dy: (
        gradient_for(x1, lambda: _divide(dy, b)),
        gradient_for(x2, lambda: _negative(_divide(_multiply(dy, y), b))),
    )


true_divide = divide


@op
def maximum(x1: Any, x2: Any):
    """The larger of x1 and x2, NaN where either is. Equal operands share the gradient."""
    a, b = promote(x1, x2)
    return _maximum(a, b), lambda dy: (
        gradient_for(x1, lambda: _times_derivative(kernels.maximum_grad, a, b, dy)),
        gradient_for(x2, lambda: _times_derivative(kernels.maximum_grad, b, a, dy)),
    )


@op
def minimum(x1: Any, x2: Any):
    """The smaller of x1 and x2, NaN where either is. Equal operands share the gradient."""
    a, b = promote(x1, x2)
    # x1 is the smaller exactly where x2 is the larger.
    return _minimum(a, b), lambda dy: (
        gradient_for(x1, lambda: _times_derivative(kernels.maximum_grad, b, a, dy)),
        gradient_for(x2, lambda: _times_derivative(kernels.maximum_grad, a, b, dy)),
    )


@op
def power(x1: Any, x2: Any):
    """x1 to the power x2. An integer to a negative power is 0, unless it is 1 or -1."""
    a, b = promote(x1, x2)

    def by_base(dy):
        if isinstance(b, Tensor):
            return _times_derivative(kernels.power_grad, a, b, dy)
        d = empty(dy.shape, like=dy)
        kernels.power_scalar_grad(a, dy, d, b)
        return d

    return _power(a, b), lambda dy: (
        gradient_for(x1, lambda: by_base(dy)),
        gradient_for(x2, lambda: _times_derivative(kernels.power_exponent_grad, a, b, dy)),
    )


@op
def mod(x1: Any, x2: Any):
    """x1 - x2 floor(x1 / x2): the remainder with the sign of x2, as Python's %."""
    a, b = promote(x1, x2)
    return _mod(a, b), lambda dy: (
        gradient_for(x1, lambda: dy),
        gradient_for(x2, lambda: _negative(_multiply(dy, _floor_divide(a, b)))),
    )


def floor_divide(x1: Any, x2: Any) -> Tensor:
    """floor(x1 / x2), of the operands' common type. Not differentiable."""
    return _floor_divide(*promote(x1, x2))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is 0."""
    from .compare import equal, where

    zero = equal(x2, 0)
    return where(zero, 0.0, divide(x1, where(zero, 1.0, x2)))


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(e^x1 + e^x2), without overflow."""
    from .compare import equal, where
    from .unary import absolute, exp, log1p, negative

    apart = where(equal(x1, x2), 0.0, subtract(x1, x2))  # two equal infinities are no distance apart
    return add(maximum(x1, x2), log1p(exp(negative(absolute(apart)))))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2^x1 + 2^x2), without overflow."""
    return multiply(logaddexp(multiply(x1, math.log(2)), multiply(x2, math.log(2))), 1 / math.log(2))


def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1^2 + x2^2), without overflow; infinite where either is, also beside NaN."""
    from .compare import equal, isinf, logical_or, where
    from .unary import absolute, sqrt, square

    scale = maximum(absolute(x1), absolute(x2)).detach()  # sqrt is homogeneous: it has no derivative in the scale
    endless = logical_or(isinf(x1), isinf(x2))
    scale = where(logical_or(equal(scale, 0), endless), 1.0, scale)
    y = multiply(scale, sqrt(add(square(divide(x1, scale)), square(divide(x2, scale)))))
    return where(endless, math.inf, y)


def _angle(t: Tensor) -> Tensor:
    """arctan of t in [0, 1]: a rough angle y0, and what is left, arctan((t - tan y0) / (1 + t tan y0)),
    by its series. |what is left| < 0.004, so its seventh power is below the last bit of float64."""
    from .unary import cos, sin, square

    y = multiply(t, subtract(math.pi / 4 + 0.273, multiply(t, 0.273)))
    s, c = sin(y), cos(y)
    r = divide(subtract(multiply(t, c), s), add(c, multiply(t, s)))
    r2 = square(r)
    return add(y, multiply(r, subtract(1.0, multiply(r2, subtract(1 / 3, multiply(r2, 0.2))))))


@op
def arctan2(x1: Any, x2: Any):
    """The angle from -pi to pi of the point with abscissa x2 and ordinate x1; 0 at the origin.

    The sign of a zero plays no part: arctan2(0, -1) is pi, arctan2(-0, -1) too. No gradient at the origin.
    """
    from .compare import equal, where
    from .unary import absolute

    a, b = promote(x1, x2, floating=True)
    y, x = (as_tensor(v, a if isinstance(a, Tensor) else b).detach() for v in (a, b))
    up, along = absolute(y), absolute(x)
    low, high = minimum(up, along), maximum(up, along)
    t = where(equal(low, high), 1.0, divide(low, high))  # also for two infinities
    t = where(equal(high, 0.0), 0.0, t)
    angle = _angle(t)
    angle = where(up > along, subtract(math.pi / 2, angle), angle)
    angle = where(x < 0.0, subtract(math.pi, angle), angle)

    def backward(dy):
        scaled = _divide(dy, _add(_multiply(y, y), _multiply(x, x)))
        return (
            gradient_for(x1, lambda: _multiply(scaled, x)),
            gradient_for(x2, lambda: _negative(_multiply(scaled, y))),
        )

    return where(y < 0.0, _negative(angle), angle), backward


def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder with the sign of x1, as C's fmod; `mod` has that of x2."""
    from .unary import absolute, sign

    return multiply(sign(x1), mod(absolute(x1), absolute(x2)))


@op
def cast(x: Any, dtype: Any):
    """x as `dtype`. A float loses its fraction on the way to an integer; bool is x != 0."""
    x = to_tensor(x)
    name = dtype_name(dtype)
    if name == x.dtype:
        return x, None  # the same tensor, with the gradient it has
    backward = (lambda dy: converted(dy, x.dtype)) if name.startswith("float") else None
    return converted(x, name), backward
