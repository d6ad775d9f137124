"""Layer: remembers weights, calls ops.

`__call__` is the whole protocol: build on first use, cast the inputs, hand over `training` and
masks, run `call`, and leave the mask on the result. On symbolic inputs (KerasTensor) it only
computes shapes and notes the call in the model's graph.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .. import capture, config, constraints, regularizers
from ..configurable import Configurable
from ..explain import explained_in
from ..metrics.base import Metric
from ..random import SeedGenerator
from ..serialization import Family, to_snake_case
from ..symbolic import KerasTensor, any_symbolic, flatten, map_structure, record_call
from ..tensor import Tensor, dtype_name, to_tensor
from ..variables import Variable, unique_name
from .signature import Signature, map_shapes, shape_of, signature_of
from .trial import symbolic_results

LAYERS = Family("layer", "keras.layers")


_UNSET = object()


class _Calls(threading.local):
    """The layer calls that are running in this thread."""

    def __init__(self):
        self.training: list[bool] = []
        self.running: list[Layer] = []


_calls = _Calls()


class InputSpec:
    """What a layer accepts: a shape (None where open), or rank and sizes of some axes."""

    def __init__(
        self,
        dtype: Any = None,
        shape: tuple | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ):
        self.dtype, self.shape = dtype, None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {**dict(enumerate(shape or ())), **(axes or {})}

    def check(self, layer: Layer, shape: tuple) -> None:
        """Raises ValueError naming the layer, what it got and what it expects."""
        problem = None
        if self.ndim is not None and len(shape) != self.ndim:
            problem = f"{self.ndim} dimensions"
        elif self.min_ndim is not None and len(shape) < self.min_ndim:
            problem = f"at least {self.min_ndim} dimensions"
        elif self.max_ndim is not None and len(shape) > self.max_ndim:
            problem = f"at most {self.max_ndim} dimensions"
        else:
            for axis, size in self.axes.items():
                if size is not None and shape[axis] is not None and shape[axis] != size:
                    problem = f"size {size} on axis {axis}"
        if problem:
            raise ValueError(f"layer {layer.name!r} expects an input with {problem}, got shape {tuple(shape)}")


class Layer(Configurable):
    """Base of all layers.

    A custom layer makes its weights in `__init__` or `build(input_shape)` with `add_weight` and
    computes in `call(inputs)` with `fastnn.ops`; gradients come by themselves.
    """

    supports_masking = False
    casts_integers = False  # integer inputs become the compute type (images as uint8)
    _outside_steps: frozenset = frozenset()  # attributes that no recorded step depends on

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        self._trainable_weights: list[Variable] = []
        self._non_trainable_weights: list[Variable] = []
        self._state: list[Any] = []  # random states: saved, but not among the weights
        self._sublayers: list[Layer] = []
        self._metrics: list[Any] = []
        self._added_losses: list[Any] = []
        self._inbound: list[Any] = []  # symbolic calls of this layer
        self.built = False
        self.version = 0
        if not isinstance(trainable, bool):
            raise ValueError(f"trainable is True or False, got {trainable!r}")
        self._trainable = trainable
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.name = str(name) if name else unique_name(to_snake_case(type(self).__name__))
        if "/" in self.name:
            raise ValueError(f"a layer's name cannot contain '/', got {name!r}")
        self.dtype = dtype_name(_policy_type(dtype)) if dtype is not None else config.floatx()
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

    # --- weights -------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_sublayers" in self.__dict__ and name != "_sublayers":
            self._track(value)
            steers = not name.startswith("_") and name not in self._outside_steps
            # A class may hold the default that this assignment replaces.
            before = self.__dict__.get(name, getattr(type(self), name, _UNSET)) if steers else _UNSET
            if before is not _UNSET and not isinstance(before, property) and _differs(before, value):
                self.__dict__["version"] = self.version + 1  # recorded steps are made anew
        super().__setattr__(name, value)

    def _track(self, value: Any) -> None:
        if isinstance(value, Layer):
            if all(value is not s for s in self._sublayers):
                self._sublayers.append(value)
        elif isinstance(value, Variable):
            mine = self._trainable_weights + self._non_trainable_weights
            if all(value is not w for w in mine):
                (self._trainable_weights if value.trainable else self._non_trainable_weights).append(value)
                value.path = f"{self.name}/{value.name}"
        elif isinstance(value, Metric):
            if all(value is not m for m in self._metrics):
                self._metrics.append(value)
        elif isinstance(value, SeedGenerator):
            if all(value.tensor_state() is not t for t in self._state):
                self._state.append(value.tensor_state())
        elif isinstance(value, (list, tuple)):
            for v in value:
                if isinstance(v, (Layer, Variable, Metric, SeedGenerator)):
                    self._track(v)
        elif isinstance(value, dict):
            self._track(list(value.values()))

    def add_weight(
        self,
        shape: tuple | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """A new Variable of this layer. Initializer, unless given: glorot_uniform, zeros for integers.

        Raises ValueError for a name in the place of the shape, and inside `call`, where every call
        would make another weight.
        """
        if isinstance(shape, str):
            raise ValueError(f"add_weight(shape, ...) takes the shape first; write name={shape!r}")
        if any(layer is self for layer in _calls.running):
            raise ValueError(f"layer {self.name!r} adds a weight in call(); weights are made in __init__ or build()")
        dtype = dtype_name(dtype or self.dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtype.startswith("float") else "zeros"
        w = Variable(
            initializer,
            shape=tuple(shape) if shape is not None else (),
            dtype=dtype,
            trainable=trainable,
            name=name or "variable",
        )
        w.regularizer = regularizers.get(regularizer)
        w.constraint = constraints.get(constraint)
        w.requires_grad = w.requires_grad and self._trainable
        self._track(w)
        return w

    def _collect(self, own: str) -> list[Variable]:
        found = list(getattr(self, own))
        for layer in self._sublayers:
            found += layer._collect(own)
        return _unique(found)

    @property
    def weights(self) -> list[Variable]:
        """Per layer trainable first, then non-trainable; sublayers in order."""
        found = self._trainable_weights + self._non_trainable_weights
        for layer in self._sublayers:
            found = found + layer.weights
        return _unique(found)

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        if not self._trainable:
            return []
        found = [w for w in self._trainable_weights if w.trainable]
        for layer in self._sublayers:
            found += layer.trainable_weights
        return _unique(found)

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        trainable = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trainable]

    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for w in self._trainable_weights:
            w.requires_grad = self._trainable and w.trainable and w.dtype.startswith("float")
        for layer in self._sublayers:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Assigns all weights in the order of `weights`; shapes must agree."""
        mine = self.weights
        if len(mine) != len(weights):
            raise ValueError(
                f"layer {self.name!r} has {len(mine)} weights, got {len(weights)}"
                + ("" if self.built else " (it is not built yet)")
            )
        arrays = [np.asarray(v) for v in weights]
        for w, v in zip(mine, arrays):
            if w.shape != v.shape:
                raise ValueError(f"layer {self.name!r}: weight {w.path} has shape {w.shape}, got {v.shape}")
        for w, v in zip(mine, arrays):
            w.assign(v)

    @property
    def compute_dtype(self) -> str:
        """The type of its results; that of its weights too (there is no mixed precision)."""
        return self.dtype

    variable_dtype = compute_dtype

    @property
    def metrics(self) -> list[Any]:
        """The metrics kept by this layer and those inside it."""
        found = list(self._metrics)
        for layer in self._sublayers:
            found += layer.metrics
        return _unique(found)

    @property
    def metrics_variables(self) -> list[Variable]:
        return _unique([v for metric in self.metrics for v in metric.variables])

    def count_params(self) -> int:
        if not self.built:
            raise ValueError(f"layer {self.name!r} is not built, so its parameters cannot be counted")
        return sum(w.size for w in self.weights)

    # --- losses --------------------------------------------------------------------------------
    def add_loss(self, loss: Any) -> None:
        """Adds a scalar tensor to the loss of the running step."""
        self._added_losses.extend(loss if isinstance(loss, (list, tuple)) else [loss])

    @property
    def losses(self) -> list[Tensor]:
        """Added losses, then regularization of the trainable weights."""
        found = self._added()
        for w in self.trainable_weights:
            if w.regularizer is not None:
                found.append(w.regularizer(w))
        return found

    def _added(self) -> list[Tensor]:
        found = list(self._added_losses)
        for layer in self._sublayers:
            found += layer._added()
        return found

    def _clear_losses(self) -> None:
        self._added_losses.clear()
        for layer in self._sublayers:
            layer._clear_losses()

    # --- building and calling ------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape (batch axis first, None where open)."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"layer {type(self).__name__} does not define call()")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result; found by a trial call where a layer does not say."""
        symbols = map_shapes(lambda shape: KerasTensor(shape, self.dtype), input_shape)
        return shape_of(self._tried((symbols,), {}))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the result: the input's, for a layer that supports masking."""
        return previous_mask

    def _ensure_built(self, *shapes: Any, **named: Any) -> None:
        if not self.built:
            mine = (self._trainable_weights, self._non_trainable_weights)
            before = [len(weights) for weights in mine]
            try:
                self.build(*shapes, **named)
            except BaseException:  # out of memory, Ctrl-C: the next call builds it anew
                for weights, count in zip(mine, before):
                    del weights[count:]
                raise
            self.built = True
            for w in self._trainable_weights:
                w.requires_grad = w.requires_grad and self._trainable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature = signature_of(type(self))
        if not args and signature.first in kwargs:
            args = (kwargs.pop(signature.first),)
        symbolic = any_symbolic(args) or any_symbolic(kwargs)
        try:
            return self._call_symbolic(args, kwargs) if symbolic else self._call_on_values(signature, args, kwargs)
        except Exception as error:
            told = explained_in(f"layer {self.name!r}", self.call, args, kwargs, error)
            if told is error:
                raise
            raise told from error

    def _call_on_values(self, signature: Signature, args: tuple, kwargs: dict) -> Any:
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
            outputs = self.call(*args, **kwargs)
        finally:
            _calls.running.pop()
            _calls.training.pop()
        current = capture.recording()
        if current is not None:
            current.note_layer(self)
        if self.supports_masking and mask is not None:
            masks = self.compute_mask(inputs, mask)
            for t, m in zip(flatten(outputs), flatten(masks) if masks is not None else []):
                if m is not None and isinstance(t, Tensor):
                    t._keras_mask = m
        if self.activity_regularizer is not None:
            from ..ops import multiply

            for t in flatten(outputs):
                self.add_loss(multiply(self.activity_regularizer(t), 1.0 / max(1, t.shape[0] if t.ndim else 1)))
        return outputs

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
                mask = getattr(t, "_keras_mask", None)
                t = to_tensor(t, self.dtype)
                if mask is not None:
                    t._keras_mask = mask
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
            y = to_tensor(t, self.dtype)
            if hasattr(t, "_keras_mask"):
                y._keras_mask = t._keras_mask
            return y

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


def _differs(before: Any, after: Any) -> bool:
    plain = isinstance(after, (bool, int, float, str, tuple, type(None)))
    return before is not after and not (plain and type(before) is type(after) and before == after)


def _unique(items: list) -> list:
    return list({id(i): i for i in items}.values())


def _policy_type(dtype: Any) -> Any:
    return getattr(dtype, "compute_dtype", dtype)


def _masks(inputs: Any) -> Any:
    """The masks of nested tensors in their structure; None if there are none."""
    masks = map_structure(lambda t: getattr(t, "_keras_mask", None), inputs)
    return masks if any(m is not None for m in flatten(masks)) else None
