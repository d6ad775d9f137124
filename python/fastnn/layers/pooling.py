"""Pooling over windows and over everything, and up-sampling."""

from __future__ import annotations

from typing import Any

from .. import geometry, ops
from .base import LAYERS, InputSpec, Layer
from .move import channels_last


class _Pooling(Layer):
    """Windows over `rank` spatial axes of (batch, *spatial, channels)."""

    rank = 2
    casts_integers = True

    def __init__(
        self, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.pool_size = geometry.sizes(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else geometry.sizes(strides, self.rank, "strides")
        self.padding = geometry.check_padding(padding)
        self.data_format = channels_last(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        spatial = geometry.output_sizes(input_shape[1:-1], self.pool_size, self.strides, self.padding)
        return (input_shape[0], *spatial, input_shape[-1])


class _MaxPooling(_Pooling):
    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.max_pool(inputs, self.pool_size, self.strides, self.padding)


class _AveragePooling(_Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding)
