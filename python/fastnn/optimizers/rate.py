"""The learning rate as something a recorded step can read: a float64 scalar tensor, and for a
schedule a table of the next rates, from which a kernel takes the one of the current step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, kernels
from ..schedules import LearningRateSchedule
from ..tensor import Tensor
from ..variables import Variable

TABLE_STEPS = 4096  # rates that a schedule is asked for at a time


def scalar(value: Any, dtype: str, name: str) -> Variable:
    """A scalar of an optimizer's state."""
    return Variable(np.asarray(value), dtype=dtype, trainable=False, name=name)


class LearningRate:
    """A number, a schedule of the step, or a function without arguments."""

    def __init__(self, source: Any):
        self.source: LearningRateSchedule | Callable[[], Any] | None = None
        self.value = scalar(0.0, "float64", "learning_rate")
        self._table = Tensor(np.zeros(TABLE_STEPS))
        self._first = scalar(0, "int32", "first")
        self._filled = False
        self.set(source)

    def set(self, source: Any) -> None:
        if isinstance(source, LearningRateSchedule) or (callable(source) and not isinstance(source, Tensor)):
            self.source, self._filled = source, False
            return
        if isinstance(self.source, LearningRateSchedule):
            raise TypeError(
                "this optimizer was made with a LearningRateSchedule, so its learning rate cannot "
                "be set; make it with a number instead"
            )
        try:
            rate = float(source)
        except (TypeError, ValueError):
            raise ValueError(
                f"learning_rate must be a number, a LearningRateSchedule or a function; received {source!r}"
            ) from None
        if isinstance(source, str) or not 0 <= rate < np.inf:
            raise ValueError(f"learning_rate must be a finite number, not below 0; received {source!r}")
        self.source = None
        self.value.assign(rate)

    def cover(self, step: int) -> int:
        """Makes the rates from `step` on known to recorded programs; returns of how many steps."""
        if not isinstance(self.source, LearningRateSchedule):
            return 2**31
        first = int(self._first)
        if not self._filled or not first <= step < first + TABLE_STEPS // 2:
            rates = [float(self.source(s)) for s in range(step, step + TABLE_STEPS)]
            self._table.assign_numpy(np.array(rates))
            self._first.assign(step)
            self._filled, first = True, step
        return first + TABLE_STEPS - step

    def prepare(self, iterations: Tensor) -> None:
        """Sets `value` for the step after `iterations` updates."""
        if self.source is None:
            return
        if isinstance(self.source, LearningRateSchedule):
            if _core.is_recording():
                kernels.schedule_rate(self._table, iterations, self._first, self.value)
            else:
                self.value.assign(float(self.source(int(iterations))))
        else:
            if _core.is_recording():
                _core.spoil("the learning rate is a Python function")
            self.value.assign(float(self.source()))
