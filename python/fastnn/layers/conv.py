"""Convolutions over sequences (batch, steps, channels), images (batch, height, width, channels) and volumes."""

from __future__ import annotations

from typing import Any

from .. import activations, constraints, geometry, initializers, ops, regularizers
from .base import LAYERS, InputSpec, Layer
from .dense import known_size, positive_int
from .move import channels_last


class _Convolution(Layer):
    """What the convolutions share: windows over `rank` axes, a kernel, a bias, an activation."""

    by_row = True
    rank = 2
    casts_integers = True
    causal = False  # whether padding="causal" exists
    filters: int  # depthwise convolutions have none

    def __init__(
        self, filters: Any, kernel_size: Any, strides: Any, padding: str, data_format: str | None, dilation_rate: Any,
        groups: int, activation: Any, use_bias: bool, bias_initializer: Any, bias_regularizer: Any,
        bias_constraint: Any, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if filters is not None:
            self.filters = positive_int(filters, "filters", self)
        self.kernel_size = geometry.sizes(kernel_size, self.rank, "kernel_size")
        self.strides = geometry.sizes(strides, self.rank, "strides")
        self.padding = geometry.check_padding(padding, causal=self.causal)
        self.data_format = channels_last(data_format)
        self.dilation_rate = geometry.sizes(dilation_rate, self.rank, "dilation_rate")
        geometry.check_strides(self.strides, self.dilation_rate)
        self.groups = positive_int(groups, "groups", self)
        if filters is not None and self.filters % self.groups:
            raise ValueError(f"layer {self.name!r}: {self.filters} filters cannot be cut into {groups} groups")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _channels(self, input_shape: tuple) -> int:
        channels = known_size(input_shape[-1], "the channel axis", self)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={-1: channels})
        return channels

    def _make_bias(self, size: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (size,), self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip

    def _spatial(self, input_shape: tuple) -> tuple:
        return geometry.output_sizes(
            input_shape[1:-1], self.kernel_size, self.strides, self.padding, self.dilation_rate
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *self._spatial(input_shape), self.filters)


class _Conv(_Convolution):
    """y = activation(b + W * x).

    Shapes: x (batch, *spatial, c), W (*kernel_size, c / groups, filters), b (filters,),
    y (batch, *outputs, filters). Cross-correlation, as in Keras.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape: tuple) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(f"layer {self.name!r}: {channels} channels cannot be cut into {self.groups} groups")
        self._make_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self._make_bias(self.filters)
        self.built = True

    def _make_kernel(self, shape: tuple) -> None:
        self.kernel = self.add_weight(
            shape, self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        return ops.conv(
            inputs, self.kernel, self.strides, self.padding, dilation_rate=self.dilation_rate,
            bias=self.bias, activation=self.activation,
        )  # fmt: skip


@LAYERS.register("Convolution1D")
class Conv1D(_Conv):
    """Convolution over steps; padding="causal" looks at the past only."""

    rank = 1
    causal = True


@LAYERS.register("Convolution2D")
class Conv2D(_Conv):
    """Convolution over images."""

    rank = 2


@LAYERS.register("Convolution3D")
class Conv3D(_Conv):
    """Convolution over volumes (batch, depth, height, width, channels)."""

    rank = 3


class _ConvTranspose(_Conv):
    """What maps outputs back to inputs in a convolution, as a layer that enlarges.

    Shapes: x (batch, *spatial, c), W (*kernel_size, filters, c), y (batch, *outputs, filters), with
    size * stride outputs for "same", (size - 1) stride + max(kernel, stride) for "valid".
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.output_padding = None
        if output_padding is not None:
            many = (output_padding,) * self.rank if isinstance(output_padding, int) else tuple(output_padding)
            if len(many) != self.rank or any(p < 0 or p >= s for p, s in zip(many, self.strides)):
                raise ValueError(f"layer {self.name!r}: output_padding {many} must be below the strides {self.strides}")
            self.output_padding = many

    def build(self, input_shape: tuple) -> None:
        self._make_kernel((*self.kernel_size, self.filters, self._channels(input_shape)))
        self._make_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding, dilation_rate=self.dilation_rate,
            bias=self.bias, activation=self.activation,
        )  # fmt: skip

    def _spatial(self, input_shape: tuple) -> tuple:
        return geometry.transposed_sizes(
            input_shape[1:-1], self.kernel_size, self.strides, self.padding, self.output_padding, self.dilation_rate
        )

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("groups", None)
        return config


@LAYERS.register("Convolution1DTranspose")
class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution over steps."""

    rank = 1


@LAYERS.register("Convolution2DTranspose")
class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over images."""

    rank = 2


class _DepthwiseConv(_Convolution):
    """Every channel convolved by itself with `depth_multiplier` kernels.

    Shapes: x (batch, *spatial, c), W (*kernel_size, c, m), y (batch, *outputs, c m): output channel
    c m + j is channel c with kernel j.
    """

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            None, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier", self)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: tuple) -> None:
        channels = self._channels(input_shape)
        # Named as in Keras, where the separable layers have a kernel of this name beside another.
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, name="kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip
        self._make_bias(channels * self.depth_multiplier)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.depthwise_conv(
            inputs, self.kernel, self.strides, self.padding, dilation_rate=self.dilation_rate,
            bias=self.bias, activation=self.activation,
        )  # fmt: skip

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *self._spatial(input_shape), input_shape[-1] * self.depth_multiplier)


@LAYERS.register()
class DepthwiseConv1D(_DepthwiseConv):
    """Depthwise convolution over steps."""

    rank = 1


@LAYERS.register()
class DepthwiseConv2D(_DepthwiseConv):
    """Depthwise convolution over images."""

    rank = 2


class _SeparableConv(_Convolution):
    """A depthwise convolution, then one with windows of 1 that mixes channels; the bias comes last.

    Shapes: depthwise (*kernel_size, c, m), pointwise (1.., c m, filters).
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
        pointwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier", self)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: tuple) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, name="depthwise_kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters), self.pointwise_initializer,
            name="pointwise_kernel", regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint,
        )  # fmt: skip
        self._make_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.separable_conv(
            inputs, self.depthwise_kernel, self.pointwise_kernel, self.strides, self.padding,
            dilation_rate=self.dilation_rate, bias=self.bias, activation=self.activation,
        )  # fmt: skip


@LAYERS.register("SeparableConvolution1D")
class SeparableConv1D(_SeparableConv):
    """Separable convolution over steps."""

    rank = 1


@LAYERS.register("SeparableConvolution2D")
class SeparableConv2D(_SeparableConv):
    """Separable convolution over images."""

    rank = 2
