"""True and false positives and negatives at one or more thresholds, and what follows from them.

An update does not compare every prediction with every threshold. It finds the last threshold below
each prediction and adds the weight to that cell of a histogram, positives and negatives apart; the
four counts of any threshold are sums over the cells on its one side or the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import config, kernels
from ..tensor import Tensor, empty, to_tensor, view
from .base import METRICS, Metric, Scalar, as_float, as_result, divide_no_nan, same_shape, weight_like

NOT_CHOSEN = -1e10  # what predictions outside the top k become: below any threshold


class Confusion(NamedTuple):
    """Counts (or weights) per threshold, (thresholds,) or (thresholds, labels)."""

    true_positives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray
    false_negatives: np.ndarray

    def precision(self) -> np.ndarray:
        """tp / (tp + fp)."""
        return divide_no_nan(self.true_positives, self.true_positives + self.false_positives)

    def recall(self) -> np.ndarray:
        """tp / (tp + fn), also called sensitivity."""
        return divide_no_nan(self.true_positives, self.true_positives + self.false_negatives)

    def specificity(self) -> np.ndarray:
        """tn / (tn + fp)."""
        return divide_no_nan(self.true_negatives, self.true_negatives + self.false_positives)

    def fall_out(self) -> np.ndarray:
        """fp / (fp + tn), the false positive rate."""
        return divide_no_nan(self.false_positives, self.false_positives + self.true_negatives)


class ThresholdMetric(Metric):
    """Base of metrics that compare predictions with thresholds: positive is what lies above."""

    init_thresholds: Any = None  # as given, and as in the config

    def _count_at(self, thresholds: Sequence[float], labels: int = 1) -> None:
        bounds = np.asarray(thresholds, np.float64)
        if _spread_evenly(bounds):
            # As Keras, which clips predictions to [0, 1] for such thresholds: none is below a first
            # threshold that is less than 0, none above the last.
            bounds = bounds.copy()
            bounds[0] = -np.inf if bounds[0] < 0 else bounds[0]
            bounds[-1] = np.inf
        self._rising = np.argsort(bounds, kind="stable")
        cells = np.concatenate([[-np.inf], bounds[self._rising]])
        self._bounds = Tensor(cells, "float64")
        self._counts = self.add_variable((2, labels, len(cells)), name="counts")

    def _count(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, class_id: int | None = None, top_k: int | None = None
    ) -> None:
        y_true, y_pred = same_shape(self, to_tensor(y_true), as_float(y_pred))
        weight = None if sample_weight is None else weight_like(y_pred, sample_weight)
        if class_id is not None and y_pred.ndim < 2:
            raise ValueError(f"metric {self.name!r} with class_id takes (samples, classes), got {y_pred.shape}")
        columns = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        column = -1
        if class_id is not None:
            if not -columns <= class_id < columns:
                raise ValueError(f"metric {self.name!r}: class_id {class_id} is not among the {columns} classes")
            column = class_id % columns
        if top_k is not None:
            y_pred = self._only_top_k(y_pred, top_k)
        shape = (y_pred.size // columns if columns else 0, columns)
        kernels.threshold_counts(
            view(y_true, shape),
            view(y_pred, shape),
            weight if weight is None else view(weight, shape),
            self._bounds,
            self._counts,
            column,
        )

    def _only_top_k(self, y_pred: Tensor, k: int) -> Tensor:
        if not y_pred.ndim or not 1 <= k <= y_pred.shape[-1]:
            raise ValueError(f"metric {self.name!r}: top_k {k} of predictions {y_pred.shape}")
        kept = empty(y_pred.shape, like=y_pred)
        kernels.keep_top_k(y_pred, kept, k, NOT_CHOSEN)
        return kept

    def confusion(self) -> Confusion:
        """The four counts at every threshold, in the order the thresholds were given."""
        counts = self._counts.numpy()  # (positive or negative, labels, cells)
        above = np.flip(np.cumsum(np.flip(counts, -1), -1), -1)  # weight in this cell and behind it
        picked = np.empty((2, len(self._rising), counts.shape[1]))
        picked[:, self._rising] = np.moveaxis(above[..., 1:], -1, 1)
        rest = np.moveaxis(above[..., :1], -1, 1) - picked
        found = Confusion(picked[0], picked[1], rest[1], rest[0])
        return found if counts.shape[1] > 1 else Confusion(*(c[:, 0] for c in found))

    @property
    def true_positives(self) -> Tensor:
        """The count (weight) at every threshold, and the like."""
        return _as_tensor(self.confusion().true_positives)

    @property
    def false_positives(self) -> Tensor:
        return _as_tensor(self.confusion().false_positives)

    @property
    def true_negatives(self) -> Tensor:
        return _as_tensor(self.confusion().true_negatives)

    @property
    def false_negatives(self) -> Tensor:
        return _as_tensor(self.confusion().false_negatives)

    def get_config(self) -> dict:
        found = super().get_config()
        if "thresholds" in found:
            found["thresholds"] = self.init_thresholds
        return found


def _as_tensor(counts: np.ndarray) -> Tensor:
    return Tensor(counts, config.floatx(), device="cpu")


def _spread_evenly(thresholds: np.ndarray) -> bool:
    n = len(thresholds)
    even = np.arange(n, dtype=np.float32) / max(n - 1, 1)
    return n >= 3 and np.allclose(thresholds, even, atol=config.epsilon())


def _threshold_list(thresholds: Any, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    listed = thresholds if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    found = [math.nan if t is None else float(t) for t in listed]
    if not found or not all(0 <= t <= 1 for t in found):
        raise ValueError(f"thresholds lie between 0 and 1, got {thresholds}")
    return found


def _one_or_all(values: np.ndarray) -> Scalar | Tensor:
    return as_result(values[0] if len(values) == 1 else values)


class _ConditionCount(ThresholdMetric):
    _condition: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = _threshold_list(thresholds, 0.5)
        self._count_at(self.thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight)

    def result(self) -> Scalar | Tensor:
        return _one_or_all(getattr(self.confusion(), self._condition))


@METRICS.register()
class TruePositives(_ConditionCount):
    """The number (weight) of positives that were predicted so."""

    _condition = "true_positives"


@METRICS.register()
class TrueNegatives(_ConditionCount):
    """The number (weight) of negatives that were predicted so."""

    _condition = "true_negatives"


@METRICS.register()
class FalsePositives(_ConditionCount):
    """The number (weight) of negatives that were predicted positive."""

    _condition = "false_positives"


@METRICS.register()
class FalseNegatives(_ConditionCount):
    """The number (weight) of positives that were predicted negative."""

    _condition = "false_negatives"


class _Rate(ThresholdMetric):
    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = _threshold_list(thresholds, 0.5 if top_k is None else NOT_CHOSEN)
        self._count_at(self.thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight, self.class_id, self.top_k)


@METRICS.register()
class Precision(_Rate):
    """tp / (tp + fp): how many of the predicted positives are right.

    Args:
      thresholds: one or several in [0, 1]; a prediction above is positive. 0.5 by default, or none
        with `top_k`.
      top_k: only the k largest predictions of a row can be positive.
      class_id: only this column counts.
    """

    def result(self) -> Scalar | Tensor:
        return _one_or_all(self.confusion().precision())


@METRICS.register()
class Recall(_Rate):
    """tp / (tp + fn): how many of the positives are found. Arguments as for `Precision`."""

    def result(self) -> Scalar | Tensor:
        return _one_or_all(self.confusion().recall())


class _BestUnderConstraint(ThresholdMetric):
    _direction = "up"

    def __init__(
        self, value: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(name=name, dtype=dtype)
        if num_thresholds <= 0:
            raise ValueError(f"num_thresholds is at least 1, got {num_thresholds}")
        if not 0 <= value <= 1:
            raise ValueError(f"metric {self.name!r}: the bound lies between 0 and 1, got {value}")
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        self.thresholds = [0.5] if num_thresholds == 1 else [i / (num_thresholds - 1) for i in range(num_thresholds)]
        self._count_at(self.thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight, self.class_id)

    def _best(self, wanted: np.ndarray, bounded: np.ndarray) -> Scalar:
        return Scalar(np.max(wanted, where=bounded >= self.value, initial=0.0))


@METRICS.register()
class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best sensitivity tp / (tp + fn) at a threshold where tn / (tn + fp) >= specificity."""

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def result(self) -> Scalar:
        c = self.confusion()
        return self._best(c.recall(), c.specificity())


@METRICS.register()
class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best specificity tn / (tn + fp) at a threshold where tp / (tp + fn) >= sensitivity."""

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def result(self) -> Scalar:
        c = self.confusion()
        return self._best(c.specificity(), c.recall())


@METRICS.register()
class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision at a threshold where the recall is at least `recall`."""

    def __init__(
        self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    def result(self) -> Scalar:
        c = self.confusion()
        return self._best(c.precision(), c.recall())


@METRICS.register()
class RecallAtPrecision(_BestUnderConstraint):
    """The best recall at a threshold where the precision is at least `precision`."""

    def __init__(
        self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    def result(self) -> Scalar:
        c = self.confusion()
        return self._best(c.recall(), c.precision())
