"""Reductions over axes: `axis` is an int, several, or None for all; `keepdims` leaves them with
length 1. Sums have a fixed order, whatever the number of threads."""

from __future__ import annotations

import builtins
import math
from typing import Any

from .. import config, kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor, view
from .axes import Axes, Middle, normalized_axes, normalized_axis, numbers, without
from .compare import isnan, logical_not, not_equal, where
from .elementwise import add, cast, divide, maximum, minimum, multiply, power, subtract
from .move import moveaxis
from .promotion import converted, reduce_axes
from .unary import absolute, rsqrt, sqrt, square

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "cumprod", "cumsum", "diff",
    "logsumexp", "max", "mean", "min", "moments", "nanmax", "nanmean", "nanmin", "nanprod",
    "nanstd", "nansum", "nanvar", "norm", "normalize", "prod", "ptp", "std", "sum", "trapezoid",
    "var",
]  # fmt: skip


def _spread(x: Tensor, axes: list[int], dy: Tensor) -> Tensor | None:
    """dy, the gradient of a sum, for every element of x."""
    return grad_to(x, kernels.broadcast_copy, view(dy, without(x.shape, axes, True)))


@op
def sum(x: Any, axis: Axes = None, keepdims: bool = False):
    """The sum over `axis`. Truth values are counted (int32)."""
    a = numbers(x)
    axes = normalized_axes("sum", axis, a.ndim)
    y = view(reduce_axes(kernels.sum, a, axes), without(a.shape, axes, keepdims))
    return y, lambda dy: _spread(x, axes, dy)


@op
def mean(x: Any, axis: Axes = None, keepdims: bool = False):
    """The mean over `axis`, a float; NaN of nothing."""
    a = numbers(x, floating=True)
    axes = normalized_axes("mean", axis, a.ndim)
    y = view(reduce_axes(kernels.mean, a, axes), without(a.shape, axes, keepdims))

    def backward(dy):
        share = empty(dy.shape, like=dy)
        kernels.multiply_scalar(dy, share, y.size / a.size if a.size else 0.0)
        return _spread(x, axes, share)

    return y, backward


@op
def _prod(x: Any, axis: Axes, keepdims: bool):
    m = Middle("prod", x, axis)
    y = m.result()
    kernels.prod(m.data, y)
    return m.shaped(y, keepdims), lambda dy: m.gradient(kernels.prod_grad, m.data, view(dy, y.shape))


def prod(x: Any, axis: Axes = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over `axis`, of numbers converted to `dtype` first if given."""
    return _prod(x if dtype is None else cast(x, dtype), axis, keepdims)


def _extremum(name: str, x: Any, axis: Axes, keepdims: bool):
    m = Middle(name, x, axis)
    y = m.result()
    getattr(kernels, name)(m.data, y)
    return m.shaped(y, keepdims), lambda dy: m.gradient(kernels.extremum_grad, m.data, y, view(dy, y.shape))


@op
def amax(x: Any, axis: Axes = None, keepdims: bool = False):
    """The maximum over `axis`, NaN where there is one. Ties share the gradient."""
    return _extremum("max", x, axis, keepdims)


@op
def amin(x: Any, axis: Axes = None, keepdims: bool = False):
    """The minimum over `axis`, NaN where there is one. Ties share the gradient."""
    return _extremum("min", x, axis, keepdims)


def max(x: Any, axis: Axes = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """The maximum over `axis`, at least `initial`. Ties share the gradient; NaN wins.

    Raises ValueError over an empty axis, unless `initial` is given.
    """
    if initial is None:
        return amax(x, axis, keepdims)
    x = numbers(x) if not isinstance(x, Tensor) else x
    return maximum(amax(x, axis, keepdims), initial) if x.size else _initials(x, axis, keepdims, initial)


def min(x: Any, axis: Axes = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """The minimum over `axis`, at most `initial`. Ties share the gradient; NaN wins.

    Raises ValueError over an empty axis, unless `initial` is given.
    """
    if initial is None:
        return amin(x, axis, keepdims)
    x = numbers(x) if not isinstance(x, Tensor) else x
    return minimum(amin(x, axis, keepdims), initial) if x.size else _initials(x, axis, keepdims, initial)


def _initials(x: Tensor, axis: Axes, keepdims: bool, initial: float) -> Tensor:
    y = empty(without(x.shape, normalized_axes("max", axis, x.ndim), keepdims), like=x)
    kernels.fill(y, float(initial))
    return y


def _truths(name: str, x: Any, axis: Axes, keepdims: bool) -> Tensor:
    x = converted(to_tensor(x), "bool")
    axes = normalized_axes(name, axis, x.ndim)
    return view(reduce_axes(getattr(kernels, name), x, axes), without(x.shape, axes, keepdims))


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """True where an element is true (not 0)."""
    return _truths("any", x, axis, keepdims)


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """True where all elements are true (not 0)."""
    return _truths("all", x, axis, keepdims)


def count_nonzero(x: Any, axis: Axes = None) -> Tensor:
    """The number of elements that are not 0 (int32)."""
    return sum(converted(to_tensor(x), "bool"), axis)


# --- places ---------------------------------------------------------------------------------------


def _place(name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    m = Middle(name, x, axis)
    y = m.result("int32")
    getattr(kernels, name)(m.data, y)
    return m.shaped(y, keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The first index of the maximum along `axis`, or of a NaN; into flattened x without axis."""
    return _place("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The first index of the minimum along `axis`, or of a NaN; into flattened x without axis."""
    return _place("argmin", x, axis, keepdims)


# --- statistics -----------------------------------------------------------------------------------


@op
def var(x: Any, axis: Axes = None, keepdims: bool = False):
    """mean((x - mean x)^2) over `axis`, in two passes."""
    m = Middle("var", x, axis, floating=True)
    mu, y = m.result(), m.result()
    kernels.mean(m.data, mu)
    kernels.var(m.data, mu, y)
    return m.shaped(y, keepdims), lambda dy: m.gradient(kernels.var_grad, m.data, mu, view(dy, y.shape))


def std(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis`: sqrt(var)."""
    return sqrt(var(x, axis, keepdims))


def moments(x: Any, axes: Axes, keepdims: bool = False, synchronized: bool = False) -> tuple:
    """Mean and variance over `axes`."""
    if synchronized:
        raise ValueError("moments: synchronized=True is for training on several devices")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def average(x: Any, axis: Axes = None, weights: Any = None) -> Tensor:
    """sum(w x) / sum(w) over `axis`; the mean without weights.

    `weights` has x's shape, or is a vector along a single `axis`.
    """
    if weights is None:
        return mean(x, axis)
    x, w = to_tensor(x), to_tensor(weights)
    if w.shape != x.shape:
        axes = [] if axis is None else normalized_axes("average", axis, x.ndim)
        if len(axes) != 1 or w.shape != (x.shape[axes[0]],):
            raise ValueError(f"average: weights {w.shape} do not fit x {x.shape} along axis {axis}")
        w = view(w, tuple(n if d == axes[0] else 1 for d, n in enumerate(x.shape)))
        total = sum(w)
    else:
        total = sum(w, axis)
    return divide(sum(multiply(x, w), axis), total)


@op
def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False):
    """log(sum(e^x)) over `axis`, without overflow."""
    m = Middle("logsumexp", x, axis, floating=True)
    top, y = m.result(), m.result()
    kernels.max(m.data, top)
    kernels.logsumexp(m.data, top, y)
    return m.shaped(y, keepdims), lambda dy: m.gradient(kernels.logsumexp_grad, m.data, y, view(dy, y.shape))


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None):
    """The running sum along `axis`; of the flattened x without one."""
    a = numbers(x) if dtype is None else to_tensor(x, dtype)
    if axis is None:
        o, n, i, shape = 1, a.size, 1, (a.size,)
    else:
        (d,) = normalized_axes("cumsum", axis, a.ndim)
        shape = a.shape
        o, n, i = math.prod(shape[:d]), shape[d], math.prod(shape[d + 1 :])
    y = empty(shape, like=a)
    kernels.cumsum(view(a, (o, n, i)), view(y, (o, n, i)), False)

    def backward(dy):
        dx = empty(a.shape, like=a)
        kernels.cumsum(view(dy, (o, n, i)), view(dx, (o, n, i)), True)
        return converted(dx, x.dtype)

    return y, backward


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running product along `axis`; of the flattened x without one.

    In log2(n) rounds: each element times the one 1, 2, 4, ... places before it (Hillis and Steele 1986).
    """
    from .move import ravel
    from .slice import concatenate

    y = numbers(x) if dtype is None else cast(x, dtype)
    y, axis = (ravel(y), 0) if axis is None else (y, normalized_axis("cumprod", axis, y.ndim))
    n, step = y.shape[axis], 1
    while step < n:
        first, last, rest = (
            y[(*[slice(None)] * axis, cut)] for cut in (slice(step), slice(n - step), slice(step, None))
        )
        y = concatenate([first, multiply(rest, last)], axis)
        step *= 2
    return y


def ptp(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest less the smallest over `axis`."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The differences of neighbours along `axis`, taken `n` times."""
    x = numbers(a)
    (d,) = normalized_axes("diff", axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff: n cannot be negative, got {n}")
    for _ in range(builtins.min(n, x.shape[d])):
        lower, upper = ([slice(None)] * d + [cut] for cut in (slice(None, -1), slice(1, None)))
        x = subtract(x[tuple(upper)], x[tuple(lower)])
    return x


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along `axis` by trapezoids `dx` wide, or with corners at x."""
    y = moveaxis(numbers(y, floating=True), axis, -1)
    width: Any = dx
    if x is not None:
        x = numbers(x, floating=True)
        width = diff(x) if x.ndim == 1 else diff(moveaxis(x, axis, -1))
    return sum(multiply(multiply(add(y[..., 1:], y[..., :-1]), width), 0.5), -1)


# --- without NaN ----------------------------------------------------------------------------------


def _without_nan(x: Any, instead: float) -> Tensor:
    x = numbers(x)
    return where(isnan(x), instead, x) if x.dtype.startswith("float") else x


def _count(x: Any, axis: Axes, keepdims: bool) -> Tensor:
    return cast(sum(logical_not(isnan(x)), axis, keepdims), numbers(x, floating=True).dtype)


def nansum(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis` of what is a number."""
    return sum(_without_nan(x, 0.0), axis, keepdims)


def nanprod(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The product over `axis` of what is a number."""
    return prod(_without_nan(x, 1.0), axis, keepdims)


def nanmean(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` of what is a number; NaN where nothing is."""
    return divide(nansum(x, axis, keepdims), _count(x, axis, keepdims))


def nanvar(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The variance over `axis` of what is a number; NaN where nothing is."""
    x = numbers(x, floating=True)
    away = where(isnan(x), 0.0, subtract(x, nanmean(x, axis, True)))
    return divide(sum(square(away), axis, keepdims), _count(x, axis, keepdims))


def nanstd(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis` of what is a number."""
    return sqrt(nanvar(x, axis, keepdims))


def _nan_extremum(find: Any, x: Any, axis: Axes, keepdims: bool, instead: float) -> Tensor:
    y = find(_without_nan(x, instead), axis, keepdims)
    return where(all(isnan(x), axis, keepdims), math.nan, y) if y.dtype.startswith("float") else y


def nanmax(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The maximum over `axis` of what is a number; NaN where nothing is."""
    return _nan_extremum(max, x, axis, keepdims, -math.inf)


def nanmin(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The minimum over `axis` of what is a number; NaN where nothing is."""
    return _nan_extremum(min, x, axis, keepdims, math.inf)


# --- norms ----------------------------------------------------------------------------------------


@op
def _norm(x: Any, axis: Axes, keepdims: bool):
    m = Middle("norm", x, axis, floating=True)
    y = m.result()
    kernels.norm(m.data, y)
    return m.shaped(y, keepdims), lambda dy: m.gradient(kernels.norm_grad, m.data, y, view(dy, y.shape))


def norm(x: Any, ord: Any = None, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along `axis`: 2 (the default, or Frobenius' over several axes), 1, inf,
    -inf, 0 (how many are not 0) or any p > 0. The gradient of the 2-norm at 0 is 0.

    Raises ValueError for norms of matrices, but for Frobenius'.
    """
    x = to_tensor(x)
    axes = normalized_axes("norm", axis, x.ndim)
    if ord in (None, "fro", "euclidean") or (ord == 2 and len(axes) == 1):
        return _norm(x, axis, keepdims)
    if len(axes) != 1 or not isinstance(ord, (int, float)):
        raise ValueError(f"norm: ord={ord!r} is not supported over axes {tuple(axes)} of {x.shape}")
    size = absolute(numbers(x, floating=True))
    if ord == math.inf:
        return max(size, axis, keepdims)
    if ord == -math.inf:
        return min(size, axis, keepdims)
    if ord == 0:
        return sum(converted(not_equal(x, 0), size.dtype), axis, keepdims)
    if ord == 1:
        return sum(size, axis, keepdims)
    return power(sum(power(size, float(ord)), axis, keepdims), 1.0 / ord)


def normalize(x: Any, axis: Axes = -1, order: float = 2, epsilon: float | None = None) -> Tensor:
    """x / max(norm, epsilon) along `axis`, epsilon being `config.epsilon()` by default."""
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: order is an int >= 1, got {order!r}")
    epsilon = config.epsilon() if epsilon is None else epsilon
    x = numbers(x, floating=True)
    if not x.ndim:
        x = view(x, (1,))
    if order == 2:
        inverse = rsqrt(sum(square(x), axis, keepdims=True))
        return multiply(x, minimum(inverse, 1.0 / epsilon))
    return divide(x, maximum(norm(x, order, axis, keepdims=True), epsilon))
