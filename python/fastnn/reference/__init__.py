"""What every kernel and op means, in NumPy: one case, declared once, gives the tests of correctness,
of gradients and of speed.

    @kernel_case(sizes=[dict(m=(3,), k=4, n=5)], bench=[dict(m=(512,), k=512, n=512)], tolerance=...)
    def matmul_nn(a, b):
        return a @ b

The function's name is the kernel's; its arguments are the kernel's In and InOut tensors and scalars
by name, computed in float64; it returns the Out and InOut tensors in catalogue order. `sizes` gives
each name of the shape line a value (a tuple for *s); broadcast sequences are given per argument:
`dict(s=(2, 3), a=(3,))`; a function with a parameter `sizes` is given them. Inputs are standard normal (indices: see `inputs`).

    op_case("dense", x=T(3, 4), w=T(4, 5), b=T(5), activation="tanh")

declares a gradient check of an op by central differences in float64, at points drawn for each T.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels import FAMILIES


@dataclass
class KernelCase:
    """One kernel's meaning and the sizes it is tested and timed on."""

    name: str
    function: Callable
    sizes: Sequence[dict]
    bench: Sequence[dict]
    scalars: Sequence[dict]
    inputs: dict[str, Callable]
    tolerance: float | Callable[..., float]  # in units of eps of the storage type
    exact: bool = False
    speed_of: Callable | None = None  # NumPy's fast way, where the meaning is not it

    def scalars_of_bench(self, sizes: dict) -> dict:
        """The scalars of a bench row: those of the first case, where the row does not name others."""
        return {name: sizes.get(name, value) for name, value in self.scalars[0].items()}


@dataclass
class T:
    """A random float tensor of an op case: shape, and the distribution its values come from."""

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    grad: bool = True

    def __init__(self, *shape: int, low: float | None = None, high: float | None = None, grad: bool = True):
        self.shape, self.low, self.high, self.grad = shape, low, high, grad

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.low is None:
            return rng.standard_normal(self.shape)
        return rng.uniform(self.low, self.high, self.shape)


@dataclass
class OpCase:
    """One gradient check of an op."""

    name: str
    arguments: dict[str, Any]
    tolerance: float = 1e-6


KERNELS: dict[str, KernelCase] = {}
OPS: dict[str, list[OpCase]] = {}


def kernel_case(
    sizes: Sequence[dict],
    bench: Sequence[dict] = (),
    scalars: Sequence[dict] = ({},),
    inputs: dict[str, Callable] | None = None,
    tolerance: float | Callable[..., float] = 8.0,
    exact: bool = False,
    speed_of: Callable | None = None,
) -> Callable:
    """Declares the NumPy meaning of the kernel with the decorated function's name.

    scalars: every dict of scalar arguments is combined with every size. inputs: name ->
    f(rng, shape, sizes) for inputs that are not standard normal. tolerance: allowed error in eps of
    the storage type relative to the largest magnitude of the result, a number or a function of the
    sizes (keyword arguments) where it grows with a reduction's length.
    """

    def declare(function: Callable) -> Callable:
        name = function.__name__.rstrip("_")
        KERNELS[name] = KernelCase(name, function, sizes, bench, scalars, inputs or {}, tolerance, exact, speed_of)
        return function

    return declare


def op_case(name: str, tolerance: float = 1e-6, **arguments: Any) -> None:
    """Declares a gradient check of ops.<name>(**arguments); lists may hold T too."""
    OPS.setdefault(name, []).append(OpCase(name, arguments, tolerance))


def load() -> None:
    """Imports every family's cases."""
    for family in FAMILIES:
        try:
            importlib.import_module(f"{__name__}.{family}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{family}":
                raise


# --- shape lines, for making arguments ------------------------------------------------------------

_ITEM = re.compile(r"(\w+):(\w)\(([^)]*)\)(\?)?")
_DTYPES = {"F": "float64", "i": "int32", "u": "uint8", "b": "bool"}


def argument_specs(kernel: Any, sizes: dict, storage: str, scalars: dict) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every tensor argument of a kernel for these sizes."""
    known = {**{k: v for k, v in scalars.items() if isinstance(v, int)}, **sizes}
    specs: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, kind, dims, _ in _ITEM.findall(kernel.shapes):
        shape: list[int] = []
        for dim in filter(None, (d.strip() for d in dims.split(","))):
            if dim[0] == "^":
                shape.extend(sizes.get(name, sizes[dim[1:]]))
            elif dim[0] == "*":
                shape.extend(sizes[dim[1:]])
            else:
                product = 1
                for factor in dim.split("*"):
                    product *= int(factor) if factor.isdigit() else known[factor]
                shape.append(product)
        dtype = sizes.get("dtype:" + kind) or _DTYPES.get(kind, storage)
        specs[name] = (tuple(shape), dtype)
    return specs
