"""`Loss`: from a value per sample to the number that is minimised.

Reductions: `sum_over_batch_size` (= `mean`) divides the weighted sum by the number of values,
weights or not; `mean_with_sample_weight` by the sum of the weights; `sum`; `none` or None.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .. import config, ops
from ..configurable import Configurable
from ..serialization import Family, to_snake_case
from ..tensor import Tensor, dtype_name, to_tensor

_family = Family("loss", "keras.losses")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base class: a subclass defines `call(y_true, y_pred)`, which returns one value a sample.

    Args:
      name: shown in messages.
      reduction: one of REDUCTIONS.
      dtype: of the computation; None is the type of y_pred.
    """

    integer_targets = False  # True: y_true is handed to call() as it came

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        if reduction not in REDUCTIONS:
            names = ", ".join(map(repr, REDUCTIONS))
            raise ValueError(f"reduction must be one of {names}; received {reduction!r}")
        self.name = name or to_snake_case(re.sub(r"^_+", "", type(self).__name__))
        self.reduction = reduction
        self.dtype = None if dtype is None else dtype_name(dtype)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = getattr(y_pred, "_keras_mask", None)
        y_pred = _floating(y_pred, self.dtype)
        if self.integer_targets:
            y_true = to_tensor(y_true)
        else:
            y_true = _floating(y_true, y_pred.dtype if isinstance(y_pred, Tensor) else self.dtype)
        values = to_tensor(self.call(y_true, y_pred))
        own_mask = getattr(values, "_keras_mask", None)
        if own_mask is not None:
            mask = own_mask if mask is None else ops.logical_and(mask, own_mask)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction)

    def get_config(self) -> dict:
        config = super().get_config()
        if config.get("dtype") is None:
            config.pop("dtype", None)
        return config

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} reduction={self.reduction!r}>"


class LossFunctionWrapper(Loss):
    """A function `fn(y_true, y_pred, **kwargs)` of per-sample values as a Loss."""

    def __init__(
        self,
        fn: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        self.integer_targets = getattr(fn, "integer_targets", False)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        if isinstance(y_pred, Tensor) and isinstance(y_true, Tensor):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)


def _floating(value: Any, dtype: str | None) -> Any:
    """Tensors (in lists and dicts too) of `dtype`; None: that of a float tensor, else floatx."""
    if isinstance(value, dict):
        return {k: _floating(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        return [_floating(v, dtype) for v in value]
    if dtype is None:
        dtype = value.dtype if isinstance(value, Tensor) and value.dtype.startswith("float") else config.floatx()
    return to_tensor(value, dtype)


def squeeze_or_expand_to_same_rank(x1: Tensor, x2: Tensor, expand_rank_1: bool = True) -> tuple[Tensor, Tensor]:
    """A last axis of 1 that only one of two tensors has: given to the other where that has rank 1,
    else taken away.
    """
    if x1.ndim == x2.ndim + 1 and x1.shape[-1] == 1:
        if x2.ndim == 1 and expand_rank_1:
            return x1, ops.reshape(x2, (*x2.shape, 1))
        return ops.reshape(x1, x1.shape[:-1]), x2
    if x2.ndim == x1.ndim + 1 and x2.shape[-1] == 1:
        if x1.ndim == 1 and expand_rank_1:
            return ops.reshape(x1, (*x1.shape, 1)), x2
        return x1, ops.reshape(x2, x2.shape[:-1])
    return x1, x2


def _weights_for(values: Tensor, weights: Tensor, what: str) -> tuple[Tensor, Tensor]:
    values, weights = squeeze_or_expand_to_same_rank(values, weights)
    fits = weights.ndim == values.ndim and all(w in (1, n) for w, n in zip(weights.shape, values.shape))
    if weights.ndim and not fits:
        raise ValueError(f"{what} has shape {weights.shape}, but there are losses of shape {values.shape}")
    return values, weights


def reduce_weighted_values(
    values: Tensor,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
) -> Tensor:
    """The weighted values, reduced. A mask makes the mean one over its true entries."""
    dtype = values.dtype
    weights = None if sample_weight is None else to_tensor(sample_weight, dtype)
    if mask is not None:
        weights = _with_mask(weights, mask, dtype, reduction)
    if weights is not None:
        values, weights = _weights_for(values, weights, "sample_weight" if mask is None else "mask")
        values = ops.multiply(values, weights)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(weights))
    return ops.mean(values)


def _with_mask(weights: Tensor | None, mask: Any, dtype: str, reduction: str | None) -> Tensor:
    """The mask as weights: for a mean total / valid where it is true, so that the mean over all
    values becomes the mean over the valid ones.
    """
    mask = to_tensor(mask)
    share = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        share = ops.multiply(share, ops.divide_no_nan(float(math.prod(mask.shape)), ops.sum(share)))
    if weights is None:
        return share
    share, weights = squeeze_or_expand_to_same_rank(share, weights)
    return ops.multiply(weights, share)
