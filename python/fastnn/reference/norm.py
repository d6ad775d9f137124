"""Normalisation in NumPy."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [
    dict(r=r, c=c)
    for r, c in [
        ((1,), 1),
        ((2,), 3),
        ((5, 7), 8),
        ((33,), 9),
        ((3, 4, 5), 17),
        ((700,), 3),
        ((64,), 1024),
        ((9,), 1500),
        ((2000,), 33),
        ((0,), 3),
        ((3,), 0),
    ]
]
BENCH = [dict(r=(32, 28, 28), c=32), dict(r=(512,), c=256)]
ROW_SIZES = [dict(r=s["r"], n=s["c"]) for s in SIZES if s["c"]] + [dict(r=(), n=5)]
ROW_BENCH = [dict(r=(512,), n=256)]
FAR = lambda rng, shape, sizes: 3 + rng.standard_normal(shape)  # noqa: E731
POSITIVE = lambda rng, shape, sizes: rng.uniform(0.5, 1.5, shape)  # noqa: E731
HALF = lambda rng, shape, sizes: rng.random(shape) < 0.5  # noqa: E731
OPTIONAL = [
    dict(mask=None),
    dict(),
    dict(gamma=None, mask=None),
    dict(gamma=None, beta=None, mask=None),
]


def moments(x, mask):
    rows = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
    if mask is not None:
        rows = rows[mask.reshape(-1).astype(bool)]
    if not len(rows):
        return np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    return rows.mean(0), rows.var(0)


@kernel_case(
    SIZES,
    BENCH,
    [dict(o, momentum=0.9, epsilon=1e-3) for o in OPTIONAL],
    inputs=dict(x=FAR, mask=HALF, moving_variance=POSITIVE),
    # Two rows of a channel may be equal to within rounding: the variance is then near 0, its
    # inverse root up to 1 / sqrt(epsilon) = 30, and so the input's rounding is magnified.
    tolerance=200,
)
def batch_norm(x, gamma, beta, mask, moving_mean, moving_variance, momentum, epsilon):
    mean, variance = moments(x, mask)
    inv_std = 1 / np.sqrt(variance + epsilon)
    y = (x - mean) * inv_std * (1 if gamma is None else gamma) + (0 if beta is None else beta)
    moving_mean = momentum * moving_mean + (1 - momentum) * mean
    return y, mean, inv_std, moving_mean, momentum * moving_variance + (1 - momentum) * variance


@kernel_case(
    SIZES,
    BENCH,
    [dict(epsilon=1e-3), dict(epsilon=1e-3, gamma=None, beta=None)],
    inputs=dict(variance=POSITIVE),
)
def batch_norm_inference(x, mean, variance, gamma, beta, epsilon):
    return (x - mean) / np.sqrt(variance + epsilon) * (1 if gamma is None else gamma) + (0 if beta is None else beta)


def sums_tolerance(r, c=None, n=None):
    """Sums over the rows of terms of both signs."""
    return 64 + 4 * np.sqrt(np.prod(r))


@kernel_case(
    SIZES,
    BENCH,
    [*OPTIONAL[:3], dict(mask=None, dx=None), dict(mask=None, dgamma=None, dbeta=None)],
    inputs=dict(mask=HALF, inv_std=POSITIVE),
    tolerance=sums_tolerance,
)
def batch_norm_grad(x, dy, mean, inv_std, gamma, mask):
    xhat = (x - mean) * inv_std
    axes = tuple(range(x.ndim - 1))
    weight = np.ones((*x.shape[:-1], 1)) if mask is None else mask[..., None].astype(bool)
    beta_sum, gamma_sum = dy.sum(axes), (dy * xhat).sum(axes)
    correction = weight * (beta_sum + xhat * gamma_sum) / max(weight.sum(), 1)
    return inv_std * (1 if gamma is None else gamma) * (dy - correction), gamma_sum, beta_sum


@kernel_case(
    ROW_SIZES,
    ROW_BENCH,
    [
        dict(epsilon=1e-3, centered=c, **o)
        for c in (True, False)
        for o in ({}, dict(gamma=None), dict(gamma=None, beta=None))
    ],
    inputs=dict(x=FAR),
    tolerance=200,
)
def layer_norm(x, gamma, beta, epsilon, centered):
    mean = x.mean(-1) * centered
    d = x - mean[..., None]
    inv_std = 1 / np.sqrt((d**2).mean(-1) + epsilon)
    return (
        d * inv_std[..., None] * (1 if gamma is None else gamma) + (0 if beta is None else beta),
        mean,
        inv_std,
    )


@kernel_case(
    ROW_SIZES,
    ROW_BENCH,
    [
        dict(centered=c, **o)
        for c in (True, False)
        for o in ({}, dict(gamma=None), dict(dx=None), dict(dgamma=None, dbeta=None))
    ],
    inputs=dict(inv_std=POSITIVE),
    tolerance=sums_tolerance,
)
def layer_norm_grad(x, dy, mean, inv_std, gamma, centered):
    xhat = (x - mean[..., None]) * inv_std[..., None]
    g = dy * (1 if gamma is None else gamma)
    d = g - xhat * (g * xhat).mean(-1, keepdims=True) - centered * g.mean(-1, keepdims=True)
    axes = tuple(range(x.ndim - 1))
    return d * inv_std[..., None], (dy * xhat).sum(axes), dy.sum(axes)


HALVES = dict(low=0.5, high=1.5)
MOVING = dict(moving_mean=np.zeros(4), moving_variance=np.ones(4))
op_case("batch_norm_training", x=T(3, 2, 4), gamma=T(4), beta=T(4), **MOVING)
op_case("batch_norm_training", x=T(5, 4), gamma=None, beta=None, **MOVING)
op_case(
    "batch_norm_training",
    x=T(3, 2, 4),
    gamma=T(4),
    beta=T(4),
    **MOVING,
    mask=np.array([[True, False], [True, True], [False, True]]),
)
op_case(
    "batch_norm_inference",
    x=T(3, 4),
    mean=T(4, grad=False),
    variance=T(4, grad=False, **HALVES),
    gamma=T(4),
    beta=T(4),
)
op_case(
    "batch_norm_inference",
    x=T(3, 4),
    mean=T(4, grad=False),
    variance=T(4, grad=False, **HALVES),
    gamma=None,
    beta=T(4),
)
for centered in (True, False):
    op_case("layer_norm", x=T(3, 2, 5), gamma=T(5), beta=T(5), epsilon=1e-3, centered=centered)
    op_case("layer_norm", x=T(3, 5), gamma=None, beta=None, epsilon=1e-3, centered=centered)
op_case("layer_normalization", x=T(2, 3, 4), gamma=T(3, 4), beta=T(3, 4), axis=(1, 2))
op_case("layer_normalization", x=T(2, 3, 4), gamma=T(3), beta=None, axis=1)
op_case("rms_normalization", x=T(2, 6), scale=T(6))
op_case("group_normalization", x=T(2, 3, 4), gamma=T(4), beta=T(4), groups=2)
op_case(
    "batch_normalization",
    x=T(2, 3, 4),
    mean=T(4, grad=False),
    variance=T(4, grad=False, **HALVES),
    axis=-1,
    scale=T(4),
)
