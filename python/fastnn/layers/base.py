"""Layer: remembers weights, calls ops.

`__call__` is the whole protocol: build on first use, cast the inputs, hand over `training` and
masks, run `call`, and leave the mask on the result. On symbolic inputs (KerasTensor) it only
computes shapes and notes the call in the model's graph.
"""

from __future__ import annotations

import inspect
import threading
from typing import Any

import numpy as np

from .. import capture, config, constraints, regularizers
from ..autograd import no_grad
from ..configurable import Configurable
from ..metrics.base import Metric
from ..serialization import Family, to_snake_case
from ..symbolic import KerasTensor, any_symbolic, flatten, map_structure, record_call
from ..tensor import Tensor, dtype_name, to_tensor
from ..variables import Variable, unique_name

LAYERS = Family("layer", "keras.layers")


class _Calls(threading.local):
    """The layer calls that are running in this thread."""

    def __init__(self):
        self.training: list[bool] = []


_calls = _Calls()


class InputSpec:
    """What a layer accepts: rank, and sizes of some axes."""

    def __init__(self, ndim=None, min_ndim=None, axes: dict | None = None, shape=None, dtype=None):
        self.ndim, self.min_ndim, self.axes, self.shape, self.dtype = ndim, min_ndim, axes or {}, shape, dtype

    def check(self, layer: Layer, shape: tuple) -> None:
        """Raises ValueError naming the layer, what it got and what it expects."""
        problem = None
        if self.ndim is not None and len(shape) != self.ndim:
            problem = f"{self.ndim} dimensions"
        elif self.min_ndim is not None and len(shape) < self.min_ndim:
            problem = f"at least {self.min_ndim} dimensions"
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
        self._trainable = bool(trainable)
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

    # --- weights -------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_sublayers" in self.__dict__ and name != "_sublayers":
            self._track(value)
            steers = not name.startswith("_") and name not in self._outside_steps
            if steers and name in self.__dict__ and _differs(self.__dict__[name], value):
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
        elif isinstance(value, (list, tuple)):
            for v in value:
                if isinstance(v, (Layer, Variable, Metric)):
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
        """A new Variable of this layer. Initializer: glorot_uniform unless given."""
        w = Variable(
            initializer if initializer is not None else "glorot_uniform",
            shape=tuple(shape) if shape is not None else (),
            dtype=dtype or self.dtype,
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
        return _probe(self, input_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the result: the input's, for a layer that supports masking."""
        return previous_mask

    def _ensure_built(self, input_shape: Any) -> None:
        if not self.built:
            self.build(input_shape)
            self.built = True
            for w in self._trainable_weights:
                w.requires_grad = w.requires_grad and self._trainable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args) or any_symbolic(kwargs):
            return self._call_symbolic(args, kwargs)
        inputs = self._cast(args[0]) if args else None
        args = (inputs, *args[1:])
        shapes = map_structure(lambda t: t.shape, inputs)
        if self.input_spec is not None and isinstance(inputs, Tensor):
            self.input_spec.check(self, inputs.shape)
        if not self.built:
            self._ensure_built(shapes)
            if self.input_spec is not None and isinstance(inputs, Tensor):
                self.input_spec.check(self, inputs.shape)
        accepts = _call_arguments(type(self))
        mask = None
        if self.supports_masking or "mask" in accepts:
            mask = map_structure(lambda t: getattr(t, "_keras_mask", None), inputs)
            if "mask" in accepts and kwargs.get("mask") is None and any(m is not None for m in flatten(mask)):
                kwargs["mask"] = mask
        training = kwargs.get("training")
        if training is None:
            training = _calls.training[-1] if _calls.training else False
        if "training" in accepts:
            kwargs["training"] = bool(training)
        else:
            kwargs.pop("training", None)
        _calls.training.append(bool(training))
        try:
            outputs = self.call(*args, **kwargs)
        finally:
            _calls.training.pop()
        current = capture.recording()
        if current is not None:
            current.note_layer(self)
        given = kwargs.get("mask", mask)
        if self.supports_masking and given is not None:
            masks = self.compute_mask(inputs, given)
            for t, m in zip(flatten(outputs), flatten(masks) if masks is not None else []):
                if m is not None and isinstance(t, Tensor):
                    t._keras_mask = m
        if self.activity_regularizer is not None:
            from ..ops import multiply

            for t in flatten(outputs):
                self.add_loss(multiply(self.activity_regularizer(t), 1.0 / t.shape[0]))
        return outputs

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

    def _call_symbolic(self, args: tuple, kwargs: dict) -> Any:
        shapes = map_structure(lambda t: t.shape, args[0])
        if self.input_spec is not None and isinstance(args[0], KerasTensor):
            self.input_spec.check(self, args[0].shape)
        self._ensure_built(shapes)
        if self.input_spec is not None and isinstance(args[0], KerasTensor):
            self.input_spec.check(self, args[0].shape)
        return record_call(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and types of the results of a call on KerasTensors."""
        shapes = map_structure(lambda t: t.shape, args[0])
        out = self.compute_output_shape(shapes)
        if isinstance(out, list):
            return [KerasTensor(s, self.dtype) for s in out]
        if isinstance(out, tuple) and out and isinstance(out[0], (tuple, list)):
            return tuple(KerasTensor(tuple(s), self.dtype) for s in out)
        return KerasTensor(tuple(out), self.dtype)

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


_arguments: dict[type, frozenset] = {}


def _call_arguments(cls: type) -> frozenset:
    if cls not in _arguments:
        _arguments[cls] = frozenset(inspect.signature(cls.call).parameters)
    return _arguments[cls]


def _probe(layer: Layer, input_shape: Any) -> Any:
    """Output shape by calling the layer on zeros, with two sizes for every open axis."""

    def run(size: int) -> Any:
        def zeros(shape: tuple) -> Tensor:
            return Tensor(np.zeros([size if n is None else n for n in shape], np.float32), layer.dtype)

        is_one = isinstance(input_shape, tuple) and (not input_shape or not isinstance(input_shape[0], (tuple, list)))
        inputs = zeros(input_shape) if is_one else [zeros(s) for s in input_shape]
        with no_grad():
            return map_structure(lambda t: t.shape, layer.call(inputs))

    one, two = run(2), run(3)
    merge = lambda a, b: tuple(x if x == y else None for x, y in zip(a, b))  # noqa: E731
    if isinstance(one, list):
        return [merge(a, b) for a, b in zip(one, two)]
    if one and isinstance(one[0], tuple):
        return tuple(merge(a, b) for a, b in zip(one, two))
    return merge(one, two)
