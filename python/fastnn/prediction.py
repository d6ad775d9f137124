"""predict: the outputs for all rows of the data.

Batches of arrays go through one recorded step: C++ copies each into the step's inputs and its outputs
to their place in the result, and Python comes back at most every 50 ms, or for callbacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import callbacks as callbacks_module
from . import config
from .capture import SLICE_SECONDS
from .data import Arrays, batch_size_or_default, whole_number
from .progress import Progress
from .recorded import RecordedSteps
from .streams import Stream, grouped, is_stream, warn_of_too_little_data
from .symbolic import flatten, map_structure
from .tensor import Tensor

_CACHE_BYTES = 4 << 20  # of a layer's inputs and outputs: what a few cores have in their own caches
_FEWEST_ROWS = 16


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


class Prediction(RecordedSteps):
    """The part of a model that predicts."""

    steps_per_execution: int
    stop_predicting: bool

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
            stream = Stream(x, steps)
            progress.start(steps=steps or stream.length)
            called.on_predict_begin()
            results = Results(None)
            done = self._predict_batches(stream.batches(steps), results, called, progress)
        else:
            arrays = Arrays(x)
            if arrays.rows == 0:
                raise ValueError("predict() got arrays without rows")
            count = min(arrays.steps(batch), steps or arrays.rows)
            end = min(arrays.rows, count * batch)
            progress.start(steps=steps or count)
            called.on_predict_begin()
            results = Results(end)
            if called.needs_predict_batches:
                batches = (arrays.batch(i * batch, min((i + 1) * batch, end)) for i in range(count))
                done = self._predict_batches(batches, results, called, progress)
            else:
                done = self._predict_arrays(arrays.batch(0, end), batch, end, results, progress)
        if not done:
            raise ValueError("predict() got no data")
        if steps is not None and done < steps and not self.stop_predicting:
            warn_of_too_little_data("prediction")
        progress.end_epoch()
        called.on_predict_end()
        return results.whole()

    def _predict_batches(self, batches: Iterator, results: Results, called: Any, progress: Progress) -> int:
        """Batch by batch, as callbacks and generators want it; gives how many there were."""
        done = 0
        for group in grouped(batches, self.steps_per_execution):
            if called.needs_predict_batches:
                called.on_predict_batch_begin(done)
            fresh = []
            for batch in group:
                with self._lock:
                    capture = self._run_batch("predict", self.predict_step, batch)
                    fresh.append(results.add(capture.logs, len(flatten(batch)[0])))
            if called.needs_predict_batches:
                outputs = [np.concatenate(parts) for parts in zip(*fresh)]
                called.on_predict_batch_end(done + self.steps_per_execution - 1, {"outputs": outputs})
            done += len(group)
            progress.update(done)
            if self.stop_predicting:
                break
        return done

    def _predict_arrays(self, x: Any, batch: int, end: int, results: Results, progress: Progress) -> int:
        """Many batches at once, for about a slice of time, as soon as the step is recorded."""
        x = map_structure(lambda a: None if a is None else np.ascontiguousarray(a), x)
        done, rows = 0, self._rows_of_step(batch)
        while results.done < end and not self.stop_predicting:
            begin, size = results.done, min(rows, end - results.done)
            with self._lock:
                first = _rows(x, begin, begin + size)
                capture, slots = self._fed_capture("predict", self.predict_step, first)
                outputs = flatten(capture.logs)
                room = None if capture.program is None else results.room(outputs, size)
                if capture.program is None or room is None:
                    slots.fill(first)
                    capture.run()
                    results.add(capture.logs, size)
                else:
                    feeds = zip(flatten(_rows(x, begin, end)), flatten(slots.structure))
                    inputs = [(array, slot) for array, slot in feeds if slot is not None]
                    places = list(zip(room, outputs))
                    ran = capture.program.run_batches(None, inputs, places, 0, (end - begin) // size, SLICE_SECONDS)
                    results.structure = capture.logs
                    results.done += ran * size
            done = -(-results.done // batch)
            progress.update(done)
        return done

    def _rows_of_step(self, batch: int) -> int:
        """How many rows to compute at once: the batch, or fewer where what its layers hand on would leave the
        cache before it is read, and rows are by themselves, so that nobody sees the difference. It depends on
        sizes alone, not on the machine, and so do the results.
        """
        graph = getattr(self, "_graph", None)
        if graph is None or config.device() != "cpu" or self.run_eagerly or self._has_own_layers():
            return batch
        bytes_of_row = graph.bytes_of_row()
        if not bytes_of_row or batch * bytes_of_row <= _CACHE_BYTES:
            return batch
        return min(batch, max(_CACHE_BYTES // bytes_of_row // 8 * 8, _FEWEST_ROWS))


def _rows(x: Any, begin: int, end: int) -> Any:
    return map_structure(lambda a: None if a is None else a[begin:end], x)
