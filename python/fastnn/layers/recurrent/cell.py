"""Cells: the weights of recurrent layers, and one step of each.

`call(inputs, states)` takes one step, as in Keras. `sequence(...)` takes all of them in one op; a
layer uses it wherever the cell's activations are known to the kernels.

Dropout, as in Keras: one mask for all steps of a sequence; one for all gates, but one for each gate
with `implementation=1`, which recurrent dropout implies.
"""

from __future__ import annotations

from typing import Any

from ... import activations, constraints, initializers, kernels, ops, regularizers
from ...ops.recurrent import fused_activation
from ...tensor import Tensor, empty, to_tensor
from ...variables import RandomState
from ..base import LAYERS, Layer
from ..dense import known_size, positive_int

Masks = tuple[Tensor | None, Tensor | None]  # of dropout, for the inputs and the state


class Cell(Layer):
    gates = 1
    states = 1

    def _configure(
        self, units: int, activation: Any, use_bias: bool, kernel_initializer: Any, recurrent_initializer: Any,
        bias_initializer: Any, kernel_regularizer: Any, recurrent_regularizer: Any, bias_regularizer: Any,
        kernel_constraint: Any, recurrent_constraint: Any, bias_constraint: Any, dropout: float,
        recurrent_dropout: float, seed: int | None, implementation: int = 2,
    ) -> None:  # fmt: skip
        """What all cells do with their constructor's arguments."""
        self.units = positive_int(units, "units", self)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.seed = seed
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.state_size: Any = self.units if self.states == 1 else [self.units] * self.states
        self.output_size = self.units
        self._masks: Masks | None = None
        if self.dropout or self.recurrent_dropout:
            self._make_random_state()

    def _make_random_state(self) -> None:
        self._state.append(RandomState(self.seed))
        self._state[0].path = f"{self.name}/random_state"

    def _bias_shape(self) -> tuple:
        return (self.gates * self.units,)

    def build(self, input_shape: tuple) -> None:
        width = known_size(input_shape[-1], "the last axis", self)
        self.kernel = self.add_weight(
            (width, self.gates * self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, self.gates * self.units),
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(),
                self._bias_start(),
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _bias_start(self) -> Any:
        return self.bias_initializer

    def get_initial_state(self, batch_size: int) -> list[Tensor]:
        return [zeros((batch_size, self.units), self.dtype) for _ in range(self.states)]

    def compute_output_shape(self, input_shape: tuple, states_shape: Any = None) -> tuple:
        return (input_shape[0], self.units), [(input_shape[0], self.units)] * self.states

    # --- dropout -------------------------------------------------------------------------------
    def draw_masks(self, batch: int, width: int, training: bool) -> Masks:
        """Masks for the inputs and the state of a sequence, (1 or gates, batch, size) or None."""
        if not training or not (self.dropout or self.recurrent_dropout):
            return None, None
        count = self.gates if self.implementation == 1 else 1
        return (
            self._draw((count, batch, width), self.dropout),
            self._draw((count, batch, self.units), self.recurrent_dropout),
        )

    def _draw(self, shape: tuple, rate: float) -> Tensor | None:
        if not rate:
            return None
        if not self._state:  # the rate was set after the cell was made
            self._make_random_state()
        ones = empty(shape, self.dtype)
        kernels.fill(ones, 1.0)
        return ops.dropout(ones, rate, ops.next_state(self._state[0]))

    # A loop over steps holds the masks for its sequence.
    def begin_sequence(self, batch: int, width: int, training: bool) -> None:
        object.__setattr__(self, "_masks", self.draw_masks(batch, width, training))

    def end_sequence(self) -> None:
        object.__setattr__(self, "_masks", None)

    # --- computing -----------------------------------------------------------------------------
    @property
    def fused(self) -> bool:
        """Whether the kernels know the activations."""
        return fused_activation(self.activation) is not None

    def _run(
        self, x: Tensor, states: list, mask: Any, masks: Masks, go_backwards: bool, return_sequences: bool
    ) -> tuple:
        """All steps in one op: its results."""
        raise NotImplementedError

    def _step(self, inputs: list, seen: list, states: list) -> list[Tensor]:
        """One step in ops: the new states, for inputs and the first state as each gate sees them."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        nested = isinstance(states, (list, tuple))
        before = [to_tensor(s, self.dtype) for s in (states if nested else [states])]
        batch, width = inputs.shape
        masks = self._masks if self._masks is not None else self.draw_masks(batch, width, training)
        if self.fused:
            step = ops.reshape(inputs, (inputs.shape[0], 1, inputs.shape[1]))
            after = list(self._run(step, before, None, masks, False, False))
        else:
            after = self._step(_seen(inputs, masks[0], self.gates), _seen(before[0], masks[1], self.gates), before)
        return after[0], (after if nested else after[0])

    def sequence(
        self,
        x: Tensor,
        states: list,
        mask: Any,
        training: bool,
        go_backwards: bool,
        return_sequences: bool,
    ) -> tuple:
        """(outputs of all steps or None, final states): all steps in one op."""
        masks = self.draw_masks(x.shape[0], x.shape[2], training)
        with self._precision():
            results = self._run(x, states, mask, masks, go_backwards, return_sequences)
        return (results[0], list(results[1:])) if return_sequences else (None, list(results))

    def _columns(self, w: Any, gate: int) -> Tensor:
        return w[..., gate * self.units : (gate + 1) * self.units]

    def _products(self, inputs: list, states: list) -> list[Tensor]:
        """x W_g + b_g + h U_g for every gate."""
        sums = []
        for g, (x, h) in enumerate(zip(inputs, states)):
            z = ops.add(
                ops.matmul(x, self._columns(self.kernel, g)),
                ops.matmul(h, self._columns(self.recurrent_kernel, g)),
            )
            sums.append(z if self.bias is None else ops.add(z, self._columns(self.bias, g)))
        return sums


def zeros(shape: tuple, dtype: str) -> Tensor:
    t = empty(shape, dtype)
    kernels.fill(t, 0.0)
    return t


def _seen(x: Tensor, masks: Any, gates: int) -> list[Tensor]:
    """x (batch, size) as each gate sees it."""
    if masks is None:
        return [x] * gates
    dropped = [ops.multiply(x, masks[p]) for p in range(masks.shape[0])]
    return dropped * gates if len(dropped) == 1 else dropped


class GatedCell(Cell):
    recurrent_activation: Any

    @property
    def fused(self) -> bool:
        return super().fused and fused_activation(self.recurrent_activation) is not None


# --- any cell, which may be no layer ---------------------------------------------------------------


def as_list(state: Any) -> list:
    return list(state) if isinstance(state, (list, tuple)) else [state]


def output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return size if size is not None else as_list(cell.state_size)[0]


def is_fused(cell: Any) -> bool:
    """Whether the cell is one of ours (a subclass may step differently) with known activations."""
    return LAYERS.table.get(type(cell).__name__) is type(cell) and getattr(cell, "fused", False)


def initial_state(cell: Any, batch: int, dtype: str) -> list:
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return as_list(make(batch_size=batch))
    return [zeros((batch, n), dtype) for n in as_list(cell.state_size)]


def step(cell: Any, x: Tensor, state: Any, training: bool) -> tuple:
    """One step of any cell, which is a layer or has just a call()."""
    state = as_list(state)
    if isinstance(cell, Layer):
        y, new = cell(x, state, training=training)
    else:
        y, new = cell.call(x, state)
    return y, as_list(new)
