"""Layers that join several inputs, and their functional forms."""

from __future__ import annotations

from functools import reduce
from typing import Any

from .. import ops
from .base import LAYERS, Layer


class _Merge(Layer):
    """Joins a list of tensors that broadcast to each other."""

    supports_masking = True
    casts_integers = False

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(f"layer {self.name!r} joins a list of inputs, got a single one")
        if len(input_shape) < 2:
            raise ValueError(f"layer {self.name!r} joins at least two inputs, got {len(input_shape)}")
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple:
        def join(a: tuple, b: tuple) -> tuple:
            a = (1,) * (len(b) - len(a)) + tuple(a)
            b = (1,) * (len(a) - len(b)) + tuple(b)
            sizes = []
            for x, y in zip(a, b):
                if x is not None and y is not None and x != y and 1 not in (x, y):
                    raise ValueError(f"layer {self.name!r} cannot join shapes {list(map(tuple, input_shape))}")
                sizes.append(y if x == 1 else x if y == 1 or y is None else y)
            return tuple(sizes)

        return reduce(join, [tuple(s) for s in input_shape])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = [m for m in previous_mask or [] if m is not None]
        return reduce(ops.logical_and, masks) if masks and len(masks) == len(inputs) else None


@LAYERS.register()
class Add(_Merge):
    """The sum of the inputs."""

    def call(self, inputs: Any) -> Any:
        return reduce(ops.add, inputs)


@LAYERS.register()
class Subtract(_Merge):
    """first - second."""

    def call(self, inputs: Any) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"layer {self.name!r} subtracts two inputs, got {len(inputs)}")
        return ops.subtract(*inputs)


@LAYERS.register()
class Multiply(_Merge):
    """The product of the inputs."""

    def call(self, inputs: Any) -> Any:
        return reduce(ops.multiply, inputs)


@LAYERS.register()
class Average(_Merge):
    """The mean of the inputs."""

    def call(self, inputs: Any) -> Any:
        return ops.multiply(reduce(ops.add, inputs), 1.0 / len(inputs))


@LAYERS.register()
class Maximum(_Merge):
    """The largest of the inputs, element by element."""

    def call(self, inputs: Any) -> Any:
        return reduce(ops.maximum, inputs)


@LAYERS.register()
class Minimum(_Merge):
    """The smallest of the inputs, element by element."""

    def call(self, inputs: Any) -> Any:
        return reduce(ops.minimum, inputs)


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
        if not previous_mask or all(m is None for m in previous_mask):
            return None
        masks = []
        for t, m in zip(inputs, previous_mask):
            shape = t.shape[:-1] if self.axis in (-1, t.ndim - 1) else t.shape
            if m is None:
                m = ops.ones(shape, "bool")
            elif m.ndim < len(shape):
                m = ops.broadcast_to(ops.reshape(m, (*m.shape, *(1,) * (len(shape) - m.ndim))), shape)
            masks.append(m)
        if self.axis in (-1, inputs[0].ndim - 1):
            return reduce(ops.logical_and, masks)
        joined = ops.concatenate(masks, axis=self.axis)
        return ops.all(joined, axis=-1) if joined.ndim > 2 else joined


@LAYERS.register()
class Dot(_Merge):
    """Sums of products of two inputs along one axis each; with `normalize`, cosine similarities."""

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def _pair(self, ranks: tuple[int, int]) -> tuple[int, int]:
        a, b = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
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
