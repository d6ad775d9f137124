"""Callbacks that save: `ModelCheckpoint` files to keep, `BackupAndRestore` one to resume from."""

from __future__ import annotations

import os
import shutil
import warnings

import numpy as np

from fastnn.callbacks.base import Callback
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.progress import print_message
from fastnn.random import global_seed_generator
from fastnn.saving.models import load_training, save_training

MODEL_SUFFIX = ".fnn"
WEIGHTS_SUFFIX = ".weights.fnn"


class _EveryNBatches:
    """Counts batches for `save_freq=n`."""

    def __init__(self, save_freq):
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"save_freq must be 'epoch' or a positive number of batches; received {save_freq!r}")
        self.n = None if save_freq == "epoch" else save_freq
        self.seen = 0
        self.last = -1

    def is_due(self, batch) -> bool:
        # With steps_per_execution the hook is called once for several batches; a smaller number is
        # a new epoch.
        self.seen += batch - self.last if batch > self.last else batch + 1
        self.last = batch
        if self.seen < self.n:
            return False
        self.seen = 0
        return True


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, after every epoch or every `save_freq` batches.

    Args:
      filepath: ends in `.fnn`, or `.weights.fnn` with `save_weights_only`; may contain
        `{epoch:02d}` (from 1), `{batch}` and any key of the logs, `{val_loss:.2f}`.
      monitor, mode: what is compared for `save_best_only`.
      verbose: 1 prints what is done.
      save_best_only: save only when `monitor` improves.
      save_weights_only: `model.save_weights` instead of `model.save`.
      save_freq: `"epoch"` or a number of batches.
      initial_value_threshold: the first value to beat.
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._counter = _EveryNBatches(save_freq)
        self._epoch = 0
        _check_suffix(self.filepath, save_weights_only)

    def overrides(self, hook):
        if hook == "on_train_batch_end" and type(self).on_train_batch_end is ModelCheckpoint.on_train_batch_end:
            return self.save_freq != "epoch"
        return super().overrides(hook)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self._counter.is_due(batch):
            self._save(self._epoch, logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch, logs, **batch):
        path = self._path(epoch, {**batch, **logs})
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if self.verbose > 0 and not self.save_best_only:
            print_message(f"\nEpoch {epoch + 1}: saving model to {path}")
        if os.path.isdir(path):
            raise OSError(f"ModelCheckpoint cannot save to {path}: there is a directory of that name")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch, values):
        try:
            return self.filepath.format(epoch=epoch + 1, **values)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint's filepath {self.filepath!r} needs {error}; there are: epoch, {', '.join(values)}"
            ) from None

    def _is_best(self, epoch, logs, path):
        current = logs.get(self.monitor)
        if current is None or np.ndim(current) > 0:
            warnings.warn(
                f"ModelCheckpoint can save only the best model with a number `{self.monitor}` in "
                "the logs; saving this one. "
                f"Available metrics are: {','.join(logs)}",
                stacklevel=2,
            )
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        improved = self.is_improvement(current, self.best)
        if self.verbose > 0:
            print_message(
                f"\nEpoch {epoch + 1}: {self.monitor} "
                + (
                    f"improved from {before} to {current:.5f}, saving model to {path}"
                    if improved
                    else f"did not improve from {before}"
                )
            )
        if improved:
            self.best = current
        return improved


def _check_suffix(path, weights_only):
    expected = WEIGHTS_SUFFIX if weights_only else MODEL_SUFFIX
    if path.endswith((".keras", ".h5")):
        instead = path.removesuffix(".h5").removesuffix(".weights").removesuffix(".keras") + expected
        raise ValueError(f"ModelCheckpoint cannot write Keras' own file formats; received {path!r}, write {instead!r}")
    if not path.endswith(expected):
        raise ValueError(
            f"with save_weights_only={weights_only} the filepath of ModelCheckpoint must end in "
            f"{expected!r}; received {path!r}"
        )
    if not weights_only and path.endswith(WEIGHTS_SUFFIX):
        raise ValueError(f"{path!r} ends like a file of weights: pass save_weights_only=True, or another name")


class BackupAndRestore(Callback):
    """Keep a backup of an unfinished `fit`, and go on from it when the same script is started
    again.

    Args:
      backup_dir: a directory of its own.
      save_freq: `"epoch"` or a number of batches; `fit` resumes at the beginning of the epoch that
        was interrupted (as in Keras).
      double_checkpoint: keep the backup before the last, too, for the case that the last cannot be
        read.
      delete_checkpoint: remove `backup_dir` when `fit` has ended.

    What is kept, in one file that is replaced as a whole: the weights, the optimizer's state, the
    state of random numbers, and the number of the epoch. A `fit` on arrays that goes on from the end
    of an epoch therefore ends with the bits that it would have had without the interruption.
    `model._initial_epoch` is set.
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError("backup_dir of BackupAndRestore must not be empty")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._counter = _EveryNBatches(save_freq)
        self._current_epoch = 0
        self._path = os.path.join(self.backup_dir, f"latest{MODEL_SUFFIX}")
        self._previous = os.path.join(self.backup_dir, f"previous{MODEL_SUFFIX}")

    def overrides(self, hook):
        if hook == "on_train_batch_end" and type(self).on_train_batch_end is BackupAndRestore.on_train_batch_end:
            return self.save_freq != "epoch"
        return super().overrides(hook)

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                "BackupAndRestore needs a model that is built: give it an Input, or call it on a batch, before fit"
            )
        if not os.path.exists(self._path):
            return
        try:
            self._restore(self._path)
        except (OSError, ValueError):
            if not os.path.exists(self._previous):
                raise
            self._restore(self._previous)

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self._counter.is_due(batch):
            self._save(batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._current_epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(0)

    def on_train_end(self, logs=None):
        if self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)

    def _save(self, batch):
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            shutil.copyfile(self._path, self._previous)
        stream = [int(n) for n in global_seed_generator().state]
        save_training(self.model, self._path, {"epoch": self._current_epoch, "batch": batch, "random": stream})

    def _restore(self, path):
        found = load_training(self.model, path)
        epoch, stream = found.get("epoch"), found.get("random")
        plain = isinstance(stream, list) and len(stream) == 2 and all(type(n) is int for n in stream)
        if type(epoch) is not int or epoch < 0 or not plain:
            raise ValueError(f"{path} is not a backup of BackupAndRestore")
        global_seed_generator().state = stream
        self.model._initial_epoch = self._current_epoch = epoch
