"""Normalisation: batch (Ioffe & Szegedy 2015), layer (Ba et al. 2016), group (Wu & He 2018) and
root mean square (Zhang & Sennrich 2019). Channels are the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import config, kernels
from ..autograd import grad_buffer, grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .elementwise import add, divide, multiply, subtract
from .move import reshape, transpose
from .reduce import normalized_axes

__all__ = [
    "batch_norm_inference",
    "batch_norm_training",
    "batch_normalization",
    "group_normalization",
    "layer_norm",
    "layer_normalization",
    "rms_normalization",
]


def _float(name: str, x: Any) -> Tensor:
    x = to_tensor(x)
    if not x.dtype.startswith("float"):
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    return x


def _slot(x: Tensor | None) -> Tensor | None:
    """Where the gradient of x goes, None if it needs none."""
    return grad_buffer(x) if x is not None and needs_grad(x) else None


@op
def batch_norm_training(
    x: Any,
    gamma: Any,
    beta: Any,
    moving_mean: Tensor,
    moving_variance: Tensor,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    mask: Any = None,
):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta with the statistics of this batch.

    x (*rows, channels); gamma, beta (channels) or None; mask bool (*rows): rows that count for the
    statistics. moving = momentum moving + (1 - momentum) batch is written in place, with the biased
    variance.
    """
    x = _float("batch_norm_training", x)
    y = empty(x.shape, like=x)
    mean, inv_std = empty(x.shape[-1:], like=x), empty(x.shape[-1:], like=x)
    mask = None if mask is None else to_tensor(mask, "bool")
    kernels.batch_norm(
        x,
        gamma,
        beta,
        mask,
        y,
        mean,
        inv_std,
        moving_mean,
        moving_variance,
        float(momentum),
        float(epsilon),
    )

    def backward(dy):
        dx, dgamma, dbeta = _slot(x), _slot(gamma), _slot(beta)
        kernels.batch_norm_grad(x, dy, mean, inv_std, gamma, mask, dx, dgamma, dbeta)
        return dx, dgamma, dbeta

    return y, backward


@op
def batch_norm_inference(x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float = 1e-3):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta with given statistics, which get no
    gradient (batch_normalization gives them one).
    """
    x, epsilon = _float("batch_norm_inference", x), float(epsilon)
    y = empty(x.shape, like=x)
    kernels.batch_norm_inference(x, mean, variance, gamma, beta, y, epsilon)

    def backward(dy):
        zero = empty(mean.shape, like=x)
        kernels.fill(zero, 0.0)
        dx = grad_to(x, lambda dx: kernels.batch_norm_inference(dy, zero, variance, gamma, None, dx, epsilon))
        dgamma, dbeta = _slot(gamma), _slot(beta)
        if dgamma is not None or dbeta is not None:
            one, inv_std = empty((1, *mean.shape), like=x), empty(mean.shape, like=x)
            kernels.fill(one, 1.0)
            kernels.batch_norm_inference(one, zero, variance, None, None, view(inv_std, one.shape), epsilon)
            kernels.batch_norm_grad(x, dy, mean, inv_std, None, None, None, dgamma, dbeta)
        return dx, None, None, dgamma, dbeta

    return y, backward


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) scale + offset along `axis`; all differentiable."""
    x = _float("batch_normalization", x)
    mean, variance = to_tensor(mean, x.dtype), to_tensor(variance, x.dtype)
    scale, offset = (None if v is None else to_tensor(v, x.dtype) for v in (scale, offset))
    axis = normalized_axes("batch_normalization", int(axis), x.ndim)[0]
    for name, v in dict(mean=mean, variance=variance, scale=scale, offset=offset).items():
        if v is not None and v.shape != (x.shape[axis],):
            raise ValueError(
                f"batch_normalization: {name} must have shape {(x.shape[axis],)}, axis {axis} of "
                f"x {x.shape}, got {v.shape}"
            )
    if axis == x.ndim - 1 and not needs_grad(mean) and not needs_grad(variance):
        return batch_norm_inference(x, mean, variance, scale, offset, epsilon)
    from .unary import sqrt

    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    y = divide(subtract(x, reshape(mean, shape)), sqrt(add(reshape(variance, shape), float(epsilon))))
    y = y if scale is None else multiply(y, reshape(scale, shape))
    return y if offset is None else add(y, reshape(offset, shape))


@op
def layer_norm(x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float, centered: bool):
    """Along the last axis of a float x; gamma and beta have its length."""
    y = empty(x.shape, like=x)
    mean, inv_std = empty(x.shape[:-1], like=x), empty(x.shape[:-1], like=x)
    kernels.layer_norm(x, gamma, beta, y, mean, inv_std, epsilon, centered)

    def backward(dy):
        dx, dgamma, dbeta = _slot(x), _slot(gamma), _slot(beta)
        kernels.layer_norm_grad(x, dy, mean, inv_std, gamma, dx, dgamma, dbeta, centered)
        return dx, dgamma, dbeta

    return y, backward


def _normalize(name: str, x: Any, gamma: Any, beta: Any, axis: Any, epsilon: float | None, centered: bool) -> Tensor:
    x = _float(name, x)
    axes = normalized_axes(name, axis, x.ndim)
    shape = tuple(x.shape[a] for a in axes)
    n = math.prod(shape)
    parameters = []
    for label, p in (("gamma", gamma), ("beta", beta)):
        if p is not None:
            p = to_tensor(p, x.dtype)
            if p.shape != shape and math.prod(p.shape) != n:
                raise ValueError(
                    f"{name}: {label} must have shape {shape}, the axes {axes} of x {x.shape}; got {p.shape}"
                )
            p = reshape(p, (n,)) if p.shape != (n,) else p
        parameters.append(p)
    order = [a for a in range(x.ndim) if a not in axes] + axes
    moved = x if order == sorted(order) else transpose(x, order)
    rows = reshape(moved, (*moved.shape[: x.ndim - len(axes)], n)) if len(axes) != 1 else moved
    y = layer_norm(rows, *parameters, config.epsilon() if epsilon is None else float(epsilon), centered)
    if len(axes) != 1:
        y = reshape(y, moved.shape)
    return y if moved is x else transpose(y, [order.index(a) for a in range(x.ndim)])


def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Tensor:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over `axis`.

    gamma, beta: the shape of the axes, or None. epsilon: `config.epsilon()` by default. With
    `rms_scaling` gamma x / sqrt(variance + epsilon).
    """
    if rms_scaling:
        return _scale_by_deviation(x, gamma, axis, epsilon)
    return _normalize("layer_normalization", x, gamma, beta, axis, epsilon, True)


def _scale_by_deviation(x: Any, gamma: Any, axis: Any, epsilon: float | None) -> Tensor:
    from .reduce import var
    from .unary import rsqrt

    x = _float("layer_normalization", x)
    axes = normalized_axes("layer_normalization", axis, x.ndim)
    inverse = rsqrt(add(var(x, axis=tuple(axes), keepdims=True), config.epsilon() if epsilon is None else epsilon))
    y = multiply(x, inverse)
    along = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    return y if gamma is None else multiply(y, reshape(to_tensor(gamma, x.dtype), along))


def rms_normalization(
    x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Tensor:
    """scale x / sqrt(mean(x^2) + epsilon), the mean over `axis`."""
    return _normalize("rms_normalization", x, scale, None, axis, epsilon, False)


def group_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """Layer normalisation of `groups` equal groups of channels, each with all its positions.

    x (batch, ..., channels); gamma, beta (channels) or None.
    """
    x = _float("group_normalization", x)
    axis = normalized_axes("group_normalization", int(axis), x.ndim)[0]
    if axis == 0 or x.shape[axis] % groups:
        raise ValueError(f"group_normalization: {groups} groups do not divide axis {axis} of x {x.shape}")
    # (batch, before, groups, channels of a group, after): all but batch and groups are normalised.
    shape = x.shape
    split = reshape(x, (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    y = reshape(
        layer_normalization(split, axis=[a for a in range(1, x.ndim + 1) if a != axis], epsilon=epsilon),
        shape,
    )
    along = [1] * x.ndim
    along[axis] = shape[axis]
    y = y if gamma is None else multiply(y, reshape(to_tensor(gamma, x.dtype), along))
    return y if beta is None else add(y, reshape(to_tensor(beta, x.dtype), along))
