"""Parts of tensors, and tensors made of parts: boxes start + k step, copied in blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .. import kernels
from ..autograd import grad_buffer, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .axes import normalized_axis
from .move import reshape, swapaxes
from .promotion import common_type, converted

__all__ = [
    "append", "array_split", "concatenate", "diag", "diagflat", "diagonal", "dsplit", "dstack",
    "flip", "fliplr", "flipud", "hsplit", "hstack", "pad", "roll", "rot90", "slice", "slice_update",
    "split", "stack", "strided_slice", "trace", "unstack", "vsplit", "vstack",
]  # fmt: skip


@op
def strided_slice(x: Any, start: Sequence[int], size: Sequence[int], step: Sequence[int]):
    """y[k] = x[start + k step], `size` steps along each axis. A run of whole rows shares memory."""
    x = to_tensor(x)
    if (
        step[:1] == [1]
        and all(s == 0 and d == 1 for s, d in zip(start[1:], step[1:]))
        and (tuple(size[1:]) == x.shape[1:] and 0 <= start[0] <= x.shape[0] - size[0])
    ):
        y = view(x, size, start[0] * math.prod(size[1:]))
    else:
        y = empty(size, like=x)
        kernels.slice(x, y, start, step)

    def backward(dy):
        dx = grad_buffer(x)
        kernels.fill(dx, 0.0)
        kernels.slice_update(dx, dy, start, step)
        return dx

    return y, backward


def slice(inputs: Any, start_indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """The box of `shape` that begins at `start_indices`."""
    x = to_tensor(inputs)
    start, size = [int(i) for i in start_indices], [int(n) for n in shape]
    size = [n if s == -1 else s for s, n in zip(size, (m - b for m, b in zip(x.shape, start)))]
    _check_box("slice", x.shape, start, size)
    return strided_slice(x, start, size, [1] * x.ndim)


def _check_box(name: str, whole: tuple, start: list[int], size: Sequence[int]) -> None:
    fits = len(start) == len(size) == len(whole)
    if not fits or any(b < 0 or s < 0 or b + s > n for b, s, n in zip(start, size, whole)):
        raise ValueError(f"{name}: {tuple(size)} from {tuple(start)} does not lie inside {whole}")


@op
def slice_update(inputs: Any, start_indices: Sequence[int], updates: Any):
    """A copy of `inputs` with the box that begins at `start_indices` replaced by `updates`."""
    x, value = to_tensor(inputs), to_tensor(updates)
    value = converted(value, x.dtype)
    start, step = [int(i) for i in start_indices], [1] * x.ndim
    _check_box("slice_update", x.shape, start, value.shape)
    y = empty(x.shape, like=x)
    kernels.copy(x, y)
    kernels.slice_update(y, value, start, step)

    def backward(dy):
        dx = dvalue = None
        if needs_grad(inputs):
            dx = empty(x.shape, like=x)
            zero = empty(value.shape, like=x)
            kernels.copy(dy, dx)
            kernels.fill(zero, 0.0)
            kernels.slice_update(dx, zero, start, step)
        if needs_grad(updates):
            part = empty(value.shape, like=x)
            kernels.slice(dy, part, start, step)
            dvalue = converted(part, updates.dtype)
        return dx, None, dvalue

    return y, backward


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """x in reverse order along `axis` (all axes by default)."""
    x = to_tensor(x)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    turned = {normalized_axis("flip", a, x.ndim) for a in axes}
    start = [n - 1 if d in turned else 0 for d, n in enumerate(x.shape)]
    return strided_slice(x, start, x.shape, [-1 if d in turned else 1 for d in range(x.ndim)])


def fliplr(x: Any) -> Tensor:
    """x in reverse order along its second axis."""
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """x in reverse order along its first axis."""
    return flip(x, 0)


def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from the first of the two axes towards the second."""
    x = to_tensor(array)
    a, b = (normalized_axis("rot90", axis, x.ndim) for axis in axes)
    if a == b:
        raise ValueError(f"rot90: axes {tuple(axes)} are one axis")
    k %= 4
    if k == 2:
        return flip(x, (a, b))
    if k == 1:
        return swapaxes(flip(x, b), a, b)
    return flip(swapaxes(x, a, b), b) if k else x


# --- joining and taking apart ---------------------------------------------------------------------


@op
def concatenate(xs: Sequence[Any], axis: int = 0):
    """The tensors one behind the other along `axis`; their other sizes are equal."""
    parts = [to_tensor(x) for x in xs]
    if not parts:
        raise ValueError("concatenate: needs at least one tensor")
    if len({p.dtype for p in parts}) > 1:
        dtype = common_type(*parts)
        parts = [converted(p, dtype) for p in parts]
    rank = parts[0].ndim
    axis = normalized_axis("concatenate", axis, rank)
    others = [p.shape[:axis] + p.shape[axis + 1 :] for p in parts if p.ndim == rank]
    if len(others) != len(parts) or any(o != others[0] for o in others):
        shapes = ", ".join(str(p.shape) for p in parts)
        raise ValueError(f"concatenate: shapes {shapes} differ off axis {axis}")
    ends = [0]
    for p in parts:
        ends.append(ends[-1] + p.shape[axis])
    shape = (*parts[0].shape[:axis], ends[-1], *parts[0].shape[axis + 1 :])
    y = empty(shape, like=parts[0])
    # (before, n, after): parts of the first axis are plain ranges of memory.
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    for p, begin in zip(parts, ends):
        n = p.shape[axis] * after
        if before == 1:
            kernels.copy(p, view(y, p.shape, begin * after))
        else:
            whole = view(y, (before, ends[-1] * after))
            kernels.slice_update(whole, view(p, (before, n)), [0, begin * after], [1, 1])

    def part_of(dy, x, p, begin):
        if not needs_grad(x):
            return None
        n = p.shape[axis] * after
        if before == 1:
            d = view(dy, p.shape, begin * after)
        else:
            d = empty(p.shape, like=dy)
            whole = view(dy, (before, ends[-1] * after))
            kernels.slice(whole, view(d, (before, n)), [0, begin * after], [1, 1])
        return converted(d, x.dtype)

    return y, lambda dy: ([part_of(dy, x, p, b) for x, p, b in zip(xs, parts, ends)], None)


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 behind x1 along `axis`; both flattened without one."""
    if axis is None:
        return concatenate([reshape(x1, (-1,)), reshape(x2, (-1,))])
    return concatenate([x1, x2], axis)


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    from .move import expand_dims

    parts = [to_tensor(t) for t in x]
    if any(p.shape != parts[0].shape for p in parts):
        shapes = ", ".join(str(p.shape) for p in parts)
        raise ValueError(f"stack: the shapes {shapes} differ")
    return concatenate([expand_dims(p, axis) for p in parts], axis)


def vstack(xs: Sequence[Any]) -> Tensor:
    """Along the first axis; vectors become rows."""
    parts = [to_tensor(x) for x in xs]
    return concatenate([reshape(p, (1, -1)) if p.ndim < 2 else p for p in parts], 0)


def hstack(xs: Sequence[Any]) -> Tensor:
    """Along the second axis; vectors along the first."""
    parts = [to_tensor(x) for x in xs]
    parts = [reshape(p, (1,)) if p.ndim == 0 else p for p in parts]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def dstack(xs: Sequence[Any]) -> Tensor:
    """Along the third axis; vectors become (1, n, 1), matrices (m, n, 1)."""
    parts = [to_tensor(x) for x in xs]
    parts = [reshape(p, (1, -1, 1)) if p.ndim < 2 else reshape(p, (*p.shape, 1)) if p.ndim == 2 else p for p in parts]
    return concatenate(parts, 2)


def _range_of(x: Tensor, axis: int, begin: int, end: int) -> Tensor:
    start = [begin if d == axis else 0 for d in range(x.ndim)]
    size = [end - begin if d == axis else n for d, n in enumerate(x.shape)]
    return strided_slice(x, start, size, [1] * x.ndim)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x in equal parts along `axis`, or cut before the given indices."""
    x = to_tensor(x)
    axis = normalized_axis("split", axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        parts = indices_or_sections
        if parts < 1 or n % parts or parts > max(n, 4096):  # nothing divides into any number of parts
            raise ValueError(f"split: an axis of {n} does not divide into {parts} equal parts")
        cuts = [n * p // parts for p in range(parts + 1)]
    else:
        inner = [min(max(i + n if i < 0 else i, 0), n) for i in map(int, indices_or_sections)]
        cuts = [0, *inner, n]
    return [_range_of(x, axis, b, max(b, e)) for b, e in pairwise(cuts)]


def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """As `split`, but the first parts are one longer where the axis does not divide."""
    x = to_tensor(x)
    if isinstance(indices_or_sections, int):
        parts = indices_or_sections
        if parts < 1:
            raise ValueError(f"array_split: cannot make {parts} parts")
        each, longer = divmod(x.shape[normalized_axis("array_split", axis, x.ndim)], parts)
        indices_or_sections = [each * p + min(p, longer) for p in range(1, parts)]
    return split(x, indices_or_sections, axis)


def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the first axis."""
    return split(x, indices_or_sections, 0)


def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the second axis; of a vector along its only one."""
    x = to_tensor(x)
    return split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the third axis."""
    return split(x, indices_or_sections, 2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along `axis`, without that axis."""
    x = to_tensor(x)
    axis = normalized_axis("unstack", axis, x.ndim)
    if num not in (None, x.shape[axis]):
        raise ValueError(f"unstack: num is {num} but axis {axis} of {x.shape} has {x.shape[axis]}")
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    return [reshape(_range_of(x, axis, i, i + 1), rest) for i in range(x.shape[axis])]


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """x moved by `shift` along `axis`, what leaves at the end coming in at the front. One shift is for
    every axis; several shifts of one axis add up.
    """
    x = to_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (x.size,)), shift, 0), x.shape)
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [shift] if isinstance(shift, int) else list(shift)
    axes, shifts = (
        (len(shifts) * axes if len(axes) == 1 else axes),
        (len(axes) * shifts if len(shifts) == 1 else shifts),
    )
    for a, s in zip(axes, shifts, strict=True):
        a = normalized_axis("roll", a, x.ndim)
        n = x.shape[a]
        cut = -s % n if n else 0
        if cut:
            x = concatenate([_range_of(x, a, cut, n), _range_of(x, a, 0, cut)], a)
    return x


# --- padding --------------------------------------------------------------------------------------


@op
def _pad_constant(x: Any, before: list[int], after: list[int], value: float):
    y = empty([b + n + a for b, n, a in zip(before, x.shape, after)], like=x)
    kernels.pad(x, y, before, value)

    def backward(dy):
        dx = grad_buffer(x)
        kernels.slice(dy, dx, before, [1] * x.ndim)
        return dx

    return y, backward


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Tensor:
    """x with `pad_width[k]` = (before, after) elements more at the ends of axis k.

    mode: "constant" (`constant_values`, 0 by default), "reflect" (about the outermost element) or
    "symmetric" (that element repeated). One pair, or one number, holds for all axes.
    """
    x = to_tensor(x)
    if isinstance(pad_width, int):
        pad_width = [(pad_width, pad_width)] * x.ndim
    if len(pad_width) == 2 and all(isinstance(p, int) for p in pad_width):
        pad_width = [tuple(pad_width)]
    pairs = [[p, p] if isinstance(p, int) else [int(v) for v in p] for p in pad_width]
    if len(pairs) == 1 and x.ndim > 1:
        pairs = pairs * x.ndim
    if len(pairs) != x.ndim or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ValueError(f"pad: pad_width {pad_width} does not fit a tensor of shape {x.shape}")
    if mode == "constant":
        return _pad_constant(x, [p[0] for p in pairs], [p[1] for p in pairs], float(constant_values or 0))
    if mode not in ("reflect", "symmetric"):
        raise ValueError(f"pad: mode is 'constant', 'reflect' or 'symmetric', got {mode!r}")
    if constant_values is not None:
        raise ValueError(f"pad: constant_values has no meaning in mode {mode!r}")
    edge = 1 if mode == "reflect" else 0
    for axis, (before, after) in enumerate(pairs):
        n = x.shape[axis]
        if max(before, after) > n - edge:
            raise ValueError(f"pad: {mode} of {max(before, after)} is too much for an axis of {n}")
        if before or after:
            front = flip(_range_of(x, axis, edge, edge + before), axis)
            back = flip(_range_of(x, axis, n - edge - after, n - edge), axis)
            x = concatenate([front, x, back], axis)
    return x


# --- diagonals: elements that lie a row and one apart ---------------------------------------------


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Diagonal `offset` of the matrices over two axes, as the last axis of the result."""
    from .move import moveaxis

    x = moveaxis(to_tensor(x), (axis1, axis2), (-2, -1))
    *batch, m, n = x.shape
    length = max(0, min(m, n - offset) if offset >= 0 else min(m + offset, n))
    start = offset if offset >= 0 else -offset * n
    flat = reshape(x, (*batch, m * n))
    begin = [0] * len(batch) + [start if length else 0]
    return strided_slice(flat, begin, [*batch, length], [1] * len(batch) + [n + 1])


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of diagonal `offset`."""
    from .reduce import sum

    return sum(diagonal(x, offset, axis1, axis2), -1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The matrix with the vector x on its diagonal k, or diagonal k of the matrix x."""
    x = to_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: takes a vector or a matrix, got shape {x.shape}")
    n, side = x.size, x.size + abs(k)
    # Row i holds x[i] in its column i (+ k); with `side` zeros behind, rows are side + 1 apart.
    rows = _pad_constant(reshape(x, (n, 1)), [0, 0], [0, side], 0.0)
    flat = reshape(rows, (n * (side + 1),))
    start = k if k >= 0 else -k * side
    padded = _pad_constant(flat, [start], [max(0, side * side - start - n * (side + 1))], 0.0)
    return reshape(_range_of(padded, 0, 0, side * side), (side, side))


def diagflat(x: Any, k: int = 0) -> Tensor:
    """The matrix with the flattened x on its diagonal k."""
    return diag(reshape(x, (-1,)), k)
