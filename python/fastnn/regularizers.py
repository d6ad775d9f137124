"""Penalties on weights or activations: L1, L2, both, and orthogonality. `regularizer(x)` returns a
scalar tensor.
"""

from __future__ import annotations

import math

from fastnn import config
from fastnn.configurable import Configurable
from fastnn.serialization import Family

_family = Family("regularizer", "keras.regularizers")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize


class Regularizer(Configurable):
    """Base class: `regularizer(x)` returns the penalty."""

    def __call__(self, x):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x)")


@_family.register()
class L1L2(Regularizer):
    """l1 sum|x| + l2 sum x^2 (no half)."""

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        from fastnn import ops

        # A zero factor costs no kernel, unless both are zero and the penalty must be a tensor all
        # the same.
        l1 = self.l1 * ops.sum(ops.absolute(x)) if self.l1 or not self.l2 else None
        l2 = self.l2 * ops.sum(ops.square(x)) if self.l2 else None
        if l1 is None or l2 is None:
            return l2 if l1 is None else l1
        return l1 + l2


@_family.register()
class L1(Regularizer):
    """l1 sum|x|."""

    def __init__(self, l1=0.01):
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x):
        from fastnn import ops

        return self.l1 * ops.sum(ops.absolute(x))


@_family.register()
class L2(Regularizer):
    """l2 sum x^2 (no half)."""

    def __init__(self, l2=0.01):
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x):
        from fastnn import ops

        return self.l2 * ops.sum(ops.square(x))


@_family.register()
class OrthogonalRegularizer(Regularizer):
    """factor times the mean |cosine| between different rows (or columns) of a matrix.

    Args:
      mode: `"rows"` or `"columns"`.
    """

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = _factor("factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode must be 'rows' or 'columns'; received {mode!r}")
        self.mode = mode

    def __call__(self, inputs):
        from fastnn import ops

        if len(inputs.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer works on matrices; received shape {tuple(inputs.shape)}")
        x = inputs if self.mode == "rows" else ops.transpose(inputs)
        n = x.shape[0]
        if n < 2:
            raise ValueError(
                f"OrthogonalRegularizer compares {self.mode}, but shape {tuple(inputs.shape)} has only {n}"
            )
        # The floor keeps a row of zeros finite, as in ops.normalize.
        norms = ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True))
        x = x / ops.maximum(norms, config.epsilon())
        cosines = ops.matmul(x, ops.transpose(x)) * (1.0 - ops.eye(n, dtype=inputs.dtype))
        pairs = n * (n - 1) / 2
        return ops.sum(ops.absolute(cosines)) * (0.5 * self.factor / pairs)


def _factor(name, value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a non-negative number; received {value!r}")
    return float(value)


# Keras' function-like names: `regularizers.l2(1e-4)`. The string "l1_l2" is not a name there, and
# not here.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
