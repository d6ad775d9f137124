"""Layers that join several inputs, and their functional forms."""

from __future__ import annotations

from functools import reduce
from typing import Any

from .. import ops
from .base import LAYERS, Layer


class _Merge(Layer):
    """Joins a list of tensors, element by element.

    Inputs of a lower rank get axes of length 1 after the batch axis. A masked step of one input does
    not count; the result is masked where all inputs are, if all have a mask.
    """

    supports_masking = True
    casts_integers = False

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(f"layer {self.name!r} joins a list of inputs, got a single one")
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        rank = max(x.ndim for x in inputs)
        return self._join([x if x.ndim == rank else _with_rank(x, rank) for x in inputs])

    def _join(self, inputs: list) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shapes = [tuple(s) for s in input_shape]
        if len({s[0] for s in shapes} - {None}) > 1:
            raise ValueError(f"layer {self.name!r} cannot join different batch sizes, got shapes {shapes}")

        def join(a: tuple, b: tuple) -> tuple:
            rank = max(len(a), len(b))
            a, b = (s[:1] + (1,) * (rank - len(s)) + s[1:] for s in (a, b))
            sizes = []
            for x, y in zip(a, b):
                if x is not None and y is not None and x != y and 1 not in (x, y):
                    raise ValueError(f"layer {self.name!r} cannot join shapes {shapes}")
                sizes.append(y if x == 1 else x if y == 1 or y is None else y)
            return tuple(sizes)

        return reduce(join, shapes)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None:
            return None
        _check_masks(self, inputs, previous_mask)
        return None if any(m is None for m in previous_mask) else reduce(ops.logical_or, previous_mask)


def _with_rank(x: Any, rank: int) -> Any:
    return ops.reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]))


def _mask_of(x: Any) -> Any:
    """x's mask with x's rank, None if it has none."""
    mask = getattr(x, "_keras_mask", None)
    return None if mask is None else ops.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))


def _check_masks(layer: Layer, inputs: Any, masks: Any) -> None:
    for what, value in (("masks", masks), ("inputs", inputs)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"layer {layer.name!r} takes a list of {what}, got {type(value).__name__}")
    if len(masks) != len(inputs):
        raise ValueError(f"layer {layer.name!r} takes a mask (or None) per input, got {len(masks)} for {len(inputs)}")


@LAYERS.register()
class Add(_Merge):
    """The sum of the inputs."""

    by_row = True

    def _join(self, inputs: list) -> Any:
        return reduce(ops.add, inputs)


@LAYERS.register()
class Subtract(_Merge):
    """first - second."""

    by_row = True

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"layer {self.name!r} subtracts two inputs, got {len(input_shape)}")

    def _join(self, inputs: list) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"layer {self.name!r} subtracts two inputs, got {len(inputs)}")
        return ops.subtract(*inputs)


@LAYERS.register()
class Multiply(_Merge):
    """The product of the inputs; masked steps count as 1, and as 0 where all are masked."""

    by_row = True

    def _join(self, inputs: list) -> Any:
        masks = [_mask_of(x) for x in inputs]
        y = reduce(ops.multiply, [x if m is None else ops.where(m, x, 1) for x, m in zip(inputs, masks)])
        return y if None in masks else ops.where(reduce(ops.logical_or, masks), y, 0)


@LAYERS.register()
class Average(_Merge):
    """The mean of the inputs."""

    by_row = True

    def _join(self, inputs: list) -> Any:
        return ops.multiply(reduce(ops.add, inputs), 1.0 / len(inputs))


class _Extreme(_Merge):
    by_row = True

    def _choose(self, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def _join(self, inputs: list) -> Any:
        y, kept = inputs[0], _mask_of(inputs[0])
        for x in inputs[1:]:
            mask = _mask_of(x)
            if mask is not None:
                x = ops.where(mask, x, y)
            if kept is not None:
                y = ops.where(kept, y, x)
            kept = None if kept is None or mask is None else ops.logical_or(kept, mask)
            y = self._choose(y, x)
        return y


@LAYERS.register()
class Maximum(_Extreme):
    """The largest of the inputs, element by element."""

    def _choose(self, a: Any, b: Any) -> Any:
        return ops.maximum(a, b)


@LAYERS.register()
class Minimum(_Extreme):
    """The smallest of the inputs, element by element."""

    def _choose(self, a: Any, b: Any) -> Any:
        return ops.minimum(a, b)


@LAYERS.register()
class Concatenate(_Merge):
    """The inputs one after the other along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shapes = [tuple(s) for s in input_shape]
        axis = self.axis % len(shapes[0])
        for s in shapes[1:]:
            same = len(s) == len(shapes[0]) and all(
                x == y or x is None or y is None for i, (x, y) in enumerate(zip(s, shapes[0])) if i != axis
            )
            if not same:
                raise ValueError(f"layer {self.name!r} cannot concatenate shapes {shapes} along axis {self.axis}")
        sizes = [s[axis] for s in shapes]
        total = None if None in sizes else sum(sizes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None:
            return None
        _check_masks(self, inputs, previous_mask)
        if all(m is None for m in previous_mask):
            return None
        # A step of the result is masked where all of its features are.
        masks = []
        for x, m in zip(inputs, previous_mask):
            if m is None:
                m = ops.ones(x.shape, "bool")
            elif m.ndim < x.ndim:
                m = ops.broadcast_to(ops.reshape(m, (*m.shape, *(1,) * (x.ndim - m.ndim))), x.shape)
            masks.append(m)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


@LAYERS.register()
class Dot(_Merge):
    """Sums of products of two inputs along one axis each; with `normalize`, cosine similarities.

    Raises ValueError for axes that are not one integer or two, that an input lacks, or that are its batch.
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize
        both = (axes, axes) if isinstance(axes, int) else axes
        if not isinstance(both, (list, tuple)) or len(both) != 2 or not all(isinstance(a, int) for a in both):
            raise ValueError(f"layer {self.name!r}: axes is an integer or two of them, got {axes!r}")

    def _pair(self, ranks: tuple[int, int]) -> tuple[int, int]:
        a, b = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for axis, rank in zip((a, b), ranks):
            if not -rank <= axis < rank or axis % rank == 0:
                raise ValueError(
                    f"layer {self.name!r}: axis {axis} of an input of {rank} dimensions is no axis to sum over"
                )
        return a % ranks[0], b % ranks[1]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        a, b = (tuple(s) for s in input_shape)
        i, j = self._pair((len(a), len(b)))
        if a[i] is not None and b[j] is not None and a[i] != b[j]:
            raise ValueError(f"layer {self.name!r} cannot join axis {i} of {a} with axis {j} of {b}")
        shape = tuple(n for k, n in enumerate(a) if k != i) + tuple(n for k, n in enumerate(b) if k not in (0, j))
        return shape if len(shape) > 1 else (*shape, 1)

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        i, j = self._pair((a.ndim, b.ndim))
        if self.normalize:
            a = ops.normalize(a, axis=i)
            b = ops.normalize(b, axis=j)
        n, k = a.shape[0], a.shape[i]
        left = ops.reshape(ops.moveaxis(a, i, -1), (n, -1, k))
        right = ops.reshape(ops.moveaxis(b, j, 1), (n, k, -1))
        return ops.reshape(ops.matmul(left, right), self.compute_output_shape([a.shape, b.shape]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


def add(inputs: Any, **kwargs: Any) -> Any:
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    return Dot(axes=axes, **kwargs)(inputs)
