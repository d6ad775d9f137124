"""Saving and loading whole models and weights in the native one-file format `.fnn`.

Loading goes parse -> build -> compare every shape -> read, so a file can neither run code nor make
the process allocate more than its architecture implies.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..explain import is_ours
from ..serialization import deserialize_object, serialize_object
from ..variables import at_most
from .container import open_container, write_container

_SLACK_BYTES = 1 << 20  # of variables that are no weights of the model

MODEL_SUFFIX, WEIGHTS_SUFFIX = ".fnn", ".weights.fnn"


def _check_path(filepath: Any, suffix: str, overwrite: bool | None = None) -> str:
    path = os.fspath(filepath)
    if path.endswith((".keras", ".h5", ".hdf5")):
        raise ValueError(
            f"Keras' own file formats are not supported yet, got {path!r}; use a path ending in {suffix!r}"
        )
    if not path.endswith(suffix):
        raise ValueError(f"the path must end in {suffix!r}, got {path!r}")
    if overwrite is False and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    return path


def _arrays(model: Any) -> dict[str, Any]:
    """Weights, then random states, by position and path."""
    tensors = [*model.weights, *_random_states(model)]
    return {f"{i}/{t.path}": t for i, t in enumerate(tensors)}


def _random_states(layer: Any) -> list[Any]:
    found = list(layer._state)
    for sublayer in layer._sublayers:
        found += _random_states(sublayer)
    return list({id(t): t for t in found}.values())


def save_model(model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Writes the model to `filepath` (`.fnn`), atomically.

    Raises ValueError for a model that is not built, or holds something a file cannot (a Lambda).
    """
    path = _check_path(filepath, MODEL_SUFFIX, overwrite)
    if path.endswith(WEIGHTS_SUFFIX):
        raise ValueError(f"{path!r} ends like a file of weights: use save_weights(), or another name")
    if not model.built:
        raise ValueError("the model is not built, so it has no weights to save: call it on data first")
    config = serialize_object(model)
    first_call = model.get_build_config()
    if first_call is not None:
        config["build_config"] = first_call
    compiled = model.get_compile_config()
    if compiled is not None:
        config["compile_config"] = compiled
    optimizer = None
    if include_optimizer and model.optimizer is not None and model.optimizer.built:
        optimizer = {f"{i}/{v.path}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    weights = {name: t.numpy() for name, t in _arrays(model).items()}
    write_container(path, weights=weights, config=config, optimizer=optimizer)


def load_model(filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model saved at `filepath`, compiled as it was unless `compile=False`.

    Custom classes are passed in through `custom_objects` or registered before; nothing is imported
    by name.
    """
    from .. import layers, losses, metrics, models, optimizers  # noqa: F401 (fill the tables of names)

    path = _check_path(filepath, MODEL_SUFFIX)
    with open_container(path) as file:
        if file.config is None:
            raise ValueError(f"{path!r} holds weights only: build the model and call load_weights()")
        held = sum(math.prod(e.shape) for e in file.weights.values())
        with _description_of(path):
            config = dict(file.config)
            compiled = config.pop("compile_config", None)
            first_call = config.pop("build_config", None)
            with at_most(8 * held + _SLACK_BYTES):  # a weight has 8 bytes at most, however the file keeps it
                model = deserialize_object(config, custom_objects)
                if not isinstance(model, models.Model):
                    raise ValueError(f"{path!r} describes no model")
                if first_call is not None and not model.built:
                    model.build_from_config(first_call)
        _assign(list(_arrays(model).values()), file.weights, file.read_weights, path)
        if compile and compiled is not None:
            from ..custom_objects import custom_object_scope

            with _description_of(path), custom_object_scope(custom_objects):
                model.compile_from_config(compiled)
                if file.optimizer is not None:
                    model.optimizer.build(model.trainable_variables)
            if file.optimizer is not None:
                _assign(model.optimizer.variables, file.optimizer, file.read_optimizer, path)
    return model


@contextmanager
def _description_of(path: str):
    """What is wrong in a description is a ValueError, wherever it shows; errors of the user's own
    classes stay what they are.
    """
    try:
        yield
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
        if not is_ours(error):
            raise
        raise ValueError(f"{path!r}: the description of the model is malformed ({error!r})") from error


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the model's weights to `filepath` (`.weights.fnn`), atomically."""
    path = _check_path(filepath, WEIGHTS_SUFFIX, overwrite)
    if not model.built:
        raise ValueError("the model is not built, so it has no weights to save: call it on data first")
    write_container(path, weights={name: t.numpy() for name, t in _arrays(model).items()})


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Reads weights into a built model, by position."""
    path = _check_path(filepath, MODEL_SUFFIX)
    if not model.built:
        raise ValueError("the model is not built: call it on data, or give it an Input, before load_weights()")
    with open_container(path) as file:
        _assign(list(_arrays(model).values()), file.weights, file.read_weights, path, skip_mismatch)


def save_training(model: Any, filepath: Any, metadata: dict) -> None:
    """Writes what a training goes on from, atomically: weights, random states, the optimizer's
    state, and `metadata`.
    """
    optimizer = model.optimizer if model.optimizer is not None and model.optimizer.built else None
    state = None if optimizer is None else {f"{i}/{v.path}": v.numpy() for i, v in enumerate(optimizer.variables)}
    weights = {name: t.numpy() for name, t in _arrays(model).items()}
    write_container(filepath, weights=weights, optimizer=state, metadata=metadata)


def load_training(model: Any, filepath: Any) -> dict:
    """Puts what `save_training` wrote into a built model; returns the metadata."""
    path = os.fspath(filepath)
    with open_container(path) as file:
        _assign(list(_arrays(model).values()), file.weights, file.read_weights, path)
        if file.optimizer is not None and model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
            store = file.read_optimizer()
            model.optimizer.set_weights([store[name] for name in sorted(store, key=_position)])
        return file.metadata


def _assign(targets: list[Any], entries: dict, read: Any, path: str, skip_mismatch: bool = False) -> None:
    names = sorted(entries, key=_position)
    if len(names) != len(targets):
        raise ValueError(f"{path!r} holds {len(names)} tensors, the model has {len(targets)}")
    matching = []
    for name, target in zip(names, targets):
        if tuple(entries[name].shape) == target.shape:
            matching.append((name, target))
        elif not skip_mismatch:
            raise ValueError(
                f"{path!r}: {name} has shape {tuple(entries[name].shape)}, the model's {target.path} {target.shape}"
            )
    arrays = read()
    for name, target in matching:
        target.assign_numpy(np.ascontiguousarray(arrays[name], target.dtype).reshape(target.shape))


def _position(name: str) -> int:
    index = name.split("/", 1)[0]
    if not index.isdigit():
        raise ValueError(f"a tensor is called {name!r:.80}, which this version did not write")
    return int(index)
