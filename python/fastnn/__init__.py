"""fastnn: Keras' layers on hand-written kernels, trained by recorded programs.

    import fastnn as keras

Modules and names below are loaded when they are first used; importing the package loads NumPy and
the kernels, nothing else.
"""

from __future__ import annotations

import importlib
from typing import Any

from . import _core
from ._core import DeviceError

__version__ = "0.1.0"

_MODULES = frozenset(
    [
        "activations",
        "autograd",
        "backend",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "dtype_policies",
        "initializers",
        "kernels",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "random",
        "regularizers",
        "saving",
        "utils",
    ]
)

# Where the names of the top level live.
_NAMES = {
    "Callback": "callbacks",
    "DTypePolicy": "dtype_policies",
    "GradientTape": "autograd",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "KerasTensor": "symbolic",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "Tensor": "tensor",
    "Variable": "variables",
    "device": "config",
    "from_dlpack": "tensor",
    "from_numpy": "tensor",
    "no_grad": "autograd",
}
_RENAMED = {"device": "device_scope"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        importlib.import_module(f"{__name__}.ops")  # gives tensors their operators
        value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), _RENAMED.get(name, name))
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})


def version() -> str:
    """The version of fastnn."""
    return __version__


__all__ = ["DeviceError", "__version__", *sorted(_NAMES)]
del annotations
