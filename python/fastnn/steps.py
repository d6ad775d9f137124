"""Steps: what one batch does in training, evaluation and prediction, as the Python of a lecture, and
the metrics that it moves. How a step is recorded stands in `recorded.py`, how it is repeated in `loops.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np

from . import autograd, kernels, ops
from .compiled import CompiledLoss, CompiledMetrics
from .data import unpack_x_y_sample_weight
from .layers.base import Layer
from .metrics import Mean
from .metrics.pending import PendingResult
from .symbolic import flatten
from .tensor import Tensor
from .variables import Variable


class StepLogs(MutableMapping):
    """What `train_step` returns: the metrics as they stand when somebody looks, which a recorded
    step does not do, and what an override has added to them.
    """

    def __init__(self, read: Callable[[], dict[str, Any]]):
        self._read = read
        self._added: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """All of them, as they stand now."""
        return {**self._read(), **self._added}

    def __getitem__(self, name: str) -> Any:
        return self._added[name] if name in self._added else self._read()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._added[name] = value

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


class Steps(Layer):
    """The part of a model that knows what a step is. `compile` sets what it is made of."""

    compiled: bool
    optimizer: Any
    _compiled_loss: CompiledLoss | None
    _compile_metrics: CompiledMetrics
    _loss_tracker: Mean
    _part_trackers: dict[str, Mean]  # by output, where several have a loss
    _nan_watchers: list[Any]  # the TerminateOnNaN callbacks of a fit
    _finite_steps: Tensor  # of the epoch: those with a finite loss, counted where there are watchers

    def train_step(self, data: Any) -> dict[str, Any] | None:
        """One optimization step on x, (x, y) or (x, y, sample_weight). May be overridden, as in Keras;
        `utils.unpack_x_y_sample_weight` takes `data` apart.

        An override is recorded, too: Python numbers and NumPy arrays in it become constants, as in
        `tf.function`, until something that the step depends on changes. Write what is to change from
        step to step as tensors or Variables. A step that reads values of tensors, or whose numbers are
        others each time, runs as Python.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        self._clear_losses()
        y_pred = self(x, training=True)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
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

    def test_step(self, data: Any) -> dict[str, Any] | None:
        """Loss and metrics of one batch; see `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        self._clear_losses()
        with autograd.no_grad():
            y_pred = self(x, training=False)
            loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
            self._track_loss(loss, x)
            return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs of one batch; see `train_step`."""
        x, _, _ = unpack_x_y_sample_weight(data)
        with autograd.no_grad():
            return self(x, training=False)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Tensor:
        arguments = dict(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        # An override may be older than the argument `training`.
        names = inspect.signature(self.compute_loss).parameters.values()
        if any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in names):
            arguments["training"] = training
        return self.compute_loss(**arguments)

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

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Updates the compiled metrics. Override to return a dict of values instead."""
        self._compile_metrics.update(self, y, y_pred, sample_weight)
        return StepLogs(self.get_metrics_result)

    def _track_loss(self, loss: Tensor, x: Any) -> None:
        batch = flatten(x)[0].shape[0]
        self._loss_tracker.add(loss, batch)
        if self._nan_watchers:  # the sum stays NaN, so this counts up to the first
            finite = ops.cast(ops.isfinite(self._loss_tracker.total), "float64")
            kernels.accumulate(finite, 1.0, self._finite_steps)
        if self._compiled_loss is not None and len(self._compiled_loss.parts) > 1:
            self._make_part_trackers(self._compiled_loss.names)
            for name, value in self._compiled_loss.parts:
                self._part_trackers[name].add(value, batch)

    def _make_part_trackers(self, names: list[str]) -> None:
        """The mean loss of each of these outputs, where there are several."""
        if (
            len(names) > 1 and not self._part_trackers
        ):  # in place: metrics that are assigned to attributes count as the user's
            self._part_trackers.update({name: Mean(name=f"{name}_loss") for name in names})

    # --- metrics -------------------------------------------------------------------------------
    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the compiled metrics (as one), the outputs' losses, and the metrics that
        are attributes of this model and of its layers.
        """
        found: list[Any] = []
        if self.compiled:
            found += [self._loss_tracker]
            found += [self._compile_metrics] if self._compile_metrics.given_any else []
            found += self._part_trackers.values()
        return found + self._custom_metrics()

    def _custom_metrics(self) -> list[Any]:
        found = list(self._metrics)

        def walk(layer: Any) -> None:
            for sublayer in layer._sublayers:
                if not isinstance(sublayer, Steps):  # another model's metrics are its own business
                    found.extend(sublayer._metrics)
                walk(sublayer)

        walk(self)
        return list({id(m): m for m in found}.values())

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self) -> None:
        for m in self.metrics:
            m.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The running values as numbers (arrays for metrics with several)."""
        values: dict[str, Any] = {}
        for m in self.metrics:
            result = m.result()
            values.update(result if isinstance(result, dict) else {m.name: result})
        return {k: _number(v) for k, v in values.items()}

    def _logs(self, step_logs: Any) -> dict[str, Any]:
        """What a step returned as numbers, in order of their names, as in Keras; inner dicts are spread."""
        logs: dict[str, Any] = {}
        if step_logs is None:
            step_logs = self.get_metrics_result()
        values = step_logs.read() if isinstance(step_logs, StepLogs) else dict(step_logs)
        for name, value in sorted(values.items()):
            logs.update(self._logs(value) if isinstance(value, dict) else {name: _number(value)})
        return logs

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """The values as Keras' list: by `metrics`, what has no place there by name; one as it is."""
        names: list[str] = []
        for m in self.metrics:
            names += [n.name for n in m.metrics] if isinstance(m, CompiledMetrics) else [m.name]
        names = [n for n in dict.fromkeys(names) if n in logs]
        flat = [logs[n] for n in names + sorted(set(logs) - set(names))]
        return flat[0] if len(flat) == 1 else flat


def _number(value: Any) -> Any:
    if isinstance(value, PendingResult):
        value = value.read()
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return float(value) if value.ndim == 0 else value
    return float(value) if isinstance(value, (np.generic, int)) else value
