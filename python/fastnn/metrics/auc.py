"""Area under a curve that runs through the confusion counts of many thresholds.

Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves" (2006), for the
interpolation of precision between two thresholds; Flach and Kull, "Precision-Recall-Gain Curves"
(2015), for PRGAIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config, ops
from ..tensor import Tensor, to_tensor
from .base import METRICS, Scalar, as_float, divide_no_nan, same_shape, weight_like
from .confusion import Confusion, ThresholdMetric

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMS = ("interpolation", "majoring", "minoring")


@METRICS.register()
class AUC(ThresholdMetric):
    """Area under the ROC or precision-recall curve, as a sum over the steps between thresholds.

    Args:
      num_thresholds: how many, spread evenly over [0, 1], the ends included.
      curve: "ROC", "PR" or "PRGAIN".
      summation_method: the height of a step: "interpolation", "majoring" (the larger end) or
        "minoring".
      thresholds: own thresholds in [0, 1] instead; the two ends are added.
      multi_label: the area of every column of (samples, labels) by itself, then their mean.
      num_labels: the number of columns, to make the state at once.
      label_weights: of the columns: in that mean, or of all predictions without `multi_label`.
      from_logits: predictions go through a sigmoid first.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.curve = _one_of("curve", str(curve).upper(), _CURVES)
        self.summation_method = _one_of("summation_method", str(summation_method).lower(), _SUMS)
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels is for multi_label=True only")
        if thresholds is not None:
            self.init_thresholds = inner = sorted(float(t) for t in thresholds)
            if inner and not 0 <= inner[0] <= inner[-1] <= 1:
                raise ValueError(f"AUC: thresholds lie between 0 and 1, got {thresholds}")
            num_thresholds = len(inner) + 2
        elif num_thresholds <= 1:
            raise ValueError(f"AUC: num_thresholds is at least 2, got {num_thresholds}")
        else:
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        self.num_thresholds = num_thresholds
        self.thresholds = [0.0 - config.epsilon(), *inner, 1.0 + config.epsilon()]
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float64).tolist()
        self._label_weights = None if label_weights is None else Tensor(self.label_weights, "float32")
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels or 1)

    def _build(self, labels: int) -> None:
        self._count_at(self.thresholds, labels)
        self._built = True

    def build(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Makes the state for such a batch; a first update does it too, but cannot be recorded."""
        if self.multi_label and y_pred.ndim != 2:
            raise ValueError(f"metric {self.name!r} with multi_label takes (samples, labels), got {y_pred.shape}")
        if not self._built:
            self._build(y_pred.shape[1])

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = same_shape(self, to_tensor(y_true), as_float(y_pred))
        self.build(y_true, y_pred)
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        if self._label_weights is not None and not self.multi_label:
            w = as_float(self._label_weights, y_pred.dtype)
            if w.shape != y_pred.shape[-1:]:
                raise ValueError(f"metric {self.name!r}: label_weights {w.shape} for predictions {y_pred.shape}")
            w = ops.broadcast_to(w, y_pred.shape)
            sample_weight = w if sample_weight is None else ops.multiply(weight_like(y_pred, sample_weight), w)
        self._count(y_true, y_pred, sample_weight)

    def result(self) -> Scalar:
        if not self._built:
            return Scalar(0.0)
        c = self.confusion()
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_precision_areas(c).sum(0)
        else:
            x, y = {"ROC": _roc, "PR": _pr, "PRGAIN": _prgain}[self.curve](c)
            left, right = y[:-1], y[1:]
            heights = {"interpolation": (left + right) / 2, "minoring": np.minimum(left, right),
                       "majoring": np.maximum(left, right)}[self.summation_method]  # fmt: skip
            areas = ((x[:-1] - x[1:]) * heights).sum(0)
        if not self.multi_label:
            return Scalar(areas)
        if self.label_weights is None:
            return Scalar(np.mean(areas))
        weights = np.asarray(self.label_weights)
        return Scalar(divide_no_nan((areas * weights).sum(), weights.sum()))


def _one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"AUC: {what} is one of {', '.join(known)}, got {value!r}")
    return value


def _roc(c: Confusion) -> tuple[np.ndarray, np.ndarray]:
    return c.fall_out(), c.recall()


def _pr(c: Confusion) -> tuple[np.ndarray, np.ndarray]:
    return c.recall(), c.precision()


def _prgain(c: Confusion) -> tuple[np.ndarray, np.ndarray]:
    tp, fp, tn, fn = c
    odds = divide_no_nan(tp + fn, tn + fp)
    recall_gain = np.where(tp == 0, 0.0, 1 - odds * divide_no_nan(fn, tp))
    precision_gain = np.where(tp == 0, 1.0, 1 - odds * divide_no_nan(fp, tp))
    return np.maximum(recall_gain, 0.0), precision_gain


def _interpolated_precision_areas(c: Confusion) -> np.ndarray:
    # Between two thresholds tp grows linearly with the number p of predicted positives, so precision
    # is slope + intercept / p, whose integral has a logarithm.
    tp, fp, _, fn = c
    p = tp + fp
    dtp = tp[:-1] - tp[1:]
    slope = divide_no_nan(dtp, np.maximum(p[:-1] - p[1:], 0))
    intercept = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    ratio = np.where(both, divide_no_nan(p[:-1], np.maximum(p[1:], 0)), 1.0)
    return divide_no_nan(slope * (dtp + intercept * np.log(ratio)), np.maximum(tp[1:] + fn[1:], 0))
