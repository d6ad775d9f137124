"""How often predictions are right: functions with one value per prediction, and their means."""

from __future__ import annotations

from typing import Any

from .. import config, kernels, ops
from ..tensor import Tensor, empty, to_tensor, view
from .base import METRICS, MeanMetricWrapper, as_float, same_rank


def _hits(truth: Tensor) -> Tensor:
    return ops.cast(truth, config.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where y_pred equals y_true."""
    y_true, y_pred = same_rank(to_tensor(y_true), to_tensor(y_pred))
    return _hits(ops.equal(ops.cast(y_true, y_pred.dtype), y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where y_true equals (y_pred > threshold)."""
    y_true, y_pred = same_rank(to_tensor(y_true), as_float(y_pred))
    return _hits(ops.equal(as_float(y_true, y_pred.dtype), ops.cast(ops.greater(y_pred, threshold), y_pred.dtype)))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest entries of both rows are at the same place."""
    return _hits(ops.equal(ops.argmax(to_tensor(y_true), axis=-1), ops.argmax(to_tensor(y_pred), axis=-1)))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest entry of y_pred is at index y_true."""
    y_true, y_pred = to_tensor(y_true), to_tensor(y_pred)
    if 0 < y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.reshape(y_true, y_true.shape[:-1])
    chosen = ops.argmax(y_pred, axis=-1)
    if y_true.dtype.startswith("float"):  # 1.5 is no class
        chosen = ops.cast(chosen, y_true.dtype)
    hits = _hits(ops.equal(y_true, chosen))
    return ops.reshape(hits, hits.shape[:-1]) if hits.ndim > 1 and hits.shape[-1] == 1 else hits


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class of y_true is among the k largest entries; ties count."""
    return sparse_top_k_categorical_accuracy(ops.argmax(to_tensor(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where fewer than k entries are larger than that of class y_true; ties count.

    With `from_sorted_ids`, y_pred holds classes instead, the likeliest first: 1 where y_true is among
    the first k of them.
    """
    y_true, y_pred = to_tensor(y_true), as_float(y_pred)
    classes = y_pred.shape[-1] if y_pred.ndim else 0
    if not y_pred.ndim or y_true.size * classes != y_pred.size:
        raise ValueError(
            f"top k accuracy: y_true {y_true.shape} does not name one class per row of y_pred {y_pred.shape}"
        )
    if from_sorted_ids:
        rows = ops.slice(ops.reshape(y_pred, (-1, classes)), (0, 0), (y_true.size, min(k, classes)))
        found = ops.equal(ops.cast(ops.reshape(y_true, (-1, 1)), y_pred.dtype), rows)
        hits = ops.max(_hits(found), axis=-1)
    else:
        hits = empty((y_true.size,), y_pred.dtype, y_pred.device)
        classes_wanted = view(ops.cast(y_true, "int32"), (y_true.size,))
        kernels.in_top_k(classes_wanted, view(y_pred, (y_true.size, classes)), hits, k)
    return ops.reshape(hits, y_true.shape)


class _Accuracy(MeanMetricWrapper):
    _direction = "up"


@METRICS.register()
class Accuracy(_Accuracy):
    """How often y_pred equals y_true."""

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


@METRICS.register()
class BinaryAccuracy(_Accuracy):
    """How often y_pred > threshold equals y_true."""

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@METRICS.register()
class CategoricalAccuracy(_Accuracy):
    """How often the largest entry is the right class, with one-hot targets."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


@METRICS.register()
class SparseCategoricalAccuracy(_Accuracy):
    """How often the largest entry is the right class, with integer targets."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


@METRICS.register()
class TopKCategoricalAccuracy(_Accuracy):
    """How often the right class is among the k largest, with one-hot targets."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@METRICS.register()
class SparseTopKCategoricalAccuracy(_Accuracy):
    """How often the right class is among the k largest, with integer targets."""

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids
