"""Optimizer updates in NumPy, with Keras' formulas."""

from itertools import pairwise

import numpy as np

from . import kernel_case

SIZES = [dict(n=n) for n in (0, 1, 7, 8, 9, 31, 64, 16384, 40001)]
BENCH = [dict(n=1_000_000)]
POSITIVE = lambda rng, shape, sizes: rng.uniform(0.1, 1, shape)  # noqa: E731
RATE = lambda rng, shape, sizes: np.array(0.01)  # noqa: E731
STEP = lambda rng, shape, sizes: np.array(3)  # noqa: E731
STATE = dict(v=POSITIVE, lr=RATE, t=STEP)
ADAM = [
    dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0),
    dict(beta_1=0.8, beta_2=0.99, epsilon=1e-3, weight_decay=0.1),
]
BETAS = [{k: v for k, v in scalars.items() if k != "weight_decay"} for scalars in ADAM]


@kernel_case(SIZES, BENCH, inputs=STATE)
def sgd(p, g, lr):
    return p - lr * g


@kernel_case(SIZES, BENCH, [dict(momentum=0.9, nesterov=n) for n in (False, True)], inputs=dict(lr=RATE))
def sgd_momentum(p, g, v, lr, momentum, nesterov):
    v = momentum * v - lr * g
    return (p + momentum * v - lr * g if nesterov else p + v), v


@kernel_case(SIZES, BENCH, [dict(momentum=0.9)], inputs=dict(lr=RATE))
def sgd_average(p, g, v, lr, momentum):
    v = momentum * v + (1 - momentum) * g
    return p - lr * v, v


@kernel_case(SIZES, BENCH, [dict(epsilon=1e-7), dict(epsilon=0.1)], inputs=dict(a=POSITIVE, lr=RATE))
def adagrad(p, g, a, lr, epsilon):
    a = a + g * g
    return p - lr * g / np.sqrt(a + epsilon), a


RMSPROP = dict(rho=0.9, momentum=0.5, epsilon=1e-3)


@kernel_case(
    SIZES,
    BENCH,
    [
        RMSPROP,
        dict(RMSPROP, average=None),
        dict(RMSPROP, m=None),
        dict(RMSPROP, average=None, m=None),
    ],
    # The variance v - average^2 stays well above zero.
    inputs=dict(v=lambda rng, shape, sizes: rng.uniform(4, 5, shape), average=POSITIVE, lr=RATE),
)
def rmsprop(p, g, v, average, m, lr, rho, momentum, epsilon):
    v = rho * v + (1 - rho) * g * g
    variance = v
    if average is not None:
        average = rho * average + (1 - rho) * g
        variance = v - average**2
    move = lr * g / np.sqrt(variance + epsilon)
    if m is not None:
        move = m = momentum * m + move
    return p - move, v, average, m


@kernel_case(SIZES, BENCH, ADAM, inputs=STATE)
def adam(p, g, m, v, lr, t, beta_1, beta_2, epsilon, weight_decay):
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    rate = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return p * (1 - weight_decay * lr) - rate * m / (np.sqrt(v) + epsilon), m, v


@kernel_case(SIZES, BENCH, ADAM, inputs=dict(STATE, v_hat=POSITIVE))
def adam_amsgrad(p, g, m, v, v_hat, lr, t, beta_1, beta_2, epsilon, weight_decay):
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    v_hat = np.maximum(v_hat, v)
    rate = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return p * (1 - weight_decay * lr) - rate * m / (np.sqrt(v_hat) + epsilon), m, v, v_hat


@kernel_case(SIZES, BENCH, BETAS, inputs=dict(STATE, u=POSITIVE))
def adamax(p, g, m, u, lr, t, beta_1, beta_2, epsilon):
    m = m + (g - m) * (1 - beta_1)
    u = np.maximum(beta_2 * u, np.abs(g))
    return p - lr * m / ((1 - beta_1**t) * (u + epsilon)), m, u


def momentum_at(t, beta_1):
    return beta_1 * (1 - 0.5 * 0.96**t)


@kernel_case(
    [{}],
    scalars=[dict(beta_1=0.9)],
    inputs=dict(t=STEP, product=lambda rng, shape, sizes: np.array(0.2)),
)
def nadam_product(product, t, beta_1):
    return product * momentum_at(t, beta_1)


@kernel_case(SIZES, BENCH, BETAS, inputs=dict(STATE, product=lambda rng, shape, sizes: np.array(0.2)))
def nadam(p, g, m, v, product, lr, t, beta_1, beta_2, epsilon):
    now, after = momentum_at(t, beta_1), momentum_at(t + 1, beta_1)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    m_hat = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
    return p - lr * m_hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v


@kernel_case(
    SIZES,
    BENCH,
    [dict(rho=0.95, epsilon=1e-7), dict(rho=0.5, epsilon=0.1)],
    inputs=dict(a=POSITIVE, d=POSITIVE, lr=RATE),
)
def adadelta(p, g, a, d, lr, rho, epsilon):
    a = rho * a + (1 - rho) * g * g
    move = np.sqrt(d + epsilon) * g / np.sqrt(a + epsilon)
    return p - lr * move, a, rho * d + (1 - rho) * move**2


@kernel_case(SIZES, BENCH, [dict(beta_1=0.9, beta_2=0.99)], inputs=dict(lr=RATE))
def lion(p, g, m, lr, beta_1, beta_2):
    return p - lr * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g


FTRL = dict(power_=-0.5, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0)


@kernel_case(
    SIZES,
    BENCH,
    [FTRL, dict(FTRL, l1=0.3, l2=0.1, shrinkage=0.2, beta=0.4), dict(FTRL, power_=-0.7)],
    inputs=dict(a=POSITIVE, lr=RATE),
    # linear gathers (sqrt(a') - sqrt(a)) / lr: the cancellation is magnified by 1 / lr = 100
    tolerance=200,
)
def ftrl(p, g, a, linear, lr, power_, l1, l2, shrinkage, beta):
    after = a + g * g
    gradient = g + 2 * shrinkage * p
    linear = linear + gradient - (after**-power_ - a**-power_) / lr * p
    quadratic = after**-power_ / lr + 2 * (l2 + beta / (2 * lr))
    return (np.clip(linear, -l1, l1) - linear) / quadratic, after, linear


@kernel_case(SIZES, BENCH, [dict(factor=0.3)])
def rescale(p, factor):
    return p * factor


@kernel_case(SIZES, BENCH, [dict(decay=0.1)], inputs=dict(lr=RATE))
def weight_decay(p, lr, decay):
    return p * (1 - decay * lr)


@kernel_case(SIZES, BENCH, [dict(limit=0.5)])
def clip_value(g, limit):
    return np.clip(g, -limit, limit)


def cuts(rng, shape, sizes):
    return np.concatenate([[0], np.sort(rng.integers(0, sizes["n"] + 1, shape[0] - 2)), [sizes["n"]]])


@kernel_case(
    [dict(size, k=k) for size in SIZES for k in (2, 3, 9)],
    [dict(n=1_000_000, k=9)],
    [dict(limit=0.5), dict(limit=1e6), dict(limit=0.5, offsets=None)],
    inputs=dict(offsets=cuts),
)
def clip_norm(g, offsets, limit):
    result = g.copy()
    offsets = [0, len(g)] if offsets is None else offsets
    for begin, end in pairwise(offsets):
        result[begin:end] *= limit / max(np.linalg.norm(g[begin:end]), limit)
    return result


@kernel_case(SIZES, BENCH, [dict(momentum=0.9, overwrite_every=e) for e in (0, 2, 3)], inputs=dict(t=STEP))
def moving_average(average, p, t, momentum, overwrite_every):
    average = momentum * average + (1 - momentum) * p
    return average, average if overwrite_every == 3 else p


@kernel_case([{}], inputs=dict(t=STEP), exact=True)
def increment(t):
    return t + 1


@kernel_case(
    [dict(n=n) for n in (1, 2, 5)],
    inputs=dict(t=lambda rng, shape, sizes: np.array(12), first=lambda rng, shape, sizes: np.array(10)),
    exact=True,
)
def schedule_rate(table, t, first):
    return table[min(t - first, len(table) - 1)]
