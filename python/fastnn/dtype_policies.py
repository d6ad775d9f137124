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
    faster; elsewhere it computes as "float32". Keras rounds the results of layers as well, and calls their type
    (`compute_dtype`) "bfloat16"; here it is what results are, "float32".

    Raises ValueError for "mixed_float16", which is meant for GPUs.
    """

    def __init__(self, name: Any):
        self.name: str
        if name == "mixed_bfloat16":
            self.name = "mixed_bfloat16"
            self.compute_dtype = self.variable_dtype = "float32"
            return
        if isinstance(name, str) and name.startswith("mixed_"):
            raise ValueError(f"policy {name!r}: fastnn has 'float32', 'float64' and 'mixed_bfloat16'")
        self.name = self.compute_dtype = self.variable_dtype = dtype_name(name)

    @property
    def rounds_products(self) -> bool:
        return self.name == "mixed_bfloat16"

    def __repr__(self) -> str:
        return f"<DTypePolicy {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def get(policy: Any) -> DTypePolicy:
    """The policy that `policy` is, names or describes, as `get_config` does; that of new layers for None."""
    from .config import dtype_policy

    if policy is None:
        return dtype_policy()
    if isinstance(policy, dict):
        policy = _family.deserialize(policy)
    return policy if isinstance(policy, DTypePolicy) else DTypePolicy(policy)
