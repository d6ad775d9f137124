"""evaluate and predict, and the one loop over arrays that training has in common with them.

On arrays, runs of batches are handed to C++ and Python comes back at most every 50 ms, for the
progress bar and for Ctrl-C; where a callback wants every batch, after each
(`steps_per_execution`: after every so many).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import callbacks as callbacks_module
from .capture import Capture
from .data import Arrays, Passes, whole_number
from .progress import Progress
from .recorded import RecordedSteps
from .streams import Stream, is_stream
from .symbolic import flatten, map_structure

# How long C++ keeps the interpreter: Ctrl-C is answered and the bar redrawn after at most this.
_SLICE_SECONDS = 0.05


class Inference(RecordedSteps):
    """The part of a model that goes over data without learning."""

    steps_per_execution: int

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise ValueError(f"call compile() before {what}()")

    def _run_some(self, passes: Passes, steps: int, training: bool) -> tuple[Capture, int]:
        """At most `steps` steps, for about one slice of time: the capture, and how many were run."""
        mode, step = ("train", self.train_step) if training else ("test", self.test_step)
        with self._lock:
            if training:
                steps = min(steps, self.optimizer.cover())
            capture, slots = self._fed_capture(mode, step, passes.next_batch())
            rows = passes.next_rows(steps)
            done = capture.run_batches(passes.feeder(slots), rows, 0, len(rows) // passes.next_size, _SLICE_SECONDS)
        passes.advance(done)
        return capture, done

    def _run_group(self, mode: str, step: Any, batches: list) -> Capture:
        """A step for each of the batches; the capture of the last."""
        captures = []
        for batch in batches:
            with self._lock:
                captures.append(self._run_batch(mode, step, batch))
        return captures[-1]

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
        steps = whole_number("steps", steps, 1)
        if is_stream(x):
            source: Any = Stream(x, steps)
        else:
            source = Passes(Arrays(x, y, sample_weight), batch_size_of(batch_size), False, steps)
        progress = Progress(verbose)
        called = callbacks if isinstance(callbacks, callbacks_module.CallbackList) else None
        if called is None:
            called = callbacks_module.CallbackList(callbacks, model=self)
        progress.start(steps=steps or source.length)
        values = self._evaluate(source, steps, called, progress)
        if values is None:
            raise ValueError("evaluate() got no data")
        progress.end_epoch(values)
        return values if return_dict else self._in_order(values)

    def _evaluate(self, source: Any, steps: int | None, called: Any, progress: Progress | None) -> dict | None:
        """Loss and metrics; None if there was no batch."""
        self.stop_evaluating = False
        self.reset_metrics()
        called.on_test_begin()
        capture: Capture | None = None
        done = 0

        def after(capture: Capture, batch: int) -> None:
            if called.needs_test_batches:
                called.on_test_batch_end(batch, self._logs(capture.logs))
            if progress is not None:
                progress.update(done, self._logs(capture.logs) if progress.is_due else None)

        if isinstance(source, Passes):
            source.begin_epoch(anew=True)
            while done < source.steps and source.left and not self.stop_evaluating:
                first, goal = done, min(source.steps, done + source.left)
                if called.needs_test_batches:
                    goal = min(goal, done + self.steps_per_execution)
                    called.on_test_batch_begin(first)
                while done < goal:
                    capture, ran = self._run_some(source, goal - done, False)
                    done += ran
                    if done == goal or not called.needs_test_batches:
                        after(capture, first + self.steps_per_execution - 1)
        else:
            for group in grouped(source.batches(steps), self.steps_per_execution):
                if called.needs_test_batches:
                    called.on_test_batch_begin(done)
                capture = self._run_group("test", self.test_step, group)
                last = done + self.steps_per_execution - 1
                done += len(group)
                after(capture, last)
                if self.stop_evaluating:
                    break
        if capture is None:
            return None
        if steps is not None and done < steps and not self.stop_evaluating:
            warn_of_too_little_data("evaluation")
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
        """The outputs for all rows of x, as NumPy arrays in the structure of the outputs.

        Several threads may predict with one model at the same time.
        """
        steps = whole_number("steps", steps, 1)
        source = Stream(x, steps) if is_stream(x) else Arrays(x)
        batch = batch_size_of(batch_size)
        progress = Progress(verbose)
        called = callbacks_module.CallbackList(callbacks, model=self)
        progress.start(steps=source.steps(batch) if isinstance(source, Arrays) else source.length)
        self.stop_predicting = False
        called.on_predict_begin()
        parts: list[list[np.ndarray]] = []
        structure: Any = None
        done = 0
        for group in grouped(self._predict_batches(source, batch, steps), self.steps_per_execution):
            if called.needs_predict_batches:
                called.on_predict_batch_begin(done)
            fresh = []
            for batch_data in group:
                with self._lock:
                    structure = self._run_batch("predict", self.predict_step, batch_data).logs
                    fresh.append([t.numpy() for t in flatten(structure)])
            parts += fresh
            if called.needs_predict_batches:
                outputs = [np.concatenate(p) for p in zip(*fresh)]
                called.on_predict_batch_end(done + self.steps_per_execution - 1, {"outputs": outputs})
            done += len(group)
            progress.update(done)
            if self.stop_predicting:
                break
        if not parts:
            raise ValueError("predict() got no data")
        if steps is not None and done < steps and not self.stop_predicting:
            warn_of_too_little_data("prediction")
        progress.end_epoch()
        called.on_predict_end()
        whole = iter([np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*parts)])
        return map_structure(lambda _: next(whole), structure)

    def _predict_batches(self, source: Any, batch: int, steps: int | None) -> Iterator:
        if isinstance(source, Stream):
            yield from source.batches(steps)
            return
        if source.rows == 0:
            raise ValueError("predict() got arrays without rows")
        count = source.steps(batch) if steps is None else min(steps, source.steps(batch))
        for i in range(count):
            yield source.batch(i * batch, min((i + 1) * batch, source.rows))


def grouped(batches: Iterator, size: int) -> Iterator[list]:
    """The batches that callbacks see as one."""
    while group := list(itertools.islice(batches, size)):
        yield group


def warn_of_too_little_data(what: str) -> None:
    warnings.warn(
        f"the data ran out before the last step, and {what} ends there. Arrays and generators need as many "
        "batches as steps, in fit steps_per_epoch * epochs; arrays need no steps at all",
        stacklevel=4,
    )


def batch_size_of(value: int | None) -> int:
    if value is None:
        return 32
    return whole_number("batch_size", value, 1)
