"""Whether the products of the layer that is running take their operands rounded to bfloat16.

A layer under the policy "mixed_bfloat16" says so around its `call`; the calls of kernels that are made there
carry it on, into recordings too, and so does the backward pass of each op that ran there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _State(threading.local):
    on = False


_state = _State()


def is_on() -> bool:
    return _state.on


@contextmanager
def products_rounded(on: bool) -> Iterator[None]:
    """Inside, products are rounded, or not."""
    from . import _core

    if on == _state.on:
        yield
        return
    before, _state.on = _state.on, on
    _core.round_products(on)
    try:
        yield
    finally:
        _state.on = before
        _core.round_products(before)
