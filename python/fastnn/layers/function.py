"""A function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..symbolic import flatten
from ..tensor import to_tensor
from .base import LAYERS, Layer
from .signature import map_shapes


@LAYERS.register()
class Lambda(Layer):
    """y = function(x, **arguments), written with `fastnn.ops`.

    Args:
      function: takes the input, and `mask` and `training` if it names them.
      output_shape: of y without the batch axis, or a function of the input's shape; found by a trial
        call unless given.
      mask: of y: a tensor, or a function of (inputs, mask).
      arguments: further keyword arguments of `function`.

    A file holds no code: a model with a `lambda` cannot be saved, one with a named function is loaded
    with `custom_objects={name: function}`.
    """

    def __init__(
        self,
        function: Callable,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda takes a function, got {function!r}")
        self.function = function
        self.output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape
        self.mask = mask if mask is None or callable(mask) else to_tensor(mask)
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        try:
            self._takes = frozenset(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # a builtin that does not say
            self._takes = frozenset()
        self._has_no_weights()

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        kwargs = dict(self.arguments)
        if "mask" in self._takes:
            kwargs["mask"] = mask
        if "training" in self._takes:
            kwargs["training"] = training
        y = self.function(inputs, **kwargs)
        if self.mask is not None and not callable(self.mask):
            for t in flatten(y):
                t._keras_mask = self.mask
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self.output_shape is None:
            return self._tried(args, kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self.output_shape):
            return self.output_shape(input_shape)
        batch = flatten(input_shape)[0]
        return map_shapes(lambda shape: (batch, *shape), self.output_shape)
