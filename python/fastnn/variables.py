"""Variable: a tensor that a layer, metric or optimizer keeps, and the names that objects get."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _core, changes, config, initializers, kernels
from .random import check_seed, make_default_seed
from .tensor import Tensor, dtype_name, host_array

_counts: dict[str, int] = defaultdict(int)


def unique_name(base: str) -> str:
    """`base` the first time, then `base_1`, `base_2`, ...: Keras' names, per process."""
    n = _counts[base]
    _counts[base] += 1
    return base if n == 0 else f"{base}_{n}"


def clear_session(free_memory: bool = True) -> None:
    """Starts automatic names again from the first. Memory goes with its tensors, whatever `free_memory` says."""
    _counts.clear()


class _Allowance(threading.local):
    bytes_left: int | None = None  # None: no limit


_allowance = _Allowance()


@contextmanager
def at_most(total_bytes: int):
    """Inside, new variables may take no more memory than this: ValueError before it is taken.

    A file says how large its weights are and what model they belong to; a hostile one may describe a
    model of terabytes in a hundred bytes.
    """
    before, _allowance.bytes_left = _allowance.bytes_left, total_bytes
    try:
        yield
    finally:
        _allowance.bytes_left = before


def _spend(shape: tuple, dtype: str) -> None:
    if _allowance.bytes_left is not None:
        _allowance.bytes_left -= math.prod(shape) * np.dtype(dtype).itemsize
        if _allowance.bytes_left < 0:
            raise ValueError(f"a weight of shape {tuple(shape)} is more than the file has weights for")


class Variable(Tensor):
    """A named tensor whose values change: a weight, a metric's sum, an optimizer's state.

    Args:
      initializer: a value, or an initializer (object, name or function of (shape, dtype)) with
        `shape`.
      trainable: whether optimizers change it; gradients flow to trainable float variables.
    """

    def __init__(
        self,
        initializer: Any,
        shape: tuple | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        device: str | None = None,
    ):
        dtype = dtype_name(dtype) if dtype is not None else None
        if shape is None and not isinstance(initializer, str) and not callable(initializer):
            array = host_array(initializer, dtype)
        else:
            if shape is None:
                raise ValueError("a Variable made by an initializer needs a shape")
            make = initializers.get(initializer)
            _spend(tuple(shape), dtype or config.floatx())
            array = host_array(make(tuple(shape), dtype=dtype or config.floatx()), dtype or config.floatx())
        _core.Array.__init__(self, array.shape, array.dtype.name, device or config.device())
        self.assign_numpy(array)
        self.name = name or unique_name("variable")
        self.path = self.name
        self.regularizer: Any = None
        self.constraint: Any = None
        self._trainable = True
        self.trainable = trainable

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        changes.note()
        self.requires_grad = self._trainable and self.dtype.startswith("float")

    @property
    def value(self) -> Variable:
        return self

    def assign(self, value: Any) -> Variable:
        """Overwrites the values: with a tensor's (a kernel call), or with anything NumPy reads."""
        if isinstance(value, Tensor):
            if value.shape != self.shape:
                raise ValueError(f"cannot assign a tensor {value.shape} to variable {self.path} {self.shape}")
            if value.dtype != self.dtype:
                from .ops import cast

                value = cast(value, self.dtype)
            kernels.copy(value, self)
            return self
        array = host_array(value, self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"cannot assign an array {array.shape} to variable {self.path} {self.shape}")
        self.assign_numpy(array)  # contiguous already; ascontiguousarray would give a scalar an axis
        return self

    def assign_add(self, value: Any) -> Variable:
        from . import ops

        return self.assign(ops.add(self, value))

    def assign_sub(self, value: Any) -> Variable:
        from . import ops

        return self.assign(ops.subtract(self, value))

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"


class RandomState(Variable):
    """{seed_lo, seed_hi, step_lo, step_hi} as int32: what a layer draws from. Saved with the model,
    but not one of its weights.
    """

    def __init__(self, seed: int | None):
        seed = make_default_seed() if seed is None else check_seed(seed)
        super().__init__(seed_words(seed), dtype="int32", trainable=False, name="random_state")


def seed_words(seed: int) -> list[int]:
    """The first state of a stream: {seed_lo, seed_hi, 0, 0}, as int32."""
    low, high = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    return [n - 2**32 if n >= 2**31 else n for n in (low, high)] + [0, 0]
