"""Optimizer updates in NumPy, with Keras' formulas."""

import numpy as np

from . import kernel_case

SIZES = [dict(n=n) for n in (0, 1, 7, 8, 9, 31, 64, 16384, 40001)]
POSITIVE = lambda rng, shape, sizes: rng.uniform(0.1, 1, shape)  # noqa: E731
STATE = dict(v=POSITIVE, lr=lambda rng, shape, sizes: np.array(0.01), t=lambda rng, shape, sizes: np.array(3))


@kernel_case(
    SIZES,
    bench=[dict(n=1_000_000)],
    scalars=[
        dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0),
        dict(beta_1=0.8, beta_2=0.99, epsilon=1e-3, weight_decay=0.1),
    ],
    inputs=STATE,
)
def adam(p, g, m, v, lr, t, beta_1, beta_2, epsilon, weight_decay):
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    rate = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return p * (1 - weight_decay * lr) - rate * m / (np.sqrt(v) + epsilon), m, v
