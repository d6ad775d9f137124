"""Operations on tensors with Keras' names; each keeps what its gradient needs.

One module per family, forward and backward side by side.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..kernels import FAMILIES
from ..symbolic import operation

if TYPE_CHECKING:  # what the loop below does, for readers and type checkers
    from .activation import *
    from .attention import *
    from .compare import *
    from .conv import *
    from .create import *
    from .dropout import *
    from .elementwise import *
    from .embedding import *
    from .index import *
    from .loss import *
    from .matmul import *
    from .move import *
    from .norm import *
    from .pooling import *
    from .recurrent import *
    from .reduce import *
    from .slice import *
    from .softmax import *
    from .sort import *
    from .unary import *

# Ops whose results are integers, truth values or constants: they have no derivative.
NOT_DIFFERENTIABLE: list[str] = []

_modules = []
for _family in [*FAMILIES, "attention"]:  # attention has no kernels of its own
    try:
        _modules.append(importlib.import_module(f"{__name__}.{_family}"))
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{_family}":
            raise
# Only now, because importing a module enters its name here too: `norm` is a family and an op.
for _module in _modules:
    for _name in _module.__all__:
        globals()[_name] = operation(_name, getattr(_module, _name))
    NOT_DIFFERENTIABLE += getattr(_module, "NOT_DIFFERENTIABLE", [])

from .. import operators as _operators  # noqa: E402  (Tensor's + - * / and so on; they call these ops)
from .control import cond, fori_loop, map, scan, switch, vectorized_map, while_loop  # noqa: E402
