"""What a workload is: the same model for the Keras family (one description for fastnn and for Keras) and
for PyTorch, with the same layers, sizes and loss, and the data that it is trained on.

Weights differ between peers; only time is compared here, values are compared by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BCE, CCE, MSE = "binary_crossentropy", "sparse_categorical_crossentropy", "mse"


@dataclass(frozen=True)
class Workload:
    batch: int
    data: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]  # channels last
    keras: Callable[[Any], list]  # a Keras-like module -> layers
    torch: Callable[[Any], Any]  # torch -> Module without the last activation, which its losses include
    loss: str  # Keras' name: BCE, CCE or MSE
    about: str
    images: bool = False  # whether PyTorch's channels_last is worth trying


# --- data: (rng, rows) -> (x, y) -----------------------------------------------------------------


def classes(rng, n, k):
    return rng.integers(0, k, n).astype(np.int32)


def truths(rng, n, k):
    return rng.integers(0, 2, (n, k)).astype(np.float32)


def vectors(width: int, targets: Callable, k: int):
    """Rows of floats."""
    return lambda rng, n: (rng.standard_normal((n, width), dtype=np.float32), targets(rng, n, k))


def images(height: int, width: int, channels: int):
    """Images of ten classes."""
    return lambda rng, n: (rng.random((n, height, width, channels), dtype=np.float32), classes(rng, n, 10))


def to_themselves(data: Callable):
    """What an autoencoder is trained on."""

    def make(rng, n):
        x = data(rng, n)[0]
        return x, x

    return make


def words(length: int, vocabulary: int, targets: Callable, k: int):
    """Sequences of word numbers."""
    return lambda rng, n: (rng.integers(0, vocabulary, (n, length)).astype(np.int32), targets(rng, n, k))


def series(length: int, features: int):
    """Sequences of numbers with one number to be told of each."""

    def make(rng, n):
        return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in ((n, length, features), (n, 1)))

    return make
