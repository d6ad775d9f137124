"""Operations on tensors with Keras' names; each keeps what its gradient needs.

One module per family, forward and backward side by side.
"""

from __future__ import annotations

import importlib

from ..kernels import FAMILIES
from ..symbolic import operation

# Ops whose results are integers, truth values or constants: they have no derivative.
NOT_DIFFERENTIABLE: list[str] = []

for _family in FAMILIES:
    try:
        _module = importlib.import_module(f"{__name__}.{_family}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{_family}":
            raise
        continue
    for _name in _module.__all__:
        globals()[_name] = operation(_name, getattr(_module, _name))
    NOT_DIFFERENTIABLE += getattr(_module, "NOT_DIFFERENTIABLE", [])
