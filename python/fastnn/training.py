"""Trainer: the training half of a model: compile, and single batches.

A step is written once, as the Python of a lecture (`steps.py`), and runs through a Capture
(`recorded.py`): the first batch eagerly, the others replayed. How `fit` repeats it stands in `loops.py`.
"""

from __future__ import annotations

from typing import Any

from . import optimizers
from .compiled import CompiledLoss, CompiledMetrics
from .data import Arrays
from .guards import ForkSafeLock
from .loops import Loops
from .metrics import Mean
from .symbolic import map_structure


class Trainer(Loops):
    """A layer that can be compiled and trained."""

    _outside_steps = frozenset({"history", "stop_evaluating", "stop_predicting", "stop_training"})

    def _start_training(self) -> None:
        self.compiled = False
        self.optimizer = self.loss = self.history = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self._compiled_loss = None
        self._part_trackers = {}
        self._nan_watchers = []
        self._captures = {}
        self._prompt = None
        self._warned = set()
        self._lock = ForkSafeLock()

    def __getstate__(self) -> dict:
        # For pickle and copy. Layers come first: they follow the graph, so that no node is reached
        # through a chain of all those behind it, which recursion could not follow.
        state = {"_sublayers": self._sublayers, **vars(self)}
        for name in ("_lock", "_captures", "_prompt", "_nan_watchers"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _lock=ForkSafeLock(), _captures={}, _prompt=None, _nan_watchers=[])

    # --- compile -------------------------------------------------------------------------------
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: Any = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        on_nan: str = "raise",
    ) -> None:
        """Sets optimizer, loss and metrics, by name or as objects.

        `run_eagerly=True` runs every step as Python. `steps_per_execution` is how many batches make
        one for callbacks; `jit_compile` and `auto_scale_loss` are accepted for compatibility:
        epochs run in C++ anyway. `on_nan` says what a NaN loss does in fit: "raise"
        (FloatingPointError naming the layer) or "ignore".
        """
        if on_nan not in ("raise", "ignore"):
            raise ValueError(f"on_nan is 'raise' or 'ignore', got {on_nan!r}")
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"steps_per_execution is a positive integer, got {steps_per_execution!r}")
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self.steps_per_execution = steps_per_execution
        self.run_eagerly = bool(run_eagerly)
        self.on_nan = on_nan
        self._compile_arguments = dict(
            optimizer=optimizer, loss=loss, loss_weights=loss_weights, metrics=metrics,
            weighted_metrics=weighted_metrics, run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )  # fmt: skip
        self._compiled_loss = CompiledLoss(loss, loss_weights) if loss is not None else None
        self._compile_metrics = CompiledMetrics(metrics, weighted_metrics)
        # Past a layer's list of its user's metrics.
        object.__setattr__(self, "_loss_tracker", Mean(name="loss"))
        self._part_trackers = {}
        self._captures.clear()
        self._prompt = None
        self.stop_training = False
        self.compiled = True

    # --- single batches ------------------------------------------------------------------------
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One optimization step; returns the loss before it and the metrics of this batch."""
        self._require_compiled("train_on_batch")
        batch = Arrays(x, y, sample_weight, class_weight).structure
        return self._one_batch("train", self.train_step, batch, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        return self._one_batch("test", self.test_step, Arrays(x, y, sample_weight).structure, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs of one batch."""
        with self._lock:
            outputs = self._promptly(x)
            if outputs is not None:
                return outputs
            capture = self._run_batch("predict", self.predict_step, Arrays(x).structure[:1])
            return map_structure(lambda t: t.numpy(), capture.logs)

    def _one_batch(self, mode: str, step: Any, batch: tuple, return_dict: bool) -> Any:
        with self._lock:
            self.reset_metrics()
            capture = self._run_batch(mode, step, batch)
            logs = self._logs(capture.logs)
        return logs if return_dict else self._in_order(logs)
