"""What a call gives, in shapes and types, found by trying it on zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..symbolic import KerasTensor, flatten, map_structure
from ..tensor import Tensor

# Open axes of a trial call. The large pair is for what needs room: x[:, 20], or a batch that divides.
_TRIALS = [((2, 2), (3, 3)), ((64, 64), (128, 128))]  # pairs of (batch size, other open axes)


def symbolic_results(call: Callable, args: tuple, kwargs: dict) -> Any:
    """KerasTensors like the results of `call`, by two trial calls: sizes that differ are open.

    Raises what the call raises if it cannot take such shapes.
    """
    # An open axis may have to agree with a known one: x (batch, None, 4) + y (batch, 7, 4).
    leaves = [t for t in flatten([args, kwargs]) if isinstance(t, KerasTensor)]
    known = sorted({n for t in leaves for n in t.shape if n is not None and n > 1})
    open_inside = any(n is None for t in leaves for n in t.shape[1:])
    trials = _TRIALS + ([((2, n), (3, n)) for n in known] if open_inside else [])
    # Or the batch with a known one: x (None, 3) + y (2, None). Only where nothing else can be computed.
    trials += [((n, 2), (n, 3)) for n in known] + [((n, m), (n, m)) for n in known for m in known if open_inside]
    first: Exception = ValueError("no trial was made")
    for i, sizes in enumerate(trials):
        try:
            return _merged(*(_on_zeros(call, size, args, kwargs) for size in sizes))
        except (ValueError, IndexError) as error:
            first = first if i else error
    raise first


def _on_zeros(call: Callable, sizes: tuple[int, int], args: tuple, kwargs: dict) -> Any:
    def zeros(t: Any) -> Any:
        if not isinstance(t, KerasTensor):
            return t
        return Tensor(np.zeros([sizes[axis > 0] if n is None else n for axis, n in enumerate(t.shape)], t.dtype))

    with no_grad():
        return call(*map_structure(zeros, args), **map_structure(zeros, kwargs))


def _merged(one: Any, two: Any) -> Any:
    if any(not isinstance(t, Tensor) for t in flatten(one)):
        raise TypeError("this call gives values that are not tensors, so it cannot be part of a model")
    pairs = zip(flatten(one), flatten(two))

    def symbol(_: Any) -> KerasTensor:
        a, b = next(pairs)
        if a.ndim != b.ndim:
            raise ValueError("the rank of the result depends on the batch size")
        return KerasTensor(tuple(n if n == m else None for n, m in zip(a.shape, b.shape)), a.dtype)

    return map_structure(symbol, one)
