"""Integers to vectors, and masks of padded steps."""

from __future__ import annotations

from typing import Any

from .. import constraints, initializers, ops, regularizers
from .base import LAYERS, Layer
from .dense import positive_int


@LAYERS.register()
class Embedding(Layer):
    """y = table[x]: (*batch,) integers -> (*batch, output_dim).

    With `mask_zero`, steps whose index is 0 are masked. An index outside the table is an error.
    """

    by_row = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ):
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs.setdefault("input_shape", (length,))
        super().__init__(**kwargs)
        self.input_dim = positive_int(input_dim, "input_dim", self)
        self.output_dim = positive_int(output_dim, "output_dim", self)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        if weights is not None:
            self.build()
            self.set_weights(list(weights) if isinstance(weights, (list, tuple)) else [weights])

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("weights", None)
        return config

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip
        self.built = True

    def _cast(self, inputs: Any) -> Any:
        from ..ops.promotion import whole_numbers
        from ..tensor import to_tensor

        return whole_numbers(to_tensor(inputs))

    def call(self, inputs: Any) -> Any:
        y = ops.embedding_lookup(inputs, self.embeddings)
        if self.mask_zero:
            y._keras_mask = ops.not_equal(inputs, 0)
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape, self.output_dim)


@LAYERS.register()
class Masking(Layer):
    """Masks the steps of (batch, steps, features) in which all features equal `mask_value`."""

    supports_masking = True
    casts_integers = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self._has_no_weights()

    def call(self, inputs: Any) -> Any:
        kept = self.compute_mask(inputs)
        y = ops.multiply(inputs, ops.cast(ops.expand_dims(kept, -1), inputs.dtype))
        y._keras_mask = kept
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)
