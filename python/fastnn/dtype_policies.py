"""DTypePolicy: of which type the weights and results of a layer are, and how exactly it computes."""

from __future__ import annotations

from typing import Any

from .configurable import Configurable
from .serialization import Family
from .tensor import dtype_name

_family = Family("dtype policy", "keras")


@_family.register()
class DTypePolicy(Configurable):
    """One type for weights and results, by its name ("float32"), or "mixed_bfloat16". Layers take it as `dtype`.

    Under "mixed_bfloat16" weights, results and sums are float32, and the operands of products (dense layers,
    convolutions, recurrent cells, and their gradients) are rounded to bfloat16, where the processor multiplies those
    faster; elsewhere it computes as "float32". Keras rounds the results of layers as well.

    Raises ValueError for "mixed_float16", which is meant for GPUs.
    """

    name: str

    def __init__(self, name: Any):
        if isinstance(name, DTypePolicy):
            name = name.name
        if name == "mixed_bfloat16":
            self.name = "mixed_bfloat16"
            self.compute_dtype, self.variable_dtype = "bfloat16", "float32"
            return
        if isinstance(name, str) and name.startswith("mixed_"):
            raise ValueError(f"policy {name!r}: fastnn has 'float32', 'float64' and 'mixed_bfloat16'")
        self.name = self.compute_dtype = self.variable_dtype = dtype_name(name)

    def __repr__(self) -> str:
        return f"<DTypePolicy {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)
