"""fit: how training steps are repeated. The loops without learning stand in `evaluation.py` and `prediction.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import callbacks as callbacks_module
from . import config, kernels
from .capture import Capture
from .data import Arrays, Passes, batch_size_or_default, unpack_x_y_sample_weight, where_not_finite, whole_number
from .evaluation import Evaluation
from .progress import Progress
from .streams import Stream, grouped, is_stream, warn_of_too_little_data
from .tensor import empty


class Loops(Evaluation):
    """The part of a model that goes over data and learns."""

    on_nan: str
    history: Any
    stop_training: bool
    _initial_epoch: int  # set by BackupAndRestore

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains for `epochs` passes over the data; returns the History.

        x, y: arrays, lists or dicts of arrays, DataFrames; or a generator, iterator or dataset of
        (x, y[, sample_weight]) batches. `validation_split` takes the last rows, before shuffling.
        `steps_per_epoch` may cut a pass over arrays into several epochs.
        """
        self._require_compiled("fit")
        self.stop_training = False
        epochs, initial_epoch = whole_number("epochs", epochs, 0), whole_number("initial_epoch", initial_epoch, 0)
        steps_per_epoch = whole_number("steps_per_epoch", steps_per_epoch, 1)
        validation_steps = whole_number("validation_steps", validation_steps, 1)
        source, validation = self._sources(
            x, y, sample_weight, class_weight, validation_split, validation_data, steps_per_epoch
        )
        is_due = _due_epochs(validation_freq) if validation is not None else None
        batch = batch_size_or_default(batch_size)
        if isinstance(source, Arrays):
            source = Passes(source, batch, shuffle, steps_per_epoch)
        if isinstance(validation, Arrays):
            validation = Passes(
                validation, batch_size_or_default(validation_batch_size or batch_size), False, validation_steps
            )
        steps = steps_per_epoch or source.length
        progress = Progress(verbose)
        called = callbacks if isinstance(callbacks, callbacks_module.CallbackList) else None
        if called is None:
            called = callbacks_module.CallbackList(
                callbacks, add_history=True, model=self, verbose=0, epochs=epochs, steps=steps
            )
        self._nan_watchers = [c for c in called.callbacks if isinstance(c, callbacks_module.TerminateOnNaN)]
        if self._nan_watchers and not hasattr(self, "_finite_steps"):
            self._finite_steps = empty((), "float64", config.device())
        self._initial_epoch = 0
        called.on_train_begin()
        initial_epoch = self._initial_epoch or initial_epoch
        progress.start(epochs=epochs, steps=steps, initial_epoch=initial_epoch)
        logs: dict[str, Any] | None = {}
        validated = False
        try:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                if self._nan_watchers:
                    kernels.fill(self._finite_steps, 0.0)
                called.on_epoch_begin(epoch)
                if isinstance(source, Passes):
                    logs = self._train_arrays(source, called, progress, epoch)
                else:
                    logs = self._train_stream(source, steps_per_epoch, class_weight, called, progress, epoch)
                if logs is None:
                    if epoch == initial_epoch:
                        raise ValueError("the data handed over no batch")
                    warn_of_too_little_data("training")
                    break
                if is_due is not None and is_due(epoch):
                    values = self._evaluate(validation, validation_steps, called, None)
                    if values is not None:
                        logs.update({f"val_{k}": v for k, v in values.items()})
                        validated = True
                    elif validated:
                        warn_of_too_little_data("validation")
                    else:
                        raise ValueError("validation_data handed over no batch")
                logs = called.on_epoch_end(epoch, logs)
                progress.end_epoch(logs)
                if self.stop_training:
                    break
        except KeyboardInterrupt:
            progress.interrupt()
            raise
        except FloatingPointError as error:
            found = where_not_finite(source.source.structure) if isinstance(source, Passes) else ""
            if not found:
                raise
            raise FloatingPointError(f"{error} {found}.") from None
        finally:
            self._nan_watchers = []
            if self.optimizer.built:
                self.optimizer.finalize_variable_values(self.trainable_variables)
        called.on_train_end(logs)
        return self.history

    def _sources(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, split: Any, validation: Any, steps: int | None
    ) -> tuple[Any, Any]:
        if x is None:
            raise ValueError("fit() needs training data x")
        if is_stream(x):
            if y is not None or sample_weight is not None:
                raise ValueError("x hands over batches by itself, so y and sample_weight must be part of them")
            if split:
                raise ValueError("validation_split needs arrays; pass validation_data")
            source: Any = Stream(x, steps)
        else:
            source = Arrays(x, y, sample_weight)
            if source.rows == 0:
                raise ValueError("fit() got arrays without rows")
        held_out = None if validation is None else _validation_source(validation)
        if isinstance(held_out, Arrays) and held_out.rows == 0:
            raise ValueError("validation_data has no rows")
        if held_out is None and split:
            if not isinstance(split, (int, float)) or not 0 < split < 1:
                raise ValueError(f"validation_split lies between 0 and 1, got {split!r}")
            cut = math.floor(source.rows * (1 - split))
            if cut == 0 or cut == source.rows:
                raise ValueError(f"validation_split={split} of {source.rows} rows leaves one side empty")
            source, held_out = source.part(0, cut), source.part(cut, source.rows)
        if class_weight and isinstance(source, Arrays):  # of training alone, as in Keras
            source = Arrays(*source.structure, class_weight)
        return source, held_out

    def _train_arrays(self, passes: Passes, called: Any, progress: Progress, epoch: int) -> dict:
        passes.begin_epoch()
        capture: Capture | None = None
        done, logs = 0, {}
        while done < passes.steps:
            if not passes.left:
                warn_of_too_little_data("training")
                break
            first, goal = done, passes.steps
            if called.needs_batches:
                goal = min(goal, done + self.steps_per_execution)
                called.on_train_batch_begin(first)
            goal = min(goal, done + passes.left)
            while done < goal:
                capture, ran = self._run_some(passes, goal - done, True)
                done += ran
                if done == goal or not called.needs_batches:
                    last = first + self.steps_per_execution - 1
                    logs = self._after_batches(capture, called, progress, last, done, epoch)
                    if self.stop_training:
                        break
            if self.stop_training:
                break
        return logs if logs and called.needs_batches else self._logs(capture and capture.logs)

    def _after_batches(
        self, capture: Capture, called: Any, progress: Progress, batch: int, done: int, epoch: int
    ) -> dict:
        """What happens when the interpreter is back, `done` steps into the epoch."""
        logs: dict[str, Any] = {}
        if called.needs_batches or progress.is_due:
            logs = self._logs(capture.logs)
        if called.needs_batches:
            called.on_train_batch_end(batch, logs)
        self._check_loss(epoch, done, called.needs_batches)
        progress.update(done, logs)
        return logs

    def _check_loss(self, epoch: int, done: int, watchers_saw_it: bool) -> None:
        total = self._loss_tracker.total.item()
        if math.isfinite(total):
            return
        if self._nan_watchers:
            if watchers_saw_it:
                return
            count = self._loss_tracker.count.item()
            for watcher in self._nan_watchers:
                watcher.terminate(int(self._finite_steps.item()), total / count if count else total)
        elif self.on_nan == "raise" and math.isnan(total):
            self._raise_nan(epoch, done)

    def _raise_nan(self, epoch: int, done: int) -> None:
        broken = [w.path for w in self.weights if w.dtype.startswith("float") and not np.isfinite(w.numpy()).all()]
        where = f"; first weights that are not finite: {broken[0]}" if broken else "; all weights are still finite"
        raise FloatingPointError(
            f"the loss became NaN in epoch {epoch + 1}, by step {done}{where}. "
            "Try a smaller learning rate or clipnorm, and look for NaN in the data; "
            "compile(on_nan='ignore') trains on."
        )

    def _train_stream(
        self, source: Stream, steps: int | None, class_weight: Any, called: Any, progress: Progress, epoch: int
    ) -> dict | None:
        """An epoch over what others hand over; None if that has come to its end."""
        capture: Capture | None = None
        done = 0
        source.begin_epoch()
        for group in grouped(source.batches(steps), self.steps_per_execution):
            if called.needs_batches:
                called.on_train_batch_begin(done)
            if class_weight:
                group = [Arrays(*unpack_x_y_sample_weight(batch), class_weight).structure for batch in group]
            capture = self._run_group("train", self.train_step, group)
            last = done + self.steps_per_execution - 1
            done += len(group)
            self._after_batches(capture, called, progress, last, done, epoch)
            if self.stop_training:
                break
        if capture is None:
            return None
        if steps is not None and done < steps and not self.stop_training:
            warn_of_too_little_data("training")
        source.end_epoch()
        return self._logs(capture.logs)


def _due_epochs(frequency: Any) -> Callable[[int], bool]:
    """Whether an epoch, from 0 on, is followed by validation."""
    if isinstance(frequency, (list, tuple, set)):
        return lambda epoch: epoch + 1 in frequency
    if not hasattr(frequency, "__index__"):
        raise ValueError(f"validation_freq is an integer or a list of epochs, got {frequency!r}")
    every = whole_number("validation_freq", frequency, 1)
    return lambda epoch: (epoch + 1) % every == 0


def _validation_source(validation: Any) -> Any:
    if is_stream(validation):
        return Stream(validation)
    return Arrays(*unpack_x_y_sample_weight(tuple(validation) if isinstance(validation, list) else validation))
