"""Trainer: compile, fit, evaluate, predict.

A step is written once, as the Python of a lecture (`train_step`), and runs through a Capture: the
first batch eagerly, the others replayed. On arrays, whole epochs are handed to C++ and Python comes
back at most every 50 ms, for the progress bar and for Ctrl-C.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import autograd, config, ops, optimizers
from . import callbacks as callbacks_module
from .capture import Capture
from .compiled import CompiledLoss, CompiledMetrics
from .data import Arrays, Stream, is_stream, unpack_x_y_sample_weight
from .metrics import Mean
from .metrics.pending import PendingResult
from .progress import Progress
from .symbolic import flatten, map_structure
from .tensor import Tensor, empty

# How long C++ keeps the interpreter: Ctrl-C is answered and the bar redrawn after at most this.
_SLICE_SECONDS = 0.05


class Slots:
    """Tensors of fixed place that batches are copied into, for steps fed from outside."""

    def __init__(self, structure: Any):
        self.structure = map_structure(
            lambda a: None if a is None else empty(a.shape, a.dtype.name, config.device()), structure
        )

    def fill(self, structure: Any) -> None:
        for slot, array in zip(flatten(self.structure), flatten(structure)):
            if slot is not None:
                slot.assign_numpy(np.ascontiguousarray(array))


def _signature(structure: Any) -> tuple:
    return tuple(None if a is None else (a.shape, a.dtype.name) for a in flatten(structure))


class Trainer:
    """The training half of a model; the other half is being a Layer."""

    def __init__(self) -> None:
        self.compiled = False
        self.optimizer: Any = None
        self.loss: Any = None
        self.stop_training = False
        self.run_eagerly = False
        self.history: Any = None
        self._loss_tracker: Any = None
        self._terminates_on_nan = False
        self._captures: dict[tuple, tuple[Capture, Slots]] = {}

    # --- compile -------------------------------------------------------------------------------
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        on_nan: str = "raise",
    ) -> None:
        """Sets optimizer, loss and metrics, by name or as objects.

        `run_eagerly=True` runs every step as Python. `steps_per_execution`, `jit_compile` and
        `auto_scale_loss` are accepted for compatibility: epochs run in C++ anyway. `on_nan` says
        what a NaN loss does in fit: "raise" (FloatingPointError naming the layer) or "ignore".
        """
        if on_nan not in ("raise", "ignore"):
            raise ValueError(f"on_nan is 'raise' or 'ignore', got {on_nan!r}")
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self.run_eagerly = bool(run_eagerly)
        self.on_nan = on_nan
        self._compile_arguments = dict(
            optimizer=optimizer, loss=loss, loss_weights=loss_weights, metrics=metrics,
            weighted_metrics=weighted_metrics, run_eagerly=run_eagerly,
        )  # fmt: skip
        self._compiled_loss = CompiledLoss(loss, loss_weights) if loss is not None else None
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics)
        self._loss_tracker = Mean(name="loss")
        self._part_trackers: dict[str, Any] = {}
        self._captures.clear()
        self.stop_training = False
        self.compiled = True

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise ValueError(f"call compile() before {what}()")

    # --- one step, as Python -------------------------------------------------------------------
    def train_step(self, data: tuple) -> dict[str, Any] | None:
        """One optimization step on (x, y, sample_weight). May be overridden, as in Keras."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        self._clear_losses()
        y_pred = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self._track_loss(loss, x)
        variables = self.trainable_variables
        if variables:
            optimizer = self.optimizer
            if not optimizer.built:
                optimizer.build(variables)
            # The gradients land where the optimizer reads them, unless it was built for others.
            slots = optimizer.gradient_slots if optimizer.works_for(variables) else None
            gradients = autograd.gradients(loss, variables, slots=slots)
            optimizer.apply_gradients(zip(gradients, variables))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: tuple) -> dict[str, Any] | None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        self._clear_losses()
        with autograd.no_grad():
            y_pred = self(x, training=False)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
            self._track_loss(loss, x)
            return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        x, _, _ = unpack_x_y_sample_weight(data)
        with autograd.no_grad():
            return self(x, training=False)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The compiled loss plus added and regularization losses."""
        total = None
        if self._compiled_loss is not None:
            total = self._compiled_loss(self, y, y_pred, sample_weight)
        for extra in self.losses:
            extra = extra if extra.ndim == 0 else ops.sum(extra)
            total = extra if total is None else ops.add(total, extra)
        if total is None:
            raise ValueError("there is no loss to compute: pass loss= to compile(), or use add_loss()")
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any] | None:
        """Updates the compiled metrics. Override to return a dict of values instead."""
        self._compiled_metrics.update(self, y, y_pred, sample_weight)
        return None

    def _track_loss(self, loss: Tensor, x: Any) -> None:
        batch = flatten(x)[0].shape[0]
        self._loss_tracker.add(loss, batch)
        parts = self._compiled_loss.parts if self._compiled_loss is not None else []
        if len(parts) > 1:
            for name, value in parts:
                if name not in self._part_trackers:
                    self._part_trackers[name] = Mean(name=f"{name}_loss")
                self._part_trackers[name].add(value, batch)

    # --- metrics -------------------------------------------------------------------------------
    @property
    def metrics(self) -> list[Any]:
        own = super().metrics  # type: ignore[misc]
        if not self.compiled:
            return own
        return [self._loss_tracker, *self._part_trackers.values(), *self._compiled_metrics.metrics, *own]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        for m in self.metrics:
            m.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The running values as numbers (arrays for metrics with several)."""
        values = {"loss": self._loss_tracker.result()}
        values.update({m.name: m.result() for m in self._part_trackers.values()})
        values.update(self._compiled_metrics.results())
        return {k: _number(v) for k, v in values.items()}

    def _logs(self, step_logs: dict | None) -> dict[str, Any]:
        if step_logs is None:
            return self.get_metrics_result()
        return {k: _number(v) for k, v in step_logs.items()}

    # --- captures ------------------------------------------------------------------------------
    def _versions(self) -> tuple:
        def walk(layer: Any) -> list[int]:
            return [layer.version, *(v for s in layer._sublayers for v in walk(s))]

        return tuple(walk(self))

    def _new_capture(self, step: Any, batch: Any) -> Capture:
        """Captures step(batch())."""
        return Capture(lambda: step(batch()), config.device(), eager=self.run_eagerly, version=self._versions)

    def _fed_capture(self, mode: str, step: Any, structure: Any) -> tuple[Capture, Slots]:
        """The capture of a step that is fed through slots, by the shapes of its batch."""
        key = (mode, _signature(structure), self._versions(), config.device(), self.run_eagerly)
        if key not in self._captures:
            if len(self._captures) >= 32:  # ragged batches: do not hoard a program for every length
                self._captures.pop(next(iter(self._captures)))
            slots = Slots(structure)
            self._captures[key] = (self._new_capture(step, lambda: slots.structure), slots)
        return self._captures[key]

    # --- fit -----------------------------------------------------------------------------------
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
        """
        self._require_compiled("fit")
        self.stop_training = False
        source, validation = self._sources(
            x, y, sample_weight, class_weight, validation_split, validation_data, steps_per_epoch
        )
        batch = _batch_size(batch_size)
        steps = steps_per_epoch or (source.steps(batch) if isinstance(source, Arrays) else source.length)
        progress = Progress(verbose)
        called = callbacks if isinstance(callbacks, callbacks_module.CallbackList) else None
        if called is None:
            called = callbacks_module.CallbackList(
                callbacks, add_history=True, model=self, verbose=0, epochs=epochs, steps=steps
            )
        self._terminates_on_nan = any(isinstance(c, callbacks_module.TerminateOnNaN) for c in called.callbacks)
        self._initial_epoch: int | None = None  # set by BackupAndRestore
        called.on_train_begin()
        initial_epoch = self._initial_epoch or initial_epoch
        progress.start(epochs=epochs, steps=steps, initial_epoch=initial_epoch)
        logs: dict[str, Any] = {}
        caches: tuple[dict, dict] = ({}, {})  # captures of training and of validation on arrays
        try:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                called.on_epoch_begin(epoch)
                if isinstance(source, Arrays):
                    logs = self._train_arrays(
                        source, batch, shuffle, steps_per_epoch, called, progress, epoch, caches[0]
                    )
                else:
                    logs = self._train_stream(source, steps_per_epoch, class_weight, called, progress, epoch)
                if validation is not None and _is_due(epoch, validation_freq):
                    values = self._evaluate(
                        validation, validation_batch_size or batch_size, validation_steps, called, None, caches[1]
                    )
                    logs.update({f"val_{k}": v for k, v in values.items()})
                logs = called.on_epoch_end(epoch, logs)
                progress.end_epoch(logs)
                if self.stop_training:
                    break
        except KeyboardInterrupt:
            progress.interrupt()
            raise
        called.on_train_end(logs)
        return self.history

    def _sources(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, split: float, validation: Any, steps: int | None
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
        if held_out is None and split:
            if not 0 < split < 1:
                raise ValueError(f"validation_split lies between 0 and 1, got {split}")
            cut = math.floor(source.rows * (1 - split))
            if cut == 0 or cut == source.rows:
                raise ValueError(f"validation_split={split} of {source.rows} rows leaves one side empty")
            source, held_out = source.part(0, cut), source.part(cut, source.rows)
        if class_weight and isinstance(source, Arrays):  # of training alone, as in Keras
            source = Arrays(*source.structure, class_weight)
        return source, held_out

    def _array_steps(self, source: Arrays, batch: int, step: Any, cache: dict) -> list[tuple[Capture, Tensor, int]]:
        """(capture, index slot, number of batches) for the full batches and for the last, short one."""
        version = (self._versions(), self.run_eagerly)
        if cache.get("version") != version:
            cache.clear()
            cache["version"] = version
        parts = []
        for size, count in ((batch, source.rows // batch), (source.rows % batch, 1)):
            if not size or not count:
                continue
            if size not in cache:
                slot = empty((size,), "int32", config.device())
                cache[size] = (self._new_capture(step, lambda slot=slot: source.gather(slot)), slot)
            parts.append((*cache[size], count))
        return parts

    def _train_arrays(
        self, source: Arrays, batch: int, shuffle: bool, limit: int | None, called: Any, progress: Progress,
        epoch: int, cache: dict,
    ) -> dict:  # fmt: skip
        order = source.order(shuffle)
        steps = source.steps(batch) if limit is None else limit
        done = 0
        logs: dict[str, Any] = {}
        while done < steps:
            position = 0
            for capture, slot, count in self._array_steps(source, batch, self.train_step, cache):
                part = order[position : position + count * slot.shape[0]]
                position += len(part)
                at = 0
                while at < count and done < steps:
                    stop = count if not called.needs_batches else at + 1
                    stop = min(stop, at + steps - done, at + self.optimizer.cover())
                    if called.needs_batches:
                        called.on_train_batch_begin(done)
                    reached = capture.run_batches(part, slot, at, stop, _SLICE_SECONDS)
                    done += reached - at
                    at = reached
                    logs = self._after_batches(capture, called, progress, done, steps, epoch)
                    if self.stop_training:
                        return self._logs(capture.logs)
            if done < steps and shuffle:
                order = source.order(shuffle)
        return self._logs(capture.logs) if not logs or not called.needs_batches else logs

    def _after_batches(
        self, capture: Capture, called: Any, progress: Progress, done: int, steps: int | None, epoch: int
    ) -> dict:
        logs: dict[str, Any] = {}
        if called.needs_batches or progress.is_due:
            logs = self._logs(capture.logs)
        if called.needs_batches:
            called.on_train_batch_end(done - 1, logs)
        self._check_nan(epoch, done)
        progress.update(done, logs)
        return logs

    def _check_nan(self, epoch: int, done: int) -> None:
        if self.on_nan == "ignore" or math.isfinite(total := self._loss_tracker.total.item()):
            return
        if math.isinf(total):
            return
        broken = [w.path for w in self.weights if w.dtype.startswith("float") and not np.isfinite(w.numpy()).all()]
        if self._terminates_on_nan:
            return
        where = f"; first weights that are not finite: {broken[0]}" if broken else "; all weights are still finite"
        raise FloatingPointError(
            f"the loss became NaN in epoch {epoch + 1}, by step {done}{where}. "
            "Try a smaller learning rate or clipnorm, and look for NaN in the data; "
            "compile(on_nan='ignore') trains on."
        )

    def _train_stream(
        self, source: Stream, steps: int | None, class_weight: Any, called: Any, progress: Progress, epoch: int
    ) -> dict:
        done = 0
        capture = None
        for x, y, w in source.batches(steps):
            if class_weight:
                weighted = Arrays(x, y, w, class_weight)
                x, y, w = weighted.structure
            capture, slots = self._fed_capture("train", self.train_step, (x, y, w))
            slots.fill((x, y, w))
            if called.needs_batches:
                called.on_train_batch_begin(done)
            self.optimizer.cover()
            capture.run()
            done += 1
            self._after_batches(capture, called, progress, done, steps, epoch)
            if self.stop_training:
                break
        if capture is None:
            raise ValueError("the data handed over no batch; a generator must go on for all epochs")
        source.end_epoch()
        return self._logs(capture.logs)

    # --- evaluate ------------------------------------------------------------------------------
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics over the data: a list in order, or a dict; a number if only the loss."""
        self._require_compiled("evaluate")
        source = Stream(x, steps) if is_stream(x) else Arrays(x, y, sample_weight)
        progress = Progress(verbose)
        called = callbacks_module.CallbackList(callbacks, model=self)
        progress.start(steps=source.steps(_batch_size(batch_size)) if isinstance(source, Arrays) else source.length)
        values = self._evaluate(source, batch_size, steps, called, progress, {})
        progress.end_epoch(values)
        if return_dict:
            return values
        flat = list(values.values())
        return flat[0] if len(flat) == 1 else flat

    def _evaluate(
        self, source: Any, batch_size: int | None, steps: int | None, called: Any, progress: Any, cache: dict
    ) -> dict:
        self.reset_metrics()
        called.on_test_begin()
        capture, done = None, 0

        def after() -> None:
            if called.needs_test_batches:
                called.on_test_batch_end(done - 1, self._logs(capture.logs))
            if progress is not None:
                progress.update(done, self._logs(capture.logs) if progress.is_due else None)

        if isinstance(source, Arrays):
            batch, order, position = _batch_size(batch_size), source.order(False), 0
            limit = steps or source.steps(batch)
            for capture, slot, count in self._array_steps(source, batch, self.test_step, cache):
                part = order[position : position + count * slot.shape[0]]
                position += len(part)
                at, count = 0, min(count, limit - done)
                while at < count:
                    stop = at + 1 if called.needs_test_batches else count
                    if called.needs_test_batches:
                        called.on_test_batch_begin(done)
                    reached = capture.run_batches(part, slot, at, stop, _SLICE_SECONDS)
                    done += reached - at
                    at = reached
                    after()
        else:
            for batch_data in source.batches(steps):
                capture, slots = self._fed_capture("test", self.test_step, batch_data)
                slots.fill(batch_data)
                if called.needs_test_batches:
                    called.on_test_batch_begin(done)
                capture.run()
                done += 1
                after()
        if capture is None:
            raise ValueError("evaluate() got no data")
        logs = self._logs(capture.logs)
        called.on_test_end(logs)
        return logs

    # --- predict -------------------------------------------------------------------------------
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all rows of x, as NumPy arrays in the structure of the outputs."""
        source = Stream(x, steps) if is_stream(x) else Arrays(x)
        batch = _batch_size(batch_size)
        progress = Progress(verbose)
        called = callbacks_module.CallbackList(callbacks, model=self)
        total = source.steps(batch) if isinstance(source, Arrays) else source.length
        progress.start(steps=total)
        called.on_predict_begin()
        parts: list[list[np.ndarray]] = []
        structure: Any = None
        done = 0
        for batch_data in self._predict_batches(source, batch, steps):
            capture, slots = self._fed_capture("predict", self.predict_step, batch_data)
            slots.fill(batch_data)
            if called.needs_predict_batches:
                called.on_predict_batch_begin(done)
            capture.run()
            structure = capture.logs
            parts.append([t.numpy() for t in flatten(structure)])
            done += 1
            if called.needs_predict_batches:
                called.on_predict_batch_end(done - 1, {"outputs": parts[-1]})
            progress.update(done)
        if not parts:
            raise ValueError("predict() got no data")
        progress.end_epoch()
        called.on_predict_end()
        whole = iter([np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts)])
        return map_structure(lambda _: next(whole), structure)

    def _predict_batches(self, source: Any, batch: int, steps: int | None) -> Any:
        if isinstance(source, Stream):
            for x, _, _ in source.batches(steps):
                yield (x, None, None)
            return
        if source.rows == 0:
            raise ValueError("predict() got arrays without rows")
        count = source.steps(batch) if steps is None else min(steps, source.steps(batch))
        for i in range(count):
            rows = slice(i * batch, min((i + 1) * batch, source.rows))
            yield map_structure(lambda a, rows=rows: None if a is None else a[rows], source.structure)

    # --- single batches ------------------------------------------------------------------------
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One optimization step; returns the running loss and metrics, as Keras does."""
        self._require_compiled("train_on_batch")
        batch = Arrays(x, y, sample_weight, class_weight).structure
        self.optimizer.cover()
        capture, slots = self._fed_capture("train", self.train_step, batch)
        slots.fill(batch)
        capture.run()
        return self._batch_result(capture, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        batch = Arrays(x, y, sample_weight).structure
        capture, slots = self._fed_capture("test", self.test_step, batch)
        slots.fill(batch)
        capture.run()
        return self._batch_result(capture, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs of one batch."""
        batch = Arrays(x).structure
        capture, slots = self._fed_capture("predict", self.predict_step, batch)
        slots.fill(batch)
        capture.run()
        return map_structure(lambda t: t.numpy(), capture.logs)

    def _batch_result(self, capture: Capture, return_dict: bool) -> Any:
        logs = self._logs(capture.logs)
        if return_dict:
            return logs
        flat = list(logs.values())
        return flat[0] if len(flat) == 1 else flat


def _number(value: Any) -> Any:
    if isinstance(value, PendingResult):
        value = value.read()
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return float(value) if value.ndim == 0 else value
    return float(value) if isinstance(value, (np.generic, int)) else value


def _batch_size(value: int | None) -> int:
    if value is None:
        return 32
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"batch_size is a positive integer, got {value!r}")
    return int(value)


def _is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency


def _validation_source(validation: Any) -> Any:
    if is_stream(validation):
        return Stream(validation)
    if not isinstance(validation, (list, tuple)):
        return Arrays(validation)
    if not 1 <= len(validation) <= 3:
        raise ValueError(f"validation_data is (x, y) or (x, y, sample_weight), got {len(validation)} items")
    return Arrays(*validation)
