"""Seeds and random streams. Everything stands on Philox (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3").

A stream is named by two integers, {seed, counter}: equal names give equal numbers on every machine.
NumPy's and Python's global generators are never read nor written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.explain import clear
from fastnn.guards import ForkSafeLock
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
        self._tensor: Any = None
        self._lock = ForkSafeLock()

    def tensor_state(self) -> Any:
        """The int32 tensor that ops draw from on behalf of this generator; recorded steps move it on.

        It is a stream of its own, made from the generator when it is first asked for.
        """
        if self._tensor is None:
            from .variables import RandomState

            self._tensor = RandomState(_seed_of(self))
        return self._tensor

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
        if self._tensor is not None:  # written in place: recorded steps hold this tensor
            from .variables import RandomState

            tensor, self._tensor = self._tensor, None
            tensor.assign(RandomState(_seed_of(self)))
            self._tensor = tensor

    def get_config(self) -> dict:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __reduce__(self):  # the lock cannot be copied; deepcopy and pickle carry the state
        return _restore, (type(self), self._initial_seed, self.name, self.seed, self.counter, self._tensor)


def _restore(cls, initial_seed, name, seed, counter, tensor):
    new = cls(seed, name)
    new._initial_seed, new.counter, new._tensor = initial_seed, counter, tensor
    return new


def _seed_of(generator: SeedGenerator) -> int:
    """The seed of a stream beside those that `next` names, where the generator stands now."""
    key = np.array([generator.seed, 2**63 + generator.counter], np.uint64)
    return int(np.random.Generator(np.random.Philox(key=key)).integers(0, 2**62))


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


# --- random tensors ---------------------------------------------------------------------------------
# `seed`: an integer always gives the same numbers; a SeedGenerator, or None for the global sequence,
# other ones in every call, also where the call is part of a recorded step.


def _state(seed: Any) -> Any:
    from . import ops
    from .tensor import Tensor
    from .variables import seed_words

    if seed is None or isinstance(seed, SeedGenerator):
        return ops.next_state((seed or _global).tensor_state())
    return Tensor(seed_words(check_seed(seed)), "int32")  # not a state: a constant of recorded steps


def _float_type(dtype: Any) -> str:
    from . import config
    from .tensor import dtype_name

    name = config.floatx() if dtype is None else dtype_name(dtype)
    if not name.startswith("float"):
        raise ValueError(f"expected a float dtype, got {dtype!r}")
    return name


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """A float tensor of normally distributed numbers."""
    from . import ops

    return ops.random_normal(shape, mean, stddev, _float_type(dtype), _state(seed))


_ROUNDS = 8  # a number misses [-2, 2] once in 22 times, eight times in a row once in 5e10


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Like `normal`, but numbers beyond two standard deviations are drawn again."""
    from . import ops

    rounds = ops.random_normal((_ROUNDS, *shape), 0.0, 1.0, _float_type(dtype), _state(seed))
    z = ops.clip(rounds[0], -2.0, 2.0)
    for other in rounds[1:]:
        z = ops.where(ops.less(ops.absolute(other), 2.0), other, z)
    return ops.add(ops.multiply(z, stddev), mean)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """x with what lies along `axis` in random order, whole slices of it; differentiable."""
    from . import ops
    from .ops.axes import normalized_axis
    from .tensor import to_tensor

    x = to_tensor(x)
    axis = normalized_axis("shuffle", axis, x.ndim)
    order = ops.argsort(ops.random_uniform((x.shape[axis],), 0.0, 1.0, "float64", _state(seed)))
    return ops.take(x, order, axis)


def uniform(shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from [minval, maxval), evenly distributed; of an integer dtype, see `randint`."""
    from . import ops
    from .tensor import dtype_name

    if dtype is not None and dtype_name(dtype) == "int32":
        return randint(shape, int(minval), int(maxval), "int32", seed)
    return ops.random_uniform(shape, minval, maxval, _float_type(dtype), _state(seed))


@clear
def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers from minval, ..., maxval - 1, each as likely as the others.

    Raises ValueError for an empty range, or one of 2^31 numbers and more.
    """
    from . import ops

    if not 0 < maxval - minval < 2**31:
        raise ValueError(f"randint: maxval must lie above minval by less than 2^31, got {minval} and {maxval}")
    # float64: every integer of the range is met, with the same probability up to 2^-21.
    drawn = ops.floor(ops.random_uniform(shape, 0.0, float(maxval - minval), "float64", _state(seed)))
    return ops.cast(ops.add(ops.minimum(drawn, float(maxval - minval - 1)), float(minval)), dtype)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Indices drawn by unnormalised log-probabilities: logits (batch, classes) -> (batch, num_samples).

    The largest of logits + Gumbel noise has that distribution (Gumbel 1954; Maddison et al. 2014).
    """
    from . import ops
    from .tensor import to_tensor

    logits = to_tensor(logits)
    if logits.ndim != 2 or not logits.dtype.startswith("float"):
        raise ValueError(f"categorical: logits are floats (batch, classes), got {logits.dtype} {logits.shape}")
    shape = (logits.shape[0], num_samples, logits.shape[1])
    u = ops.random_uniform(shape, 0.0, 1.0, "float64", _state(seed))
    noise = ops.negative(ops.log(ops.negative(ops.log(ops.maximum(u, 1e-300)))))
    return ops.cast(ops.argmax(ops.add(noise, ops.expand_dims(ops.stop_gradient(logits), 1)), axis=-1), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """inputs / (1 - rate) with probability 1 - rate, else 0."""
    from . import ops

    return ops.dropout(inputs, rate, _state(seed), noise_shape)
