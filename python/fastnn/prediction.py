"""predict: the outputs for all rows of the data.

Batches of arrays go through one recorded step: C++ copies each into the step's inputs and its outputs
to their place in the result, and Python comes back at most every 50 ms, or for callbacks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import callbacks as callbacks_module
from .capture import SLICE_SECONDS, Capture
from .data import Arrays, Stream, batch_size_or_default, is_stream, whole_number
from .progress import Progress
from .symbolic import flatten, map_structure
from .tensor import Tensor


class Results:
    """The outputs of all batches, joined: in one array each where the rows to come are known and every
    output has a row per sample, otherwise as parts until the end.
    """

    def __init__(self, rows: int | None):
        self.rows, self.done = rows, 0
        self.structure: Any = None
        self._arrays: list[np.ndarray] | None = None
        self._parts: list[list[np.ndarray]] = []

    def room(self, tensors: list[Tensor], size: int) -> list[np.ndarray] | None:
        """Where the next rows go if batches of `size` rows have these outputs; None where they do not fit."""
        if self.rows is None or self._parts:
            return None
        if self._arrays is None and all(t.shape[:1] == (size,) for t in tensors):
            self._arrays = [np.empty((self.rows, *t.shape[1:]), t.dtype) for t in tensors]
        if self._arrays is None or any(
            t.shape != (size, *a.shape[1:]) or t.dtype != a.dtype.name for t, a in zip(tensors, self._arrays)
        ):
            return None
        return [a[self.done :] for a in self._arrays]

    def add(self, structure: Any, size: int) -> list[np.ndarray]:
        """Takes over what a step on `size` rows returned."""
        self.structure, tensors = structure, flatten(structure)
        outputs = [t.numpy() for t in tensors]
        room = self.room(tensors, size)
        if room is None:
            if self._arrays is not None:
                self._parts, self._arrays = [[a[: self.done] for a in self._arrays]], None
            self._parts.append(outputs)
        else:
            for place, output in zip(room, outputs):
                place[:size] = output
        self.done += size
        return outputs

    def whole(self) -> Any:
        joined = self._arrays
        if joined is None:
            joined = [np.concatenate(p) if len(p) > 1 else p[0] for p in zip(*self._parts)]
        elif self.done < (self.rows or 0):
            joined = [a[: self.done] for a in joined]
        leaves = iter(joined)
        return map_structure(lambda _: next(leaves), self.structure)


class Prediction:
    """The part of a Trainer that predicts."""

    # The Trainer's.
    steps_per_execution: int
    predict_step: Callable[..., Any]
    _lock: Any
    _fed_capture: Callable[..., Any]
    _run_batch: Callable[..., Capture]

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
        batch = batch_size_or_default(batch_size)
        progress = Progress(verbose)
        called = callbacks_module.CallbackList(callbacks, model=self)
        self.stop_predicting = False
        if is_stream(x):
            source = Stream(x, steps)
            progress.start(steps=steps or source.length)
            called.on_predict_begin()
            results = Results(None)
            self._predict_batches((x for x, _, _ in source.batches(steps)), results, called, progress)
            if results.structure is None:
                raise ValueError("predict() got no data")
        else:
            arrays = Arrays(x)
            if arrays.rows == 0:
                raise ValueError("predict() got arrays without rows")
            steps = min(arrays.steps(batch), steps or arrays.rows)
            progress.start(steps=steps)
            called.on_predict_begin()
            end = min(arrays.rows, steps * batch)
            results = Results(end)
            if called.needs_predict_batches:
                batches = (_rows(arrays.structure[0], i * batch, (i + 1) * batch) for i in range(steps))
                self._predict_batches(batches, results, called, progress)
            else:
                self._predict_arrays(arrays.structure[0], batch, results, end, progress)
        progress.end_epoch()
        called.on_predict_end()
        return results.whole()

    def _predict_batches(self, batches: Iterator, results: Results, called: Any, progress: Progress) -> None:
        """Batch by batch, as callbacks and generators want it."""
        done = 0
        while group := list(itertools.islice(batches, self.steps_per_execution)):
            if called.needs_predict_batches:
                called.on_predict_batch_begin(done)
            fresh = []
            for x in group:
                with self._lock:
                    capture = self._run_batch("predict", self.predict_step, (x, None, None))
                    fresh.append(results.add(capture.logs, len(flatten(x)[0])))
            if called.needs_predict_batches:
                outputs = [np.concatenate(parts) for parts in zip(*fresh)]
                called.on_predict_batch_end(done + self.steps_per_execution - 1, {"outputs": outputs})
            done += len(group)
            progress.update(done)
            if self.stop_predicting:
                return

    def _predict_arrays(self, x: Any, batch: int, results: Results, end: int, progress: Progress) -> None:
        """Many batches at once, for about a slice of time, as soon as the step is recorded."""
        x = map_structure(lambda a: None if a is None else np.ascontiguousarray(a), x)
        done = 0
        while results.done < end and not self.stop_predicting:
            begin, size = results.done, min(batch, end - results.done)
            with self._lock:
                structure = (_rows(x, begin, begin + size), None, None)
                capture, slots = self._fed_capture("predict", self.predict_step, structure)
                outputs = flatten(capture.logs)
                room = None if capture.program is None else results.room(outputs, size)
                if room is None:
                    slots.fill(structure)
                    capture.run()
                    results.add(capture.logs, size)
                    done += 1
                else:
                    feeds = zip(flatten(_rows(x, begin, end)), flatten(slots.structure[0]))
                    inputs = [(rows, slot) for rows, slot in feeds if slot is not None]
                    ran = capture.run_batches(inputs, list(zip(room, outputs)), 0, (end - begin) // size, SLICE_SECONDS)
                    results.structure = capture.logs
                    results.done += ran * size
                    done += ran
            progress.update(done)


def _rows(x: Any, begin: int, end: int) -> Any:
    return map_structure(lambda a: None if a is None else a[begin:end], x)
