"""Pooling over windows and over everything, and up-sampling."""

from __future__ import annotations

from typing import Any

from .. import geometry, ops
from .base import LAYERS, InputSpec, Layer
from .move import channels_last


class _Pooling(Layer):
    """Windows over `rank` spatial axes of (batch, *spatial, channels)."""

    by_row = True
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
        self._has_no_weights()

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        spatial = geometry.output_sizes(input_shape[1:-1], self.pool_size, self.strides, self.padding)
        return (input_shape[0], *spatial, input_shape[-1])


class _MaxPooling(_Pooling):
    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        return ops.max_pool(inputs, self.pool_size, self.strides, self.padding)


class _AveragePooling(_Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding)


@LAYERS.register("MaxPool1D")
class MaxPooling1D(_MaxPooling):
    """The largest of each window of steps."""

    rank = 1


@LAYERS.register("MaxPool2D")
class MaxPooling2D(_MaxPooling):
    """The largest of each window of an image."""

    rank = 2


@LAYERS.register("MaxPool3D")
class MaxPooling3D(_MaxPooling):
    """The largest of each window of a volume."""

    rank = 3


@LAYERS.register("AvgPool1D")
class AveragePooling1D(_AveragePooling):
    """The mean of each window of steps; padding does not count."""

    rank = 1


@LAYERS.register("AvgPool2D")
class AveragePooling2D(_AveragePooling):
    """The mean of each window of an image; padding does not count."""

    rank = 2


@LAYERS.register("AvgPool3D")
class AveragePooling3D(_AveragePooling):
    """The mean of each window of a volume; padding does not count."""

    rank = 3


class _GlobalPooling(Layer):
    """Pools all positions of (batch, *spatial, channels)."""

    by_row = True
    rank = 2
    casts_integers = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._has_no_weights()

    def _shape(self, y: Any) -> Any:
        if not self.keepdims:
            return y
        return ops.reshape(y, (y.shape[0], *(1,) * self.rank, y.shape[1]))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        ones = (1,) * self.rank if self.keepdims else ()
        return (input_shape[0], *ones, input_shape[-1])


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return self._shape(ops.global_max_pool(inputs))


@LAYERS.register("GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest over all steps."""

    rank = 1


@LAYERS.register("GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest over all of an image."""

    rank = 2


@LAYERS.register("GlobalMaxPool3D")
class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest over all of a volume."""

    rank = 3


@LAYERS.register("GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all steps, of the unmasked ones where there is a mask."""

    rank = 1
    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return self._shape(ops.global_average_pool(inputs, mask))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@LAYERS.register("GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over all of an image."""

    rank = 2

    def call(self, inputs: Any) -> Any:
        return self._shape(ops.global_average_pool(inputs))


@LAYERS.register("GlobalAvgPool3D")
class GlobalAveragePooling3D(GlobalAveragePooling2D):
    """The mean over all of a volume."""

    rank = 3


@LAYERS.register()
class UpSampling1D(Layer):
    """Every step `size` times."""

    by_row = True
    casts_integers = True

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = geometry.sizes(size, 1, "size")[0]
        self.input_spec = InputSpec(ndim=3)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return ops.upsample(inputs, self.size)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, steps, channels = input_shape
        return (n, None if steps is None else steps * self.size, channels)


@LAYERS.register()
class UpSampling2D(Layer):
    """Images enlarged `size` times, by repeating pixels or (bilinear) by half-pixel interpolation."""

    by_row = True
    casts_integers = True

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.size = geometry.sizes(size, 2, "size")
        self.data_format = channels_last(data_format)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"layer {self.name!r}: interpolation is 'nearest' or 'bilinear', got {interpolation!r}")
        self.interpolation = interpolation
        self.input_spec = InputSpec(ndim=4)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return ops.upsample(inputs, self.size, self.interpolation)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, h, w, channels = input_shape
        return (n, None if h is None else h * self.size[0], None if w is None else w * self.size[1], channels)
