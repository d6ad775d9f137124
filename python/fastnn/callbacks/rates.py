"""Callbacks that set the learning rate: by a function of the epoch, or when a number stops
improving.
"""

from __future__ import annotations

import inspect
import warnings

import numpy as np

from fastnn.callbacks.base import Callback
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.progress import print_message


def _learning_rate(model) -> float:
    return float(np.asarray(model.optimizer.learning_rate))


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of every epoch to `schedule(epoch, learning_rate)`, or
    `schedule(epoch)`.

    Adds `learning_rate` to the logs, and so to the history.

    Raises:
      ValueError: the schedule returned something else than a float.
    """

    def __init__(self, schedule, verbose=0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        rate = self._call_schedule(epoch, _learning_rate(self.model))
        if not isinstance(rate, float | np.floating):
            raise ValueError(
                f"the schedule of LearningRateScheduler must return a float; received {rate!r} of "
                f"type {type(rate).__name__}"
            )
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def _call_schedule(self, epoch, rate):
        # Asking the signature, not catching TypeError: an error inside the schedule must come out
        # as it is.
        try:
            inspect.signature(self.schedule).bind(epoch, rate)
        except TypeError:
            return self.schedule(epoch)
        except ValueError:  # a builtin without a signature
            pass
        return self.schedule(epoch, rate)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = _learning_rate(self.model)


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    Args:
      factor: below 1.
      patience: epochs without improvement that are waited for.
      verbose: 1 prints what is done.
      mode: `"auto"`, `"min"` or `"max"`.
      min_delta: an improvement by less does not count.
      cooldown: epochs after a reduction that are not counted.
      min_lr: the rate is not reduced below this.

    Adds `learning_rate` (that of the epoch that has just ended) to the logs, and so to the history.
    """

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted just now."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs["learning_rate"] = _learning_rate(self.model)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                "available. "
                f"Available metrics are: {','.join(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch):
        old = _learning_rate(self.model)
        # The optimizer keeps float32: a rate that was set to min_lr reads back rounded, and must
        # not count as above it.
        if old <= np.float32(self.min_lr):
            return
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0
