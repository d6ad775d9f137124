"""Callbacks that write down what happens: `History`, `CSVLogger`; and `TerminateOnNaN`, which reads
the loss only.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable

import numpy as np

from fastnn.callbacks.base import Callback
from fastnn.progress import print_message
from fastnn.utils import optional_import


class History(Callback):
    """What `fit` returns.

    Attributes:
      epoch: the epochs (from 0) of the last `fit`.
      history: `{"loss": [one value per epoch], ..., "val_loss": [...]}`.
    """

    def __init__(self):
        super().__init__()
        self.epoch = []
        self.history = {}

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self

    def to_pandas(self):
        """The history as a DataFrame, one row per epoch."""
        pandas = optional_import("pandas", install="pandas")
        return pandas.DataFrame(self.history, index=pandas.Index(self._epochs(), name="epoch"))

    def plot(self, metrics=None, axes=None):
        """Draw every metric with its `val_` twin against the epoch.

        Args:
          metrics: names without `val_`; None takes all, except the learning rate.
          axes: matplotlib axes to draw on, one per metric; None makes a figure of its own.

        Returns:
          The figure.
        """
        if not self.history:
            raise ValueError("there is nothing to plot yet: the history is empty")
        names = [name.removeprefix("val_") for name in self.history] if metrics is None else metrics
        names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(names))
        if metrics is None:
            names = [name for name in names if name != "learning_rate"] or names
        unknown = [name for name in names if name not in self.history and f"val_{name}" not in self.history]
        if unknown:
            raise ValueError(f"the history has no {unknown[0]!r}; it has {', '.join(self.history)}")
        pyplot = optional_import("matplotlib.pyplot", install="fastnn-ml[plot]")
        if axes is None:
            _, axes = pyplot.subplots(1, len(names), figsize=(5 * len(names), 4), squeeze=False, layout="constrained")
        axes = np.ravel(axes)
        if len(axes) != len(names):
            raise ValueError(f"there are {len(axes)} axes for {len(names)} metrics: {', '.join(names)}")
        for axis, name in zip(axes, names, strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                if key in self.history:
                    axis.plot(self._epochs(), self.history[key], label=label)
            axis.set(xlabel="epoch", ylabel=name)
            axis.grid(alpha=0.3)
            axis.legend()
        return axes[0].figure

    def _epochs(self):
        """Epochs from 1; after several calls of `fit` the values of all of them follow one "
        "another."""
        return list(range(1, 1 + max(map(len, self.history.values()), default=0)))


class CSVLogger(Callback):
    """Append one line per epoch to a text file: `epoch` (from 0), then the metrics in alphabetical
    order.

    Args:
      filename: path of the file.
      separator: between the columns.
      append: go on in a file that exists, without a second header.
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys = None
        self._file = None
        self._writer = None

    def on_train_begin(self, logs=None):
        self._close()
        has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._needs_header = not has_header
        self.keys = None

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            # Validation may begin later (validation_freq), but columns cannot: they are there from
            # the first line.
            if self.keys and not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            self._writer = csv.writer(self._file, delimiter=self.sep)
            if self._needs_header:
                self._writer.writerow(["epoch", *self.keys])
                self._needs_header = False
        self._writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self._file.flush()

    def on_train_end(self, logs=None):
        self._close()

    def _close(self):
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


def _cell(value):
    if isinstance(value, Iterable) and not isinstance(value, str) and np.ndim(value) > 0:
        return f'"[{", ".join(map(str, value))}]"'
    return value


class TerminateOnNaN(Callback):
    """Stop training at the first batch whose loss is NaN or infinite.

    Args:
      raise_error: raise RuntimeError instead of ending `fit` in the ordinary way.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    @property
    def needs_every_batch(self):
        # fit looks at the loss by itself whenever it is back in Python, and knows which batch was the
        # first; asking for every batch would make all training slow.
        return type(self).on_batch_end is not TerminateOnNaN.on_batch_end

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self.terminate(batch, loss)

    def terminate(self, batch, loss):
        """What happens at such a loss."""
        if self.raise_error:
            raise RuntimeError(f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}.")
        print_message(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
