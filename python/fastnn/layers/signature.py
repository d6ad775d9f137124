"""What `call` and `build` of a layer class take, read once from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..symbolic import KerasTensor, alike, flatten, map_structure
from ..tensor import Tensor

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(method: Callable) -> dict[str, inspect.Parameter]:
    found = list(inspect.signature(method).parameters.values())[1:]
    return {p.name: p for p in found if p.kind not in _OPEN}


def shape_of(structure: Any) -> Any:
    """The shapes of nested tensors, None for None."""
    return map_structure(lambda t: None if t is None else tuple(t.shape), structure)


def is_shape(value: Any) -> bool:
    """True for one shape: a sequence of sizes, None where open."""
    return isinstance(value, (tuple, list)) and all(n is None or hasattr(n, "__index__") for n in value)


def map_shapes(function: Callable, structure: Any) -> Any:
    """The same structure with function(shape) for every shape."""
    if is_shape(structure):
        return function(tuple(structure))
    if isinstance(structure, dict):
        return {key: map_shapes(function, item) for key, item in structure.items()}
    if not isinstance(structure, (list, tuple)):
        raise TypeError(f"expected a shape or a structure of shapes, got {structure!r}")
    return alike(structure, [map_shapes(function, item) for item in structure])


class Signature:
    """Arguments of `call` (by name, in order) and of `build`."""

    def __init__(self, cls: Any):
        self.cls = cls
        self.call = tuple(_parameters(cls.call))
        self.build = _parameters(cls.build)

    @property
    def first(self) -> str | None:
        return self.call[0] if self.call else None

    def given(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        """The arguments of a call by name."""
        return {**dict(zip(self.call, args)), **kwargs}

    def build_shapes(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        """The arguments of `build` for a call.

        One shape is that of the first argument; of several, `x_shape` is that of the argument `x`.
        Raises ValueError for one that no argument of `call` goes with.
        """
        required = [name for name, p in self.build.items() if p.default is p.empty]
        if len(self.build) == 1:
            return {next(iter(self.build)): shape_of(args[0] if args else None)}
        given = self.given(args, kwargs)
        shapes = {}
        for name in self.build:
            argument = name.removesuffix("_shape")
            if name != argument and argument in self.call:
                if has_tensors(given.get(argument)):
                    shapes[name] = shape_of(given[argument])
            elif name in required and len(required) == 1:
                shapes[name] = shape_of(args[0] if args else None)
            elif name in required:
                wrong = "does not end in '_shape'" if name == argument else f"call() has no argument {argument!r}"
                raise ValueError(f"{self.cls.__name__}.build() takes {name!r}, but {wrong}")
        return shapes


def has_tensors(structure: Any) -> bool:
    """True if all leaves are tensors (or None), and one is."""
    leaves = [t for t in flatten(structure) if t is not None]
    return bool(leaves) and all(isinstance(t, (Tensor, KerasTensor)) for t in leaves)


_signatures: dict[type, Signature] = {}


def signature_of(cls: type) -> Signature:
    found = _signatures.get(cls)
    if found is None:
        found = _signatures[cls] = Signature(cls)
    return found
