"""evaluate, and the one loop over arrays that training has in common with it.

On arrays, runs of batches are handed to C++ and Python comes back at most every 50 ms, for the
progress bar and for Ctrl-C; where a callback wants every batch, after each
(`steps_per_execution`: after every so many).
"""

from __future__ import annotations

from typing import Any

from . import callbacks as callbacks_module
from .capture import SLICE_SECONDS, Capture
from .data import Arrays, Passes, batch_size_or_default, whole_number
from .prediction import Prediction
from .progress import Progress
from .streams import Stream, grouped, is_stream, warn_of_too_little_data


class Evaluation(Prediction):
    """The part of a model that goes over data without learning."""

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
            done = capture.run_batches(passes.feeder(slots), rows, 0, len(rows) // passes.next_size, SLICE_SECONDS)
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
            source = Passes(Arrays(x, y, sample_weight), batch_size_or_default(batch_size), False, steps)
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
