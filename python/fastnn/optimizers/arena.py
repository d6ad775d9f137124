"""Arena: variables of one type, one after the other in one piece of memory, so that an update is
one kernel call whatever their number. Gradients and optimizer states have the same layout.

Every variable begins on a 64-byte boundary; the elements in between are zero and stay zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import changes, kernels
from ..tensor import Tensor, empty, view

_ALIGN_BYTES = 64


class Arena:
    """Memory for `variables`, which `bind()` moves into it."""

    def __init__(self, variables: Sequence[Tensor]):
        self.variables = list(variables)
        self.dtype, self.device = variables[0].dtype, variables[0].device
        align = _ALIGN_BYTES // (8 if self.dtype == "float64" else 4)
        self.offsets = [0]
        for v in variables:
            self.offsets.append(self.offsets[-1] + -(-v.size // align) * align)
        self.size = self.offsets[-1]
        if self.size >= 2**31:
            raise ValueError(f"the optimizer takes fewer than 2^31 weights of one type, got {self.size}")
        self.values = self.state(0.0)
        self.gradients = self.state(0.0)
        self.gradients.mark_scratch()
        self.slots = self.parts(self.gradients)
        self.cuts = Tensor(self.offsets, "int32", self.device)  # for clipping variable by variable
        self._places = self.parts(self.values)

    def state(self, value: float) -> Tensor:
        """A flat array of the arena's layout, filled with `value`."""
        flat = empty((self.size,), self.dtype, self.device)
        kernels.fill(flat, value)
        return flat

    def parts(self, flat: Tensor) -> list[Tensor]:
        """The parts of a flat array that belong to the variables, in their shapes."""
        return [view(flat, v.shape, begin) for v, begin in zip(self.variables, self.offsets)]

    def bound(self) -> bool:
        """True while every variable lives in the arena (another optimizer may have taken one)."""
        return all(v.address == place.address for v, place in zip(self.variables, self._places))

    def bind(self) -> None:
        """Moves the variables, with their values, into the arena."""
        for v, place in zip(self.variables, self._places):
            if v.address != place.address:
                v.rebind(place)
                changes.note()

    def ranges(self, chosen: Sequence[bool], kinds: Sequence[bool]) -> list[tuple[int, int, bool]]:
        """(begin, end, kind) of the longest runs of chosen variables of one kind."""
        runs: list[tuple[int, int, bool]] = []
        for i, (wanted, kind) in enumerate(zip(chosen, kinds)):
            begin, end = self.offsets[i], self.offsets[i + 1]
            if not wanted:
                continue
            if runs and runs[-1][1] == begin and runs[-1][2] == kind:
                runs[-1] = (runs[-1][0], end, kind)
            else:
                runs.append((begin, end, kind))
        return runs
