"""Metric: sums that a step adds to, and a result computed from them when somebody asks.

State lives in float64 tensors and is changed by kernel calls only, so that updating a metric can be
part of a recorded step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import kernels, ops
from ..configurable import Configurable
from ..serialization import Family, to_snake_case
from ..tensor import Tensor, to_tensor
from ..variables import Variable, unique_name

METRICS = Family("metric", "keras.metrics")


class Metric(Configurable):
    """Base of streaming metrics: `update_state`, `result`, `reset_state`.

    A custom metric keeps its state in `add_variable` and updates it with `fastnn.ops`.
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or unique_name(to_snake_case(type(self).__name__))
        self.dtype = dtype
        self._variables: list[Variable] = []

    def add_variable(
        self, shape: tuple = (), initializer: Any = "zeros", dtype: Any = "float64", name: str | None = None
    ) -> Variable:
        v = Variable(initializer, tuple(shape), dtype, trainable=False, name=name or "variable")
        self._variables.append(v)
        return v

    def add_weight(self, shape: tuple = (), initializer: Any = None, dtype: Any = None, name: str | None = None) -> Variable:
        return self.add_variable(shape, initializer or "zeros", dtype or "float64", name)

    @property
    def variables(self) -> list[Variable]:
        return list(self._variables)

    def reset_state(self) -> None:
        """Starts over: all sums to zero."""
        for v in self._variables:
            kernels.fill(v, 0.0)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"metric {type(self).__name__} does not define update_state()")

    def result(self) -> Any:
        raise NotImplementedError(f"metric {type(self).__name__} does not define result()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def weight_like(values: Tensor, sample_weight: Any) -> Tensor:
    """sample_weight as a tensor that broadcasts to `values` from the left, as Keras aligns it."""
    w = to_tensor(sample_weight, values.dtype)
    if w.ndim > values.ndim and w.shape[-1] == 1:
        w = ops.reshape(w, w.shape[:-1])
    while w.ndim < values.ndim:
        w = ops.reshape(w, (*w.shape, 1))
    if w.shape != values.shape:
        w = ops.broadcast_to(w, values.shape)
    return w


class Reduction(Metric):
    """A sum and, for means, the number (or weight) of what was summed."""

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_variable(name="total")

    def reduced(self, values: Any, sample_weight: Any) -> tuple[Tensor, Tensor | None]:
        """(values, weights), averaged over trailing axes down to the rank of the weights."""
        values = to_tensor(values)
        if not values.dtype.startswith("float"):
            values = ops.cast(values, "float32")
        mask = getattr(values, "_keras_mask", None)
        if mask is not None:
            m = ops.cast(mask, values.dtype)
            sample_weight = m if sample_weight is None else ops.multiply(weight_like(m, sample_weight), m)
        if sample_weight is None:
            return values, None
        w = to_tensor(sample_weight, values.dtype)
        if w.ndim < values.ndim and w.shape == values.shape[: w.ndim] and values.ndim > 1:
            values = ops.mean(values, axis=tuple(range(w.ndim, values.ndim)))
        return values, weight_like(values, w)


@METRICS.register()
class Sum(Reduction):
    """The (weighted) sum of all values."""

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, w = self.reduced(values, sample_weight)
        kernels.accumulate(values if w is None else ops.multiply(values, w), 1.0, self.total)

    def result(self) -> float:
        return self.total.item()


@METRICS.register()
class Mean(Reduction):
    """The (weighted) mean of all values: sum(w v) / sum(w)."""

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name, dtype)
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, w = self.reduced(values, sample_weight)
        if w is None:
            kernels.accumulate(values, 1.0, self.total)
            kernels.accumulate_constant(float(values.size), self.count)
        else:
            kernels.accumulate(ops.multiply(values, w), 1.0, self.total)
            kernels.accumulate(w, 1.0, self.count)

    def add(self, mean: Tensor, weight: float) -> None:
        """Adds a scalar that is already a mean over `weight` samples."""
        kernels.accumulate(mean, float(weight), self.total)
        kernels.accumulate_constant(float(weight), self.count)

    def total_value(self) -> float:
        return self.total.item()

    def result(self) -> float:
        count = self.count.item()
        return self.total.item() / count if count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of fn(y_true, y_pred), one value per sample."""

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name or getattr(fn, "__name__", None), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = to_tensor(y_pred)
        y_true = to_tensor(y_true)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None and getattr(values, "_keras_mask", None) is None and mask.shape == values.shape:
            values._keras_mask = mask
        super().update_state(values, sample_weight)
