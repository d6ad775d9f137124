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
    """then(first(x)) for two layers: both(first, then, x) for tensors whose shape fits(first, then, shape) both. What
    is wrong with others is for each layer to say.
    """

    def __init__(self, first: Any, then: Any, fits: Callable, both: Callable):
        self.first, self.then, self.fits, self.both = first, then, fits, both

    def __call__(self, x: Any) -> Any:
        if isinstance(x, Tensor) and self.fits(self.first, self.then, x.shape):
            return self.first.call_as(lambda x: self.both(self.first, self.then, x), x)
        return self.then(self.first(x))


def _has_windows(conv: Any, pool: Any, shape: tuple) -> bool:
    if len(shape) != conv.rank + 2:
        return False
    try:
        between = geometry.output_sizes(shape[1:-1], conv.kernel_size, conv.strides, conv.padding, conv.dilation_rate)
        geometry.output_sizes(between, pool.pool_size, pool.strides, pool.padding)
    except (TypeError, ValueError):
        return False
    return True


def _conv_pool(conv: Any, pool: Any, x: Tensor) -> Tensor:
    return ops.conv_pool(
        x, conv.kernel, pool.pool_size, pool.strides, pool.padding, _POOLING[type(pool)], conv.strides, conv.padding,
        conv.dilation_rate, conv.bias, conv.activation,
    )  # fmt: skip


def _are_steps(embedding: Any, average: Any, shape: tuple) -> bool:
    return len(shape) == 2


def _embedding_mean(embedding: Any, average: Any, x: Tensor) -> Tensor:
    return ops.embedding_mean(x, embedding.embeddings, embedding.compute_mask(x))


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
        return Pair(first, then, _has_windows, _conv_pool)
    if type(first) is Embedding and type(then) is GlobalAveragePooling1D and not then.keepdims:
        return Pair(first, then, _are_steps, _embedding_mean)
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
