"""NumPy's side of the kernels' rows: the meaning in the catalogue's cases, or their faster way."""

from __future__ import annotations

import inspect

import numpy as np

from fastnn import _core, reference

# Elsewhere NumPy has only loops over windows and steps, which nobody would use.
FAMILIES = ("matmul", "softmax", "activation", "norm", "embedding", "reduce", "optimizer")


def start(peer, threads):
    return f"NumPy {np.__version__}"


def meaning_of(case):
    return case.speed_of or case.function


def bound(function, given, sizes):
    """function() with these arguments by name, and the sizes where it wants them."""
    parameters = inspect.signature(function).parameters
    if "sizes" in parameters:
        given = {**given, "sizes": sizes}
    try:
        inspect.signature(function).bind(**given)
    except TypeError:  # a function of NumPy's own, whose arguments have other names
        given = dict(zip(parameters, given.values()))
    return lambda: function(**given)


def find(family, row):
    if family not in FAMILIES or row.inputs is not None:
        return None
    if family == "embedding" and row.kernel.endswith("_grad"):
        return None  # np.add.at, which is no rival

    def side(a):
        given = {p: getattr(a, p) for p, kind in _core.kernels[row.kernel].params if kind != "Out"}
        return bound(meaning_of(reference.KERNELS[row.kernel]), given, a.sizes)

    return side
