"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from .. import activations, constraints, initializers, ops, regularizers
from .base import LAYERS, InputSpec, Layer


@LAYERS.register()
class Dense(Layer):
    """y = activation(x W + b).

    Shapes: x (*batch, in), W (in, units), b (units,), y (*batch, units). Acts on the last axis.
    """

    by_row = True
    supports_masking = True
    casts_integers = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int(units, "units", self)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: tuple) -> None:
        width = known_size(input_shape[-1], "the last axis", self)
        self.kernel = self.add_weight(
            (width, self.units), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.dense(inputs, self.kernel, self.bias, self.activation)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)


def positive_int(value: Any, what: str, layer: Layer) -> int:
    """`value` if it is a positive integer; raises ValueError naming the layer otherwise."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise ValueError(f"layer {layer.name!r}: {what} is a positive integer, got {value!r}")
    return int(value)


def known_size(size: int | None, what: str, layer: Layer) -> int:
    """`size` if it is known; raises ValueError naming the layer otherwise."""
    if size is None:
        raise ValueError(f"layer {layer.name!r}: {what} of the input must be known, got None")
    return size
