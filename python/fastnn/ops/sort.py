"""Orders: NaN counts as the largest, of equal elements the lower index comes first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor
from .axes import Axes, normalized_axes, normalized_axis, numbers, without
from .index import take, take_along_axis
from .move import moveaxis, ravel, reshape, transpose
from .promotion import promote

__all__ = ["argsort", "digitize", "median", "percentile", "quantile", "searchsorted", "sort", "top_k"]


@op
def _sort_last(x: Tensor):
    y, index, rank = empty(x.shape, like=x), *(empty(x.shape, "int32", x.device) for _ in range(2))
    kernels.sort(x, y, index, rank, False)
    return (y, index), lambda dy, _: grad_to(x, kernels.take_along, dy, rank)


def _sorted(name: str, x: Any, axis: int | None, result: int) -> Tensor:
    x = numbers(x)
    x, axis = (ravel(x), 0) if axis is None else (x, normalized_axis(name, axis, x.ndim))
    last = axis == x.ndim - 1
    y = _sort_last(x if last else moveaxis(x, axis, -1))[result]
    return y if last else moveaxis(y, -1, axis)


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """x in rising order along `axis`; flattened without one."""
    return _sorted("sort", x, axis, 0)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The indices that sort x along `axis`; of the flattened x without one. Stable."""
    return _sorted("argsort", x, axis, 1)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis in falling order, and their indices.

    Only the values are differentiable. They come in order whether `sorted` or not.
    """
    x = numbers(x)
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise ValueError(f"top_k: k is {k}, expected 0 <= k <= the last axis of {x.shape}")
    shape = (*x.shape[:-1], k)
    values, index = empty(shape, like=x), empty(shape, "int32", x.device)
    kernels.top_k(x, values, index)
    return (take_along_axis(x, index, -1) if needs_grad(x) else values), index


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """How many elements of the sorted vector are below each value, or not above it ("right")."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', got {side!r}")
    s, v = promote(to_tensor(sorted_sequence), to_tensor(values))
    if s.ndim != 1:
        raise ValueError(f"searchsorted: the sorted sequence is a vector, got shape {s.shape}")
    y = empty(v.shape, "int32", v.device)
    kernels.searchsorted(s, v, y, side == "right")
    return y


def digitize(x: Any, bins: Any) -> Tensor:
    """In which bin each number lies: i for bins[i - 1] <= x < bins[i], bins rising."""
    return searchsorted(bins, x, "right")


def quantile(x: Any, q: Any, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """What the fraction q of the numbers over `axis` lies below: the sorted numbers at q (n - 1).

    Args:
      q: one fraction from 0 to 1, or a vector of them, which becomes the first axis of the result.
      method: between two numbers, "linear", "lower", "higher", "midpoint" or "nearest" (of two as near, the lower).

    NaN where one of the numbers is.
    """
    from .compare import equal, isnan, where
    from .elementwise import add, multiply, subtract

    x = numbers(x, floating=True)
    axes = normalized_axes("quantile", axis, x.ndim)
    fractions = np.asarray(q, "float64")
    if fractions.ndim > 1 or not np.all((fractions >= 0) & (fractions <= 1)):
        raise ValueError(f"quantile: q is a fraction from 0 to 1 or a vector of them, got {q!r:.80}")
    kept = [d for d in range(x.ndim) if d not in axes]
    shape = tuple(x.shape[d] for d in kept)
    n = math.prod(x.shape[d] for d in axes)
    if not n:
        raise ValueError("quantile: there are no numbers to choose from")
    s = sort(reshape(transpose(x, kept + axes), (*shape, n)))
    place = np.atleast_1d(fractions) * (n - 1)
    low, high = np.floor(place), np.ceil(place)
    weights = {
        "linear": place - low, "lower": 0 * low, "higher": 0 * low + 1, "midpoint": 0 * low + 0.5,
        "nearest": 1.0 * (place - low > 0.5),
    }  # fmt: skip
    if method not in weights:
        raise ValueError(f"quantile: method is one of {', '.join(weights)}, got {method!r}")
    below, above = (take(s, to_tensor(i.astype("int32")), -1) for i in (low, high))
    weight = to_tensor(weights[method].astype(s.dtype))
    y = add(below, multiply(subtract(above, below), weight))
    y = where(equal(weight, 0), below, y)  # infinity less infinity is no number
    y = moveaxis(where(isnan(s[..., -1:]), math.nan, y), -1, 0)  # NaN is sorted last
    if keepdims:
        y = reshape(y, (y.shape[0], *without(x.shape, axes, True)))
    return y if fractions.ndim else y[0]


def percentile(x: Any, q: Any, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` with q from 0 to 100."""
    return quantile(x, np.asarray(q, "float64") / 100, axis, method, keepdims)


def median(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The middle number over `axis`, or the mean of the two middle ones; NaN where one of all is."""
    return quantile(x, 0.5, axis, "linear", keepdims)
