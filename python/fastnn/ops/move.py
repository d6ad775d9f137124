"""The same elements in other shapes and orders, or repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from .. import kernels
from ..autograd import needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .axes import normalized_axis
from .promotion import broadcast_shapes, sum_to

__all__ = [
    "broadcast_to", "expand_dims", "meshgrid", "moveaxis", "ravel", "repeat", "reshape", "squeeze",
    "swapaxes", "tile", "transpose", "tril", "triu",
]  # fmt: skip


# --- shapes: memory is shared ---------------------------------------------------------------------


@op
def reshape(x: Any, newshape: Any):
    """x with another shape; one size may be -1. Shares memory."""
    x = to_tensor(x)
    shape = [newshape] if isinstance(newshape, int) else [int(n) for n in newshape]
    if shape.count(-1) == 1:
        known = -math.prod(shape)
        if known <= 0 or x.size % known:
            raise ValueError(f"reshape: cannot shape {x.shape} into {tuple(shape)}")
        shape[shape.index(-1)] = x.size // known
    if math.prod(shape) != x.size or any(n < 0 for n in shape):
        raise ValueError(f"reshape: cannot shape {x.shape} into {tuple(shape)}")
    return view(x, shape), lambda dy: view(dy, x.shape)


def ravel(x: Any) -> Tensor:
    """x in one dimension."""
    return reshape(x, (-1,)) if to_tensor(x).size else reshape(x, (0,))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """x with a new axis of length 1 at `axis` of the result (several, if it is a list)."""
    x = to_tensor(x)
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = x.ndim + len(axes)
    places = {normalized_axis("expand_dims", a, rank) for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"expand_dims: an axis stands twice in {tuple(axes)}")
    rest = iter(x.shape)
    return reshape(x, tuple(1 if d in places else next(rest) for d in range(rank)))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without its axes of length 1, or without the given ones."""
    x = to_tensor(x)
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    axes = [axis] if isinstance(axis, int) else list(axis)
    drop = {normalized_axis("squeeze", a, x.ndim) for a in axes}
    for a in drop:
        if x.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} of {x.shape} has length {x.shape[a]}, not 1")
    return reshape(x, tuple(n for d, n in enumerate(x.shape) if d not in drop))


# --- orders of axes -------------------------------------------------------------------------------


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


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    x = to_tensor(x)
    order = list(range(x.ndim))
    i, j = (normalized_axis("swapaxes", a, x.ndim) for a in (axis1, axis2))
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """x with its axes `source` at the places `destination`, the others in their order."""
    x = to_tensor(x)
    from_, to = ([v] if isinstance(v, int) else list(v) for v in (source, destination))
    from_ = [normalized_axis("moveaxis", a, x.ndim) for a in from_]
    to = [normalized_axis("moveaxis", a, x.ndim) for a in to]
    if len(from_) != len(to) or len(set(from_)) != len(from_) or len(set(to)) != len(to):
        raise ValueError(f"moveaxis: cannot move axes {source} to {destination}")
    order = [d for d in range(x.ndim) if d not in from_]
    for place, axis in sorted(zip(to, from_)):
        order.insert(place, axis)
    return transpose(x, order)


# --- repetitions ----------------------------------------------------------------------------------


@op
def broadcast_to(x: Any, shape: Sequence[int]):
    """x repeated along axes of length 1 and new leading axes, to `shape`."""
    x = to_tensor(x)
    shape = tuple(int(n) for n in shape)
    if len(shape) < x.ndim or broadcast_shapes("broadcast_to", x.shape, shape) != shape:
        raise ValueError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    y = empty(shape, like=x)
    kernels.broadcast_copy(x, y)
    return y, lambda dy: sum_to(dy, x.shape) if needs_grad(x) else None


def _repeated(x: Tensor, counts: Sequence[int], inside: bool) -> Tensor:
    """Each axis repeated: the whole of it, or each of its elements (`inside`).

    A new axis beside each repeated one is broadcast, then merged with it.
    """
    expanded: list[int] = []
    wide: list[int] = []
    for n, c in zip(x.shape, counts):
        if c == 1:
            expanded.append(n)
            wide.append(n)
        else:
            expanded += [n, 1] if inside else [1, n]
            wide += [n, c] if inside else [c, n]
    result = tuple(n * c for n, c in zip(x.shape, counts))
    return reshape(broadcast_to(reshape(x, expanded), wide), result)


def tile(x: Any, repeats: int | Sequence[int]) -> Tensor:
    """x beside itself `repeats[k]` times along axis k; missing counts of leading axes are 1."""
    x = to_tensor(x)
    counts = [repeats] if isinstance(repeats, int) else [index(r) for r in repeats]
    if any(c < 0 for c in counts):
        raise ValueError(f"tile: repeats cannot be negative, got {tuple(counts)}")
    counts = [1] * (x.ndim - len(counts)) + counts
    x = reshape(x, (1,) * (len(counts) - x.ndim) + x.shape)
    return _repeated(x, counts, inside=False)


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element along `axis` `repeats` times in a row; of the flattened x without axis.

    A list gives each element its own count.
    """
    x = to_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalized_axis("repeat", axis, x.ndim)
    counts = [repeats] if isinstance(repeats, int) else [int(r) for r in repeats]
    if any(c < 0 for c in counts):
        raise ValueError(f"repeat: repeats cannot be negative, got {tuple(counts)}")
    if len(counts) == 1:
        return _repeated(x, [counts[0] if d == axis else 1 for d in range(x.ndim)], inside=True)
    if len(counts) != x.shape[axis]:
        raise ValueError(f"repeat: {len(counts)} counts for an axis of {x.shape[axis]}")
    from .index import take

    return take(x, np.repeat(np.arange(len(counts), dtype="int32"), counts), axis)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """One tensor per vector, each over the grid of all: rows and columns exchanged for "xy"."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    vectors = [ravel(v) for v in x]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = 1, 0
    grid = [0] * len(vectors)
    for v, place in zip(vectors, places):
        grid[place] = v.size
    return [
        broadcast_to(reshape(v, [v.size if d == place else 1 for d in range(len(grid))]), grid)
        for v, place in zip(vectors, places)
    ]


# --- triangles ------------------------------------------------------------------------------------


def _triangle(x: Any, k: int, upper: bool):
    x = to_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"tril and triu take matrices, got shape {x.shape}")
    y = empty(x.shape, like=x)
    kernels.triangle(x, y, k, upper)

    def backward(dy):
        dx = empty(x.shape, like=x)
        kernels.triangle(dy, dx, k, upper)
        return dx

    return y, backward


@op
def tril(x: Any, k: int = 0):
    """x on its diagonal k and below, 0 above; for each matrix of the last two axes."""
    return _triangle(x, k, False)


@op
def triu(x: Any, k: int = 0):
    """x on its diagonal k and above, 0 below; for each matrix of the last two axes."""
    return _triangle(x, k, True)
