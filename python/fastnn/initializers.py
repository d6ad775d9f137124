"""Initial values of weights, as NumPy arrays. Formulas and defaults are Keras'; the numbers come
from our own streams.

Glorot & Bengio 2010 (Glorot*), He et al. 2015 (He*), LeCun et al. 1998 (Lecun*), Saxe et al. 2014
(Orthogonal). An integer seed gives the same values at every call; so does one object with
`seed=None`, which draws its seed when made.
"""

from __future__ import annotations

import copy
import math

import numpy as np

from fastnn import config
from fastnn.configurable import Configurable
from fastnn.random import SeedGenerator, check_seed, make_default_seed, numpy_generator
from fastnn.serialization import Family, serialize_object

_family = Family("initializer", "keras.initializers")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize

# Standard deviation of a unit normal that is cut off at 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base class: `initializer(shape, dtype=None)` returns an array."""

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype)")

    def clone(self):
        """An equal initializer; without a seed of its own it draws a new one."""
        return type(self).from_config(self.get_config())


class _Random(Initializer):
    def __init__(self, seed=None):
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif not isinstance(seed, SeedGenerator):
            seed = check_seed(seed)
        self.seed = seed

    def get_config(self):
        # The seed as it was given: an unseeded initializer stays unseeded when it is saved or
        # cloned.
        return {**super().get_config(), "seed": serialize_object(self._init_seed)}


@_family.register("zero")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape, dtype=None):
        return np.zeros(_shape(shape), _dtype(dtype))


@_family.register("one")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return np.ones(_shape(shape), _dtype(dtype))


@_family.register()
class Constant(Initializer):
    """`value` everywhere."""

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return np.full(_shape(shape), self.value, _dtype(dtype))


@_family.register("IdentityInitializer")
class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zeros elsewhere."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = _shape(shape)
        if len(shape) != 2:
            raise ValueError(f"Identity initializes matrices only; received shape {shape}")
        dtype = _dtype(dtype)
        return np.multiply(self.gain, np.eye(*shape, dtype=dtype), dtype=dtype)


@_family.register("normal")
class RandomNormal(_Random):
    """N(mean, stddev^2)."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return _scaled(_normal(_shape(shape), dtype, self.seed), self.stddev, self.mean, dtype)


@_family.register("uniform")
class RandomUniform(_Random):
    """U[minval, maxval)."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape, dtype=None):
        return _uniform(_shape(shape), self.minval, self.maxval, dtype, self.seed)


@_family.register()
class TruncatedNormal(_Random):
    """N(mean, stddev^2) with values beyond two standard deviations drawn again."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return _scaled(_truncated_normal(_shape(shape), dtype, self.seed), self.stddev, self.mean, dtype)


@_family.register()
class VarianceScaling(_Random):
    """Variance `scale / n`, n = fan in, fan out or their mean, whatever the distribution.

    Args:
      mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
      distribution: `"truncated_normal"` (also called `"normal"`), `"untruncated_normal"` or
        `"uniform"`.
      input_axes, output_axes: axes of the weight that count as its inputs and outputs; by default
        those of a dense or channels-last convolution kernel.
    """

    def __init__(
        self,
        scale=1.0,
        mode="fan_in",
        distribution="truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else str(distribution).lower()
        if not scale > 0:
            raise ValueError(f"scale must be positive; received {scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg'; received {mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform'; received {distribution!r}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape, dtype=None):
        shape = _shape(shape)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return _scaled(_normal(shape, dtype, self.seed), math.sqrt(variance), 0.0, dtype)
        # Cutting the tails off lowers the variance; the wider normal makes up for it.
        stddev = math.sqrt(variance) / TRUNCATED_STDDEV
        return _scaled(_truncated_normal(shape, dtype, self.seed), stddev, 0.0, dtype)


def another(initializer):
    """Its equal for a further weight: without a seed of its own it draws other numbers than `initializer`."""
    return initializer.clone() if isinstance(initializer, Initializer) else initializer


def for_axes(initializer, input_axes, output_axes):
    """`initializer` for a weight with these axes of inputs and of outputs: a `VarianceScaling` that was not
    told its axes becomes one that was; everything else stays as it is.
    """
    if not isinstance(initializer, VarianceScaling) or None not in (initializer.input_axes, initializer.output_axes):
        return initializer
    told = copy.copy(initializer)
    told.input_axes, told.output_axes = tuple(input_axes), tuple(output_axes)
    return told


def _scaling(name, scale, mode, distribution, doc):
    """A named special case of `VarianceScaling`."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return _family.register()(type(name, (VarianceScaling,), members))


GlorotUniform = _scaling("GlorotUniform", 1.0, "fan_avg", "uniform", "U(-l, l), l = sqrt(6 / (fan_in + fan_out)).")
GlorotNormal = _scaling("GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Variance 2 / (fan_in + fan_out).")
HeUniform = _scaling("HeUniform", 2.0, "fan_in", "uniform", "U(-l, l), l = sqrt(6 / fan_in).")
HeNormal = _scaling("HeNormal", 2.0, "fan_in", "truncated_normal", "Truncated normal of variance 2 / fan_in.")
LecunUniform = _scaling("LecunUniform", 1.0, "fan_in", "uniform", "U(-l, l), l = sqrt(3 / fan_in).")
LecunNormal = _scaling("LecunNormal", 1.0, "fan_in", "truncated_normal", "Truncated normal of variance 1 / fan_in.")


@_family.register("OrthogonalInitializer")
class Orthogonal(_Random):
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    A weight of more than two dimensions is filled as the matrix (product of the leading dimensions,
    last dimension).
    """

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = _shape(shape)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal initializes weights of two dimensions or more; received shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = numpy_generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        # With the signs of R's diagonal Q is uniform over all orthogonal matrices (Mezzadri 2007,
        # section 5).
        q *= np.sign(np.diagonal(r))
        if rows < columns:
            q = q.T
        return np.ascontiguousarray(self.gain * q.reshape(shape)).astype(_dtype(dtype), copy=False)


def compute_fans(shape, input_axes=None, output_axes=None) -> tuple[int, int]:
    """(fan in, fan out) of a weight: dense (in, out), convolution (*receptive field, in, out), as
    in Keras.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _shape(shape) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in ([shape] if isinstance(shape, int | np.integer) else shape))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a weight's shape must be a tuple of integers; received {shape!r}") from error
    if any(size < 0 for size in shape):
        raise ValueError(f"a weight's shape cannot have negative sizes; received {shape}")
    return shape


def _dtype(dtype) -> np.dtype:
    try:
        return np.dtype(config.floatx() if dtype is None else dtype)
    except TypeError as error:
        raise ValueError(f"initializers make NumPy arrays, and NumPy has no dtype {dtype!r}") from error


def _drawn(dtype):
    """Numbers are drawn in the two types that NumPy's generator makes; the others are rounded from
    float32.
    """
    return np.float64 if _dtype(dtype) == np.float64 else np.float32


def _normal(shape, dtype, seed):
    return numpy_generator(seed).standard_normal(shape, _drawn(dtype))


def _truncated_normal(shape, dtype, seed):
    generator = numpy_generator(seed)
    values = generator.standard_normal(math.prod(shape), _drawn(dtype))
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:  # 4.6 % are drawn again each round
        values[outside] = generator.standard_normal(outside.size, values.dtype)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


def _uniform(shape, low, high, dtype, seed):
    values = numpy_generator(seed).random(shape, _drawn(dtype))
    values = _scaled(values, high - low, low, dtype)
    # Rounding can lift the largest values to `high` itself, which the interval excludes.
    if high > low:
        np.minimum(values, np.nextafter(values.dtype.type(high), values.dtype.type(low)), out=values)
    return values


def _scaled(values, scale, offset, dtype):
    values *= values.dtype.type(scale)
    values += values.dtype.type(offset)
    return values.astype(_dtype(dtype), copy=False)


# Keras offers every initializer under its snake_case name as well: `initializers.glorot_uniform()`.
constant, identity, zeros, ones, orthogonal = Constant, Identity, Zeros, Ones, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, glorot_uniform, glorot_normal = VarianceScaling, GlorotUniform, GlorotNormal
he_uniform, he_normal, lecun_uniform, lecun_normal = HeUniform, HeNormal, LecunUniform, LecunNormal
