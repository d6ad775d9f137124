"""What `result()` gives while a step is recorded."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core


class PendingResult:
    """A metric's result that is computed when somebody looks at it.

    A `train_step` may return `{m.name: m.result() for m in self.metrics}`: replayed steps do not come
    back to Python, so what they return must mean the metric, not its value in the first step.
    Computing with it inside of the step asks for the value, and the step is not replayed.
    """

    __array_priority__ = 100

    def __init__(self, read: Callable[[], Any]):
        self.read = read

    def numpy(self) -> Any:
        return self.read().numpy()

    def item(self) -> float:
        return float(self.read())

    __float__ = item

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.read(), dtype)

    def __repr__(self) -> str:
        return "<PendingResult>" if _core.is_recording() else repr(self.read())


def _operator(function: Callable, reflected: bool) -> Callable:
    def method(self: PendingResult, other: Any) -> Any:
        return function(other, self.read()) if reflected else function(self.read(), other)

    return method


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(PendingResult, f"__{_name}__", _operator(getattr(operator, _name), False))
    setattr(PendingResult, f"__r{_name}__", _operator(getattr(operator, _name), True))
for _name in ("lt", "le", "gt", "ge"):
    setattr(PendingResult, f"__{_name}__", _operator(getattr(operator, _name), False))


def deferred(result: Callable) -> Callable:
    """`result()` of a metric, put off while a step is recorded."""

    @functools.wraps(result)
    def read(self: Any) -> Any:
        value = functools.partial(result, self)
        return PendingResult(value) if _core.is_recording() else value()

    return read
