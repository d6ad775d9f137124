"""Functions of one number, element by element. All but `negative`, `absolute`, `sign` and `square`
make floats of integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor
from .elementwise import add, arctan2, divide, hypot, multiply, subtract
from .promotion import common_type, converted

__all__ = [
    "abs", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "ceil", "cos",
    "cosh", "deg2rad", "erf", "exp", "exp2", "expm1", "fabs", "floor", "log", "log1p", "log2",
    "log10", "negative", "rad2deg", "reciprocal", "round", "rsqrt", "sign", "sin", "sinh", "sqrt",
    "square", "tan", "trunc",
]  # fmt: skip


def _apply(kernel: Callable, x: Any, floating: bool = True) -> tuple[Tensor, Tensor]:
    """x as a tensor that the kernel takes, and the result."""
    x = to_tensor(x)
    x = converted(x, common_type(x, floating=floating))
    y = empty(x.shape, like=x)
    kernel(x, y)
    return x, y


@op
def negative(x: Any):
    """-x."""
    x, y = _apply(kernels.negative, x, floating=False)
    return y, lambda dy: grad_to(x, kernels.negative, dy)


@op
def absolute(x: Any):
    """|x|; its derivative at 0 is taken as 0."""
    x, y = _apply(kernels.abs, x, floating=False)
    return y, lambda dy: grad_to(x, kernels.abs_grad, x, dy)


abs = absolute


@op
def square(x: Any):
    """x^2."""
    x, y = _apply(kernels.square, x, floating=False)
    return y, lambda dy: grad_to(x, kernels.square_grad, x, dy)


@op
def sqrt(x: Any):
    """The square root; NaN below 0."""
    x, y = _apply(kernels.sqrt, x)
    return y, lambda dy: grad_to(x, kernels.sqrt_grad, y, dy)


@op
def rsqrt(x: Any):
    """1 / sqrt(x)."""
    x, y = _apply(kernels.rsqrt, x)
    return y, lambda dy: grad_to(x, kernels.rsqrt_grad, y, dy)


@op
def reciprocal(x: Any):
    """1 / x."""
    x, y = _apply(kernels.reciprocal, x)
    return y, lambda dy: grad_to(x, kernels.reciprocal_grad, y, dy)


@op
def exp(x: Any):
    """e^x."""
    x, y = _apply(kernels.exp, x)
    return y, lambda dy: grad_to(x, kernels.multiply, y, dy)


@op
def expm1(x: Any):
    """e^x - 1, accurate near 0."""
    x, y = _apply(kernels.expm1, x)
    return y, lambda dy: grad_to(x, kernels.expm1_grad, y, dy)


@op
def log(x: Any):
    """The natural logarithm; -inf at 0, NaN below."""
    x, y = _apply(kernels.log, x)
    return y, lambda dy: grad_to(x, kernels.divide, dy, x)


@op
def log1p(x: Any):
    """log(1 + x), accurate near 0."""
    x, y = _apply(kernels.log1p, x)
    return y, lambda dy: grad_to(x, kernels.log1p_grad, x, dy)


@op
def sin(x: Any):
    """The sine of x in radians."""
    x, y = _apply(kernels.sin, x)
    return y, lambda dy: grad_to(x, kernels.sin_grad, x, dy)


@op
def cos(x: Any):
    """The cosine of x in radians."""
    x, y = _apply(kernels.cos, x)
    return y, lambda dy: grad_to(x, kernels.cos_grad, x, dy)


@op
def erf(x: Any):
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    x, y = _apply(kernels.erf, x)
    return y, lambda dy: grad_to(x, kernels.erf_grad, x, dy)


# --- made of others -------------------------------------------------------------------------------


def tan(x: Any) -> Tensor:
    """The tangent of x in radians."""
    return divide(sin(x), cos(x))


def log2(x: Any) -> Tensor:
    """The logarithm to base 2."""
    return multiply(log(x), 1 / math.log(2))


def log10(x: Any) -> Tensor:
    """The logarithm to base 10."""
    return multiply(log(x), 1 / math.log(10))


def exp2(x: Any) -> Tensor:
    """2^x."""
    return exp(multiply(x, math.log(2)))


def sinh(x: Any) -> Tensor:
    """(e^x - e^-x) / 2, accurate near 0."""
    return multiply(subtract(expm1(x), expm1(negative(x))), 0.5)


def cosh(x: Any) -> Tensor:
    """(e^x + e^-x) / 2."""
    return multiply(add(exp(x), exp(negative(x))), 0.5)


def _sine_of_arccos(x: Any) -> Tensor:
    return sqrt(multiply(subtract(1.0, x), add(x, 1.0)))


def arcsin(x: Any) -> Tensor:
    """The angle from -pi/2 to pi/2 whose sine is x; NaN for |x| > 1."""
    return arctan2(x, _sine_of_arccos(x))


def arccos(x: Any) -> Tensor:
    """The angle from 0 to pi whose cosine is x; NaN for |x| > 1."""
    return arctan2(_sine_of_arccos(x), x)


def arctan(x: Any) -> Tensor:
    """The angle from -pi/2 to pi/2 whose tangent is x."""
    return arctan2(x, 1.0)


def arcsinh(x: Any) -> Tensor:
    """The number whose `sinh` is x: log(x + sqrt(x^2 + 1)), accurate near 0."""
    from .compare import less, where

    sign = where(less(x, 0), -1.0, 1.0)
    a = multiply(x, sign)
    # a + sqrt(a^2 + 1) - 1, without a difference
    return multiply(sign, log1p(add(a, multiply(a, divide(a, add(hypot(a, 1.0), 1.0))))))


def arccosh(x: Any) -> Tensor:
    """The number >= 0 whose `cosh` is x: log(x + sqrt(x^2 - 1)); NaN for x < 1."""
    above = subtract(x, 1.0)
    return log1p(add(above, multiply(sqrt(above), sqrt(add(x, 1.0)))))


def arctanh(x: Any) -> Tensor:
    """The number whose tanh is x: log((1 + x) / (1 - x)) / 2; NaN for |x| > 1."""
    return multiply(subtract(log1p(x), log1p(negative(x))), 0.5)


def deg2rad(x: Any) -> Tensor:
    """Degrees in radians."""
    return multiply(x, math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians in degrees."""
    return multiply(x, 180 / math.pi)


def fabs(x: Any) -> Tensor:
    """|x|, a float."""
    x = to_tensor(x)
    return absolute(converted(x, common_type(x, floating=True)))


# --- steps: their derivative is 0 wherever they have one ------------------------------------------


def sign(x: Any) -> Tensor:
    """-1, 0 or 1."""
    return _apply(kernels.sign, x, floating=False)[1]


def _step(kernel: Callable, x: Any) -> Tensor:
    x = to_tensor(x)
    return _apply(kernel, x)[1] if x.dtype.startswith("float") else converted(x, common_type(x))


def floor(x: Any) -> Tensor:
    """The largest integer that is not above x, as a float; integers as they are."""
    return _step(kernels.floor, x)


def ceil(x: Any) -> Tensor:
    """The smallest integer that is not below x, as a float; integers as they are."""
    return _step(kernels.ceil, x)


def round(x: Any, decimals: int = 0) -> Tensor:
    """x to `decimals` places, ties to the even digit."""
    if decimals == 0:
        return _step(kernels.round, x)
    scale = 10.0**decimals
    return divide(_step(kernels.round, multiply(x, scale)), scale)


def trunc(x: Any) -> Tensor:
    """x without its fraction: the next integer towards 0."""
    x = to_tensor(x)
    return multiply(sign(x), floor(absolute(x))) if x.dtype.startswith("float") else _step(kernels.floor, x)
