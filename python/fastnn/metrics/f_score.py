"""F-scores: the harmonic mean of precision and recall, per class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import config, kernels, ops
from ..tensor import Tensor, to_tensor
from .base import METRICS, Metric, Scalar, as_float, as_result, weight_like


def _is_float_in(value: Any, top: float) -> bool:
    """Whether 0 < value <= top; integers are refused, as in Keras."""
    return isinstance(value, float) and 0 < value <= top


@METRICS.register()
class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), for (samples, classes).

    Args:
      average: None for one value per class, "micro" (all entries counted together), "macro" (mean
        over classes) or "weighted" (by how often a class occurs).
      beta: how many times more recall counts than precision.
      threshold: predictions above are positive; by default the largest of each row is.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"average is None, 'micro', 'macro' or 'weighted', got {average!r}")
        if not _is_float_in(beta, math.inf):
            raise ValueError(f"beta is a float above 0, got {beta!r}")
        if threshold is not None and not _is_float_in(threshold, 1.0):
            raise ValueError(f"threshold is a float with 0 < threshold <= 1, got {threshold!r}")
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def build(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Makes the state for such a batch; a first update does it too, but cannot be recorded."""
        if y_true.ndim != 2 or y_pred.shape != y_true.shape:
            raise ValueError(
                f"metric {self.name!r} takes y_true and y_pred of one shape (samples, classes), got "
                f"{y_true.shape} and {y_pred.shape}"
            )
        if not self._built:
            shape = (y_pred.shape[1],)
            self.true_positives = self.add_variable(shape, name="true_positives")
            self.predicted = self.add_variable(shape, name="predicted")
            self.intermediate_weights = self.add_variable(shape, name="intermediate_weights")
            self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = as_float(y_pred)
        y_true = as_float(to_tensor(y_true), y_pred.dtype)
        self.build(y_true, y_pred)
        if self.threshold is None:
            largest = ops.greater_equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            # A row of zeros chooses no class at all.
            chosen = ops.logical_and(largest, ops.greater(ops.abs(y_pred), 1e-9))
        else:
            chosen = ops.greater(y_pred, self.threshold)
        chosen = ops.cast(chosen, y_pred.dtype)
        if sample_weight is not None:
            w = weight_like(y_pred, sample_weight)
            self._add(ops.multiply(ops.multiply(chosen, y_true), w), self.true_positives)
            self._add(ops.multiply(chosen, w), self.predicted)
            self._add(ops.multiply(y_true, w), self.intermediate_weights)
        else:
            self._add(ops.multiply(chosen, y_true), self.true_positives)
            self._add(chosen, self.predicted)
            self._add(y_true, self.intermediate_weights)

    @staticmethod
    def _add(values: Tensor, total: Tensor) -> None:
        kernels.accumulate_each(ops.sum(values, axis=0), 1.0, total)

    def result(self) -> Scalar | Tensor:
        if not self._built:
            raise ValueError(f"metric {self.name!r} has seen no data yet")
        eps = config.epsilon()
        tp, predicted, actual = (v.numpy() for v in (self.true_positives, self.predicted, self.intermediate_weights))
        if self.average == "micro":
            tp, predicted, actual = tp.sum(), predicted.sum(), actual.sum()
        precision, recall = tp / (predicted + eps), tp / (actual + eps)
        scores = (1 + self.beta**2) * precision * recall / (self.beta**2 * precision + recall + eps)
        if self.average == "weighted":
            return as_result((scores * actual / (actual.sum() + eps)).sum())
        return as_result(scores if self.average is None else np.mean(scores))


@METRICS.register()
class F1Score(FBetaScore):
    """2 precision recall / (precision + recall). Arguments as for `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)
