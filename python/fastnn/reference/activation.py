"""Activation functions in NumPy, by their number in csrc/activations.h."""

import math

import numpy as np

from .. import _core
from . import T, kernel_case, op_case

SIZES = [dict(s=s) for s in [(), (0,), (1,), (7,), (8,), (9,), (33,), (3, 5), (16385,)]]
BENCH = [dict(s=(1_000_000,), kind=_core.activations[name][0]) for name in ("relu", "sigmoid", "tanh", "gelu")]
SCALARS = [dict(kind=kind, alpha=0.3) for kind, _ in _core.activations.values()]
WIDE = dict(x=lambda rng, shape, sizes: rng.standard_normal(shape) * 3)
NAMES = {kind: (name, reads) for name, (kind, reads) in _core.activations.items()}

_erf = np.vectorize(math.erf, otypes=[np.float64])
_SCALE, _SCALE_ALPHA = 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _softplus(x):
    return np.logaddexp(0, x)


def _gelu_tanh_inner(x):
    return np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)


# f(x, alpha) and f'(x, alpha), each by its definition.
FORMULAS = {
    "linear": (lambda x, a: x, lambda x, a: np.ones_like(x)),
    "step": (lambda x, a: (x > 0) * 1.0, lambda x, a: np.zeros_like(x)),
    "sigmoid": (lambda x, a: _sigmoid(x), lambda x, a: _sigmoid(x) * _sigmoid(-x)),
    "tanh": (lambda x, a: np.tanh(x), lambda x, a: 1 / np.cosh(x) ** 2),
    "relu": (lambda x, a: np.maximum(x, 0), lambda x, a: (x > 0) * 1.0),
    "relu6": (lambda x, a: np.clip(x, 0, 6), lambda x, a: ((x > 0) & (x < 6)) * 1.0),
    "leaky_relu": (lambda x, a: np.where(x > 0, x, a * x), lambda x, a: np.where(x >= 0, 1, a)),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(x)),
        lambda x, a: np.where(x > 0, 1, a * np.exp(x)),
    ),
    "selu": (
        lambda x, a: np.where(x > 0, _SCALE * x, _SCALE_ALPHA * np.expm1(x)),
        lambda x, a: np.where(x > 0, _SCALE, _SCALE_ALPHA * np.exp(x)),
    ),
    "gelu": (
        lambda x, a: x * (1 + _erf(x / np.sqrt(2))) / 2,
        lambda x, a: (1 + _erf(x / np.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    ),
    "gelu_tanh": (
        lambda x, a: x * (1 + np.tanh(_gelu_tanh_inner(x))) / 2,
        lambda x, a: (
            (1 + np.tanh(_gelu_tanh_inner(x))) / 2
            + x / 2 / np.cosh(_gelu_tanh_inner(x)) ** 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        ),
    ),
    "silu": (lambda x, a: x * _sigmoid(x), lambda x, a: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "softplus": (lambda x, a: _softplus(x), lambda x, a: _sigmoid(x)),
    "softsign": (lambda x, a: x / (1 + abs(x)), lambda x, a: 1 / (1 + abs(x)) ** 2),
    "hard_sigmoid": (lambda x, a: np.clip(x / 6 + 0.5, 0, 1), lambda x, a: (abs(x) < 3) / 6),
    "hard_silu": (
        lambda x, a: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x, a: np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5)),
    ),
    "exponential": (lambda x, a: np.exp(x), lambda x, a: np.exp(x)),
    "mish": (
        lambda x, a: x * np.tanh(_softplus(x)),
        lambda x, a: np.tanh(_softplus(x)) + x * _sigmoid(x) / np.cosh(_softplus(x)) ** 2,
    ),
}


@kernel_case(SIZES, BENCH, scalars=SCALARS, inputs=WIDE, tolerance=8)
def activation_forward(x, kind, alpha):
    return FORMULAS[NAMES[kind][0]][0](x, alpha)


# The derivatives that read y, as functions of y.
FROM_Y = {
    "sigmoid": lambda y, a: y * (1 - y),
    "tanh": lambda y, a: 1 - y * y,
    "relu": lambda y, a: y > 0,
    "relu6": lambda y, a: (y > 0) & (y < 6),
    "leaky_relu": lambda y, a: np.where(y >= 0, 1, a),
    "elu": lambda y, a: np.where(y > 0, 1, y + a),
    "selu": lambda y, a: np.where(y > 0, _SCALE, y + _SCALE_ALPHA),
    "softplus": lambda y, a: 1 - np.exp(-y),
    "hard_sigmoid": lambda y, a: ((y > 0) & (y < 1)) / 6,
    "exponential": lambda y, a: y,
}


@kernel_case(SIZES, BENCH, scalars=SCALARS, inputs=WIDE, tolerance=16)
def activation_grad(x, y, dy, kind, alpha):
    name, reads = NAMES[kind]
    return dy * (FROM_Y[name](y, alpha) if reads == "output" else FORMULAS[name][1](x, alpha))


SLOPES = SIZES + [
    dict(s=(6, 40), alpha=(40,)),
    dict(s=(6, 4, 3), alpha=(1, 3)),
    dict(s=(6, 40), alpha=()),
]


@kernel_case(SLOPES, [dict(s=(4096, 256), alpha=(256,))], tolerance=1)
def prelu(x, alpha):
    return np.where(x > 0, x, alpha * x)


@kernel_case(SLOPES, [dict(s=(4096, 256), alpha=(256,))], tolerance=1)
def prelu_grad(x, alpha, dy):
    return dy * np.where(x > 0, 1, np.where(x < 0, alpha, 0))


@kernel_case(SIZES, BENCH, tolerance=1)
def prelu_slope_grad(x, dy):
    return np.where(x > 0, 0, x * dy)


# --- gradients ------------------------------------------------------------------------------------

for _name in [
    "sigmoid",
    "tanh",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "exponential",
    "mish",
    "step",
    "log_sigmoid",
    "hard_tanh",
    "hard_shrink",
    "soft_shrink",
    "tanh_shrink",
    "squareplus",
    "glu",
]:
    op_case(_name, x=T(4, 6))
op_case("relu", x=T(4, 6), negative_slope=0.1, max_value=1.0, threshold=0.3)
op_case("relu", x=T(4, 6), max_value=0.7)
op_case("leaky_relu", x=T(4, 6), negative_slope=-0.4)
op_case("elu", x=T(4, 6), alpha=-0.5)
op_case("elu", x=T(4, 6), alpha=2.5)
op_case("gelu", x=T(4, 6), approximate=False)
op_case("threshold", x=T(4, 6), threshold=0.2, default_value=-1.0)
op_case("prelu", x=T(5, 3, 2), alpha=T(3, 2))
op_case("prelu", x=T(5, 3, 2), alpha=T(1, 2))
