"""Projections applied to a weight after each optimizer step: `constraint(w)` returns the weight
that takes its place.
"""

from __future__ import annotations

from fastnn import config
from fastnn.configurable import Configurable
from fastnn.serialization import Family

_family = Family("constraint", "keras.constraints")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize


class Constraint(Configurable):
    """Base class: `constraint(w)` returns the projected weight; the base itself leaves it as it is."""

    def __call__(self, w):
        return w


@_family.register()
class MaxNorm(Constraint):
    """w min(|w|, max_value) / (1e-7 + |w|), with norms |w| along `axis` (int or sequence of ints).

    For a dense kernel (in, out) axis 0 is one norm per unit; for a convolution kernel take [0, 1,
    2].
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        from fastnn import ops

        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))


@_family.register()
class NonNeg(Constraint):
    """max(w, 0)."""

    def __call__(self, w):
        from fastnn import ops

        return ops.maximum(w, 0)


@_family.register()
class UnitNorm(Constraint):
    """w / (1e-7 + |w|), with norms along `axis`."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        return w / (config.epsilon() + _norms(w, self.axis))


@_family.register()
class MinMaxNorm(Constraint):
    """w d / (1e-7 + |w|), d = rate clip(|w|, min_value, max_value) + (1 - rate) |w|, with norms
    along `axis`.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w):
        from fastnn import ops

        norms = _norms(w, self.axis)
        desired = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (desired / (config.epsilon() + norms))


def _norms(w, axis):
    from fastnn import ops

    axis = tuple(axis) if isinstance(axis, list) else axis
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
