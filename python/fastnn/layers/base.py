"""Layer: remembers weights (`weights.py`), calls ops.

`__call__` is the whole protocol: build on first use, cast the inputs, hand over `training` and
masks, run `call`, and leave the mask on the result. On symbolic inputs (KerasTensor) it only
computes shapes and notes the call in the model's graph.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import capture, changes, dtype_policies, regularizers, rounding
from ..explain import explained_in
from ..serialization import Family, to_snake_case
from ..symbolic import KerasTensor, any_symbolic, flatten, map_structure, record_call
from ..tensor import Tensor, to_tensor
from ..variables import unique_name
from .signature import Signature, map_shapes, shape_of, signature_of
from .spec import InputSpec
from .trial import symbolic_results
from .weights import Tracked

LAYERS = Family("layer", "keras.layers")


class _Calls(threading.local):
    """The layer calls that are running in this thread."""

    def __init__(self) -> None:
        self.training: list[bool] = []
        self.running: list[Layer] = []


_calls = _Calls()


class Layer(Tracked):
    """Base of all layers.

    A custom layer makes its weights in `__init__` or `build(input_shape)` with `add_weight` and
    computes in `call(inputs)` with `fastnn.ops`; gradients come by themselves.
    """

    supports_masking = False
    casts_integers = False  # integer inputs become the compute type (images as uint8)
    by_row = False  # outside training, a row of the result depends on the same row of the inputs alone

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not isinstance(trainable, bool):
            raise ValueError(f"trainable is True or False, got {trainable!r}")
        self._start_tracking(trainable)
        self._inbound: list[Any] = []  # symbolic calls of this layer
        self.built = False
        if self._computes_mask():
            self.supports_masking = True
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.name = str(name) if name else unique_name(to_snake_case(type(self).__name__))
        if "/" in self.name:
            raise ValueError(f"a layer's name cannot contain '/', got {name!r}")
        self._dtype_policy = dtype_policies.get(dtype)
        self.dtype = self._dtype_policy.variable_dtype
        self.input_spec: InputSpec | None = None
        shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            shape = (kwargs.pop("input_dim"),)
        batch_shape = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        if batch_shape is None and shape is not None:
            batch_shape = (None, *shape)
        self._given_input_shape = tuple(batch_shape) if batch_shape is not None else None
        kwargs.pop("autocast", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__} got unknown arguments: {', '.join(sorted(kwargs))}")
        for value in list(vars(self).values()):  # what a subclass made before it called this
            self._track(value)

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The layer that a dictionary of `get_config`, ours or Keras', describes."""
        # Keras says so of every layer with weights; None is what fastnn does anyway.
        if config.get("quantization_config", 0) is None:
            config = {key: value for key, value in config.items() if key != "quantization_config"}
        return super().from_config(config)

    def _argument(self, name: str, received: Any) -> Any:
        if name == "dtype" and self.dtype_policy.name != self.dtype:
            return self.dtype_policy  # a name alone says it of all others
        return super()._argument(name, received)

    # --- building and calling ------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape (batch axis first, None where open)."""
        self.built = True

    def _has_no_weights(self) -> None:
        """For the end of a constructor: there is nothing to build, unless a subclass has a `build` of its own."""
        self.built = type(self).build is Layer.build

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"layer {type(self).__name__} does not define call()")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result; found by a trial call where a layer does not say."""
        symbols = map_shapes(lambda shape: KerasTensor(shape, self.dtype), input_shape)
        return shape_of(self._tried((symbols,), {}))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the result: the input's, for a layer that supports masking."""
        return previous_mask

    @classmethod
    def _computes_mask(cls) -> bool:
        """Whether the class says how the mask of its results comes about."""
        return cls.compute_mask is not Layer.compute_mask

    def _ensure_built(self, *shapes: Any, **named: Any) -> None:
        if not self.built:
            mine = (self._trainable_weights, self._non_trainable_weights)
            before = [len(weights) for weights in mine]
            try:
                self.build(*shapes, **named)
            except BaseException:  # out of memory, Ctrl-C: the next call builds it anew
                for weights, count in zip(mine, before):
                    del weights[count:]
                changes.note()
                raise
            self.built = True
            for w in self._trainable_weights:
                w.requires_grad = w.requires_grad and self._trainable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature = signature_of(type(self))
        if not args and signature.first in kwargs:
            args = (kwargs.pop(signature.first),)
        return self._explained(signature, args, kwargs)

    def call_as(self, call: Callable, x: Tensor) -> Any:
        """What `call`, in the place of the layer's own, makes of x: for what computes more than this layer at once."""
        return self._explained(signature_of(type(self)), (x,), {}, call)

    def _explained(self, signature: Signature, args: tuple, kwargs: dict, call: Callable | None = None) -> Any:
        symbolic = any_symbolic(args) or any_symbolic(kwargs)
        try:
            if symbolic:
                return self._call_symbolic(args, kwargs)
            return self._call_on_values(signature, args, kwargs, call)
        except Exception as error:
            told = explained_in(f"layer {self.name!r}", self.call, args, kwargs, error)
            if told is error:
                raise
            raise told from error

    def _call_on_values(self, signature: Signature, args: tuple, kwargs: dict, call: Callable | None = None) -> Any:
        inputs = self._cast(args[0]) if args else None
        args = (inputs, *map(self._cast_tensors, args[1:])) if args else ()
        kwargs = {name: self._cast_tensors(value) for name, value in kwargs.items()}
        self._check_input(inputs)
        if not self.built:
            self._ensure_built(**signature.build_shapes(args, kwargs))
            self._check_input(inputs)
        mask = self._find_masks(signature, args, kwargs)
        training = kwargs.get("training")
        if training is None:
            training = _calls.training[-1] if _calls.training else False
        if "training" in signature.call:
            kwargs["training"] = bool(training)
        else:
            kwargs.pop("training", None)
        if not _calls.running:
            self._clear_losses()
        _calls.training.append(bool(training))
        _calls.running.append(self)
        try:
            with self._precision():
                outputs = (call or self.call)(*args, **kwargs)
        finally:
            _calls.running.pop()
            _calls.training.pop()
        current = capture.recording()
        if current is not None:
            current.note_layer(self)
        if call is not None:  # these are not results of this layer
            return outputs
        if self.supports_masking and (mask is not None or self._computes_mask()):
            self._leave_masks(inputs, outputs, mask)
        if self.activity_regularizer is not None:
            from ..ops import multiply

            for t in flatten(outputs):
                self.add_loss(multiply(self.activity_regularizer(t), 1.0 / max(1, t.shape[0] if t.ndim else 1)))
        return outputs

    def _leave_masks(self, inputs: Any, outputs: Any, mask: Any) -> None:
        """Puts masks on the results, unless `call` has done so."""
        results = flatten(outputs)
        if all(getattr(t, "_keras_mask", None) is not None for t in results):
            return
        masks = self.compute_mask(inputs, mask)
        for t, m in zip(results, flatten(masks) if masks is not None else []):
            _carry_mask(t, m)

    def _precision(self) -> Any:
        """A context in which products are rounded as the layer's policy says."""
        return rounding.products_rounded(self.dtype_policy.rounds_products)

    def _is_running(self) -> bool:
        return any(layer is self for layer in _calls.running)

    def _check_input(self, inputs: Any) -> None:
        if self.input_spec is not None and isinstance(inputs, (Tensor, KerasTensor)):
            self.input_spec.check(self, inputs.shape)

    def _find_masks(self, signature: Signature, args: tuple, kwargs: dict) -> Any:
        """Hands the masks that the inputs carry to `call`: as `mask` that of the first, as `x_mask`
        that of argument `x`. The mask of the first input.
        """
        if kwargs.get("mask") is not None:
            return kwargs["mask"]
        mask = _masks(args[0]) if args else None
        free = signature.call[len(args) :]
        if "mask" in free and mask is not None:
            kwargs["mask"] = mask
        for name, value in signature.given(args, kwargs).items():
            if f"{name}_mask" in free and kwargs.get(f"{name}_mask") is None:
                kwargs[f"{name}_mask"] = _masks(value)
        return mask

    def _cast(self, inputs: Any) -> Any:
        def convert(x: Any) -> Any:
            if x is None:
                return None
            t = x if isinstance(x, Tensor) else to_tensor(x)
            floating = t.dtype.startswith("float")
            if t.dtype != self.dtype and (floating or self.casts_integers):
                t = _carry_mask(to_tensor(t, self.dtype), getattr(t, "_keras_mask", None))
            return t

        return map_structure(convert, inputs)

    def _cast_tensors(self, value: Any) -> Any:
        """The arrays and float tensors among an argument's leaves as tensors of this layer's type."""

        def convert(x: Any) -> Any:
            if not isinstance(x, (Tensor, np.ndarray)):
                return x
            t = to_tensor(x)
            if not t.dtype.startswith("float") or t.dtype == self.dtype:
                return t
            return _carry_mask(to_tensor(t, self.dtype), getattr(t, "_keras_mask", None))

        return map_structure(convert, value)

    def _call_symbolic(self, args: tuple, kwargs: dict) -> Any:
        first = args[0] if args else None
        self._check_input(first)
        self._ensure_built(**signature_of(type(self)).build_shapes(args, kwargs))
        self._check_input(first)
        return record_call(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and types of the results of a call on KerasTensors."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return self._tried(args, kwargs)
        out = self.compute_output_shape(shape_of(args[0]))
        return map_shapes(lambda shape: KerasTensor(shape, self.dtype), out)

    def _tried(self, args: tuple, kwargs: dict) -> Any:
        before = [(v, v.numpy()) for v in (*self.non_trainable_weights, *self.metrics_variables)]
        try:
            return symbolic_results(self, args, kwargs)
        finally:  # what zeros left behind
            self._clear_losses()
            for v, value in before:
                v.assign(value)

    # --- places in a graph ---------------------------------------------------------------------
    @property
    def input(self) -> Any:
        return self._only_node("input").inputs_structure

    @property
    def output(self) -> Any:
        return self._only_node("output").outputs

    def _only_node(self, what: str) -> Any:
        if len(self._inbound) != 1:
            raise AttributeError(
                f"layer {self.name!r} has {len(self._inbound) or 'no'} symbolic calls, so it has no single {what}"
            )
        return self._inbound[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _carry_mask(x: Any, mask: Any) -> Any:
    if mask is not None and isinstance(x, Tensor):
        x._keras_mask = mask  # type: ignore[attr-defined]  # Keras' place for it
    return x


def _masks(inputs: Any) -> Any:
    """The masks of nested tensors in their structure; None if there are none."""
    masks = map_structure(lambda t: getattr(t, "_keras_mask", None), inputs)
    return masks if any(m is not None for m in flatten(masks)) else None
