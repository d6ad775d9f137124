"""Activation functions. Formulas, derivatives and constants: csrc/activations.h.

Those with parameters of their own here (a threshold, a largest value) are made of other ops.
"""

from __future__ import annotations

from typing import Any

from .. import _core, kernels
from ..autograd import grad_buffer, needs_grad, op
from ..tensor import Tensor, empty, to_tensor
from .compare import clip, greater, greater_equal, less, less_equal, where
from .elementwise import add, multiply, subtract
from .promotion import common_type, converted, sum_to
from .slice import split
from .unary import absolute, expm1, negative, sqrt, square

__all__ = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "mish", "prelu", "relu",
    "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "squareplus", "step", "swish", "tanh", "tanh_shrink",
    "threshold",
]  # fmt: skip


@op
def _activation(x: Tensor, name: str, alpha: float):
    """y = f(x), f being the activation `name` of activations.h."""
    kind, reads = _core.activations[name]
    y = empty(x.shape, like=x)
    kernels.activation_forward(x, y, kind, alpha)
    kept_x, kept_y = x if reads == "input" else None, y if reads == "output" else None

    def backward(dy):
        dx = grad_buffer(x)
        kernels.activation_grad(kept_x, kept_y, dy, dx, kind, alpha)
        return dx

    return y, backward


def _floats(x: Any) -> Tensor:
    x = to_tensor(x)
    return converted(x, common_type(x, floating=True))


def linear(x: Any) -> Tensor:
    """x."""
    return to_tensor(x)


def step(x: Any) -> Tensor:
    """1 for x > 0, else 0: the hard threshold of the perceptron. Its gradient is 0."""
    return _activation(_floats(x), "step", 0.0)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x)."""
    return _activation(_floats(x), "sigmoid", 0.0)


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return _activation(_floats(x), "tanh", 0.0)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """x above the threshold (at most max_value), negative_slope (x - threshold) up to it."""
    x = _floats(x)
    if threshold == 0 and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else _activation(x, "relu", 0.0)
    if threshold == 0 and max_value == 6 and not negative_slope:
        return _activation(x, "relu6", 0.0)
    y = x if max_value is None else clip(x, None, float(max_value))
    below = multiply(_activation(subtract(threshold, x), "relu", 0.0), -negative_slope) if negative_slope else 0.0
    return where(greater(x, threshold), y, below)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return _activation(_floats(x), "relu6", 0.0)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x for x >= 0, else negative_slope x."""
    x = _floats(x)
    if negative_slope <= 0:  # then y does not show on which side x was
        return where(greater_equal(x, 0), x, multiply(x, float(negative_slope)))
    return _activation(x, "leaky_relu", float(negative_slope))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha (e^x - 1). Clevert et al., 2016."""
    x = _floats(x)
    if alpha < 0:
        return where(greater(x, 0), x, multiply(expm1(clip(x, None, 0.0)), alpha))
    return _activation(x, "elu", float(alpha))


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x for x > 0, else alpha (e^(x / alpha) - 1). Barron, 2017."""
    x = _floats(x)
    below = multiply(expm1(multiply(clip(x, None, 0.0), 1.0 / alpha)), alpha)
    return where(greater(x, 0), x, below)


def selu(x: Any) -> Tensor:
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1. Klambauer et al., 2017."""
    return _activation(_floats(x), "selu", 0.0)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x Phi(x), Phi being the normal distribution function, or tanh's approximation of it."""
    return _activation(_floats(x), "gelu_tanh" if approximate else "gelu", 0.0)


def silu(x: Any) -> Tensor:
    """x sigmoid(x)."""
    return _activation(_floats(x), "silu", 0.0)


swish = silu


def softplus(x: Any) -> Tensor:
    """log(1 + e^x)."""
    return _activation(_floats(x), "softplus", 0.0)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return _activation(_floats(x), "softsign", 0.0)


def hard_sigmoid(x: Any) -> Tensor:
    """min(max(x / 6 + 1/2, 0), 1)."""
    return _activation(_floats(x), "hard_sigmoid", 0.0)


def hard_silu(x: Any) -> Tensor:
    """x hard_sigmoid(x)."""
    return _activation(_floats(x), "hard_silu", 0.0)


hard_swish = hard_silu


def exponential(x: Any) -> Tensor:
    """e^x."""
    return _activation(_floats(x), "exponential", 0.0)


def mish(x: Any) -> Tensor:
    """x tanh(softplus(x)). Misra, 2019."""
    return _activation(_floats(x), "mish", 0.0)


@op
def prelu(x: Any, alpha: Any):
    """x for x > 0, else alpha x. x (batch, *s); alpha broadcasts to x's shape and is learnt."""
    a, slope = _floats(x), _floats(alpha)
    slope = converted(slope, a.dtype)
    if len(slope.shape) > a.ndim or any(n not in (1, m) for n, m in zip(slope.shape[::-1], a.shape[::-1])):
        raise ValueError(f"prelu: alpha {slope.shape} does not broadcast to x {a.shape}")
    y = empty(a.shape, like=a)
    kernels.prelu(a, slope, y)

    def backward(dy):
        dx = dalpha = None
        if needs_grad(x):
            dx = grad_buffer(x)
            kernels.prelu_grad(a, slope, dy, dx)
        if needs_grad(alpha):
            each = empty(dy.shape, like=dy)
            kernels.prelu_slope_grad(a, dy, each)
            dalpha = converted(sum_to(each, slope.shape), alpha.dtype)
        return dx, dalpha

    return y, backward


# --- made of others -------------------------------------------------------------------------------


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it is above the threshold, else default_value."""
    x = _floats(x)
    return where(greater(x, threshold), x, default_value)


def glu(x: Any, axis: int = -1) -> Tensor:
    """a sigmoid(b), a and b being the halves of x along `axis`. Dauphin et al., 2017."""
    a, b = split(_floats(x), 2, axis)
    return multiply(a, sigmoid(b))


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x)."""
    return negative(softplus(negative(_floats(x))))


def hard_tanh(x: Any) -> Tensor:
    """min(max(x, -1), 1)."""
    return clip(_floats(x), -1.0, 1.0)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| is above the threshold, else 0."""
    x = _floats(x)
    return where(greater(absolute(x), threshold), x, 0.0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved by the threshold towards 0, and no further."""
    x = _floats(x)
    return subtract(x, clip(x, -threshold, threshold))


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    x = _floats(x)
    return subtract(x, tanh(x))


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2. Barron, 2021."""
    x = _floats(x)
    return multiply(add(x, sqrt(add(square(x), b))), 0.5)


def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, (x + 1)^2 / 4 up to 1, x from there on."""
    x = _floats(x)
    middle = multiply(square(add(clip(x, -1.0, 1.0), 1.0)), 0.25)
    return where(less_equal(x, -1.0), 0.0, where(less(x, 1.0), middle, x))


def sparse_sigmoid(x: Any) -> Tensor:
    """min(max((x + 1) / 2, 0), 1)."""
    return multiply(clip(add(_floats(x), 1.0), 0.0, 2.0), 0.5)
