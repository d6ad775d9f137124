"""Record once, replay: a step function runs eagerly the first time while the gate writes down its
kernel calls; from then on the calls are replayed in C++ without Python.

The step must read its inputs from tensors that stay the same (slots) and leave its results in
tensors. A step that looks at values, or makes tensors from values, cannot be replayed. The first
steps often do, because weights, metrics or optimizer states are made in them; so a spoiled recording
is tried again, and only a step that spoils it every time goes on eagerly, and says so once.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from .tensor import Tensor

# The first may make weights, the second states that depend on them; nothing is left to make then.
_ATTEMPTS = 3

# How long C++ keeps the interpreter: Ctrl-C is answered and the bar redrawn after at most this.
SLICE_SECONDS = 0.05


class _Current(threading.local):
    capture: Capture | None = None


_current = _Current()


def recording() -> Capture | None:
    """The capture that this thread is recording into, or None."""
    return _current.capture


class Capture:
    """`step` as something that can be run again and again, as a program where that is possible."""

    def __init__(
        self,
        step: Callable[[], Any],
        device: str = "cpu",
        eager: bool = False,
        version: Callable[[], Any] = lambda: None,
    ):
        self.step = step
        self.logs: Any = None  # what the step returned: tensors that every replay writes anew
        self.device = device
        self.program: _core.Program | None = None
        self.eager = eager
        self._version = version  # of whatever the step's structure depends on
        self._attempts = 0
        self._recording: _core.Program | None = None
        self.spoiled_in: str | None = None  # the layer whose call spoiled the recording

    def note_layer(self, layer: object) -> None:
        """Called after every layer: the first one to see a spoiled recording is to blame."""
        if self.spoiled_in is None and self._recording is not None and self._recording.spoiled:
            self.spoiled_in = layer.name  # type: ignore[attr-defined]

    def run(self) -> None:
        """One step."""
        if self.program is not None:
            self.program.run()
        elif self.eager:
            self.logs = self.step()
        else:
            self._record()

    def run_batches(
        self,
        inputs: list[tuple[np.ndarray, Tensor]],
        outputs: list[tuple[np.ndarray, Tensor]],
        begin: int,
        end: int,
        seconds: float,
    ) -> int:
        """Steps over batches [begin, end). Inputs are pairs of rows in memory and the slot that each
        batch of them is copied into, outputs of rows and the tensor that is copied there afterwards.

        Returns the first batch that was not run: it comes back after about `seconds` so that the
        caller can redraw and answer signals. Steps that return outputs must be recorded already.
        """
        deadline = time.perf_counter() + seconds
        while begin < end and self.program is None:
            for rows, slot in inputs:
                size = slot.shape[0]
                slot.assign_numpy(rows[begin * size : (begin + 1) * size])
            self.run()
            begin += 1
            if time.perf_counter() > deadline:
                return begin
        if begin < end:
            begin = self.program.run_batches(inputs, outputs, begin, end, seconds)
        return begin

    def _record(self) -> None:
        if _current.capture is not None:
            raise RuntimeError("a step is being recorded already in this thread")
        program = _core.Program(self.device)
        version, self.spoiled_in = self._version(), None
        program.begin()
        _current.capture = self
        self._recording = program
        try:
            self.logs = self.step()
        finally:
            _current.capture = None
            self._recording = None
            program.end()
        reason = program.spoiled
        if not reason and self._version() != version:
            reason = "the model's attributes change in the step"
        if not reason:
            self.program = program
            return
        self._attempts += 1
        if self._attempts == _ATTEMPTS:
            self.eager = True
            where = f" in layer {self.spoiled_in!r}" if self.spoiled_in else ""
            warnings.warn(
                f"this step cannot be replayed and runs eagerly, slower: {reason}{where}. "
                "Write it with fastnn.ops on tensors, or pass run_eagerly=True to silence this.",
                stacklevel=2,
            )
