"""Dropout and random numbers. Everything is a pure function of a state, int32 {seed_lo, seed_hi,
step_lo, step_hi}: the backward pass draws its mask again. A layer calls `ops.dropout(x, rate,
ops.next_state(self.state))`, where next_state moves the layer's own state on, also in a replay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor
from .elementwise import add, multiply

__all__ = [
    "alpha_dropout",
    "dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "next_state",
    "random_normal",
    "random_uniform",
]

# Of SELU (Klambauer et al. 2017): what alpha dropout puts for a dropped unit is -alpha scale.
_ALPHA_P = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946


def next_state(state: Tensor) -> Tensor:
    """A copy of `state` to draw from now; `state` itself moves one step on."""
    now = empty((4,), "int32", like=state)
    kernels.rng_next(state, now)
    return now


def _checked_rate(name: str, rate: float, highest: float = 1.0) -> float:
    if not 0 <= rate <= highest:
        raise ValueError(f"{name}: rate must be between 0 and {highest}, got {rate}")
    return float(rate)


def _noise_shape(name: str, x: Tensor, noise_shape: Sequence[int | None]) -> tuple[int, ...]:
    """x's shape with 1 along the axes whose elements share their fate; None stands for x's size."""
    shape = tuple(noise_shape)
    full = tuple(n if m is None else m for n, m in zip(x.shape, shape))
    if len(shape) != x.ndim or any(m not in (1, n) for n, m in zip(x.shape, full)):
        raise ValueError(f"{name}: noise_shape {shape} must have 1, None or its size for each axis of {x.shape}")
    return full


def _kept(shape: Sequence[int], like: Tensor, rate: float, state: Tensor) -> Tensor:
    """1 / (1 - rate) with probability 1 - rate, else 0."""
    mask = empty(shape, like=like)
    kernels.fill(mask, 1.0)
    kernels.dropout(mask, state, mask, rate)
    return mask


@op
def dropout(x: Any, rate: float, state: Any, noise_shape: Sequence[int | None] | None = None):
    """x / (1 - rate) with probability 1 - rate, else 0 (Srivastava et al. 2014).

    state: int32 (4,), as `next_state` gives it. noise_shape: 1 along axes that are dropped as a
    whole.
    """
    x, state, rate = to_tensor(x), to_tensor(state), _checked_rate("dropout", rate)
    y = empty(x.shape, like=x)
    if noise_shape is None:
        kernels.dropout(x, state, y, rate)
        return y, lambda dy: grad_to(x, lambda dx: kernels.dropout(dy, state, dx, rate))
    mask = _kept(_noise_shape("dropout", x, noise_shape), x, rate, state)
    kernels.multiply(x, mask, y)
    return y, lambda dy: grad_to(x, kernels.multiply, dy, mask)


def gaussian_noise(x: Any, stddev: float, state: Any) -> Tensor:
    """x + stddev z, z standard normal."""
    x = to_tensor(x)
    return add(x, random_normal(x.shape, 0.0, stddev, x.dtype, state))


def gaussian_dropout(x: Any, rate: float, state: Any) -> Tensor:
    """x (1 + sqrt(rate / (1 - rate)) z), z standard normal (Srivastava et al. 2014, section 10)."""
    x, rate = to_tensor(x), _checked_rate("gaussian_dropout", rate)
    if rate == 1:
        raise ValueError("gaussian_dropout: rate must be below 1")
    return multiply(x, random_normal(x.shape, 1.0, math.sqrt(rate / (1 - rate)), x.dtype, state))


def alpha_dropout(x: Any, rate: float, state: Any, noise_shape: Sequence[int | None] | None = None) -> Tensor:
    """Dropout that keeps mean and variance of SELU units: a (x or alpha') + b (Klambauer et al.
    2017).
    """
    x, state, rate = to_tensor(x), to_tensor(state), _checked_rate("alpha_dropout", rate)
    if rate == 1:
        raise ValueError("alpha_dropout: rate must be below 1")
    a = ((1 - rate) * (1 + rate * _ALPHA_P**2)) ** -0.5
    b = -a * _ALPHA_P * rate
    shape = x.shape if noise_shape is None else _noise_shape("alpha_dropout", x, noise_shape)
    kept = _kept(shape, x, rate, state)  # {0, 1 / (1 - rate)}
    # a (x k + alpha' (1 - k)) + b, k in {0, 1}
    return add(
        multiply(x, multiply(kept, a * (1 - rate))),
        add(multiply(kept, -a * _ALPHA_P * (1 - rate)), a * _ALPHA_P + b),
    )


def random_uniform(shape: Sequence[int], minval: float, maxval: float, dtype: str, state: Any) -> Tensor:
    """Uniform in [minval, maxval)."""
    state = to_tensor(state)
    y = empty(shape, dtype, like=state)
    kernels.random_uniform(state, y, float(minval), float(maxval))
    return y


def random_normal(shape: Sequence[int], mean: float, stddev: float, dtype: str, state: Any) -> Tensor:
    """Normal with this mean and standard deviation."""
    state = to_tensor(state)
    y = empty(shape, dtype, like=state)
    kernels.random_normal(state, y, float(mean), float(stddev))
    return y
