"""Preparing data inside the model: scales, standard scores, and integers as vectors of 0 and 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config, ops
from ..data import unpack_x_y_sample_weight
from ..streams import Stream, is_stream
from ..tensor import Tensor
from .base import LAYERS, Layer
from .dense import known_size, positive_int


@LAYERS.register()
class Rescaling(Layer):
    """y = scale x + offset."""

    by_row = True
    supports_masking = True
    casts_integers = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        # Made here: a tensor from Python's values cannot be part of a recorded step.
        self._terms = [float(v) if np.ndim(v) == 0 else Tensor(v, self.dtype) for v in (scale, offset)]
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        return ops.add(ops.multiply(inputs, self._terms[0]), self._terms[1])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


@LAYERS.register()
class Normalization(Layer):
    """y = (x - mean) / max(sqrt(variance), 1e-7), or its inverse with `invert`.

    Each entry of `axis` (None: all together) has a mean and variance of its own: those given, or those
    of the data that `adapt` saw.
    """

    supports_masking = True
    casts_integers = True
    mean: Any
    variance: Any

    def __init__(self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(f"layer {self.name!r}: mean and variance are given together")
        self.axis = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (int(axis),)
        self.input_mean, self.input_variance, self.invert = mean, variance, invert

    def get_config(self) -> dict:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        plain = {name: None if v is None else np.asarray(v).tolist() for name, v in given.items()}
        return {**super().get_config(), **plain}

    def build(self, input_shape: tuple) -> None:
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"layer {self.name!r}: axis {self.axis} is out of range for an input {input_shape}")
        self._kept = sorted(a % rank for a in self.axis)
        shape = tuple(known_size(input_shape[a], f"axis {a}", self) for a in self._kept)
        self._broadcast = tuple(input_shape[a] if a in self._kept else 1 for a in range(rank))
        if self.input_mean is None:
            self.mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
        else:
            self.mean, self.variance = (
                ops.convert_to_tensor(np.broadcast_to(np.asarray(v, self.dtype), shape))
                for v in (self.input_mean, self.input_variance)
            )
        self.built = True

    def adapt(self, data: Any) -> None:
        """Takes mean and variance from samples, in place of those before.

        Args:
          data: an array of samples, or batches of them (x, or (x, y) of which only x counts): a list of
            arrays, a PyDataset, a dataset, a generator.

        Raises ValueError where mean and variance were given, and for data without a sample.
        """
        if self.input_mean is not None:
            raise ValueError(f"layer {self.name!r} was given its mean and variance, so it cannot adapt")
        count, mean, squares = 0, np.float64(0), np.float64(0)  # squares of the distances to the mean
        for batch in _batches(data):
            x = np.asarray(batch, np.float64)
            self._ensure_built((None, *x.shape[1:]))
            others = tuple(a for a in range(x.ndim) if a not in self._kept)
            rows = x.size // max(1, self.mean.size)
            if not rows:
                continue
            # Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
            apart = x.mean(others) - mean
            squares = squares + x.var(others) * rows + apart**2 * (count * rows / (count + rows))
            mean = mean + apart * (rows / (count + rows))
            count += rows
        if not count:
            raise ValueError(f"layer {self.name!r} cannot adapt to no samples")
        self.mean.assign(mean)
        self.variance.assign(squares / count)
        self.count.assign(count)

    def call(self, inputs: Any) -> Any:
        mean = ops.reshape(self.mean, self._broadcast)
        deviation = ops.maximum(ops.sqrt(ops.reshape(self.variance, self._broadcast)), config.epsilon())
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


def _batches(data: Any) -> Any:
    """The arrays of inputs that `data` hands over; an array is the only one."""
    if isinstance(data, (list, tuple)) and data and all(hasattr(item, "shape") for item in data):
        return data
    if not is_stream(data):
        return [data]
    return (unpack_x_y_sample_weight(batch)[0] for batch in Stream(data).batches(None))


@LAYERS.register()
class CategoryEncoding(Layer):
    """Integers below `num_tokens` as vectors.

    output_mode "one_hot": 1 at the place of each integer; "multi_hot": 1 where an integer of the last
    axis is; "count": how often, or the sum of its `count_weights`. Integers outside count for nothing.
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if output_mode == "binary":
            output_mode = "multi_hot"
        if output_mode not in ("one_hot", "multi_hot", "count"):
            raise ValueError(
                f"layer {self.name!r}: output_mode is 'one_hot', 'multi_hot' or 'count', got {output_mode!r}"
            )
        if sparse:
            raise ValueError(f"layer {self.name!r}: sparse tensors are not supported")
        self.num_tokens, self.output_mode, self.sparse = (
            positive_int(num_tokens, "num_tokens", self),
            output_mode,
            False,
        )
        self._has_no_weights()

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"layer {self.name!r}: count_weights are for output_mode='count'")
        if self.output_mode == "one_hot" and inputs.ndim and inputs.shape[-1] == 1:
            inputs = ops.squeeze(inputs, -1)
        y = ops.one_hot(inputs, self.num_tokens, dtype=self.dtype)
        if self.output_mode == "one_hot" or not inputs.ndim:
            return y
        if self.output_mode == "multi_hot":
            return ops.max(y, axis=-2)
        if count_weights is not None:
            y = ops.multiply(y, ops.expand_dims(count_weights, -1))
        return ops.sum(y, axis=-2)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        keep = self.output_mode == "one_hot" and (not input_shape or input_shape[-1] != 1)
        return (*(input_shape if keep else input_shape[:-1]), self.num_tokens)
