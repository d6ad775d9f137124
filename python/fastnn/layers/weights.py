"""What a layer remembers: weights, random states, sublayers, metrics and losses, found in its
attributes. Shapes and calls are in `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import changes, constraints, regularizers
from ..configurable import Configurable
from ..dtype_policies import DTypePolicy
from ..metrics.base import Metric
from ..random import SeedGenerator
from ..tensor import Tensor, dtype_name
from ..variables import Variable

_UNSET = object()


class Tracked(Configurable):
    """Keeps what is assigned to its attributes in order: the half of Layer that knows no calls."""

    name: str
    dtype: str
    _dtype_policy: DTypePolicy
    built: bool
    _outside_steps: frozenset = frozenset()  # attributes that no recorded step depends on

    def _start_tracking(self, trainable: bool) -> None:
        self._trainable_weights: list[Variable] = []
        self._non_trainable_weights: list[Variable] = []
        self._state: list[Any] = []  # random states: saved, but not among the weights
        self._sublayers: list[Any] = []  # Layers, which this half of them does not know
        self._metrics: list[Any] = []
        self._added_losses: list[Any] = []
        self._trainable = trainable
        self.version = 0

    def _is_running(self) -> bool:
        """Whether its `call` is under way."""
        return False

    def __setattr__(self, name: str, value: Any) -> None:
        if "_sublayers" in self.__dict__ and name != "_sublayers":
            self._track(value)
            steers = not name.startswith("_") and name not in self._outside_steps
            # A class may hold the default that this assignment replaces.
            before = self.__dict__.get(name, getattr(type(self), name, _UNSET)) if steers else _UNSET
            if before is not _UNSET and not isinstance(before, property) and _differs(before, value):
                self.__dict__["version"] = self.version + 1  # recorded steps are made anew
                changes.note()
        super().__setattr__(name, value)

    def _track(self, value: Any) -> None:
        if isinstance(value, (Tracked, Variable)):
            changes.note()
        if isinstance(value, Tracked):
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
                if isinstance(v, (Tracked, Variable, Metric, SeedGenerator)):
                    self._track(v)
        elif isinstance(value, dict):
            self._track(list(value.values()))

    def add_variable(
        self,
        shape: tuple,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_weight` under another name."""
        return self.add_weight(shape, initializer, dtype, trainable, regularizer, constraint, name)

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
        if self._is_running():
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
        return unique(found)

    @property
    def weights(self) -> list[Variable]:
        """Per layer trainable first, then non-trainable; sublayers in order."""
        found = self._trainable_weights + self._non_trainable_weights
        for layer in self._sublayers:
            found = found + layer.weights
        return unique(found)

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        if not self._trainable:
            return []
        found = [w for w in self._trainable_weights if w.trainable]
        for layer in self._sublayers:
            found += layer.trainable_weights
        return unique(found)

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
        changes.note()
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
        """The type of its results and of its weights. Under "mixed_bfloat16" it is float32: see `DTypePolicy`."""
        return self.dtype

    variable_dtype = compute_dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
        """What the layer was given as `dtype`, and what a layer inside takes."""
        return self._dtype_policy

    @property
    def metrics(self) -> list[Any]:
        """The metrics kept by this layer and those inside it."""
        found = list(self._metrics)
        for layer in self._sublayers:
            found += layer.metrics
        return unique(found)

    @property
    def metrics_variables(self) -> list[Variable]:
        return unique([v for metric in self.metrics for v in metric.variables])

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


def _differs(before: Any, after: Any) -> bool:
    plain = isinstance(after, (bool, int, float, str, tuple, type(None)))
    return before is not after and not (plain and type(before) is type(after) and before == after)


def unique(items: list) -> list:
    return list({id(i): i for i in items}.values())
