"""Ops in functional models: `ops.relu(x)`, `x + y`, `x * 2`, `x[:, 0]` on symbolic tensors.

Each call becomes a layer of its own, called like the op ("add", "add_1", "get_item"), whose
arguments, constants included, stand in the graph. A file names the op; only those of `fastnn.ops`
can be named.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import capture
from ..symbolic import OPERATIONS, any_symbolic, record_call
from ..variables import unique_name
from .base import LAYERS, Layer
from .trial import symbolic_results


@LAYERS.register()
class Operation(Layer):
    """One op as a layer. Args: op: its name in `fastnn.ops`, or "get_item"."""

    def __init__(self, op: str, name: str | None = None, **kwargs: Any):
        if op not in OPERATIONS:
            raise ValueError(f"there is no op {op!r} in fastnn.ops")
        super().__init__(name=name or unique_name(op), **kwargs)
        self.op = op
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return OPERATIONS[self.op](*args, **kwargs)

    # A layer's own __call__ casts its first argument and looks for masks; an op takes what it gets.
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args) or any_symbolic(kwargs):
            return record_call(self, args, kwargs, self.compute_output_spec(*args, **kwargs))
        with self._precision():
            result = self.call(*args, **kwargs)
        current = capture.recording()
        if current is not None:
            current.note_layer(self)
        return result

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic results, by a trial call. Raises what the op raises if it cannot take such shapes."""
        return symbolic_results(self.call, args, kwargs)


# --- x[key] ---------------------------------------------------------------------------------------
# A key is written as plain data, so that a file can hold it: [{"slice": [0, None, 2]}, "...", 3].


def plain_key(key: Any) -> list:
    """An index of a tensor as plain data. Raises TypeError for what is not int, slice, ... or None."""

    def plain(k: Any) -> Any:
        if isinstance(k, slice):
            return {"slice": [plain(part) for part in (k.start, k.stop, k.step)]}
        if k is Ellipsis:
            return "..."
        if k is None:
            return None
        if isinstance(k, (int, np.integer)) and not isinstance(k, (bool, np.bool_)):
            return int(k)
        raise TypeError(f"a symbolic tensor is indexed by int, slice, ... or None, got {type(k).__name__}")

    return [plain(k) for k in (key if isinstance(key, tuple) else (key,))]


def _get_item(x: Any, key: list) -> Any:
    def index(k: Any) -> Any:
        if isinstance(k, dict):
            return slice(*k["slice"])
        return Ellipsis if k == "..." else k

    return x[tuple(index(k) for k in key)]


OPERATIONS["get_item"] = _get_item
