"""Seeds and random streams. Everything stands on Philox (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3").

A stream is named by two integers, {seed, counter}: equal names give equal numbers on every machine.
NumPy's and Python's global generators are never read nor written.
"""

from __future__ import annotations

import os
import threading

import numpy as np

from fastnn.serialization import Family

_MAX_SEED = 2**63 - 1
_family = Family("random generator", "keras.random")


@_family.register()
class SeedGenerator:
    """A sequence of stream names {seed, 0}, {seed, 1}, ...

    Args:
      seed: non-negative integer; None takes one from the global stream.
      name: for configs only.
    """

    def __init__(self, seed: int | None = None, name: str | None = None):
        self._initial_seed = seed
        self.seed = make_default_seed() if seed is None else check_seed(seed)
        self.name = name or "seed_generator"
        self.counter = 0
        self._lock = threading.Lock()

    def next(self) -> np.ndarray:
        """The next stream name, uint64 array [seed, counter]."""
        with self._lock:
            counter, self.counter = self.counter, self.counter + 1
        return np.array([self.seed, counter], np.uint64)

    @property
    def state(self) -> np.ndarray:
        """[seed, counter]; assign to it to resume a sequence where it was left."""
        return np.array([self.seed, self.counter], np.uint64)

    @state.setter
    def state(self, value):
        seed, counter = (int(v) for v in np.asarray(value).reshape(2))
        self.seed, self.counter = check_seed(seed), check_seed(counter)

    def get_config(self) -> dict:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __reduce__(self):  # the lock cannot be copied; deepcopy and pickle carry the state
        return _restore, (type(self), self._initial_seed, self.name, self.seed, self.counter)


def _restore(cls, initial_seed, name, seed, counter):
    new = cls(seed, name)
    new._initial_seed, new.counter = initial_seed, counter
    return new


def check_seed(seed) -> int:
    """`seed` as an int.

    Raises:
      ValueError: not an integer in [0, 2^63).
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _MAX_SEED:
        raise ValueError(
            f"a seed must be an integer from 0 to 2^63 - 1; received {seed!r} of type {type(seed).__name__}"
        )
    return int(seed)


def _fresh_seed() -> int:
    return int.from_bytes(os.urandom(8), "little") >> 1


_global = SeedGenerator(_fresh_seed())


def global_seed_generator() -> SeedGenerator:
    """The process-wide sequence behind every `seed=None`."""
    return _global


def set_random_seed(seed: int) -> None:
    """Restart the global sequence: what follows (weights, shuffles, dropout) is the same after
    every call.

    Unlike in Keras, `random` and `numpy.random` are left alone.
    """
    _global.state = [check_seed(seed), 0]


def make_default_seed() -> int:
    """A seed from the global sequence, for an object that was given none."""
    return int(numpy_generator(None).integers(0, 2**31))


def draw_seed(seed) -> np.ndarray:
    """The stream name [seed, counter], uint64, for `seed` = int, `SeedGenerator` or None (the
    global sequence).

    An integer always names the same stream; the other two move on with every call.
    """
    if seed is None:
        return _global.next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return np.array([check_seed(seed), 0], np.uint64)


def numpy_generator(seed=None) -> np.random.Generator:
    """A `np.random.Generator` on the stream that `draw_seed(seed)` names."""
    return np.random.Generator(np.random.Philox(key=draw_seed(seed)))
