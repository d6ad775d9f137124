"""What holds across interruptions from outside: a lock that a fork does not leave locked, and a
stretch of code that Ctrl-C does not cut in two.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A reentrant lock. In a forked child, where the other threads are gone, those of them that held
    it hold it no longer.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *exc: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def _after_fork(self) -> None:
        if self._owner != threading.get_ident():
            self._lock, self._owner, self._depth = threading.RLock(), None, 0


def _free_locks() -> None:
    for lock in list(_locks):
        lock._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class CtrlCWaits:
    """`with CtrlCWaits():` Ctrl-C is answered at the end of the block, by whoever answers it now.

    For short blocks of our own: what an optimizer changes in one step is several tensors.
    """

    def __enter__(self) -> None:
        self._before: Any = None
        self._received: tuple | None = None
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread is interrupted
        before = signal.getsignal(signal.SIGINT)
        if callable(before):
            try:
                signal.signal(signal.SIGINT, self._note)
            except ValueError:  # a subinterpreter, which no signal reaches
                return
            self._before = before

    def _note(self, *received: Any) -> None:
        self._received = received

    def __exit__(self, *exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            if self._received is not None:
                self._before(*self._received)
