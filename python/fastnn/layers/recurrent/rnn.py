"""RNN: a cell walks over the steps of a sequence.

Our own cells run all of time in one op. A cell of your own runs step by step in Python, which is
much slower: write it with few, large ops.
"""

from __future__ import annotations

from typing import Any

from ... import kernels, ops
from ...symbolic import flatten, map_structure
from ...tensor import Tensor, empty, to_tensor
from ..base import LAYERS, Layer
from ..dense import known_size
from .cell import as_list, initial_state, is_fused, output_size, step
from .stack import StackedRNNCells


@LAYERS.register()
class RNN(Layer):
    """Runs a cell over the steps of x (batch, time, in).

    Returns the last output (batch, units), or all of them (batch, time, units) with
    `return_sequences`; with `return_state` a tuple of that and the final states. Masked steps
    repeat the state and output before them (outputs are zeros with `zero_output_for_mask`). With
    `stateful` each batch goes on from the states of the one before, until `reset_state()`. `unroll`
    changes nothing here.

    A cell has `call(inputs, states) -> (output, new_states)` and `state_size`, and may have
    `output_size` and `get_initial_state(batch_size)`. A list of cells is stacked.
    """

    supports_masking = True
    casts_integers = True
    states: Any  # of a stateful layer, None before it is built

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
            raise ValueError(f"layer {self.name!r}: a cell has call() and state_size, got {cell!r}")
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        # What goes on from batch to batch is neither a weight nor saved.
        object.__setattr__(self, "states", None)

    @property
    def state_size(self) -> list:
        return as_list(self.cell.state_size)

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer):
            self.cell._ensure_built((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            batch = known_size(sequences_shape[0], "with stateful=True the batch size", self)
            object.__setattr__(self, "states", self.get_initial_state(batch))
        self.built = True

    def get_initial_state(self, batch_size: int) -> list:
        return initial_state(self.cell, batch_size, self.dtype)

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zeros."""
        for t in flatten(self.states or []):
            kernels.fill(t, 0.0)

    reset_states = reset_state

    def compute_output_shape(self, sequences_shape: tuple, initial_state_shape: Any = None) -> Any:
        batch, time = sequences_shape[:2]
        size = output_size(self.cell)
        shape = (batch, time, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return shape
        states = [[(batch, n) for n in s] if isinstance(s, (list, tuple)) else (batch, s) for s in self.state_size]
        return (shape, *states)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in flatten(self.state_size))] if self.return_state else mask

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        batch = sequences.shape[0]
        if self.stateful and flatten(self.states)[0].shape[0] != batch:
            raise ValueError(
                f"layer {self.name!r} is stateful: the batch size is {flatten(self.states)[0].shape[0]}, got {batch}"
            )
        if initial_state is not None:
            states = map_structure(lambda s: to_tensor(s, self.dtype), as_list(initial_state))
        elif self.stateful:
            # The backward pass needs what they were when they are overwritten below.
            states = map_structure(_copy, self.states)
        else:
            states = None
        mask = None if mask is None else to_tensor(flatten(mask)[0])
        zero = mask is not None and self.zero_output_for_mask
        every = self.return_sequences or zero
        if is_fused(self.cell):
            if states is None:
                states = map_structure(lambda _: None, _structure(self.cell))
            y, states = self.cell.sequence(sequences, states, mask, training, self.go_backwards, every)
            last = flatten(states[-1])[0] if isinstance(self.cell, StackedRNNCells) else states[0]
        else:
            y, last, states = self._loop(sequences, states, mask, training, every)
        if zero:
            y = ops.zero_masked_steps(y, mask, self.go_backwards)
            last = y[:, -1]
        if self.stateful:
            for kept, new in zip(flatten(self.states), flatten(states)):
                kernels.copy(new, kept)
        output = y if self.return_sequences else last
        if not self.return_state:
            return output
        return (output, *(self.cell.handed_out(states) if isinstance(self.cell, StackedRNNCells) else states))

    def _loop(self, x: Any, states: Any, mask: Any, training: bool, every: bool) -> tuple:
        """Step by step, for cells that the kernels do not know."""
        batch, time = x.shape[:2]
        if states is None:
            states = self.get_initial_state(batch)
        if time == 0:
            raise ValueError(
                f"layer {self.name!r}: a sequence for this cell has at least one step, got shape {x.shape}"
            )
        if hasattr(self.cell, "begin_sequence"):
            self.cell.begin_sequence(batch, x.shape[-1], training)
        outputs = []
        try:
            for s in range(time):
                at = time - 1 - s if self.go_backwards else s
                y, new = step(self.cell, x[:, at], states, training)
                if mask is not None:
                    live = ops.reshape(mask[:, at], (batch, 1))
                    held = flatten(states[-1])[0] if isinstance(self.cell, StackedRNNCells) else flatten(states)[0]
                    y = ops.where(live, y, held)
                    new = _select(live, new, states)
                states = new
                outputs.append(y)
        finally:
            if hasattr(self.cell, "end_sequence"):
                self.cell.end_sequence()
        return ops.stack(outputs, axis=1) if every else None, outputs[-1], states


def _copy(x: Tensor) -> Tensor:
    y = empty(x.shape, like=x)
    kernels.copy(x, y)
    return y


def _structure(cell: Any) -> list:
    """One leaf per state, in the structure that cell.sequence takes."""
    if isinstance(cell, StackedRNNCells):
        return [_structure(c) for c in cell.cells]
    return as_list(cell.state_size)


def _select(live: Tensor, new: Any, old: Any) -> Any:
    if isinstance(new, (list, tuple)):
        return [_select(live, n, o) for n, o in zip(new, old)]
    return ops.where(live, new, old)
