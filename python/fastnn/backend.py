"""Keras' `backend` module: global settings and questions about types, under their old address."""

from __future__ import annotations

from typing import Any

from . import config
from .config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from .ops.promotion import common_type
from .symbolic import KerasTensor
from .tensor import Tensor, dtype_name
from .variables import clear_session, unique_name

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def standardize_dtype(dtype: Any) -> str:
    """The name of a type that tensors can have; `floatx()` for None."""
    return config.floatx() if dtype is None else dtype_name(dtype)


def is_float_dtype(dtype: Any) -> bool:
    return standardize_dtype(dtype).startswith("float")


def is_int_dtype(dtype: Any) -> bool:
    return standardize_dtype(dtype) in ("int32", "uint8")


def result_type(*dtypes: Any) -> str:
    """The type in which an op computes with operands of these types; int and float are Python numbers."""
    samples: list[Any] = [1.0 if d is float else 1 if d is int else Tensor([], dtype_name(d)) for d in dtypes]
    return common_type(*samples)


def is_keras_tensor(x: Any) -> bool:
    """True for a symbolic tensor."""
    return isinstance(x, KerasTensor)


def get_uid(prefix: str = "") -> int:
    """A number that this prefix did not have before, from 1 on."""
    _, _, number = unique_name(f"{prefix}_uid").rpartition("_")
    return int(number) + 1 if number.isdigit() else 1
