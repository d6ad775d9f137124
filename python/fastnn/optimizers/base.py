"""Optimizer: Keras' interface over flat arenas. A step is: gradients into their slots, clipping,
weight decay, one update kernel; what changes between steps is a tensor, so it can be replayed.

    slots = optimizer.gradient_slots                      # after optimizer.build(variables)
    autograd.gradients(loss, variables, slots=slots)      # written where the update reads them
    optimizer.apply_gradients(zip(slots, variables))

A subclass names its states in `state_groups` and calls its kernel in `update`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import _core, kernels
from ..autograd import no_grad
from ..configurable import Configurable
from ..guards import CtrlCWaits
from ..serialization import Family, serialize_object, to_snake_case
from ..tensor import Tensor, empty
from ..variables import Variable
from .rate import LearningRate, scalar
from .store import Run, Store, name_of

_family = Family("optimizer", "keras.optimizers")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize


class Optimizer(Configurable):
    """Base class.

    Args:
      learning_rate: number, `LearningRateSchedule` of the step, or function without arguments.
      weight_decay: w -= w weight_decay learning_rate before each update (decoupled).
      clipnorm, clipvalue, global_clipnorm: at most one: gradients clipped to a norm each, to
        [-clipvalue, clipvalue], or to a norm of all together.
      use_ema, ema_momentum, ema_overwrite_frequency: keep a moving average of the weights, and
        put it in their place every so many steps.
      loss_scale_factor: gradients are divided by it.
      gradient_accumulation_steps: update once in so many steps, with the mean gradient.
    """

    fuses_weight_decay = False  # True: `update` does it in the same pass

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ):
        if sum(c is not None for c in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm can be set; received "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        if gradient_accumulation_steps and not gradient_accumulation_steps >= 2:
            raise ValueError(f"gradient_accumulation_steps must be 2 or more; received {gradient_accumulation_steps}")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"ema_momentum must be between 0 and 1; received {ema_momentum}")
        every: Any = ema_overwrite_frequency
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ValueError(f"ema_overwrite_frequency must be a positive integer or None; received {every!r}")
        self.name = name or to_snake_case(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._rate = LearningRate(learning_rate)
        self._calls = scalar(0, "int32", "iteration")  # of apply
        self._updates = scalar(0, "int32", "updates") if gradient_accumulation_steps else self._calls
        self._excluded: tuple[list[Tensor], re.Pattern | None] = ([], None)
        self._store = Store()  # empty until it is built
        self.phase: str | None = None  # see cover()
        self._next_phase: str | None = None  # the same, until a step has been recorded with it

    # --- what a subclass defines ---------------------------------------------------------------
    def state_groups(self) -> list[dict[str, float]]:
        """{name: initial value} of the states; a group stands side by side in `variables`."""
        return []

    def prepare_update(self, t: Tensor) -> None:
        """Once a step, before the updates."""

    def update(self, p: Tensor, g: Tensor, s: SimpleNamespace, lr: Tensor, t: Tensor, decay: float) -> None:
        """Flat weights p after step t = 1, 2, ... with gradient g and states s.<name>."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    # --- state -----------------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Variable:
        """A float64 scalar tensor; assign a number at any time."""
        if self._rate.source is not None and not _core.is_recording():
            self._rate.prepare(self._calls)
        return self._rate.value

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate.set(value)

    @property
    def iterations(self) -> Variable:
        """The number of updates so far, an int32 scalar tensor."""
        return self._updates

    @property
    def gradient_slots(self) -> list[Tensor]:
        """Where each variable's gradient is read from, in the order of `build`."""
        return self._store.slots

    @property
    def variables(self) -> list[Tensor]:
        """The optimizer's state as tensors with names, in Keras' order."""
        found: list[Tensor] = [self._calls]
        if self._rate.source is None:
            found.append(self._rate.value)
        parts = {name: self._store.state_parts(name) for group in self._all_groups() for name in group}
        for group in self._all_groups():
            for i, v in enumerate(self._store.variables):
                for name in group:
                    t = parts[name][i]
                    own_name = f"{str(getattr(v, 'path', name_of(v))).replace('/', '_')}_{name}"
                    vars(t).update(name=own_name, path=f"{self.name}/{own_name}")
                    found.append(t)
        return found + self._extra_variables()

    def _extra_variables(self) -> list[Tensor]:
        return []

    def _all_groups(self) -> list[dict[str, float]]:
        first = [{"average": 0.0}] if self.use_ema else []
        if self.gradient_accumulation_steps:
            first.append({"gradient_accumulator": 0.0})
        return first + self.state_groups()

    def get_weights(self) -> list[np.ndarray]:
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Restores what get_weights() gave."""
        targets = self.variables
        if len(targets) != len(weights):
            raise ValueError(f"{self.name} has {len(targets)} variables, got {len(weights)} arrays")
        arrays = [np.asarray(w) for w in weights]
        for v, w in zip(targets, arrays):
            if v.shape != w.shape:
                raise ValueError(f"{name_of(v)} has shape {v.shape}, got {w.shape}")
        for v, w in zip(targets, arrays):
            v.assign_numpy(np.ascontiguousarray(w, v.dtype).reshape(w.shape))
        if self.gradient_accumulation_steps:
            self._updates.assign(int(self._calls) // self.gradient_accumulation_steps)

    def save_own_variables(self, store: Any) -> None:
        for i, v in enumerate(self.variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        self.set_weights([store[str(i)] for i in range(len(store.keys()))])

    def get_config(self) -> dict:
        config = super().get_config()
        source = self._rate.source
        config["learning_rate"] = float(self._rate.value) if source is None else serialize_object(source)
        return config

    def __getstate__(self) -> dict:
        # For pickle and copy: places in memory are left out and found anew.
        store = self._store
        values = [{name: flat.numpy() for name, flat in states.items()} for states in store.states]
        return {**vars(self), "_store": (store.variables, values)}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, built=False, _store=Store())
        if state["built"]:
            variables, values = state["_store"]
            self.build(variables)
            for mine, given in zip(self._store.states, values):
                for name, flat in mine.items():
                    flat.assign_numpy(given[name])

    # --- building --------------------------------------------------------------------------------
    def works_for(self, variables: Sequence[Tensor]) -> bool:
        """True if these are the variables of build(), in that order, still in the arenas."""
        mine = self._store.variables
        return (
            self.built
            and len(variables) == len(mine)
            and all(a is b for a, b in zip(variables, mine))
            and self._store.bound()
        )

    def exclude_from_weight_decay(
        self, var_list: Sequence[Tensor] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """No weight decay for these variables, nor where one of the patterns is in the name."""
        if self.built:
            raise ValueError("exclude_from_weight_decay() must be called before the optimizer is built")
        pattern = re.compile("|".join(set(var_names))) if var_names else None
        self._excluded = (list(var_list or ()), pattern)

    def _decays(self, v: Tensor) -> bool:
        excluded, pattern = self._excluded
        named = pattern is not None and pattern.search(name_of(v))
        return bool(self.weight_decay) and not named and all(v is not e for e in excluded)

    def build(self, variables: Sequence[Tensor]) -> None:
        """Moves the variables into arenas, one per type, and makes gradient slots and states."""
        if self.built:
            return
        if _core.is_recording():
            _core.spoil("the optimizer is built in its first step: call optimizer.build(variables) before")
        initial = {name: value for group in self._all_groups() for name, value in group.items()}
        store = Store(variables, [self._decays(v) for v in variables], initial)
        if self.global_clipnorm and len(store.arenas) > 1:
            raise ValueError("global_clipnorm needs all variables of one type and on one device")
        store.bind()
        self._store = store  # now: out of memory or Ctrl-C before is as if it had not been called
        self.built = True
        self._rate.cover(int(self._calls))

    def bind(self) -> None:
        """Moves the variables (back) into the arenas; needed after another optimizer took them."""
        self._store.bind()

    def cover(self) -> int:
        """Lets recorded steps know a schedule's next rates; returns how many steps they may run
        before the next call. With accumulated gradients `phase` then says which kind they are:
        "gather" or "update", each with a program of its own.
        """
        calls = int(self._calls)
        steps = self._rate.cover(calls)
        every = self.gradient_accumulation_steps
        if not every:
            return steps
        gathering = every - 1 - calls % every
        self.phase = self._next_phase = "gather" if gathering else "update"
        return min(steps, gathering or 1)

    # --- a step ----------------------------------------------------------------------------------
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Tensor]]) -> Variable:
        """One step. Variables with gradient None are left as they are. Returns `iterations`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._updates

    def apply(self, grads: Sequence[Tensor | None], trainable_variables: Sequence[Tensor] | None = None) -> None:
        """One step with `grads` of `trainable_variables` (those of build() by default)."""
        if not grads:
            return
        if trainable_variables is not None:
            self.build(trainable_variables)
        elif not self.built:
            raise ValueError("apply() without variables needs optimizer.build(variables) first")
        variables = self._store.variables if trainable_variables is None else trainable_variables
        if len(grads) != len(variables):
            raise ValueError(f"got {len(grads)} gradients for {len(variables)} variables")
        if not self._store.bound():
            if _core.is_recording():
                _core.spoil("another optimizer took this one's variables: call optimizer.bind() before")
            self.bind()
        with no_grad():
            plan = self._store.fill(grads, variables)
            with CtrlCWaits():
                self._step(plan, variables)

    def _step(self, plan: list[Run], variables: Sequence[Tensor]) -> None:
        if self.loss_scale_factor is not None:
            for arena in self._store.arenas:
                kernels.rescale(arena.gradients, 1.0 / self.loss_scale_factor)
        lr = self._rate.value
        self._rate.prepare(self._calls)
        kernels.increment(self._calls)
        if self._accumulated():
            self._clip()
            self.prepare_update(self._updates)
            for p, g, states, decays in plan:
                decay = float(self.weight_decay or 0.0) if decays else 0.0
                if decay and not self.fuses_weight_decay:
                    kernels.weight_decay(p, lr, decay)
                self.update(p, g, states, lr, self._updates, decay)
        if self.use_ema:
            self._average()
        for v in variables:
            constraint = getattr(v, "constraint", None)
            if constraint is not None:
                kernels.copy(constraint(v), v)

    def _accumulated(self) -> bool:
        """True if this step updates; its gradients are then the means since the last update."""
        steps = self.gradient_accumulation_steps
        if not steps:
            return True
        if not _core.is_recording():
            updates = int(self._calls) % steps == 0
        elif self._next_phase is None:
            _core.spoil("gradients are accumulated over several steps: call optimizer.cover() before each")
            updates = int(self._calls) % steps == 0
        else:
            updates = self._next_phase == "update"
        self._next_phase = None
        self._updated = updates
        for arena, state in zip(self._store.arenas, self._store.states):
            total = state["gradient_accumulator"]
            kernels.add(arena.gradients, total, arena.gradients if updates else total)
            if updates:
                kernels.rescale(arena.gradients, 1.0 / steps)
                kernels.fill(total, 0.0)
        if updates:
            kernels.increment(self._updates)
        return updates

    def _clip(self) -> None:
        for arena in self._store.arenas:
            if self.clipnorm:
                kernels.clip_norm(arena.gradients, arena.cuts, float(self.clipnorm))
            elif self.global_clipnorm:
                kernels.clip_norm(arena.gradients, None, float(self.global_clipnorm))
            elif self.clipvalue:
                kernels.clip_value(arena.gradients, float(self.clipvalue))

    def _average(self) -> None:
        step: Tensor = self._updates
        if self.gradient_accumulation_steps and not self._updated:  # as Keras counts: the one gathered for
            step = empty((), like=self._updates)
            kernels.copy(self._updates, step)
            kernels.increment(step)
        for arena, state in zip(self._store.arenas, self._store.states):
            every = self.ema_overwrite_frequency or 0
            kernels.moving_average(state["average"], arena.values, step, float(self.ema_momentum), every)

    def averages(self) -> list[tuple[Tensor, Tensor]]:
        """With use_ema: (weights, their moving averages), flat, one pair per type."""
        return [(arena.values, state["average"]) for arena, state in zip(self._store.arenas, self._store.states)]

    def finalize_variable_values(self, var_list: Sequence[Tensor] | None = None) -> None:
        """With use_ema, puts the averages in the weights' place: called at the end of training."""
        if self.use_ema:
            for arena, state in zip(self._store.arenas, self._store.states):
                kernels.copy(state["average"], arena.values)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times loss_scale_factor."""
        if self.loss_scale_factor is None:
            return loss
        from ..ops import multiply

        return multiply(loss, float(self.loss_scale_factor))
