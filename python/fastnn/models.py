"""`keras.models`: the kinds of models, and how one is read from a file, from JSON or from another.

`Model(inputs, outputs)` is the functional form, `Sequential([...])` a chain, and a subclass of Model
with its own `call` anything else.
"""

from __future__ import annotations

from typing import Any

from .graph import Graph
from .layers.input import Input
from .model import Model
from .sequential import Sequential


def load_model(
    filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """The model saved at `filepath`; see `saving.load_model`."""
    from .saving.models import load_model as load

    return load(filepath, custom_objects, compile, safe_mode)


def save_model(model: Model, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Writes the model to a file; see `saving.save_model`."""
    from .saving.models import save_model as save

    save(model, filepath, overwrite, include_optimizer)


def model_from_json(text: str, custom_objects: dict | None = None) -> Model:
    """The model that `model.to_json()` described, with fresh weights."""
    import json

    from .serialization import deserialize_object

    return deserialize_object(json.loads(text), custom_objects)


def clone_model(model: Model, *args: Any, **kwargs: Any) -> Model:
    """A model of the same architecture with fresh weights; see `cloning.clone_model`."""
    from .cloning import clone_model as clone

    return clone(model, *args, **kwargs)


__all__ = ["Graph", "Input", "Model", "Sequential", "clone_model", "load_model", "model_from_json"]
