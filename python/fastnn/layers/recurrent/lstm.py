"""Long short-term memory. Hochreiter & Schmidhuber 1997; Gers et al. 2000."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import activations, ops
from ...tensor import Tensor
from ..base import LAYERS
from .cell import GatedCell, Masks
from .cell_layer import CellLayer, arguments_of, of_cell


@LAYERS.register()
class LSTMCell(GatedCell):
    """Long short-term memory: c_t = f c_{t-1} + i act(z_c), h_t = o act(c_t).

    Weights: kernel (in, 4 units), recurrent_kernel (units, 4 units), bias (4 units,), gates in the
    order i, f, c, o; with unit_forget_bias the bias of f begins as ones. States: [h, c].
    Hochreiter & Schmidhuber 1997.
    """

    gates = 4
    states = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._configure(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, implementation,
        )  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer

        def start(shape: tuple, dtype: Any = None) -> Any:
            n = self.units
            draw = lambda size: np.asarray(self.bias_initializer((size,), dtype=dtype))  # noqa: E731
            return np.concatenate([draw(n), np.ones(n), draw(2 * n)]).astype(dtype)

        return start

    def _run(
        self, x: Tensor, states: list, mask: Any, masks: Masks, go_backwards: bool, return_sequences: bool
    ) -> tuple:
        return ops.lstm(
            x,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            *states,
            mask,
            *masks,
            self.activation,
            self.recurrent_activation,
            go_backwards,
            return_sequences,
        )

    def _step(self, inputs: list, seen: list, states: list) -> list[Tensor]:
        i, f, c, o = self._products(inputs, seen)
        i, f, o = (self.recurrent_activation(z) for z in (i, f, o))
        c = ops.add(ops.multiply(f, states[1]), ops.multiply(i, self.activation(c)))
        return [ops.multiply(o, self.activation(c)), c]


@LAYERS.register()
class LSTM(CellLayer):
    """Long short-term memory. See LSTMCell for formulas and weights, RNN for the rest."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._start(LSTMCell, "lstm_cell", arguments_of(locals()), kwargs)

    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")
