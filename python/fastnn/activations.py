"""Activation functions under Keras' names and defaults; `get("relu")`, `serialize(relu)` -> "relu".

Formulas: `ops.activation` and csrc/activations.h. An attribute `fused` = (name in activations.h,
alpha) tells a layer that the function, with its default arguments, can be part of a product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .serialization import Family

_family = Family("activation function", "keras.activations")


def _activation(*aliases: str, fused: tuple[str, float] | None = None) -> Callable:
    """Decorator: enter a function into the table under its name and the aliases."""

    def enter(function: Callable) -> Callable:
        if fused is not None:
            function.fused = fused  # type: ignore[attr-defined]
        function.__doc__ = function.__doc__ or getattr(ops, function.__name__).__doc__
        return _family.register(*aliases)(function)

    return enter


@_activation(fused=("linear", 0.0))
def linear(x: Any) -> Any:
    return ops.linear(x)


@_activation(fused=("step", 0.0))
def step(x: Any) -> Any:
    return ops.step(x)


@_activation(fused=("sigmoid", 0.0))
def sigmoid(x: Any) -> Any:
    return ops.sigmoid(x)


@_activation(fused=("tanh", 0.0))
def tanh(x: Any) -> Any:
    return ops.tanh(x)


@_activation(fused=("relu", 0.0))
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    return ops.relu(x, negative_slope, max_value, threshold)


@_activation(fused=("relu6", 0.0))
def relu6(x: Any) -> Any:
    return ops.relu6(x)


@_activation(fused=("leaky_relu", 0.2))
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    return ops.leaky_relu(x, negative_slope)


@_activation(fused=("elu", 1.0))
def elu(x: Any, alpha: float = 1.0) -> Any:
    return ops.elu(x, alpha)


@_activation()
def celu(x: Any, alpha: float = 1.0) -> Any:
    return ops.celu(x, alpha)


@_activation(fused=("selu", 0.0))
def selu(x: Any) -> Any:
    return ops.selu(x)


@_activation(fused=("gelu", 0.0))
def gelu(x: Any, approximate: bool = False) -> Any:
    return ops.gelu(x, approximate)


@_activation("swish", fused=("silu", 0.0))
def silu(x: Any) -> Any:
    return ops.silu(x)


swish = silu


@_activation(fused=("softplus", 0.0))
def softplus(x: Any) -> Any:
    return ops.softplus(x)


@_activation(fused=("softsign", 0.0))
def softsign(x: Any) -> Any:
    return ops.softsign(x)


@_activation(fused=("hard_sigmoid", 0.0))
def hard_sigmoid(x: Any) -> Any:
    return ops.hard_sigmoid(x)


@_activation("hard_swish", fused=("hard_silu", 0.0))
def hard_silu(x: Any) -> Any:
    return ops.hard_silu(x)


hard_swish = hard_silu


@_activation(fused=("exponential", 0.0))
def exponential(x: Any) -> Any:
    return ops.exponential(x)


@_activation(fused=("mish", 0.0))
def mish(x: Any) -> Any:
    return ops.mish(x)


@_activation()
def softmax(x: Any, axis: int = -1) -> Any:
    return ops.softmax(x, axis)


@_activation()
def log_softmax(x: Any, axis: int = -1) -> Any:
    return ops.log_softmax(x, axis)


@_activation()
def log_sigmoid(x: Any) -> Any:
    return ops.log_sigmoid(x)


@_activation()
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    return ops.threshold(x, threshold, default_value)


@_activation()
def glu(x: Any, axis: int = -1) -> Any:
    return ops.glu(x, axis)


@_activation()
def hard_tanh(x: Any) -> Any:
    return ops.hard_tanh(x)


@_activation()
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    return ops.hard_shrink(x, threshold)


@_activation()
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    return ops.soft_shrink(x, threshold)


@_activation()
def tanh_shrink(x: Any) -> Any:
    return ops.tanh_shrink(x)


@_activation()
def squareplus(x: Any, b: float = 4) -> Any:
    return ops.squareplus(x, b)


@_activation()
def sparse_plus(x: Any) -> Any:
    return ops.sparse_plus(x)


@_activation()
def sparse_sigmoid(x: Any) -> Any:
    return ops.sparse_sigmoid(x)


def get(identifier: Any) -> Callable:
    """The function of a name, a callable as it is, `linear` for None.

    Raises ValueError for an unknown name, with those that come near.
    """
    return linear if identifier is None else _family.get(identifier)


def serialize(activation: Callable) -> Any:
    """The function's name; of a function of your own, what loads with `custom_objects`."""
    return _family.serialize(activation)


def deserialize(config: Any, custom_objects: dict | None = None) -> Callable:
    """The reverse of `serialize`."""
    return _family.deserialize(config, custom_objects)
