"""Losses as metrics: the mean of a loss function over the samples seen."""

from __future__ import annotations

from typing import Any

from .. import losses
from .base import METRICS, MeanMetricWrapper


class _LossMetric(MeanMetricWrapper):
    _direction = "down"


@METRICS.register("mse", "MSE")
class MeanSquaredError(_LossMetric):
    """The mean of (y_true - y_pred)^2."""

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.mean_squared_error, name, dtype)


@METRICS.register("mae", "MAE")
class MeanAbsoluteError(_LossMetric):
    """The mean of |y_true - y_pred|."""

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_error, name, dtype)


@METRICS.register("mape", "MAPE")
class MeanAbsolutePercentageError(_LossMetric):
    """The mean of 100 |(y_true - y_pred) / y_true|."""

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


@METRICS.register("msle", "MSLE")
class MeanSquaredLogarithmicError(_LossMetric):
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2."""

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


@METRICS.register()
class LogCoshError(_LossMetric):
    """The mean of log(cosh(y_pred - y_true))."""

    def __init__(self, name: str = "logcosh", dtype: Any = None):
        super().__init__(losses.log_cosh, name, dtype)


@METRICS.register()
class Hinge(_LossMetric):
    """The mean of max(1 - y_true y_pred, 0); targets 0 and 1 become -1 and 1."""

    def __init__(self, name: str = "hinge", dtype: Any = None):
        super().__init__(losses.hinge, name, dtype)


@METRICS.register()
class SquaredHinge(_LossMetric):
    """The mean of max(1 - y_true y_pred, 0)^2; targets 0 and 1 become -1 and 1."""

    def __init__(self, name: str = "squared_hinge", dtype: Any = None):
        super().__init__(losses.squared_hinge, name, dtype)


@METRICS.register()
class CategoricalHinge(_LossMetric):
    """The mean of max(1 + max((1 - y_true) y_pred) - sum(y_true y_pred), 0)."""

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None):
        super().__init__(losses.categorical_hinge, name, dtype)


@METRICS.register()
class KLDivergence(_LossMetric):
    """The mean of sum(y_true log(y_true / y_pred))."""

    def __init__(self, name: str = "kl_divergence", dtype: Any = None):
        super().__init__(losses.kl_divergence, name, dtype)


@METRICS.register()
class Poisson(_LossMetric):
    """The mean of y_pred - y_true log(y_pred)."""

    def __init__(self, name: str = "poisson", dtype: Any = None):
        super().__init__(losses.poisson, name, dtype)


@METRICS.register("bce", "BCE")
class BinaryCrossentropy(_LossMetric):
    """The mean of -y log p - (1 - y) log(1 - p)."""

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )
        self.from_logits, self.label_smoothing = from_logits, label_smoothing


@METRICS.register()
class CategoricalCrossentropy(_LossMetric):
    """The mean of -sum(y log p), with one-hot targets."""

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            losses.categorical_crossentropy, name, dtype,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@METRICS.register()
class SparseCategoricalCrossentropy(_LossMetric):
    """The mean of -log p[y], with integer targets; those equal to `ignore_class` count as 0."""

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            losses.sparse_categorical_crossentropy, name, dtype,
            from_logits=from_logits, ignore_class=ignore_class, axis=axis,
        )  # fmt: skip
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis
