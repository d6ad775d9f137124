"""RecordedSteps: the steps of a model as programs, kept for as long as nothing changes that they depend on."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import changes, config
from .capture import Capture, is_own_code
from .compiled import Outputs
from .data import Slots, unpack_x_y_sample_weight
from .guards import ForkSafeLock
from .steps import Steps
from .symbolic import flatten, map_structure
from .tensor import Tensor, empty

# Ragged batches: do not hoard a program for every length.
_MOST_CAPTURES = 32
_PLAIN = {bool, int, float, str, type(None), np.float32, np.float64, np.int32, np.int64}


def _signature(structure: Any) -> Any:
    """Shapes and types of a batch, with the kinds of its containers, as a key."""
    if isinstance(structure, dict):
        return (dict, *((k, _signature(v)) for k, v in sorted(structure.items())))
    if isinstance(structure, (list, tuple)):
        return (type(structure), *map(_signature, structure))
    return None if structure is None else (structure.shape, structure.dtype)


def _numbers(value: Any) -> list:
    """The plain attributes of an optimizer, loss, metric, regularizer or constraint: a recorded step holds them
    as they are.
    """
    return [v for k, v in getattr(value, "__dict__", {}).items() if type(v) in _PLAIN and k[0] != "_" and k != "phase"]


class RecordedSteps(Steps):
    """The part of a model that records its steps."""

    run_eagerly: bool
    _compile_arguments: dict[str, Any]
    # By kind and shapes of the batch: the step, its slots, and what it depends on.
    _captures: dict[tuple, tuple[Capture, Slots, list]]
    # Of the last batch of one array that was predicted: its program, slot and output, and the count of changes.
    _prompt: tuple[Any, Tensor, Tensor, int] | None
    _warned: set[str]  # why steps run eagerly, as told
    _lock: ForkSafeLock  # round a batch: its slots and its program are one at a time

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

    def _versions(self) -> tuple:
        def walk(layer: Any) -> list[int]:
            return [layer.version, *(v for s in layer._sublayers for v in walk(s))]

        return tuple(walk(self))

    def _depends_on(self, mode: str) -> list:
        """What recorded steps hold fast: they are made anew where it has changed. (Asked for before
        every batch that comes from outside, so it is one flat list.)
        """
        found: list = [config.floatx(), config.epsilon(), bool(self._nan_watchers)]

        def walk(layer: Any) -> None:
            found.append(layer.version)
            for w in layer._trainable_weights:
                found.append(w.address)
                found.append(w.requires_grad)
                if w.regularizer is not None:
                    found.extend((w.regularizer, *_numbers(w.regularizer)))
                if w.constraint is not None:
                    found.extend((w.constraint, *_numbers(w.constraint)))
            for w in layer._non_trainable_weights:
                found.append(w.address)
            for sublayer in layer._sublayers:
                walk(sublayer)

        walk(self)
        if mode == "train":
            found += _numbers(self.optimizer)
            found.append(type(self.optimizer._rate.source))  # a number, or what makes the rates
        if mode != "predict":
            losses = self._compiled_loss.functions if self._compiled_loss is not None else []
            for value in (*losses, *self._compile_metrics.metrics):
                if value is not None:
                    found += _numbers(value)
        return found

    def _holds_own_code(self) -> bool:
        """Whether Python that is not ours takes part in the steps."""
        names = ("optimizer", "loss", "metrics", "weighted_metrics") if self.compiled else ()
        return self._has_own_layers() or any(
            map(is_own_code, flatten([self._compile_arguments[name] for name in names]))
        )

    def _has_own_layers(self) -> bool:
        def walk(layer: Any) -> bool:
            return is_own_code(layer) or any(walk(s) for s in layer._sublayers)

        return walk(self)

    def _fed_capture(self, mode: str, step: Any, structure: Any) -> tuple[Capture, Slots]:
        """The capture of a step that is fed through slots, by the shapes of its batch."""
        key: tuple = (mode, _signature(structure), config.device(), self.run_eagerly)
        if mode == "train":
            key += (self.optimizer.phase,)
        found, depends_on = self._captures.get(key), self._depends_on(mode)
        if found is None or found[2] != depends_on:
            if found is None and len(self._captures) >= _MOST_CAPTURES:
                self._captures.pop(next(iter(self._captures)))
            slots = Slots(structure) if found is None else found[1]
            failed = 0 if found is None or found[0].eager else found[0].attempts
            if mode == "train" and not self.run_eagerly:
                self._build_from_shapes(slots.structure)
            capture = Capture(
                lambda: step(slots.structure), config.device(), self.run_eagerly, self._versions,
                self._holds_own_code, self._warned, failed,
            )  # fmt: skip
            self._captures[key] = found = (capture, slots, self._depends_on(mode))
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
            getattr(getattr(self, n), "__func__", None) is not getattr(Steps, n) for n in steps
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
        self._make_part_trackers(self._compiled_loss.names)

    def _run_batch(self, mode: str, step: Any, batch: Any) -> Capture:
        """One step on a batch from outside; the caller holds the lock."""
        if mode != "predict" and 0 in (len(a) for a in flatten(batch) if a is not None):
            raise ValueError("a batch without rows has no loss")
        if mode == "train":
            self.optimizer.cover()
        capture, slots = self._fed_capture(mode, step, batch)
        slots.fill(batch)
        capture.run()
        # As `predict_on_batch` hands over one array; a list or a dict with one is another thing to a model.
        one_array = isinstance(batch, tuple) and len(batch) == 1 and isinstance(batch[0], np.ndarray)
        if mode == "predict" and one_array and capture.program is not None and isinstance(capture.logs, Tensor):
            self._prompt = (capture.program, slots.structure[0], capture.logs, changes.count)
        return capture

    def _promptly(self, x: Any) -> np.ndarray | None:
        """What `predict_on_batch` returns for an array like the last one, where nothing has changed since:
        a recorded step takes less time than asking for all that it depends on. None otherwise.
        """
        if self._prompt is None or self.run_eagerly:
            return None
        program, slot, output, count = self._prompt
        return program.run_on(slot, x, output) if count == changes.count else None
