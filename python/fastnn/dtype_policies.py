"""DTypePolicy: how Keras writes the type of a layer into its configuration."""

from __future__ import annotations

from typing import Any

from .configurable import Configurable
from .serialization import Family
from .tensor import dtype_name

_family = Family("dtype policy", "keras")


@_family.register()
class DTypePolicy(Configurable):
    """One type for weights and results, by its name ("float32"). Layers take it as `dtype`.

    Raises ValueError for mixed precision, which fastnn does not have.
    """

    def __init__(self, name: Any):
        if isinstance(name, str) and name.startswith("mixed_"):
            raise ValueError(f"policy {name!r}: fastnn has no mixed precision; use 'float32'")
        self.name = self.compute_dtype = self.variable_dtype = dtype_name(name)

    def __repr__(self) -> str:
        return f"<DTypePolicy {self.name!r}>"
