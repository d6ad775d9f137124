"""Philox and what is drawn from it, in NumPy: the very bits, not only the distribution."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [dict(s=s) for s in [(), (1,), (16,), (63,), (64,), (65,), (31,), (33,), (2, 3, 5), (129, 64), (0,)]]
BENCH = [dict(s=(1_000_000,))]
STATE = lambda rng, shape, sizes: rng.integers(-(2**31), 2**31, shape)  # noqa: E731
M0, M1, W0, W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)


def philox(state, counters, rounds):
    """The four words of each counter {index, step}: Salmon et al. 2011, section 3.3."""
    seed_lo, seed_hi, step_lo, step_hi = (int(v) & 0xFFFFFFFF for v in state)
    index = np.arange(counters, dtype=np.uint64)
    c = [
        index & LOW,
        index >> np.uint64(32),
        np.full(counters, step_lo, "u8"),
        np.full(counters, step_hi, "u8"),
    ]
    for r in range(rounds):
        k0, k1 = (
            np.uint64((seed_lo + r * W0) & 0xFFFFFFFF),
            np.uint64((seed_hi + r * W1) & 0xFFFFFFFF),
        )
        a, b = np.uint64(M0) * c[0], np.uint64(M1) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ k0, b & LOW, (a >> np.uint64(32)) ^ c[3] ^ k1, a & LOW]
    return np.stack(c)


def words(state, n, rounds):
    """n words in the order of the kernels: blocks of 16 counters, word by word."""
    blocks = -(-n // 64)
    return philox(state, blocks * 16, rounds).reshape(4, blocks, 16).transpose(1, 0, 2).reshape(-1)


def units(state, n, storage):
    """n numbers in [0, 1) with 24 or 53 random bits."""
    if storage == "float32":
        return (words(state, n, 10)[:n] >> np.uint64(8)).astype(np.float64) * 2.0**-24
    w = words(state, 2 * n, 10).reshape(-1, 2, 2, 16)  # pairs of words are a high and a low half
    return ((w[:, :, 0] << np.uint64(32) | w[:, :, 1]) >> np.uint64(11)).reshape(-1)[:n].astype(np.float64) * 2.0**-53


@kernel_case(
    SIZES,
    BENCH,
    [dict(rate=r) for r in (0.1, 0.5, 0.0, 1.0)],
    inputs=dict(state=STATE),
    tolerance=1,
)
def dropout(x, state, rate):
    kept = words(state, x.size, 7)[: x.size].reshape(x.shape) >= rate * 2.0**32 + (rate == 1)
    return np.where(kept, x / (1 - rate) if rate < 1 else 0, 0)


@kernel_case([{}], inputs=dict(state=lambda rng, shape, sizes: np.array([1, 2, -1, 7])), exact=True)
def rng_next(state):
    return np.array([1, 2, 0, 8]), state


op_case("dropout", x=T(3, 4), rate=0.4, state=np.array([1, 2, 3, 4], "int32"))
op_case(
    "dropout",
    x=T(3, 4, 2),
    rate=0.4,
    state=np.array([1, 2, 3, 4], "int32"),
    noise_shape=(None, 1, 2),
)
