"""Attention of many heads, made of other ops."""

from __future__ import annotations

import math
from typing import Any

from ..tensor import Tensor, to_tensor
from .activation import tanh
from .compare import greater_equal, where
from .create import arange
from .elementwise import add, divide, multiply
from .matmul import matmul
from .move import repeat, reshape, transpose
from .softmax import softmax

__all__ = ["dot_product_attention"]

_HIDDEN = -1e30  # the score of what a mask hides: finite, so a row without anything to see stays a number


def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
    is_causal: bool = False, flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(scale q k^T + bias) v for every head (Vaswani et al. 2017, section 3.2.1).

    query (batch, t, heads, dim), key and value (batch, s, groups, dim) -> (batch, t, heads, dim). Every
    heads / groups heads share a key and a value.

    Args:
      bias: added to the scores; broadcasts to (batch, heads, t, s).
      mask: false where a position of the query does not see one of the key; broadcasts likewise.
      scale: 1 / sqrt(dim) by default.
      is_causal: no position sees a later one.
      flash_attention: True is refused, other values mean the same.
      attn_logits_soft_cap: scores x become cap tanh(x / cap).

    Raises ValueError for shapes that do not fit.
    """
    if flash_attention:
        raise ValueError("dot_product_attention: there is no flash attention; leave flash_attention out")
    q, k, v = to_tensor(query), to_tensor(key), to_tensor(value)
    if any(x.ndim != 4 for x in (q, k, v)):
        raise ValueError(
            f"dot_product_attention: (batch, length, heads, dim) expected, got {q.shape}, {k.shape}, {v.shape}"
        )
    heads, groups = q.shape[2], k.shape[2]
    if k.shape[:3] != v.shape[:3] or not groups or heads % groups:
        raise ValueError(f"dot_product_attention: {heads} heads do not fit key {k.shape} and value {v.shape}")
    q, k, v = (transpose(x, (0, 2, 1, 3)) for x in (q, k, v))
    if groups != heads:
        k, v = (repeat(x, heads // groups, axis=1) for x in (k, v))
    t, s = q.shape[2], k.shape[2]
    scores = matmul(multiply(q, 1 / math.sqrt(q.shape[-1]) if scale is None else scale), transpose(k, (0, 1, 3, 2)))
    if attn_logits_soft_cap is not None:
        scores = multiply(tanh(divide(scores, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        scores = add(scores, bias)
    if mask is not None:
        scores = where(mask, scores, _HIDDEN)
    if is_causal:
        scores = where(greater_equal(reshape(arange(t), (t, 1)), arange(s)), scores, _HIDDEN)
    return transpose(matmul(softmax(scores), v), (0, 2, 1, 3))
