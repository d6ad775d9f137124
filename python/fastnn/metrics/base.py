"""Metric: sums that a step adds to, and a result computed from them when somebody asks.

State lives in float64 tensors and is changed by kernel calls only, so that updating a metric can be
part of a recorded step; `result` looks at the sums with NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config, kernels, ops
from ..configurable import Configurable
from ..serialization import Family, to_snake_case
from ..tensor import Tensor, dtype_name, to_tensor
from ..variables import Variable, unique_name
from .pending import deferred

METRICS = Family("metric", "keras.metrics")


class Scalar(float):
    """A result: a float that also answers to `numpy()`, as a tensor would."""

    def numpy(self) -> np.float64:
        return np.float64(self)

    item = float.__float__


def as_result(value: Any) -> Scalar | Tensor:
    """A number as a Scalar, an array as a tensor of `config.floatx()`."""
    value = np.asarray(value, np.float64)
    return Tensor(value, config.floatx(), device="cpu") if value.ndim else Scalar(value)


def divide_no_nan(a: Any, b: Any) -> np.ndarray:
    """a / b, 0 where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)


class Metric(Configurable):
    """Base of streaming metrics: `update_state`, `result`, `reset_state`.

    A custom metric keeps its state in `add_variable` and updates it with `fastnn.ops`.
    """

    _direction: str | None = None  # "up" where more is better, "down" where less is

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "result" in vars(cls):
            cls.result = deferred(vars(cls)["result"])  # type: ignore[method-assign]

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or unique_name(to_snake_case(type(self).__name__))
        dtype = getattr(dtype, "compute_dtype", dtype)
        self.dtype = dtype_name(int if dtype == "int" else dtype or config.floatx())
        self._variables: list[Variable] = []
        self._parts: list[Metric] = []  # metrics that are attributes of this one

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in ("_variables", "_parts") and "_parts" in vars(self):
            self._track(value)

    def _track(self, value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                self._track(item)
        home = self._variables if isinstance(value, Variable) else self._parts if isinstance(value, Metric) else None
        if home is not None and all(value is not known for known in home):
            home.append(value)

    def add_variable(
        self, shape: tuple = (), initializer: Any = "zeros", dtype: Any = "float64", name: str | None = None
    ) -> Variable:
        """New state, float64 unless `dtype` says otherwise; `reset_state` sets it to zero."""
        v = Variable(initializer, tuple(shape), dtype or "float64", trainable=False, name=name)
        self._variables.append(v)
        return v

    def add_weight(
        self, shape: tuple = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        return self.add_variable(shape, initializer or "zeros", dtype, name)

    @property
    def variables(self) -> list[Variable]:
        """The state, its parts' included."""
        return [*self._variables, *(v for part in self._parts for v in part.variables)]

    def reset_state(self) -> None:
        """Starts over: all sums to zero."""
        for v in self.variables:
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


def as_float(x: Any, dtype: str | None = None) -> Tensor:
    """x as a float tensor: of `dtype`, else of its own float type or `config.floatx()`."""
    x = to_tensor(x)
    if dtype is None:
        dtype = x.dtype if x.dtype.startswith("float") else config.floatx()
    return x if x.dtype == dtype else ops.cast(x, dtype)


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Where only one has a last axis of 1: gives it to a vector, takes it from a larger tensor."""

    def match(larger: Tensor, smaller: Tensor) -> tuple[Tensor, Tensor]:
        if larger.ndim != smaller.ndim + 1 or larger.shape[-1] != 1:
            return larger, smaller
        if smaller.ndim == 1:
            return larger, ops.reshape(smaller, (*smaller.shape, 1))
        return ops.reshape(larger, larger.shape[:-1]), smaller

    if y_true.ndim > y_pred.ndim:
        return match(y_true, y_pred)
    y_pred, y_true = match(y_pred, y_true)
    return y_true, y_pred


def same_shape(metric: Any, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both after `same_rank`. Raises ValueError, naming the metric, where shapes still differ."""
    y_true, y_pred = same_rank(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        name = metric if isinstance(metric, str) else metric.name
        raise ValueError(f"metric {name!r}: y_true {y_true.shape} and y_pred {y_pred.shape} must have the same shape")
    return y_true, y_pred


def weight_like(values: Tensor, sample_weight: Any) -> Tensor:
    """sample_weight in the shape of `values`, aligned from the left: (n,) weighs the n samples."""
    w = as_float(sample_weight, values.dtype)
    if w.ndim > values.ndim and w.shape[-1] == 1:
        w = ops.reshape(w, w.shape[:-1])
    if w.ndim > values.ndim or any(a not in (1, b) for a, b in zip(w.shape, values.shape)):
        raise ValueError(f"sample_weight {w.shape} does not fit values of shape {values.shape}")
    if w.ndim < values.ndim:
        w = ops.reshape(w, (*w.shape, *(1,) * (values.ndim - w.ndim)))
    return w if w.shape == values.shape else ops.broadcast_to(w, values.shape)


class Reduction(Metric):
    """A sum of values, weighted or not."""

    _reduce: Callable[..., Tensor]  # what becomes of axes that the weights do not have

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_variable(name="total")

    def _weighted(self, values: Tensor, sample_weight: Any) -> tuple[Tensor, Tensor]:
        """(weights times values, weights), both with the rank of the weights."""
        w = as_float(sample_weight, values.dtype)
        shown = getattr(values, "_keras_mask", None)  # of a function that ignores a class
        if shown is not None:
            shown = as_float(shown, values.dtype)
            w = ops.multiply(weight_like(shown, w), shown)
        if w.ndim < values.ndim:
            values = self._reduce(values, axis=tuple(range(w.ndim, values.ndim)))
        w = weight_like(values, w)
        return ops.multiply(values, w), w


@METRICS.register()
class Sum(Reduction):
    """The (weighted) sum of all values."""

    _reduce = staticmethod(ops.sum)

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = as_float(values)
        if sample_weight is not None:
            values, _ = self._weighted(values, sample_weight)
        kernels.accumulate(values, 1.0, self.total)

    def result(self) -> Scalar:
        return Scalar(self.total.item())


@METRICS.register()
class Mean(Reduction):
    """The (weighted) mean of all samples: sum(w v) / sum(w).

    A sample is an entry of the first axis; what lies behind it is averaged first, so that long and
    short sequences weigh the same in different batches.
    """

    _reduce = staticmethod(ops.mean)

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name, dtype)
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, w = as_float(values), None
        if sample_weight is not None:
            values, w = self._weighted(values, sample_weight)
        samples = values.shape[0] if values.ndim else 1
        if not values.size:
            return
        scale = samples / values.size
        kernels.accumulate(values, scale, self.total)
        if w is None:
            kernels.accumulate_constant(float(samples), self.count)
        else:
            kernels.accumulate(w, scale, self.count)

    def add(self, mean: Tensor, weight: float) -> None:
        """Adds a scalar that is already a mean over `weight` samples."""
        kernels.accumulate(mean, float(weight), self.total)
        kernels.accumulate_constant(float(weight), self.count)

    def result(self) -> Scalar:
        return Scalar(divide_no_nan(self.total.item(), self.count.item()))


@METRICS.register()
class MeanMetricWrapper(Mean):
    """The mean of fn(y_true, y_pred, **kwargs), which gives one value per sample.

    A mask on y_pred counts only the entries that it shows.
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    # Its arguments are not those of Mean, in Keras too.
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_pred = to_tensor(y_pred)
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._fn(to_tensor(y_true), y_pred, **self._fn_kwargs)
        if mask is not None:
            shown = as_float(mask, as_float(values).dtype)
            sample_weight = shown if sample_weight is None else ops.multiply(weight_like(shown, sample_weight), shown)
        super().update_state(values, sample_weight)
