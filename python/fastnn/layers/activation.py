"""Activations as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations, constraints, initializers, ops, regularizers
from .base import LAYERS, Layer


class _Elementwise(Layer):
    by_row = True
    supports_masking = True
    casts_integers = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


@LAYERS.register()
class Activation(_Elementwise):
    """y = activation(x), by name or as a function."""

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


@LAYERS.register()
class ReLU(_Elementwise):
    """y = x above the threshold (at most max_value), negative_slope (x - threshold) below."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _not_negative(max_value, "max_value", self)
        self.negative_slope = _not_negative(negative_slope, "negative_slope", self)
        self.threshold = _not_negative(threshold, "threshold", self)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return activations.relu(
            inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )


@LAYERS.register()
class LeakyReLU(_Elementwise):
    """y = x for x >= 0, negative_slope x below (0.3, unlike the activation's 0.2)."""

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        self.negative_slope = _not_negative(negative_slope, "negative_slope", self)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


@LAYERS.register()
class ELU(_Elementwise):
    """y = x for x > 0, alpha (exp(x) - 1) below."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)


@LAYERS.register()
class PReLU(_Elementwise):
    """y = x for x >= 0, alpha x below, alpha learned; one alpha along each shared axis."""

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = (
            None if shared_axes is None else list(shared_axes if hasattr(shared_axes, "__iter__") else [shared_axes])
        )

    def build(self, input_shape: tuple) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or []:
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            tuple(shape), self.alpha_initializer, name="alpha",
            regularizer=self.alpha_regularizer, constraint=self.alpha_constraint,
        )  # fmt: skip
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.prelu(inputs, self.alpha)


@LAYERS.register()
class Softmax(_Elementwise):
    """softmax along `axis` (one axis, or several taken together).

    Entries where `mask`, which broadcasts to the input, is false (not above 0.5) get 0.
    """

    by_row = False  # its axis may be that of the rows

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self._has_no_weights()

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            fits = mask.ndim <= inputs.ndim and all(m in (1, n) for m, n in zip(mask.shape[::-1], inputs.shape[::-1]))
            if not fits:
                raise ValueError(f"layer {self.name!r}: mask {mask.shape} does not broadcast to {inputs.shape}")
            mask = mask if mask.dtype == "bool" else ops.greater(mask, 0.5)
            # Finite, so that a row that is hidden as a whole gives zeros and no NaN.
            inputs = ops.where(mask, inputs, -3e38 if inputs.dtype == "float32" else -1e300)
        y = ops.softmax(inputs, axis=self.axis)
        return y if mask is None else ops.where(mask, y, 0)


def _not_negative(value: Any, what: str, layer: Layer) -> float:
    """`value` if it is a number of 0 or more; raises ValueError naming the layer otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ValueError(f"layer {layer.name!r}: {what} cannot be {value!r}")
    return float(value)
