"""How often predictions are right."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from .base import METRICS, MeanMetricWrapper


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Drops a last axis of 1 where only one side has it, as Keras does."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = ops.reshape(y_true, y_true.shape[:-1])
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = ops.reshape(y_pred, y_pred.shape[:-1])
    return y_true, y_pred


def _hits(truth: Tensor, like: Tensor) -> Tensor:
    return ops.cast(truth, like.dtype)


def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 where y_pred equals y_true."""
    y_true, y_pred = same_rank(y_true, y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    like = y_pred if y_pred.dtype.startswith("float") else ops.cast(y_pred, "float32")
    return _hits(ops.equal(y_true, y_pred), like)


def binary_accuracy(y_true: Tensor, y_pred: Tensor, threshold: float = 0.5) -> Tensor:
    """1 where (y_pred > threshold) equals y_true."""
    y_true, y_pred = same_rank(y_true, y_pred)
    decided = _hits(ops.greater(y_pred, threshold), y_pred)
    return _hits(ops.equal(ops.cast(y_true, y_pred.dtype), decided), y_pred)


def categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 where the largest entries of both rows are at the same place."""
    return _hits(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)), y_pred)


def sparse_categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 where the largest entry of y_pred is at index y_true."""
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 and y_pred.ndim > 1:
        y_true = ops.reshape(y_true, y_true.shape[:-1])
    return _hits(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, axis=-1)), y_pred)


def top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """1 where the class of y_true is among the k largest entries; ties count."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """1 where fewer than k entries are larger than that of class y_true; ties count."""
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.reshape(y_true, y_true.shape[:-1])
    chosen = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    own = ops.sum(ops.multiply(y_pred, chosen), axis=-1, keepdims=True)
    larger = ops.sum(ops.cast(ops.greater(y_pred, own), y_pred.dtype), axis=-1)
    return _hits(ops.less(larger, float(k)), y_pred)


@METRICS.register()
class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true."""

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


@METRICS.register()
class BinaryAccuracy(MeanMetricWrapper):
    """How often y_pred > threshold equals y_true."""

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"threshold lies between 0 and 1, got {threshold}")
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@METRICS.register()
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest entry is the right class, with one-hot targets."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


@METRICS.register()
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest entry is the right class, with integer targets."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


@METRICS.register()
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the k largest, with one-hot targets."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@METRICS.register()
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the k largest, with integer targets."""

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k
