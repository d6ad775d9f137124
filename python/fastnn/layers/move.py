"""Layers that only move or repeat values."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from .base import LAYERS, InputSpec, Layer


class _Move(Layer):
    by_row = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._has_no_weights()


@LAYERS.register()
class Identity(_Move):
    """y = x."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@LAYERS.register()
class Flatten(_Move):
    """(batch, *rest) -> (batch, product of rest); (batch,) -> (batch, 1)."""

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


@LAYERS.register()
class Reshape(_Move):
    """(batch, *rest) -> (batch, *target_shape); one size may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = tuple(int(n) for n in target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ValueError(f"Reshape: target_shape takes sizes and at most one -1, got {self.target_shape}")

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def _sizes(self, rest: tuple) -> tuple:
        if None in rest:
            return tuple(None if n == -1 else n for n in self.target_shape)
        known = math.prod(n for n in self.target_shape if n != -1)
        total = math.prod(rest)
        if (-1 not in self.target_shape and known != total) or (known and total % known):
            raise ValueError(f"layer {self.name!r} cannot reshape {tuple(rest)} to {self.target_shape}")
        return tuple(total // known if n == -1 and known else max(n, 0) for n in self.target_shape)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *self._sizes(input_shape[1:]))


@LAYERS.register()
class Permute(_Move):
    """Reorders the axes behind the batch; `dims` counts from 1."""

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims is an order of 1..n, got {dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *(input_shape[d] for d in self.dims))


@LAYERS.register()
class RepeatVector(_Move):
    """(batch, features) -> (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"RepeatVector: n is an integer, got {n!r}")
        if n < 1:
            raise ValueError(f"RepeatVector: n is positive, got {n}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        b, c = inputs.shape
        return ops.broadcast_to(ops.reshape(inputs, (b, 1, c)), (b, self.n, c))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.n, input_shape[1])


@LAYERS.register()
class ZeroPadding1D(_Move):
    """Zeros before and after the steps of (batch, steps, channels)."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.padding = _pair(padding, "padding")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, t, c = input_shape
        return (n, None if t is None else t + sum(self.padding), c)


@LAYERS.register()
class ZeroPadding2D(_Move):
    """Zeros around images (batch, height, width, channels)."""

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.padding = _two_pairs(padding, "padding")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), *self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.padding
        return (n, None if h is None else h + top + bottom, None if w is None else w + left + right, c)


@LAYERS.register()
class ZeroPadding3D(_Move):
    """Zeros around volumes (batch, depth, height, width, channels)."""

    def __init__(self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.padding = _pairs(padding, 3, "padding")
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), *self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        spatial = (None if n is None else n + sum(pair) for n, pair in zip(input_shape[1:-1], self.padding))
        return (input_shape[0], *spatial, input_shape[-1])


@LAYERS.register()
class Cropping1D(_Move):
    """Drops steps at the start and the end of (batch, steps, channels)."""

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self.cropping = _pair(cropping, "cropping")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        begin, end = self.cropping
        return inputs[:, begin : _crop_end(inputs.shape[1], begin, end, self)]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, t, c = input_shape
        begin, end = self.cropping
        return (n, None if t is None else _crop_end(t, begin, end, self) - begin, c)


@LAYERS.register()
class Cropping2D(_Move):
    """Drops rows and columns at the edges of images."""

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.cropping = _two_pairs(cropping, "cropping")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        (top, bottom), (left, right) = self.cropping
        h, w = inputs.shape[1:3]
        return inputs[:, top : _crop_end(h, top, bottom, self), left : _crop_end(w, left, right, self)]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.cropping
        rows = None if h is None else _crop_end(h, top, bottom, self) - top
        cols = None if w is None else _crop_end(w, left, right, self) - left
        return (n, rows, cols, c)


@LAYERS.register()
class Cropping3D(_Move):
    """Drops slices, rows and columns at the edges of volumes."""

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = channels_last(data_format)
        self.cropping = _pairs(cropping, 3, "cropping")
        self.input_spec = InputSpec(ndim=5)

    def _kept(self, input_shape: tuple) -> list[tuple]:
        sizes = zip(input_shape[1:-1], self.cropping)
        return [(begin, None if n is None else _crop_end(n, begin, end, self)) for n, (begin, end) in sizes]

    def call(self, inputs: Any) -> Any:
        return inputs[(slice(None), *(slice(*kept) for kept in self._kept(inputs.shape)))]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        spatial = (None if end is None else end - begin for begin, end in self._kept(input_shape))
        return (input_shape[0], *spatial, input_shape[-1])


def channels_last(data_format: str | None) -> str:
    """The one layout there is; raises ValueError for anything else that is given."""
    if data_format not in (None, "channels_last"):
        raise ValueError(f"only data_format='channels_last' is supported, got {data_format!r}")
    return "channels_last"


def _pair(value: Any, what: str) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(not isinstance(n, int) or n < 0 for n in pair):
        raise ValueError(f"{what} is a non-negative integer or two of them, got {value!r}")
    return pair


def _two_pairs(value: Any, what: str) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, cols = (value, value) if isinstance(value, int) else value
    return _pair(rows, what), _pair(cols, what)


def _pairs(value: Any, count: int, what: str) -> tuple[tuple[int, int], ...]:
    each = (value,) * count if isinstance(value, int) else tuple(value)
    if len(each) != count:
        raise ValueError(f"{what} is an integer, {count} of them or {count} pairs, got {value!r}")
    return tuple(_pair(v, what) for v in each)


def _crop_end(size: int, begin: int, end: int, layer: Layer) -> int:
    if begin + end >= size:
        raise ValueError(f"layer {layer.name!r} crops {begin} + {end} of {size}: nothing would be left")
    return size - end
