"""The kernels as Python functions, one per line of csrc/kernels.def.

Each takes its arguments in order, writes into the tensors marked Out and InOut, and returns
nothing: `kernels.softmax(x, y)`. Shapes and types are checked at the gate (ValueError, TypeError).
"""

from . import _core

# One word per family; it names the family's file in every room of the house.
FAMILIES = [
    "matmul",
    "elementwise",
    "unary",
    "compare",
    "activation",
    "reduce",
    "softmax",
    "conv",
    "pooling",
    "norm",
    "dropout",
    "embedding",
    "recurrent",
    "loss",
    "metric",
    "optimizer",
    "create",
    "move",
    "slice",
    "index",
    "sort",
]

globals().update(_core.kernels)
__all__ = list(_core.kernels)


def __getattr__(name: str):
    raise AttributeError(f"there is no kernel {name!r} in the catalogue")
