"""Layers that containers call together with the one layer that reads their results, at less than the price of both:

* a convolution and the pooling behind it, which drops some outputs and keeps the largest of others (`ops.conv_pool`);
* an embedding and the average over its steps, for which rows need not be copied (`ops.embedding_mean`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import geometry, ops
from ..tensor import Tensor
from .base import Layer
from .conv import Conv1D, Conv2D
from .embedding import Embedding
from .pooling import AveragePooling1D, AveragePooling2D, GlobalAveragePooling1D, MaxPooling1D, MaxPooling2D

_POOLING = {MaxPooling1D: "max", MaxPooling2D: "max", AveragePooling1D: "average", AveragePooling2D: "average"}
# Subclasses are not among these, nor is what somebody has put in the place of a `call`.
_KINDS: list[type[Layer]] = [*_POOLING, Conv1D, Conv2D, Embedding, GlobalAveragePooling1D]
_CALLS = {kind: kind.call for kind in _KINDS}


class Pair:
    """then(first(x)) for two layers."""

    def __init__(self, first: Any, then: Any):
        self.first, self.then = first, then

    def __call__(self, x: Any) -> Any:
        if isinstance(x, Tensor) and self._fits(x.shape):
            return self.first.call_as(self._call, x)
        return self.then(self.first(x))

    def _fits(self, shape: tuple) -> bool:
        """Whether inputs of this shape fit both; what is wrong with others is for each layer to say."""
        raise NotImplementedError

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _ConvolutionAndPooling(Pair):
    def _fits(self, shape: tuple) -> bool:
        first, then = self.first, self.then
        if len(shape) != first.rank + 2:
            return False
        try:
            between = geometry.output_sizes(
                shape[1:-1], first.kernel_size, first.strides, first.padding, first.dilation_rate
            )
            geometry.output_sizes(between, then.pool_size, then.strides, then.padding)
        except (TypeError, ValueError):
            return False
        return True

    def _call(self, x: Tensor) -> Tensor:
        first, then = self.first, self.then
        return ops.conv_pool(
            x, first.kernel, then.pool_size, then.strides, then.padding, _POOLING[type(then)], first.strides,
            first.padding, first.dilation_rate, first.bias, first.activation,
        )  # fmt: skip


class _EmbeddingAndAverage(Pair):
    def _fits(self, shape: tuple) -> bool:
        return len(shape) == 2

    def _call(self, x: Tensor) -> Tensor:
        return ops.embedding_mean(x, self.first.embeddings, self.first.compute_mask(x))


def pair(first: Layer, then: Layer) -> Pair | None:
    """Both as one where nobody would notice: they are the library's own, untouched, and nothing looks at what is
    between them. Whether anybody else reads that is for the caller to know.
    """
    if not (_is_untouched(first) and _is_untouched(then)):
        return None
    if first.activity_regularizer is not None or then.activity_regularizer is not None:
        return None
    if first.dtype_policy.name != then.dtype_policy.name:
        return None
    if type(first) in (Conv1D, Conv2D) and type(then) in _POOLING and first.rank == then.rank:  # type: ignore[attr-defined]
        return _ConvolutionAndPooling(first, then)
    if type(first) is Embedding and type(then) is GlobalAveragePooling1D and not then.keepdims:
        return _EmbeddingAndAverage(first, then)
    return None


def _is_untouched(layer: Layer) -> bool:
    own = _CALLS.get(type(layer))
    return own is not None and type(layer).call is own and not {"call", "compute_mask"} & vars(layer).keys()


def in_pairs(layers: Sequence[Layer]) -> list[Callable]:
    """The layers of a chain, pairs of them as one."""
    calls: list[Callable] = []
    for layer in layers:
        before = calls[-1] if calls else None
        both = pair(before, layer) if isinstance(before, Layer) else None
        if both is None:
            calls.append(layer)
        else:
            calls[-1] = both
    return calls
