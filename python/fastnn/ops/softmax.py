"""Softmax and its relatives along one axis."""

from __future__ import annotations

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty

__all__ = ["softmax"]


@op
def softmax(x: Tensor, axis: int = -1):
    """y = exp(x - max x) / sum exp(x - max x) along `axis`."""
    y = empty(x.shape, like=x)
    kernels.softmax(x, y)

    def backward(dy):
        return grad_to(x, kernels.softmax_grad, y, dy)

    return y, backward
