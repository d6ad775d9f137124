"""Gated recurrent unit. Cho et al. 2014, arXiv:1406.1078."""

from __future__ import annotations

from typing import Any

from ... import activations, ops
from ...tensor import Tensor
from ..base import LAYERS
from .cell import GatedCell, Masks
from .cell_layer import CellLayer, arguments_of, of_cell


@LAYERS.register()
class GRUCell(GatedCell):
    """Gated recurrent unit: h_t = z h_{t-1} + (1 - z) hh.

    Weights: kernel (in, 3 units), recurrent_kernel (units, 3 units), gates in the order z, r, h; bias
    (2, 3 units), for the input and for the state, with reset_after, else (3 units,). Cho et al. 2014.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
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
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _run(
        self, x: Tensor, states: list, mask: Any, masks: Masks, go_backwards: bool, return_sequences: bool
    ) -> tuple:
        return ops.gru(
            x,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            *states,
            mask,
            *masks,
            self.activation,
            self.recurrent_activation,
            self.reset_after,
            go_backwards,
            return_sequences,
        )

    def _step(self, inputs: list, seen: list, states: list) -> list[Tensor]:
        def side(x: Tensor, w: Tensor, bias: Tensor | None, g: int) -> Tensor:
            y = ops.matmul(x, self._columns(w, g))
            return y if bias is None else ops.add(y, self._columns(bias, g))

        b: Any = self.bias
        rb = None
        if b is not None and self.reset_after:
            b, rb = b[0], b[1]
        x = [side(inputs[g], self.kernel, b, g) for g in range(3)]
        h = [side(seen[g], self.recurrent_kernel, rb, g) for g in range(3 if self.reset_after else 2)]
        z, r = (self.recurrent_activation(ops.add(x[g], h[g])) for g in (0, 1))
        if self.reset_after:
            inner = ops.multiply(r, h[2])
        else:
            inner = side(ops.multiply(r, seen[2]), self.recurrent_kernel, None, 2)
        candidate = self.activation(ops.add(x[2], inner))
        return [ops.add(ops.multiply(z, states[0]), ops.multiply(ops.subtract(1.0, z), candidate))]


@LAYERS.register()
class GRU(CellLayer):
    """Gated recurrent unit. See GRUCell for formulas and weights, RNN for the rest."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._start(GRUCell, "gru_cell", arguments_of(locals()), kwargs)

    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")
