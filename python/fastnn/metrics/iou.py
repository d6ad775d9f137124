"""Intersection over union of classes, from a confusion matrix: tp / (tp + fp + fn).

Classes outside [0, num_classes) and `ignore_class` count nowhere. With the default dtype "int",
sample weights lose their fraction, as in Keras; pass dtype="float32" for real weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config, kernels, ops
from ..tensor import Tensor, to_tensor, view
from .base import METRICS, Metric, Scalar, as_float, weight_like

_NONE = -(2**63)  # ignores nothing: no class has this number


@METRICS.register()
class IoU(Metric):
    """The mean intersection over union of the classes `target_class_ids`.

    Args:
      num_classes: classes 0 ... num_classes - 1.
      target_class_ids: the classes that are averaged; one that occurs nowhere is left out.
      ignore_class: targets of this class do not count.
      sparse_y_true, sparse_y_pred: integer classes; else the largest entry along `axis` is taken.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int")
        if not all(0 <= c < num_classes for c in target_class_ids):
            raise ValueError(f"target_class_ids lie in [0, {num_classes}), got {target_class_ids}")
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = self._classes(y_true, self.sparse_y_true)
        y_pred = self._classes(y_pred, self.sparse_y_pred)
        if y_true.size != y_pred.size:
            raise ValueError(f"metric {self.name!r}: classes {y_true.shape} and predictions {y_pred.shape}")
        n = y_true.size
        weight = None
        if sample_weight is not None:
            weight = view(self._weights(y_true, sample_weight), (n,))
        ignored = _NONE if self.ignore_class is None else self.ignore_class
        kernels.confusion_counts(view(y_true, (n,)), view(y_pred, (n,)), weight, self.total_cm, ignored)

    def _classes(self, y: Any, sparse: bool) -> Tensor:
        y = to_tensor(y)
        return ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32")

    def _weights(self, y_true: Tensor, sample_weight: Any) -> Tensor:
        w = to_tensor(sample_weight)
        if self.dtype.startswith("int") and w.dtype.startswith("float"):
            warnings.warn(
                f"metric {self.name!r} counts in integers, so float sample weights lose their fraction; "
                "pass dtype='float32' to keep it",
                stacklevel=3,
            )
            w = ops.cast(w, "int32")
        w = as_float(w)
        if w.size == y_true.size:
            return w
        return weight_like(as_float(y_true, w.dtype), w)

    def result(self) -> Scalar:
        cm = self.total_cm.numpy()
        hits = np.diag(cm)
        union = (cm.sum(0) + cm.sum(1) - hits)[self.target_class_ids]
        present = union > 1e-9
        iou = np.where(present, hits[self.target_class_ids] / (union + config.epsilon()), 0.0)
        return Scalar(iou.sum() / (present.sum() + config.epsilon()))


@METRICS.register()
class BinaryIoU(IoU):
    """Intersection over union of two classes; y_pred >= threshold is class 1."""

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, ops.greater_equal(as_float(y_pred), self.threshold), sample_weight)


@METRICS.register()
class MeanIoU(IoU):
    """The mean intersection over union of all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


@METRICS.register()
class OneHotIoU(IoU):
    """`IoU` for one-hot targets; predictions are one-hot or scores unless `sparse_y_pred`."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


@METRICS.register()
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets; predictions are one-hot or scores unless `sparse_y_pred`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
