"""Where a model's graph begins."""

from __future__ import annotations

from typing import Any

from .. import config
from ..symbolic import KerasTensor, record_call
from ..tensor import dtype_name
from ..variables import unique_name
from .base import LAYERS, Layer


@LAYERS.register()
class InputLayer(Layer):
    """Holds the shape and type of one input of a model; passes its input on."""

    by_row = True

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if sparse:
            raise ValueError("sparse inputs are not supported")
        if shape is None and batch_shape is None:
            shape = kwargs.pop("input_shape", None)
        if (shape is None) == (batch_shape is None):
            raise ValueError("InputLayer takes either shape or batch_shape")
        super().__init__(name=name, dtype=dtype, **kwargs)
        if batch_shape is None:
            sizes = (shape,) if hasattr(shape, "__index__") else tuple(shape)
            batch_shape = (batch_size, *sizes)
        elif batch_size is not None:
            raise ValueError("InputLayer takes either batch_size or batch_shape")
        for size in batch_shape:
            if size is not None and (not hasattr(size, "__index__") or size < 0):
                raise ValueError(f"an input's sizes are non-negative integers or None, got {tuple(batch_shape)}")
        self.batch_shape = tuple(None if size is None else int(size) for size in batch_shape)
        self.built = True
        self.tensor = record_call(self, (), {}, KerasTensor(self.batch_shape, self.dtype, self.name))

    @property
    def output(self) -> KerasTensor:
        return self.tensor

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return self.batch_shape

    def get_config(self) -> dict:
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "name": self.name}


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
) -> KerasTensor:
    """A symbolic tensor to start a model from: `Input((28, 28, 1))`; the batch axis is implied."""
    if tensor is not None:
        raise ValueError("Input(tensor=...) is not supported")
    name = name or unique_name("input_layer")
    dtype = dtype_name(dtype) if dtype is not None else config.floatx()
    return InputLayer(shape, batch_size, dtype, sparse, batch_shape, name).tensor
