"""Regularization: layers that add randomness, or a loss, while training and pass their input on."""

from __future__ import annotations

from typing import Any

from .. import ops, regularizers
from ..variables import RandomState
from .base import LAYERS, InputSpec, Layer
from .move import channels_last


class _Random(Layer):
    by_row = True
    supports_masking = True

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self._state.append(RandomState(seed))
        self._has_no_weights()

    def _draw(self) -> Any:
        """A state to draw from in this call; the next call gets another."""
        return ops.next_state(self._state[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@LAYERS.register()
class Dropout(_Random):
    """x / (1 - rate) with probability 1 - rate, else 0, while training.

    `noise_shape` has 1 along the axes whose elements are dropped together.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.rate = check_rate(rate, self)
        self.noise_shape = _check_noise_shape(noise_shape, self)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return ops.dropout(inputs, self.rate, self._draw(), self._shared_axes(inputs.shape))

    def _shared_axes(self, shape: tuple) -> Any:
        return self.noise_shape


class _SpatialDropout(Dropout):
    def get_config(self) -> dict:
        config = super().get_config()
        for name in ("activity_regularizer", "trainable"):  # no arguments of Keras' layers
            config.pop(name, None)
        return config


@LAYERS.register()
class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of (batch, steps, channels)."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, None, seed, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _shared_axes(self, shape: tuple) -> Any:
        return (shape[0], 1, shape[2])


@LAYERS.register()
class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of (batch, height, width, channels)."""

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, None, seed, **kwargs)
        self.data_format = channels_last(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _shared_axes(self, shape: tuple) -> Any:
        return (shape[0], 1, 1, shape[3])


@LAYERS.register()
class SpatialDropout3D(_SpatialDropout):
    """Drops whole channels of (batch, depth, height, width, channels)."""

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, None, seed, **kwargs)
        self.data_format = channels_last(data_format)
        self.input_spec = InputSpec(ndim=5)

    def _shared_axes(self, shape: tuple) -> Any:
        return (shape[0], 1, 1, 1, shape[4])


@LAYERS.register()
class GaussianNoise(_Random):
    """x + stddev z, z standard normal, while training."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        if stddev < 0:
            raise ValueError(f"layer {self.name!r}: stddev cannot be negative, got {stddev}")
        self.stddev = stddev

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        return ops.gaussian_noise(inputs, self.stddev, self._draw())


@LAYERS.register()
class GaussianDropout(_Random):
    """x (1 + sqrt(rate / (1 - rate)) z), z standard normal, while training."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.rate = check_rate(rate, self)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return ops.gaussian_dropout(inputs, self.rate, self._draw())


@LAYERS.register()
class AlphaDropout(_Random):
    """Dropout that keeps mean and variance of SELU networks."""

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.rate = check_rate(rate, self)
        self.noise_shape = _check_noise_shape(noise_shape, self)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return ops.alpha_dropout(inputs, self.rate, self._draw(), self.noise_shape)


def _check_noise_shape(noise_shape: Any, layer: Layer) -> tuple | None:
    """A tuple of sizes, None for that of the input; raises ValueError naming the layer otherwise."""
    if noise_shape is None:
        return None
    sizes = tuple(noise_shape) if isinstance(noise_shape, (list, tuple)) else ()
    if not sizes or any(n is not None and (not hasattr(n, "__index__") or n < 1) for n in sizes):
        raise ValueError(
            f"layer {layer.name!r}: noise_shape is a sequence of positive integers or None, got {noise_shape!r}"
        )
    return sizes


@LAYERS.register()
class ActivityRegularization(Layer):
    """y = x; adds (l1 sum |x| + l2 sum x^2) / batch to the loss."""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def check_rate(rate: Any, layer: Layer) -> float:
    """A rate between 0 and 1; raises ValueError naming the layer otherwise."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"layer {layer.name!r}: rate lies between 0 and 1, got {rate!r}")
    return rate
