"""Trainer: compile, one step of training, evaluation or prediction, and single batches.

A step is written once, as the Python of a lecture (`train_step`), and runs through a Capture: the
first batch eagerly, the others replayed. How `fit` repeats it stands in `loops.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np

from . import autograd, config, kernels, ops, optimizers
from .capture import Capture, is_own_code
from .compiled import CompiledLoss, CompiledMetrics, Outputs
from .data import Arrays, Slots, unpack_x_y_sample_weight
from .guards import ForkSafeLock
from .loops import Loops
from .metrics import Mean
from .metrics.pending import PendingResult
from .symbolic import flatten, map_structure
from .tensor import Tensor, empty
from .variables import Variable


class StepLogs(MutableMapping):
    """What `train_step` returns: the metrics as they stand when somebody looks, which a recorded
    step does not do, and what an override has added to them.
    """

    def __init__(self, read: Callable[[], dict[str, Any]]):
        self._read = read
        self._added: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._added[name] if name in self._added else self._read()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._added[name] = value

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._read(), **self._added})

    def __len__(self) -> int:
        return len({**self._read(), **self._added})


def _signature(structure: Any) -> Any:
    """Shapes and types of a batch, with the kinds of its containers, as a key."""
    if isinstance(structure, dict):
        return (dict, *((k, _signature(v)) for k, v in sorted(structure.items())))
    if isinstance(structure, (list, tuple)):
        return (type(structure), *map(_signature, structure))
    return None if structure is None else (structure.shape, structure.dtype.name)


def _numbers(value: Any) -> tuple:
    """The plain attributes of an optimizer, loss or metric: a recorded step holds them as they are."""
    plain = (bool, int, float, str, type(None))
    return tuple((k, v) for k, v in vars(value).items() if k[0] != "_" and k != "phase" and isinstance(v, plain))


class Trainer(Loops):
    """The training half of a model; the other half is being a Layer."""

    _outside_steps = frozenset({"history", "stop_evaluating", "stop_predicting", "stop_training"})

    def __init__(self) -> None:
        self.compiled = False
        self.optimizer: Any = None
        self.loss: Any = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self.history: Any = None
        self._set_loss_tracker(None)
        self._part_trackers: dict[str, Any] = {}
        self._compile_metrics: Any = None
        self._finite_steps: Tensor | None = None  # of the epoch: those with a finite loss, if watched
        self._nan_watchers: list[Any] = []
        # By kind and shapes of the batch: the step, its slots, and what it depends on.
        self._captures: dict[tuple, tuple[Capture, Slots, tuple]] = {}
        self._warned: set[str] = set()  # why steps run eagerly, as told
        self._lock = ForkSafeLock()  # round a batch: its slots and its program are one at a time

    def __getstate__(self) -> dict:
        # For pickle and copy. Layers come first: they follow the graph, so that no node is reached
        # through a chain of all those behind it, which recursion could not follow.
        state = {"_sublayers": self._sublayers, **vars(self)}
        for name in ("_lock", "_captures", "_nan_watchers"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _lock=ForkSafeLock(), _captures={}, _nan_watchers=[])

    def _set_loss_tracker(self, tracker: Mean | None) -> None:
        object.__setattr__(self, "_loss_tracker", tracker)  # past a layer's list of its user's metrics

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
        self._set_loss_tracker(Mean(name="loss"))
        self._part_trackers = {}
        self._captures.clear()
        self.stop_training = False
        self.compiled = True

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise ValueError(f"call compile() before {what}()")

    # --- one step, as Python -------------------------------------------------------------------
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
        parts = self._compiled_loss.parts if self._compiled_loss is not None else []
        if len(parts) > 1:
            self._make_part_trackers()
            for name, value in parts:
                self._part_trackers[name].add(value, batch)

    def _make_part_trackers(self) -> None:
        """The mean loss of each output, where several have one."""
        if self._part_trackers:
            return
        names = self._compiled_loss.names
        if len(names) > 1:  # in place: metrics that are assigned to attributes count as the user's
            self._part_trackers.update({name: Mean(name=f"{name}_loss") for name in names})

    # --- recorded steps ------------------------------------------------------------------------
    def programs(self, mode: str = "train") -> list[Any]:
        """The recorded steps of `mode` "train" (`fit`, `train_on_batch`), "test" (`evaluate`,
        `test_on_batch`) or "predict", one for each size of a batch. They read the batch from tensors
        of their own, which calls that are not part of the step fill.

        `program.describe()` lists the kernels of a step with their shapes; `program.profile()` runs
        the step kernel by kernel and times each, which moves the weights as a step does.
        """
        if mode not in ("train", "test", "predict"):
            raise ValueError(f"mode is 'train', 'test' or 'predict', got {mode!r}")
        found = [capture.program for (kind, *_), (capture, *_) in self._captures.items() if kind == mode]
        return [program for program in found if program is not None]

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
                if not isinstance(sublayer, Trainer):  # another model's metrics are its own business
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
        for name, value in sorted((self.get_metrics_result() if step_logs is None else dict(step_logs)).items()):
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

    # --- captures ------------------------------------------------------------------------------
    def _versions(self) -> tuple:
        def walk(layer: Any) -> list[int]:
            return [layer.version, *(v for s in layer._sublayers for v in walk(s))]

        return tuple(walk(self))

    def _depends_on(self) -> tuple:
        """What recorded steps hold fast: they are made anew where it has changed."""
        used = []
        if self.compiled:
            losses = self._compiled_loss.functions if self._compiled_loss is not None else []
            used = [self.optimizer, *losses, *self._compile_metrics.metrics]
        return (
            self._versions(),
            tuple((w.address, w.requires_grad) for w in self.weights),
            tuple(_numbers(value) for value in used if value is not None),
            (config.floatx(), config.epsilon(), bool(self._nan_watchers)),
        )

    def _holds_own_code(self) -> bool:
        """Whether Python that is not ours takes part in the steps."""

        def walk(layer: Any) -> bool:
            return is_own_code(layer) or any(walk(s) for s in layer._sublayers)

        names = ("optimizer", "loss", "metrics", "weighted_metrics") if self.compiled else ()
        return walk(self) or any(map(is_own_code, flatten([self._compile_arguments[name] for name in names])))

    def _fed_capture(self, mode: str, step: Any, structure: Any) -> tuple[Capture, Slots]:
        """The capture of a step that is fed through slots, by the shapes of its batch."""
        key = (mode, _signature(structure), config.device(), self.run_eagerly)
        if mode == "train":
            key += (self.optimizer.phase,)
        found, depends_on = self._captures.get(key), self._depends_on()
        if found is None or found[2] != depends_on:
            # Ragged batches: do not hoard a program for every length.
            if found is None and len(self._captures) >= 32:
                self._captures.pop(next(iter(self._captures)))
            slots = Slots(structure) if found is None else found[1]
            failed = 0 if found is None or found[0].eager else found[0].attempts
            if mode == "train" and not self.run_eagerly:
                self._build_from_shapes(slots.structure)
            capture = Capture(
                lambda: step(slots.structure), config.device(), self.run_eagerly, self._versions,
                self._holds_own_code, self._warned, failed,
            )  # fmt: skip
            self._captures[key] = found = (capture, slots, self._depends_on())
        return found[:2]

    def _build_from_shapes(self, batch: Any) -> None:
        """Makes the state of optimizer and metrics from shapes alone, where a graph tells those of
        the outputs: what is there before the first step does not spoil its recording.
        """
        graph = getattr(self, "_graph", None)
        if graph is None or not self.built:
            return
        if self.trainable_variables and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        steps = ("train_step", "compute_loss", "compute_metrics")
        if self._compiled_loss is None or any(
            getattr(getattr(self, n), "__func__", None) is not getattr(Trainer, n) for n in steps
        ):
            return  # an override may hand the loss something else than the batch's y
        x, y, _ = unpack_x_y_sample_weight(batch)
        rows = flatten(x)[0].shape[0]
        outputs = flatten(graph.outputs)
        if any(None in t.shape[1:] for t in outputs):
            return
        y_pred = map_structure(lambda t: empty((rows, *t.shape[1:]), t.dtype, config.device()), graph.outputs)
        resolved = Outputs(self, y_pred)
        self._compiled_loss.build_for(resolved, y, flatten(y_pred))
        self._compile_metrics.build_for(resolved, y, flatten(y_pred))
        self._make_part_trackers()

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
            capture = self._run_batch("predict", self.predict_step, Arrays(x).structure[:1])
            return map_structure(lambda t: t.numpy(), capture.logs)

    def _one_batch(self, mode: str, step: Any, batch: tuple, return_dict: bool) -> Any:
        with self._lock:
            self.reset_metrics()
            capture = self._run_batch(mode, step, batch)
            logs = self._logs(capture.logs)
        return logs if return_dict else self._in_order(logs)

    def _run_batch(self, mode: str, step: Any, batch: Any) -> Capture:
        """One step on a batch from outside; the caller holds the lock."""
        if mode != "predict" and 0 in (len(a) for a in flatten(batch) if a is not None):
            raise ValueError("a batch without rows has no loss")
        if mode == "train":
            self.optimizer.cover()
        capture, slots = self._fed_capture(mode, step, batch)
        slots.fill(batch)
        capture.run()
        return capture


def _number(value: Any) -> Any:
    if isinstance(value, PendingResult):
        value = value.read()
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return float(value) if value.ndim == 0 else value
    return float(value) if isinstance(value, (np.generic, int)) else value
