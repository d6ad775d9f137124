"""Losses in NumPy, with Keras' clipping."""

import numpy as np

from . import T, kernel_case, op_case
from .softmax import along

SIZES = [dict(r=r, n=n) for r in [(), (1,), (5,), (2, 3)] for n in (1, 2, 3, 7, 8, 9, 33, 1000)]
SIZES += [dict(r=(r,), n=1) for r in (7, 8, 9, 4097)] + [dict(r=(0,), n=3)]
BENCH = [dict(r=(1024,), n=1000), dict(r=(32,), n=10), dict(r=(4096,), n=1)]
CLASS_BENCH = [*BENCH[:2], dict(r=(4096,), n=3)]  # one class has nothing to tell
LOW, HIGH = 1e-7, 1 - 1e-7

# In the order of csrc/losses.h.
POINTWISE = [
    "squared_error",
    "absolute_error",
    "percentage_error",
    "squared_log_error",
    "huber",
    "log_cosh",
    "binary_crossentropy",
    "binary_crossentropy_logits",
    "hinge",
    "squared_hinge",
    "poisson",
    "kl_divergence",
]


def pointwise(kind, t, y, a):
    """(value, slope in y) of every element."""
    name = POINTWISE[kind]
    d = y - t
    if name == "squared_error":
        return d**2, 2 * d
    if name == "absolute_error":
        return np.abs(d), np.sign(d)
    if name == "percentage_error":
        size = np.maximum(np.abs(t), LOW)
        return 100 * np.abs(d) / size, 100 * np.sign(d) / size
    if name == "squared_log_error":
        d = np.log1p(np.maximum(y, LOW)) - np.log1p(np.maximum(t, LOW))
        return d**2, np.where(y < LOW, 0, 2 * d / (1 + y))
    if name == "huber":
        return np.where(np.abs(d) <= a, d**2 / 2, a * np.abs(d) - a**2 / 2), np.clip(d, -a, a)
    if name == "log_cosh":
        return np.abs(d) + np.log1p(np.exp(-2 * np.abs(d))) - np.log(2), np.tanh(d)
    if name == "binary_crossentropy":
        s, p = t * (1 - a) + a / 2, np.clip(y, LOW, HIGH)
        return -(s * np.log(p) + (1 - s) * np.log(1 - p)), np.where(y == p, (p - s) / (p * (1 - p)), 0)
    if name == "binary_crossentropy_logits":
        s = t * (1 - a) + a / 2
        return np.maximum(y, 0) - s * y + np.log1p(np.exp(-np.abs(y))), 1 / (1 + np.exp(-y)) - s
    if name == "hinge":
        return np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)
    if name == "squared_hinge":
        return np.maximum(1 - t * y, 0) ** 2, -2 * t * np.maximum(1 - t * y, 0)
    if name == "poisson":
        return y - t * np.log(y + LOW), 1 - t / (y + LOW)
    s, p = np.clip(t, LOW, 1), np.clip(y, LOW, 1)
    return s * np.log(s / p), np.where(y == p, -s / p, 0)


# Targets and predictions lie where every one of the formulas makes sense and none is steep.
UNIT = lambda rng, shape, sizes: rng.uniform(0.1, 0.9, shape)  # noqa: E731
KINDS = [dict(kind=k, parameter=0.3, mean=k != 11) for k in range(len(POINTWISE))] + [
    dict(kind=6, parameter=0.0, mean=True),
    dict(kind=0, parameter=0.0, mean=False),
]


def reduction(n, **_):
    """Errors of the terms add up at worst, and a sum of n numbers is rounded n times."""
    return 64 + n / 8


@kernel_case(SIZES, BENCH, scalars=KINDS, inputs=dict(t=UNIT, y=UNIT), tolerance=reduction)
def pointwise_loss(t, y, kind, parameter, mean):
    value = pointwise(kind, t, y, parameter)[0]
    return value.mean(-1) if mean else value.sum(-1)


@kernel_case(SIZES, BENCH, scalars=KINDS, inputs=dict(t=UNIT, y=UNIT), tolerance=64)
def pointwise_loss_grad(t, y, dloss, kind, parameter, mean):
    slope = pointwise(kind, t, y, parameter)[1] * dloss[..., None]
    return slope / y.shape[-1] if mean else slope


LABELS = lambda rng, shape, sizes: rng.integers(0, sizes["n"], shape)  # noqa: E731
MODES = [dict(from_logits=f, ignored=i) for f in (True, False) for i in (2**31, 0)]


def probabilities(y, from_logits):
    return along(y, -1) if from_logits else y / y.sum(-1, keepdims=True)


def log_probabilities(y, from_logits):
    return along(y, -1, log=True) if from_logits else np.log(np.clip(probabilities(y, False), LOW, HIGH))


def free(y, from_logits):
    """Where clipping lets the gradient through."""
    p = probabilities(y, False)
    return np.ones_like(y) if from_logits else (p >= LOW) & (p <= HIGH)


def row_stats(y, from_logits, third=None):
    if from_logits:
        top = y.max(-1)
        stats = [top, np.exp(y - top[..., None]).sum(-1)]
    else:
        stats = [y.sum(-1), np.zeros(y.shape[:-1])]
    return np.stack(stats if third is None else [*stats, third], -1)


@kernel_case(SIZES, CLASS_BENCH, scalars=MODES, inputs=dict(y=UNIT, label=LABELS), tolerance=reduction)
def sparse_crossentropy(y, label, from_logits, ignored):
    loss = -np.take_along_axis(log_probabilities(y, from_logits), label[..., None], -1)[..., 0]
    return np.where(label == ignored, 0, loss), row_stats(y, from_logits)


@kernel_case(
    SIZES,
    CLASS_BENCH,
    scalars=MODES,
    inputs=dict(y=UNIT, label=LABELS, stats=lambda rng, shape, sizes: np.full(shape, [0.5, sizes["n"] / 3])),
    tolerance=64,
)
def sparse_crossentropy_grad(y, label, stats, dloss, from_logits, ignored):
    hot = np.eye(y.shape[-1])[label]
    if from_logits:  # softmax as the given numbers say
        d = np.exp(y - stats[..., :1]) / stats[..., 1:] - hot
    else:
        q = (y * hot).sum(-1, keepdims=True) / stats[..., :1]
        d = np.where((q >= LOW) & (q <= HIGH), 1 / stats[..., :1] - hot / y, 0)
    return np.where((label == ignored)[..., None], 0, d * dloss[..., None])


SMOOTHING = [dict(from_logits=f, smoothing=s) for f in (True, False) for s in (0.0, 0.2)]


@kernel_case(SIZES, CLASS_BENCH, scalars=SMOOTHING, inputs=dict(t=UNIT, y=UNIT), tolerance=reduction)
def categorical_crossentropy(t, y, from_logits, smoothing):
    t = t * (1 - smoothing) + smoothing / max(y.shape[-1], 1)
    stats = row_stats(y, from_logits, (t * free(y, from_logits)).sum(-1))
    return -(t * log_probabilities(y, from_logits)).sum(-1), stats


@kernel_case(
    SIZES,
    CLASS_BENCH,
    scalars=SMOOTHING,
    inputs=dict(t=UNIT, y=UNIT, stats=lambda rng, shape, sizes: np.full(shape, [0.7 * sizes["n"], 0.8, 0.6])),
    tolerance=128,
)
def categorical_crossentropy_grad(t, y, stats, dloss, from_logits, smoothing):
    t = t * (1 - smoothing) + smoothing / max(y.shape[-1], 1)
    first, second, mass = np.split(stats, 3, -1)
    if from_logits:
        d = np.exp(y - first) / second * mass - t
    else:
        q = y / first
        d = mass / first - np.where((q >= LOW) & (q <= HIGH), t / y, 0)
    return d * dloss[..., None]


for from_logits in (True, False):
    low = dict(low=0.1, high=0.9)
    labels = np.array([[0, 3, 1], [2, 2, 4]], "int32")
    op_case(
        "sparse_categorical_crossentropy",
        target=labels,
        output=T(2, 3, 5, **low),
        from_logits=from_logits,
    )
    op_case(
        "categorical_crossentropy",
        target=T(3, 4, **low),
        output=T(3, 4, **low),
        from_logits=from_logits,
    )
    op_case(
        "categorical_crossentropy",
        target=T(3, 4, 2, grad=False, **low),
        output=T(3, 4, 2, **low),
        from_logits=from_logits,
        axis=1,
    )
    op_case("binary_crossentropy", target=T(3, 4, **low), output=T(3, 4, **low), from_logits=from_logits)
for kind, parameter in [
    *((name, 0.0) for name in POINTWISE),
    ("huber", 0.2),
    ("binary_crossentropy", 0.1),
]:
    op_case(
        "pointwise_loss",
        target=T(3, 4, low=0.1, high=0.9, grad=kind in POINTWISE[:2] + ["huber", "log_cosh"]),
        output=T(3, 4, low=0.1, high=0.9),
        kind=kind,
        parameter=parameter,
        mean=kind != "kl_divergence",
    )
