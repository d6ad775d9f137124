"""Record once, replay: a step function runs eagerly the first time while the gate writes down its
kernel calls; from then on the calls are replayed in C++ without Python.

The step must read its inputs from tensors that stay the same (slots) and leave its results in
tensors. Tensors that it makes from numbers are constants of the program. A step that looks at values
cannot be replayed. The first steps often do, because weights, metrics or optimizer states are made in
them; so a spoiled recording is tried again, and only a step that spoils it every time goes on eagerly,
and says so once.

Python that is not ours may hand another number to every step (`np.random`, a counter). Where it takes
part, or where there are constants, a recording is believed when a second one has the same fingerprint.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core

if TYPE_CHECKING:
    from .data import Feeder

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
    """`step` as something that can be run again and again, as a program where that is possible.

    Args:
      step: a function without arguments.
      eager: never record.
      version: tells of whatever the step's structure depends on; a step that changes it is not
        replayed.
      twice: whether one recording is not to be believed.
      warned: the causes that have been told already; a new one is told and added.
      attempts: how many recordings of this step have been spoiled already.
    """

    def __init__(
        self,
        step: Callable[[], Any],
        device: str = "cpu",
        eager: bool = False,
        version: Callable[[], Any] = lambda: None,
        twice: Callable[[], bool] = lambda: False,
        warned: set[str] | None = None,
        attempts: int = 0,
    ):
        self.step = step
        self.logs: Any = None  # what the step returned: tensors that every replay writes anew
        self.device = device
        self.program: _core.Program | None = None
        self.eager = eager
        self.attempts = attempts
        self._version, self._twice = version, twice
        self._warned = set() if warned is None else warned
        self._fingerprint: int | None = None  # of the recording before, if it was in order
        self._recording: _core.Program | None = None
        self.spoiled_in: str | None = None  # the layer whose call spoiled the recording

    def note_layer(self, layer: Any) -> None:
        """Called after every layer: the first one to see a spoiled recording is to blame."""
        if self.spoiled_in is None and self._recording is not None and self._recording.spoiled:
            self.spoiled_in = layer.name

    def run(self) -> None:
        """One step."""
        if self.program is not None:
            self.program.run()
        elif self.eager:
            self.logs = self.step()
        else:
            self._record()

    def run_batches(self, feeder: Feeder, order: np.ndarray, begin: int, end: int, seconds: float) -> int:
        """Steps over batches [begin, end) of the int32 `order`; `feeder` brings the rows of each.

        Returns the first batch that was not run: it comes back after about `seconds` so that the
        caller can redraw and answer signals, and after a step that was recorded.
        """
        if self.program is not None:
            return self.program.run_batches(feeder.program, [(order, feeder.index)], [], begin, end, seconds)
        deadline = time.perf_counter() + seconds
        batch = feeder.index.shape[0]
        while begin < end:
            feeder.bring(order[begin * batch : (begin + 1) * batch])
            self.run()
            begin += 1
            if not self.eager or time.perf_counter() > deadline:
                break
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
        if reason:
            self._fingerprint = None
        else:
            before, self._fingerprint = self._fingerprint, program.fingerprint
            if before == program.fingerprint or not (program.constants or self._twice()):
                self.program = program
                return
            if before is None:
                return
            reason = "numbers that its Python code makes are others in every step"
        self.attempts += 1
        if self.attempts >= _ATTEMPTS:
            self.eager = True
            self._warn(reason)

    def _warn(self, reason: str) -> None:
        if self.spoiled_in:
            reason += f" in layer {self.spoiled_in!r}"
        if reason not in self._warned:
            self._warned.add(reason)
            warnings.warn(
                f"this step cannot be replayed and runs eagerly, slower: {reason}. "
                "Write it with fastnn.ops on tensors, or pass run_eagerly=True to silence this.",
                stacklevel=2,
            )


def is_own_code(value: Any) -> bool:
    """True for a function, or an object of a class, that is not fastnn's, and for what holds such a
    function.
    """

    def foreign(v: Any) -> bool:
        where = v if isinstance(v, (FunctionType, BuiltinFunctionType, MethodType, type)) else type(v)
        module = getattr(where, "__module__", None) or ""
        return module.partition(".")[0] != "fastnn"

    if value is None or isinstance(value, (str, bool, int, float)):
        return False
    return foreign(value) or any(callable(v) and foreign(v) for v in getattr(value, "__dict__", {}).values())
