"""Other shapes and orders of the same elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor, view

__all__ = ["reshape", "transpose"]


@op
def reshape(x: Any, newshape: Any):
    """x with another shape; one size may be -1. Shares memory."""
    x = to_tensor(x)
    shape = [newshape] if isinstance(newshape, int) else [int(n) for n in newshape]
    if shape.count(-1) == 1:
        known = -math.prod(shape)
        if known == 0 or x.size % known:
            raise ValueError(f"reshape: cannot shape {x.shape} into {tuple(shape)}")
        shape[shape.index(-1)] = x.size // known
    if math.prod(shape) != x.size or any(n < 0 for n in shape):
        raise ValueError(f"reshape: cannot shape {x.shape} into {tuple(shape)}")
    return view(x, shape), lambda dy: view(dy, x.shape)


@op
def transpose(x: Any, axes: Sequence[int] | None = None):
    """x with axis `axes[k]` as its axis k; reversed axes by default."""
    x = to_tensor(x)
    rank = x.ndim
    order = list(range(rank))[::-1] if axes is None else [int(a) for a in axes]
    if sorted(a % rank if -rank <= a < rank else -1 for a in order) != list(range(rank)):
        raise ValueError(f"transpose: axes {tuple(order)} are not a permutation of {rank} axes")
    order = [a % rank for a in order]
    y = empty([x.shape[a] for a in order], like=x)
    kernels.transpose(x, y, order)
    inverse = sorted(range(rank), key=order.__getitem__)

    def backward(dy):
        dx = empty(x.shape, like=x)
        kernels.transpose(dy, dx, inverse)
        return dx

    return y, backward
