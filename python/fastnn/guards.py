"""What holds across interruptions from outside: a lock that a fork does not leave locked, and a
stretch of code that Ctrl-C does not cut in two.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from typing import Any

# References without callbacks: a callback is Python code that runs wherever an object happens to die,
# and a Ctrl-C that arrives in it is lost.
_locks: list[weakref.ref[ForkSafeLock]] = []


class ForkSafeLock(type(threading.RLock())):  # type: ignore[misc]
    """A reentrant lock. In a forked child, where the other threads are gone, none of them holds it.

    (A subclass of the lock in C, so that Ctrl-C cannot come between its being taken and the block.)
    """

    def __init__(self) -> None:
        if len(_locks) > 2 * ForkSafeLock._alive:
            _locks[:] = [r for r in _locks if r() is not None]
            ForkSafeLock._alive = max(len(_locks), 64)
        _locks.append(weakref.ref(self))

    _alive = 64  # when there were last counted


def _free_locks() -> None:
    for reference in _locks:
        lock = reference()
        if lock is not None and not lock._is_owned():  # by the thread that forked
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class CtrlCWaits:
    """`with CtrlCWaits():` Ctrl-C is answered at the end of the block, by whoever answers it now.

    For short blocks of our own: what an optimizer changes in one step is several tensors. A second
    Ctrl-C is answered at once, in case the block is not short (a constraint or an update of a user's).
    """

    def __enter__(self) -> None:
        self._before: Any = None
        self._received: tuple | None = None
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread is interrupted
        if not callable(signal.getsignal(signal.SIGINT)):
            return  # ignored, the end of the process, or a handler that Python did not set and cannot restore
        # Whatever it returns is what it replaced: a handler may have run since, and set another.
        try:
            self._before = signal.signal(signal.SIGINT, self._note)
        except ValueError:  # a subinterpreter, which no signal reaches
            return

    def _note(self, *received: Any) -> None:
        if self._received is None:
            self._received = received
        else:
            self._answer(received)

    def _answer(self, received: tuple) -> None:
        self._received = None
        if callable(self._before):
            self._before(*received)
        elif self._before == signal.SIG_DFL:
            signal.raise_signal(signal.SIGINT)

    def __exit__(self, *exc: object) -> None:
        if self._before is None:
            return
        ours = signal.signal(signal.SIGINT, self._before)
        if ours != self._note:  # the block has set another, which stays
            signal.signal(signal.SIGINT, ours)
        if self._received is not None:
            self._answer(self._received)
