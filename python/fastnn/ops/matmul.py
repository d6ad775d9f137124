"""Matrix products and the dense layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import _core, kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor
from .elementwise import multiply
from .move import broadcast_to, reshape, transpose
from .promotion import broadcast_shapes, converted, promote
from .reduce import sum as sum_

__all__ = ["dense", "dot", "matmul", "outer", "tensordot", "vdot"]


@op
def _dense(x: Tensor, W: Tensor, b: Tensor | None, kind: int, alpha: float, reads: str):
    """y = act(x W + b), the activation's derivative taken from y."""
    y = empty((*x.shape[:-1], W.shape[1]), like=x)
    kernels.dense(x, W, b, y, kind, alpha)

    def backward(dy):
        dz = dy
        if kind != _LINEAR[0]:
            dz = empty(y.shape, like=y)
            kernels.activation_grad(None, y if reads == "output" else None, dy, dz, kind, alpha)
        return (
            grad_to(x, kernels.matmul_nt, dz, W),
            grad_to(W, kernels.matmul_tn, x, dz),
            None if b is None else grad_to(b, kernels.sum_rows, dz),
        )

    return y, backward


_LINEAR = _core.activations["linear"]


def dense(x: Any, W: Tensor, b: Tensor | None = None, activation: Callable | None = None) -> Tensor:
    """y = activation(x W + b).   x (*rows, in), W (in, out), b (out) -> y (*rows, out)

    An activation whose derivative can be read off its result is finished while the product is
    still in registers; any other is its own op.
    """
    x = to_tensor(x)
    if x.dtype != W.dtype:
        raise TypeError(f"dense: x is {x.dtype} but the weights are {W.dtype}")
    if x.ndim < 1 or x.shape[-1] != W.shape[0]:
        raise ValueError(f"dense: x {x.shape} does not fit weights {W.shape}")
    fused = getattr(activation, "fused", None) if activation is not None else ("linear", 0.0)
    if fused is not None:
        kind, reads = _core.activations[fused[0]]
        if reads != "input":
            return _dense(x, W, b, kind, fused[1], reads)
    return activation(_dense(x, W, b, _LINEAR[0], 0.0, "nothing"))


@op
def _product(a: Tensor, b: Tensor):
    """(*m,k) (k,n)."""
    y = empty((*a.shape[:-1], b.shape[1]), like=a)
    kernels.matmul_nn(a, b, y)

    def backward(dy):
        return grad_to(a, kernels.matmul_nt, dy, b), grad_to(b, kernels.matmul_tn, a, dy)

    return y, backward


@op
def _batch_product(a: Tensor, b: Tensor):
    """(*b,m,k) (*b,k,n)."""
    y = empty((*a.shape[:-1], b.shape[-1]), like=a)
    kernels.batch_matmul_nn(a, b, y)

    def backward(dy):
        return grad_to(a, kernels.batch_matmul_nt, dy, b), grad_to(b, kernels.batch_matmul_tn, a, dy)

    return y, backward


def _floats(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    a, b = to_tensor(x1), to_tensor(x2)
    if a.dtype != b.dtype or not a.dtype.startswith("float"):
        if needs_grad(a) or needs_grad(b):
            from .elementwise import cast

            wide = "float64" if "float64" in (a.dtype, b.dtype) else "float32"
            return cast(a, wide), cast(b, wide)
        a, b = promote(a, b, floating=True)
    return a, b


def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product over the last two axes, with NumPy's rules for vectors and broadcasting."""
    a, b = _floats(x1, x2)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: scalars cannot be multiplied as matrices, got shapes {a.shape} and {b.shape}")
    integers = all(t.dtype == "int32" for t in (to_tensor(x1), to_tensor(x2)))
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} against {inner}")
    drop_row, drop_col = a.ndim == 1, b.ndim == 1
    if drop_row:
        a = reshape(a, (1, a.shape[0]))
    if drop_col:
        b = reshape(b, (b.shape[0], 1))
    if b.ndim == 2:
        y = _product(a, b)
    else:
        batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
        a = a if a.shape[:-2] == batch else broadcast_to(a, (*batch, *a.shape[-2:]))
        b = b if b.shape[:-2] == batch else broadcast_to(b, (*batch, *b.shape[-2:]))
        y = _batch_product(a, b)
    shape = y.shape
    if drop_row:
        shape = (*shape[:-2], shape[-1])
    if drop_col:
        shape = shape[:-1]
    y = y if shape == y.shape else reshape(y, shape)
    return converted(y, "int32") if integers else y


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Sums of products over pairs of axes: the last `axes` of x1 with the first of x2, or as given."""
    a, b = _floats(x1, x2)
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([v] if isinstance(v, int) else list(v) for v in axes)
        left, right = [v % a.ndim for v in left], [v % b.ndim for v in right]
    if [a.shape[i] for i in left] != [b.shape[j] for j in right]:
        raise ValueError(f"tensordot: axes {left} of {a.shape} do not fit axes {right} of {b.shape}")
    keep_a = [i for i in range(a.ndim) if i not in left]
    keep_b = [j for j in range(b.ndim) if j not in right]
    k = math.prod(a.shape[i] for i in left)
    shape_a, shape_b = [a.shape[i] for i in keep_a], [b.shape[j] for j in keep_b]
    a = reshape(transpose(a, keep_a + left), (math.prod(shape_a), k))
    b = reshape(transpose(b, right + keep_b), (k, math.prod(shape_b)))
    return reshape(_product(a, b), (*shape_a, *shape_b))


def dot(x1: Any, x2: Any) -> Tensor:
    """NumPy's dot: inner product of vectors, matrix product, product with a scalar."""
    a, b = to_tensor(x1), to_tensor(x2)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, [[a.ndim - 1], [b.ndim - 2]])


def vdot(x1: Any, x2: Any) -> Tensor:
    """The inner product of two tensors, flattened."""
    return sum_(multiply(reshape(x1, (-1,)), reshape(x2, (-1,))))


def outer(x1: Any, x2: Any) -> Tensor:
    """All products of an element of x1 with one of x2."""
    return multiply(reshape(x1, (-1, 1)), reshape(x2, (1, -1)))
