"""Small tools of `keras.utils`: labels, sequences, seeds; and the import of optional packages."""

from __future__ import annotations

import importlib

import numpy as np

from fastnn.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.data import pack_x_y_sample_weight, unpack_x_y_sample_weight
from fastnn.explain import clear
from fastnn.progress import Progbar
from fastnn.random import set_random_seed
from fastnn.serialization import deserialize_keras_object, serialize_keras_object
from fastnn.streams import PyDataset
from fastnn.streams import PyDataset as Sequence
from fastnn.variables import clear_session

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "optional_import",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def optional_import(module: str, install: str):
    """Import a module that is not a dependency.

    Args:
      module: its name, `"matplotlib.pyplot"`.
      install: what brings it, `"fastnn-ml[plot]"`.

    Raises:
      ImportError: it is not there; the message has the line to type.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, but something that it needs is not
        raise ImportError(f'this needs {module.partition(".")[0]}: pip install "{install}"') from error


@clear
def to_categorical(x, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows: integers (*shape) -> float64 (*shape, num_classes). A last dimension of 1 is
    dropped first.

    Raises:
      ValueError: labels that are not integers, or outside [0, num_classes).
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "biu":
        if labels.dtype.kind != "f" or not np.all(labels == np.floor(labels)):
            raise ValueError(f"to_categorical needs integer labels; received dtype {labels.dtype}: {x!r:.80}")
        labels = labels.astype(np.int64)
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1).astype(np.int64)
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical cannot tell the number of classes from no labels: pass num_classes")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"labels must be from 0 to {num_classes - 1}; received {wrong[0]}")
    one_hot = np.zeros((labels.size, num_classes))
    one_hot[np.arange(labels.size), labels] = 1
    return one_hot.reshape(*shape, num_classes)


def normalize(x, axis: int = -1, order: int = 2) -> np.ndarray:
    """x divided by its norm of `order` along `axis`; zero vectors stay zero."""
    x = np.atleast_1d(np.asarray(x))
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences,
    maxlen: int | None = None,
    dtype="int32",
    padding: str = "pre",
    truncating: str = "pre",
    value=0.0,
) -> np.ndarray:
    """Sequences of different lengths -> (number, maxlen, *shape of an item).

    Args:
      sequences: list of lists (or arrays) of items.
      maxlen: None is the longest length.
      dtype: of the result; `object` for strings.
      padding, truncating: `"pre"` or `"post"`: at which end values are added and removed. Both are
        `"pre"` by default.
      value: what is added.

    Raises:
      ValueError: not a list of lists, or items of different shapes.
    """
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post'; received {end!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"sequences must be a list of sequences; received {type(sequences).__name__}")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"sequences must be a list of sequences; item {i} is {sequence!r}")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"padding with the string {value!r} needs dtype=object; received dtype {dtype!r}")

    lengths = [len(sequence) for sequence in sequences]
    maxlen = max(lengths, default=0) if maxlen is None else int(maxlen)
    filled = [s for s in sequences if len(s)]
    item_shape = np.asarray(filled[0]).shape[1:] if filled else ()
    out = np.full((len(lengths), maxlen, *item_shape), value, dtype=dtype)
    for i, sequence in enumerate(sequences):
        # Not sequence[-maxlen:]: with maxlen 0 that is everything.
        kept = sequence[max(0, lengths[i] - maxlen) :] if truncating == "pre" else sequence[:maxlen]
        if not len(kept):
            continue
        kept = np.asarray(kept, dtype=dtype)
        if kept.shape[1:] != item_shape:
            raise ValueError(f"items of sequence {i} have shape {kept.shape[1:]}, those before it {item_shape}")
        begin = maxlen - len(kept) if padding == "pre" else 0
        out[i, begin : begin + len(kept)] = kept
    return out
