"""A convolution and the pooling layer that alone reads its results: containers call the two as one, which leaves out
what the pooling drops (`ops.conv_pool`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import geometry, ops
from ..tensor import Tensor
from .base import Layer
from .conv import Conv1D, Conv2D
from .pooling import AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D

_POOLING = {MaxPooling1D: "max", MaxPooling2D: "max", AveragePooling1D: "average", AveragePooling2D: "average"}


class ConvolutionAndPooling:
    """pooling(convolution(x)), for two layers that `are_pair`."""

    def __init__(self, convolution: Any, pooling: Any):
        self.convolution, self.pooling = convolution, pooling

    def __call__(self, x: Any) -> Any:
        first, then = self.convolution, self.pooling
        if not isinstance(x, Tensor) or not self._fit(x.shape):
            return then(first(x))
        return first.call_as(self._call, x)

    def _fit(self, shape: tuple) -> bool:
        """Whether there are windows for both; what is wrong is for each layer to say."""
        first, then = self.convolution, self.pooling
        if len(shape) != first.rank + 2:
            return False
        try:
            between = geometry.output_sizes(
                shape[1:-1], first.kernel_size, first.strides, first.padding, first.dilation_rate
            )
            geometry.output_sizes(between, then.pool_size, then.strides, then.padding)
        except ValueError:
            return False
        return True

    def _call(self, x: Tensor) -> Tensor:
        first, then = self.convolution, self.pooling
        return ops.conv_pool(
            x, first.kernel, then.pool_size, then.strides, then.padding, _POOLING[type(then)], first.strides,
            first.padding, first.dilation_rate, first.bias, first.activation,
        )  # fmt: skip


def are_pair(first: Layer, then: Layer) -> bool:
    """Whether nobody would notice: both are the library's own, untouched, and nothing else looks at what is between."""
    return (
        type(first) in (Conv1D, Conv2D)
        and type(then) in _POOLING
        and first.rank == then.rank  # type: ignore[attr-defined]
        and first.activity_regularizer is None
        and then.activity_regularizer is None
        and first.dtype_policy.name == then.dtype_policy.name
        and "call" not in vars(first)
        and "call" not in vars(then)
    )


def in_pairs(layers: Sequence[Layer]) -> list[Callable]:
    """The layers of a chain, pairs of them as one."""
    calls: list[Callable] = []
    for layer in layers:
        before = calls[-1] if calls else None
        if isinstance(before, Layer) and are_pair(before, layer):
            calls[-1] = ConvolutionAndPooling(before, layer)
        else:
            calls.append(layer)
    return calls
