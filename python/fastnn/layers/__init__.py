"""Keras' layers; one module per family."""

from __future__ import annotations

import importlib

from .base import LAYERS, InputSpec, Layer
from .input import Input, InputLayer

for _family in "op dense activation move merge conv pooling norm dropout embedding recurrent wrappers".split():
    try:
        _module = importlib.import_module(f"{__name__}.{_family}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{_family}":
            raise
        continue
    for _name, _value in vars(_module).items():
        if isinstance(_value, type) and issubclass(_value, Layer) and not _name.startswith("_"):
            globals()[_name] = _value

from .merge import add, average, concatenate, dot, maximum, minimum, multiply, subtract  # noqa: E402

serialize = LAYERS.serialize
deserialize = LAYERS.deserialize
