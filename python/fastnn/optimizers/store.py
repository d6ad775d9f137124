"""Store: an optimizer's variables, gradients and states in arenas, one per type and device, and the
plan of an update: the runs of memory that its kernels are called with.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import NamedTuple

from .. import kernels
from ..tensor import Tensor, to_tensor, view
from .arena import Arena


class Run(NamedTuple):
    """Variables that lie side by side and are updated alike: weights, gradients, states by name."""

    values: Tensor
    gradients: Tensor
    states: SimpleNamespace
    decays: bool  # whether they are subject to weight decay


def name_of(v: Tensor) -> str:
    return getattr(v, "name", "a tensor")


class Store:
    """Arenas for `variables`, which `bind()` moves into them.

    `decays` says of each whether it is subject to weight decay, `initial` names the states.
    """

    def __init__(
        self,
        variables: Sequence[Tensor] = (),
        decays: Sequence[bool] = (),
        initial: Mapping[str, float] | None = None,
    ):
        self.variables = list(variables)
        self._decays = {id(v): d for v, d in zip(variables, decays)}
        self._home: dict[int, tuple[int, int]] = {}  # id of a variable -> (arena, number in it)
        self._plans: dict[tuple, list[Run]] = {}
        by_type: dict[tuple[str, str], list[Tensor]] = {}
        # Variables with weight decay first, so that they are one run.
        for v in sorted(variables, key=lambda v: not self._decays[id(v)]):
            if not v.dtype.startswith("float"):
                raise TypeError(f"an optimizer takes float variables, {name_of(v)} is {v.dtype}")
            if id(v) in self._home:
                raise ValueError(f"variable {name_of(v)} is given twice")
            members = by_type.setdefault((v.dtype, v.device), [])
            self._home[id(v)] = (list(by_type).index((v.dtype, v.device)), len(members))
            members.append(v)
        self.arenas = [Arena(members) for members in by_type.values()]
        self.states = [{name: arena.state(value) for name, value in (initial or {}).items()} for arena in self.arenas]

    @property
    def slots(self) -> list[Tensor]:
        """Where each variable's gradient is read from."""
        return [self.arenas[a].slots[i] for a, i in map(self._home.__getitem__, map(id, self.variables))]

    def state_parts(self, name: str) -> list[Tensor]:
        """Each variable's part of a state."""
        parts = [arena.parts(states[name]) for arena, states in zip(self.arenas, self.states)]
        return [parts[a][i] for a, i in map(self._home.__getitem__, map(id, self.variables))]

    def bound(self) -> bool:
        """True while every variable lives in its arena."""
        return all(arena.bound() for arena in self.arenas)

    def bind(self) -> None:
        """Moves the variables (back) into the arenas."""
        for arena in self.arenas:
            arena.bind()

    def fill(self, grads: Sequence[Tensor | None], variables: Sequence[Tensor]) -> list[Run]:
        """Gradients into their slots; returns the plan: what the update kernels are called with."""
        missing, given = [], set()
        for g, v in zip(grads, variables):
            if id(v) not in self._home:
                raise ValueError(
                    f"unknown variable {name_of(v)}: an optimizer works for the "
                    "variables it was built with; make a new optimizer for others"
                )
            if g is None:
                missing.append(getattr(v, "path", name_of(v)))
                continue
            a, i = self._home[id(v)]
            slot = self.arenas[a].slots[i]
            g = to_tensor(g)
            if g.shape != v.shape:
                raise ValueError(f"the gradient of {name_of(v)} {v.shape} has shape {g.shape}")
            if g.dtype != v.dtype:
                kernels.cast(g, slot)
            elif g.address != slot.address:
                kernels.copy(g, slot)
            given.add((a, i))
        if not given:
            raise ValueError("no gradients for any variable")
        if missing:
            warnings.warn(f"there are no gradients for {missing}: does the loss depend on them?", stacklevel=4)
        if len(given) < len(self.variables):  # for the norm of all gradients
            for a, arena in enumerate(self.arenas):
                for i, slot in enumerate(arena.slots):
                    if (a, i) not in given:
                        kernels.fill(slot, 0.0)
        key = tuple(sorted(given))
        if key not in self._plans:
            self._plans[key] = self._plan(given)
        return self._plans[key]

    def _plan(self, given: set[tuple[int, int]]) -> list[Run]:
        plan = []
        for a, (arena, states) in enumerate(zip(self.arenas, self.states)):
            chosen = [(a, i) in given for i in range(len(arena.variables))]
            for begin, end, decays in arena.ranges(chosen, [self._decays[id(v)] for v in arena.variables]):
                part = lambda flat: view(flat, (end - begin,), begin)  # noqa: B023, E731
                parts = SimpleNamespace(**{name: part(flat) for name, flat in states.items()})
                plan.append(Run(part(arena.values), part(arena.gradients), parts, decays))
        return plan
