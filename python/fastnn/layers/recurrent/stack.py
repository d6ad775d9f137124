"""Cells one upon the other."""

from __future__ import annotations

from typing import Any

from ... import ops
from ..base import LAYERS, Layer
from .cell import as_list, initial_state, is_fused, output_size, step


@LAYERS.register()
class StackedRNNCells(Layer):
    """Cells one upon the other, as one cell; its state is the list of their states."""

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
                raise ValueError(f"layer {self.name!r}: a cell has call() and state_size, got {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> int:
        return output_size(self.cells[-1])

    @property
    def fused(self) -> bool:
        return all(is_fused(c) for c in self.cells)

    def build(self, input_shape: tuple) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer):
                cell._ensure_built(input_shape)
            input_shape = (input_shape[0], output_size(cell))
        self.built = True

    def get_initial_state(self, batch_size: int) -> list:
        return [initial_state(c, batch_size, self.dtype) for c in self.cells]

    def handed_out(self, states: list) -> list:
        """The states of the cells as a caller gets them: a list for each, but a tensor where a cell has one
        state and does not say what it begins with, as in Keras.
        """
        bare = [not hasattr(c, "get_initial_state") and isinstance(c.state_size, int) for c in self.cells]
        return [state[0] if alone else state for alone, state in zip(bare, states)]

    def begin_sequence(self, batch: int, width: int, training: bool) -> None:
        for cell in self.cells:
            if hasattr(cell, "begin_sequence"):
                cell.begin_sequence(batch, width, training)
            width = output_size(cell)

    def end_sequence(self) -> None:
        for cell in self.cells:
            if hasattr(cell, "end_sequence"):
                cell.end_sequence()

    def call(self, inputs: Any, states: list, training: bool = False) -> Any:
        after = []
        for cell, state in zip(self.cells, states):
            inputs, new = step(cell, inputs, state, training)
            after.append(new)
        return inputs, after

    def sequence(
        self, x: Any, states: list, mask: Any, training: bool, go_backwards: bool, return_sequences: bool
    ) -> tuple:
        # A masked step is ignored by every cell, so that each may run through all of time at once.
        after = []
        for i, (cell, state) in enumerate(zip(self.cells, states)):
            top = i == len(self.cells) - 1
            # The outputs of a backward walk lie in its own order.
            turned = go_backwards and i == 0
            if go_backwards and i == 1 and mask is not None:
                mask = ops.flip(mask, axis=1)
            x, new = cell.sequence(x, as_list(state), mask, training, turned, return_sequences or not top)
            after.append(new)
        return x, after
