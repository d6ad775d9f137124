"""Matrix products and the dense layer."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

from .. import _core, kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor
from .elementwise import multiply, subtract
from .move import broadcast_to, moveaxis, reshape, transpose
from .promotion import broadcast_shapes, converted, promote
from .reduce import sum as sum_
from .slice import stack

__all__ = [
    "cross", "dense", "dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "vdot",
]  # fmt: skip


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
    y = _dense(x, W, b, _LINEAR[0], 0.0, "nothing")
    return y if activation is None else activation(y)


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


def _integers(*operands: Tensor) -> bool:
    return all(x.dtype == "int32" for x in operands)


def _floats(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if _integers(a, b):  # exact in double
        return converted(a, "float64"), converted(b, "float64")
    if a.dtype != b.dtype or not a.dtype.startswith("float"):
        if needs_grad(a) or needs_grad(b):
            from .elementwise import cast

            wide = "float64" if "float64" in (a.dtype, b.dtype) else "float32"
            return cast(a, wide), cast(b, wide)
        a, b = promote(a, b, floating=True)
    return a, b


def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product over the last two axes, with NumPy's rules for vectors and broadcasting."""
    x1, x2 = to_tensor(x1), to_tensor(x2)
    a, b = _floats(x1, x2)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: scalars cannot be multiplied as matrices, got shapes {a.shape} and {b.shape}")
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
    return converted(y, "int32") if _integers(x1, x2) else y


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Sums of products over pairs of axes: the last `axes` of x1 with the first of x2, or as given."""
    x1, x2 = to_tensor(x1), to_tensor(x2)
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
    y = reshape(_product(a, b), (*shape_a, *shape_b))
    return converted(y, "int32") if _integers(x1, x2) else y


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


def inner(x1: Any, x2: Any) -> Tensor:
    """Sums of products over the last axes: (*a,k) (*b,k) -> (*a,*b)."""
    a, b = to_tensor(x1), to_tensor(x2)
    return multiply(a, b) if not a.ndim or not b.ndim else tensordot(a, b, [[a.ndim - 1], [b.ndim - 1]])


def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker's product: x2 times each element of x1, laid out as x1 is."""
    a, b = to_tensor(x1), to_tensor(x2)
    rank = max(a.ndim, b.ndim)
    m, n = ((1,) * (rank - x.ndim) + x.shape for x in (a, b))
    left = reshape(a, [size for s in m for size in (s, 1)])
    right = reshape(b, [size for s in n for size in (1, s)])
    return reshape(multiply(left, right), [i * j for i, j in zip(m, n)])


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of 3 (or 2, whose third is 0) along an axis; of two pairs the third only."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(to_tensor(x1), axisa, -1), moveaxis(to_tensor(x2), axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(f"cross: vectors have 2 or 3 components, got shapes {a.shape} and {b.shape}")
    (a0, a1, *a2), (b0, b1, *b2) = ([x[..., i] for i in range(x.shape[-1])] for x in (a, b))
    third = subtract(multiply(a0, b1), multiply(a1, b0))
    if not a2 and not b2:
        return third
    az, bz = a2[0] if a2 else multiply(a0, 0), b2[0] if b2 else multiply(b0, 0)
    first, second = subtract(multiply(a1, bz), multiply(az, b1)), subtract(multiply(az, b0), multiply(a0, bz))
    return moveaxis(stack([first, second, third], -1), -1, axisc)


# --- Einstein's convention ----------------------------------------------------------------------


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Sums of products by Einstein's convention: "bij,bjk->bik" is a matrix product per b.

    A letter that the result lacks is summed over; "..." stands for further axes, which broadcast.
    Without "->" the result has the letters that occur once, in alphabetical order. The operands are
    multiplied from left to right, each time as one (batched) matrix product.

    A letter that occurs twice in one operand stands for its diagonal: "ii->" is the trace.

    Raises ValueError for subscripts that do not fit the operands.
    """
    tensors = [to_tensor(x) for x in operands]
    terms, result = _einsum_terms(subscripts, tensors)
    terms, tensors = map(list, zip(*map(_diagonal_of, terms, tensors)))
    sizes: dict[str, int] = {}
    for term, x in zip(terms, tensors):
        for label, n in zip(term, x.shape):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            elif n not in (1, sizes[label]):
                raise ValueError(f"einsum: {subscripts!r} gives an axis the sizes {sizes[label]} and {n}")
    # An axis of length 1 that is longer elsewhere is summed or kept as if it were repeated.
    full = [broadcast_to(x, [sizes[c] for c in t]) for t, x in zip(terms, tensors)]
    label, y = terms[0], full[0]
    for i in range(1, len(full)):
        later = set(result).union(*terms[i + 1 :])
        label, y = _einsum_pair(label, y, terms[i], full[i], later)
    label, y = _sum_labels(label, y, set(result))
    return transpose(y, [label.index(c) for c in result]) if label != result else y


def _einsum_terms(subscripts: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """One letter per axis, for every operand and for the result."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    given = left.split(",")
    if len(given) != len(tensors):
        raise ValueError(f"einsum: {subscripts!r} is for {len(given)} operands, got {len(tensors)}")
    free = [c for c in string.ascii_letters if c not in subscripts]
    rest = max([x.ndim - len(t.replace("...", "")) for t, x in zip(given, tensors) if "..." in t], default=0)
    dots = "".join(free[: max(rest, 0)])
    terms = []
    for term, x in zip(given, tensors):
        named = len(term.replace("...", ""))
        term = term.replace("...", dots[len(dots) - (x.ndim - named) :] if x.ndim > named else "")
        if len(term) != x.ndim or not all(c in string.ascii_letters for c in term):
            raise ValueError(f"einsum: {subscripts!r} does not fit an operand of shape {x.shape}")
        terms.append(term)
    if not arrow:
        letters = "".join(terms)
        right = "..." * bool(dots) + "".join(sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1))
    result = right.replace("...", dots)
    if len(set(result)) != len(result) or set(result) - set("".join(terms)):
        raise ValueError(f"einsum: the result of {subscripts!r} needs letters of the operands, each once")
    return terms, result


def _diagonal_of(labels: str, x: Tensor) -> tuple[str, Tensor]:
    """The operand with every letter once."""
    from .slice import diagonal

    for c in sorted(set(labels)):
        while labels.count(c) > 1:
            first, second = labels.index(c), labels.rindex(c)
            if x.shape[first] != x.shape[second]:
                raise ValueError(f"einsum: {c!r} stands for the sizes {x.shape[first]} and {x.shape[second]}")
            x = diagonal(x, 0, first, second)  # it becomes the last axis
            labels = "".join(k for i, k in enumerate(labels) if i not in (first, second)) + c
    return labels, x


def _sum_labels(labels: str, x: Tensor, keep: set[str]) -> tuple[str, Tensor]:
    gone = tuple(i for i, c in enumerate(labels) if c not in keep)
    return ("".join(c for c in labels if c in keep), sum_(x, axis=gone)) if gone else (labels, x)


def _einsum_pair(a: str, x: Tensor, b: str, y: Tensor, later: set[str]) -> tuple[str, Tensor]:
    """The product of two operands, without the letters that neither they share nor somebody needs later."""
    a, x = _sum_labels(a, x, later | set(b))
    b, y = _sum_labels(b, y, later | set(a))
    batch = [c for c in a if c in b and c in later]
    inner = [c for c in a if c in b and c not in later]
    rows, columns = [c for c in a if c not in b], [c for c in b if c not in a]
    size = {**dict(zip(a, x.shape)), **dict(zip(b, y.shape))}
    n, m, k, p = (math.prod(size[c] for c in group) for group in (batch, rows, inner, columns))
    left = reshape(transpose(x, [a.index(c) for c in batch + rows + inner]), (n, m, k))
    right = reshape(transpose(y, [b.index(c) for c in batch + inner + columns]), (n, k, p))
    labels = batch + rows + columns
    return "".join(labels), reshape(matmul(left, right), [size[c] for c in labels])
