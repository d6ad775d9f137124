"""The plain recurrent network. Elman 1990, "Finding structure in time"."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...tensor import Tensor
from ..base import LAYERS
from .cell import Cell, Masks
from .cell_layer import CellLayer, arguments_of


@LAYERS.register()
class SimpleRNNCell(Cell):
    """h_t = activation(x W + b + h_{t-1} U).

    Weights: kernel (in, units), recurrent_kernel (units, units), bias (units,).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        super().__init__(**kwargs)
        self._configure(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed,
        )  # fmt: skip

    def _run(
        self, x: Tensor, states: list, mask: Any, masks: Masks, go_backwards: bool, return_sequences: bool
    ) -> tuple:
        return ops.simple_rnn(
            x,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            *states,
            mask,
            *masks,
            self.activation,
            go_backwards,
            return_sequences,
        )

    def _step(self, inputs: list, seen: list, states: list) -> list[Tensor]:
        return [self.activation(self._products(inputs, seen)[0])]


@LAYERS.register()
class SimpleRNN(CellLayer):
    """h_t = activation(x_t W + b + h_{t-1} U). See SimpleRNNCell for the weights, RNN for the rest."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        self._start(SimpleRNNCell, "simple_rnn_cell", arguments_of(locals()), kwargs)
