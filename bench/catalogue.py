"""The catalogue's own bench rows: every kernel with the sizes of its case in fastnn/reference, and calls of
fastnn's and of NumPy's way of computing it.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastnn import _core, reference
from fastnn.tensor import from_numpy

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import test_kernels

reference.load()


@dataclass(frozen=True)
class Row:
    kernel: str
    sizes: dict

    def __str__(self):
        return f"{self.kernel} {self.size_text()}"

    def size_text(self):
        return " ".join(f"{k}={'x'.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in self.sizes.items())

    def family(self):
        return reference.KERNELS[self.kernel].function.__module__.rsplit(".", 1)[1]


def rows(first=False):
    """All of them in the catalogue's order, or only the first of each kernel."""
    cases = [(name, reference.KERNELS.get(name)) for name in _core.kernels]
    return [Row(name, s) for name, case in cases if case for s in (case.bench[:1] if first else case.bench)]


def aligned(array, to=64):
    """The same numbers at the start of a cache line, where every library puts its own tensors; NumPy does not."""
    room = np.empty(array.nbytes + to, np.uint8)
    start = -room.ctypes.data % to
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def make_arguments(case, kernel, sizes, scalars, storage):
    values = test_kernels.make_arguments(case, kernel, sizes, scalars, storage)
    return [aligned(v) if isinstance(v, np.ndarray) else v for v in values]


def numpy_call(kernel, given, sizes):
    """NumPy's way, as a call, with the arguments that are no outputs, by name."""
    case = reference.KERNELS[kernel]
    meaning = case.speed_of or case.function
    parameters = inspect.signature(meaning).parameters
    if "sizes" in parameters:
        given = {**given, "sizes": sizes}
    try:
        inspect.signature(meaning).bind(**given)
    except TypeError:  # a function of NumPy's own, whose arguments have other names
        given = dict(zip(parameters, given.values()))
    return lambda: meaning(**given)


def program_of(kernel, values):
    """The call as a recorded program, so that Python's share is not part of the time."""
    tensors = [from_numpy(v) if isinstance(v, np.ndarray) else v for v in values]
    program = _core.Program()
    program.begin()
    kernel(*tensors)
    program.end()
    return program


def sides(row, storage="float32"):
    """(program, NumPy's call) on the same arguments."""
    case, kernel = reference.KERNELS[row.kernel], _core.kernels[row.kernel]
    values = make_arguments(case, kernel, row.sizes, case.scalars_of_bench(row.sizes), storage)
    given = {p: v for v, (p, kind) in zip(values, kernel.params) if kind != "Out"}
    return program_of(kernel, values), numpy_call(row.kernel, given, row.sizes)
