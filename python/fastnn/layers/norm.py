"""Normalisation by the statistics of the batch, of each sample, or of groups of channels."""

from __future__ import annotations

from typing import Any

from .. import config, constraints, initializers, ops, regularizers
from .base import LAYERS, InputSpec, Layer
from .dense import known_size, positive_int


class _Scaled(Layer):
    """Keeps a scale gamma and an offset beta."""

    gamma_initializer: Any
    gamma_regularizer: Any
    gamma_constraint: Any
    beta_initializer: Any
    beta_regularizer: Any
    beta_constraint: Any

    supports_masking = True
    casts_integers = True

    def _make_gamma_beta(self, shape: tuple, scale: bool, center: bool) -> None:
        self.gamma = self.beta = None
        if scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, name="gamma",
                regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
            )  # fmt: skip
        if center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, name="beta",
                regularizer=self.beta_regularizer, constraint=self.beta_constraint,
            )  # fmt: skip

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


@LAYERS.register()
class BatchNormalization(_Scaled):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

    Training uses the statistics of the batch (of unmasked rows) and moves the running ones:
    moving = momentum moving + (1 - momentum) batch, with the biased variance. Inference, and a frozen
    layer, use the running ones. Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """

    by_row = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if renorm or renorm_clipping:
            raise ValueError(f"layer {self.name!r}: batch renormalization (renorm=True) is not supported")
        self.renorm, self.renorm_clipping, self.renorm_momentum = False, None, renorm_momentum
        if isinstance(axis, (list, tuple)):
            axis = axis[0]
        self.axis, self.momentum, self.epsilon = int(axis), momentum, epsilon
        self.center, self.scale, self.synchronized = center, scale, synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: tuple) -> None:
        width = known_size(input_shape[self.axis], f"axis {self.axis}", self)
        self._make_gamma_beta((width,), self.scale, self.center)
        self.moving_mean = self.add_weight((width,), self.moving_mean_initializer, name="moving_mean", trainable=False)
        self.moving_variance = self.add_weight(
            (width,), self.moving_variance_initializer, name="moving_variance", trainable=False
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: width})
        self.built = True

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        last = self.axis in (-1, inputs.ndim - 1)
        if mask is not None and not last and training and self.trainable:
            return self._train_masked(inputs, mask)
        x = inputs if last else ops.moveaxis(inputs, self.axis, -1)
        if training and self.trainable:
            if mask is not None and mask.shape != x.shape[:-1]:
                mask = ops.broadcast_to(
                    ops.reshape(mask, (*mask.shape, *(1,) * (x.ndim - 1 - mask.ndim))), x.shape[:-1]
                )
            y = ops.batch_norm_training(
                x, self.gamma, self.beta, self.moving_mean, self.moving_variance, self.momentum, self.epsilon, mask
            )
        else:
            y = ops.batch_norm_inference(x, self.moving_mean, self.moving_variance, self.gamma, self.beta, self.epsilon)
        return y if last else ops.moveaxis(y, -1, self.axis)

    def _train_masked(self, x: Any, mask: Any) -> Any:
        """With the channels on an axis that the mask may run along, each has unmasked rows of its own."""
        axes = tuple(a for a in range(x.ndim) if a != self.axis % x.ndim)
        weight = ops.broadcast_to(ops.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim))), x.shape)
        weight = ops.cast(weight, x.dtype)
        count = ops.add(ops.sum(weight, axis=axes), config.epsilon())
        mean = ops.divide(ops.sum(ops.multiply(x, weight), axis=axes), count)
        apart = ops.subtract(x, ops.expand_dims(mean, axes))
        variance = ops.divide(ops.sum(ops.multiply(weight, ops.square(apart)), axis=axes), count)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            batch = ops.stop_gradient(batch)
            moving.assign(ops.add(ops.multiply(moving, self.momentum), ops.multiply(batch, 1 - self.momentum)))
        return ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)


@LAYERS.register()
class LayerNormalization(_Scaled):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta over `axis` of each sample.

    With `rms_scaling` y = gamma x / sqrt(variance + epsilon): only the scale changes. (For the root
    mean square itself there is RMSNormalization.) Ba et al. 2016, arXiv:1607.06450.
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = _axes(axis, self)
        self.epsilon, self.center, self.scale, self.rms_scaling = epsilon, center, scale, rms_scaling
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: tuple) -> None:
        shape = _sizes_along(self.axis, input_shape, self)
        self._make_gamma_beta(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.layer_normalization(
            inputs, self.gamma, self.beta, self.axis, self.epsilon, rms_scaling=self.rms_scaling
        )


@LAYERS.register()
class RMSNormalization(Layer):
    """y = scale x / sqrt(mean(x^2) + epsilon), the mean over `axis`. Zhang & Sennrich 2019,
    arXiv:1910.07467.
    """

    supports_masking = True
    casts_integers = True

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _axes(axis, self)
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        self.scale = self.add_weight(_sizes_along(self.axis, input_shape, self), "ones", name="scale")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, self.scale, self.axis, self.epsilon)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


@LAYERS.register()
class GroupNormalization(_Scaled):
    """Layer normalisation of `groups` equal groups of channels (-1: each channel by itself).

    Wu & He 2018, arXiv:1803.08494.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if groups != -1:
            positive_int(groups, "groups (or -1)", self)
        self.groups, self.axis, self.epsilon, self.center, self.scale = groups, axis, epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: tuple) -> None:
        width = known_size(input_shape[self.axis], f"axis {self.axis}", self)
        groups = width if self.groups == -1 else self.groups
        if width % groups:
            raise ValueError(f"layer {self.name!r}: {width} channels cannot be cut into {groups} groups")
        self._groups = groups
        self._make_gamma_beta((width,), self.scale, self.center)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.group_normalization(inputs, self.gamma, self.beta, self._groups, self.axis, self.epsilon)


@LAYERS.register()
class UnitNormalization(Layer):
    """y = x / max(|x|_2, 1e-6) over `axis`."""

    supports_masking = True
    casts_integers = True

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _axes(axis, self)
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        square = ops.maximum(ops.sum(ops.square(inputs), axis=axis, keepdims=True), 1e-12)
        return ops.multiply(inputs, ops.rsqrt(square))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


def _axes(axis: Any, layer: Layer) -> int | list[int]:
    """One axis or a list of them; raises TypeError naming the layer otherwise."""
    many = axis if isinstance(axis, (list, tuple)) else [axis]
    if not many or any(not hasattr(a, "__index__") for a in many):
        raise TypeError(f"layer {layer.name!r}: axis is an integer or several, got {axis!r}")
    return list(axis) if isinstance(axis, (list, tuple)) else int(axis)


def _sizes_along(axis: int | list[int], shape: tuple, layer: Layer) -> tuple[int, ...]:
    """The sizes of the axes, in the order of the input's axes."""
    for a in axis if isinstance(axis, list) else [axis]:
        if not -len(shape) <= a < len(shape):
            raise ValueError(f"layer {layer.name!r}: axis {a} is out of range for an input {tuple(shape)}")
    axes = sorted(a % len(shape) for a in (axis if isinstance(axis, list) else [axis]))
    return tuple(known_size(shape[a], f"axis {a}", layer) for a in axes)
