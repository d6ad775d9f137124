"""Metrics of numbers against numbers: errors, similarities, the coefficient of determination."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import config, kernels, ops
from ..tensor import Tensor, to_tensor
from .base import METRICS, Mean, MeanMetricWrapper, Metric, Scalar, as_float, as_result, same_shape, weight_like


def _pair(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    y_pred = as_float(y_pred)
    return same_shape(name, as_float(y_true, y_pred.dtype), y_pred)


@METRICS.register()
class RootMeanSquaredError(Mean):
    """sqrt(mean((y_pred - y_true)^2))."""

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    # Its arguments are not those of Mean, in Keras too.
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = _pair(self.name, y_true, y_pred)
        super().update_state(ops.square(ops.subtract(y_pred, y_true)), sample_weight)

    def result(self) -> Scalar:
        return Scalar(math.sqrt(super().result()))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """sum(y_true y_pred) / (|y_true| |y_pred|) along `axis`: 1 for the same direction."""
    y_true, y_pred = _pair("cosine_similarity", y_true, y_pred)

    def norm(x: Tensor) -> Tensor:
        return ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=axis), config.epsilon() ** 2))

    return ops.divide(ops.sum(ops.multiply(y_true, y_pred), axis=axis), ops.multiply(norm(y_true), norm(y_pred)))


@METRICS.register()
class CosineSimilarity(MeanMetricWrapper):
    """The mean of cos(y_true, y_pred) along `axis`; positive, unlike the loss of this name."""

    _direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(cosine_similarity, name, dtype, axis=axis)
        self.axis = axis


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """cov(y_true, y_pred) / (sd(y_true) sd(y_pred)) along `axis`."""
    y_true, y_pred = _pair("pearson_correlation", y_true, y_pred)
    t = ops.subtract(y_true, ops.mean(y_true, axis=axis, keepdims=True))
    p = ops.subtract(y_pred, ops.mean(y_pred, axis=axis, keepdims=True))
    spread = lambda x: ops.sqrt(ops.mean(ops.square(x), axis=axis))  # noqa: E731
    return ops.divide(ops.mean(ops.multiply(t, p), axis=axis), ops.multiply(spread(t), spread(p)))


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """2 cov / (var + var + (difference of means)^2) along `axis` (Lin 1989)."""
    y_true, y_pred = _pair("concordance_correlation", y_true, y_pred)
    mean_t, mean_p = ops.mean(y_true, axis=axis, keepdims=True), ops.mean(y_pred, axis=axis, keepdims=True)
    t, p = ops.subtract(y_true, mean_t), ops.subtract(y_pred, mean_p)
    variances = ops.add(ops.mean(ops.square(t), axis=axis), ops.mean(ops.square(p), axis=axis))
    apart = ops.mean(ops.square(ops.subtract(mean_t, mean_p)), axis=axis)
    covariance = ops.mean(ops.multiply(t, p), axis=axis)
    return ops.divide(ops.multiply(covariance, 2.0), ops.add(ops.add(variances, apart), config.epsilon()))


@METRICS.register()
class PearsonCorrelation(MeanMetricWrapper):
    """The mean linear correlation of y_true and y_pred along `axis`."""

    _direction = "up"

    def __init__(self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


@METRICS.register()
class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean concordance correlation of y_true and y_pred along `axis`."""

    _direction = "up"

    def __init__(self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis


@METRICS.register()
class R2Score(Metric):
    """1 - sum((y - y_pred)^2) / sum((y - mean y)^2), for (samples, outputs).

    Args:
      class_aggregation: "uniform_average" over the outputs, "variance_weighted_average", or None for
        one value per output.
      num_regressors: above 0, the score adjusted for so many independent variables.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                f"class_aggregation is None, 'uniform_average' or 'variance_weighted_average', got {class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ValueError(f"num_regressors is not negative, got {num_regressors}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self._built = False

    def build(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Makes the state for such a batch; a first update does it too, but cannot be recorded."""
        if y_pred.ndim != 2:
            raise ValueError(f"metric {self.name!r} takes (samples, outputs), got {y_pred.shape}")
        if not self._built:
            shape = (y_pred.shape[1],)
            self.squared_sum = self.add_variable(shape, name="squared_sum")
            self.sum = self.add_variable(shape, name="sum")
            self.total_mse = self.add_variable(shape, name="residual")
            self.count = self.add_variable(shape, name="count")
            self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        # In float64: the variance is a small difference of large sums.
        y_true, y_pred = same_shape(self, as_float(y_true, "float64"), as_float(y_pred, "float64"))
        self.build(y_true, y_pred)
        errors = ops.square(ops.subtract(y_true, y_pred))
        weighted, squared = y_true, ops.square(y_true)
        if sample_weight is not None:
            w = weight_like(y_true, to_tensor(sample_weight))
            weighted, squared, errors = (ops.multiply(x, w) for x in (weighted, squared, errors))
            kernels.accumulate_each(ops.sum(w, axis=0), 1.0, self.count)
        else:
            kernels.accumulate_constant(float(y_true.shape[0]), self.count)
        kernels.accumulate_each(ops.sum(weighted, axis=0), 1.0, self.sum)
        kernels.accumulate_each(ops.sum(squared, axis=0), 1.0, self.squared_sum)
        kernels.accumulate_each(ops.sum(errors, axis=0), 1.0, self.total_mse)
        kernels.accumulate_constant(float(y_true.size), self.num_samples)

    def result(self) -> Scalar | Tensor:
        if not self._built:
            raise ValueError(f"metric {self.name!r} has seen no data yet")
        total_mse, sums, squares, count = (v.numpy() for v in (self.total_mse, self.sum, self.squared_sum, self.count))
        with np.errstate(divide="ignore", invalid="ignore"):
            total = squares - sums * (sums / count)
            scores = 1 - total_mse / total
        scores = np.where(np.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = np.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = np.sum(total * scores) / np.sum(total)
        return as_result(self._adjusted(scores) if self.num_regressors else scores)

    def _adjusted(self, scores: Any) -> Any:
        n, p = self.num_samples.item(), self.num_regressors
        if p >= n - 1:
            warnings.warn(
                f"metric {self.name!r}: {p} regressors are too many for {n:.0f} values to adjust the score",
                stacklevel=3,
            )
            return scores
        return 1 - (1 - scores) * (n - 1) / (n - p - 1)
