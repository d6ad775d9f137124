"""SimpleRNN, LSTM and GRU: RNN around a cell of ours, with the cell's arguments."""

from __future__ import annotations

from ..base import InputSpec
from .rnn import RNN


def of_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name))


class CellLayer(RNN):
    """A layer whose arguments are its cell's."""

    def _start(self, cell_type: type, cell_name: str, arguments: dict, rest: dict) -> None:
        """From the constructor's arguments: those of the cell, and those of RNN."""
        own = (
            "return_sequences",
            "return_state",
            "go_backwards",
            "stateful",
            "unroll",
            "activity_regularizer",
        )
        for key in ("use_cudnn",):
            arguments.pop(key, None)
        mine = {key: arguments.pop(key) for key in own if key in arguments}
        if "implementation" in rest:
            arguments["implementation"] = rest.pop("implementation")
        shared = {key: rest[key] for key in ("dtype", "trainable") if key in rest}
        RNN.__init__(self, cell_type(**arguments, **shared, name=cell_name), **mine, **rest)
        self.input_spec = InputSpec(ndim=3)

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("cell", None)
        config.pop("use_cudnn", None)  # an argument of Keras without a meaning here
        return config


for _name in [
    "units",
    "activation",
    "use_bias",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "seed",
]:
    setattr(CellLayer, _name, of_cell(_name))


def arguments_of(values: dict) -> dict:
    return {key: v for key, v in values.items() if key not in ("self", "kwargs", "__class__")}
