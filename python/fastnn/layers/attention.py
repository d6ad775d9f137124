"""Attention: every position of a query looks at all positions of a value, weighted by scores of the
query with the keys. Shapes: query (batch, t, dim), key and value (batch, s, dim).

Masks: where a mask is false, a position of the value gets no weight.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from .. import constraints, initializers, ops, regularizers
from .activation import Softmax
from .base import LAYERS, Layer
from .dense import known_size, positive_int
from .dropout import Dropout, check_rate


def _causal(t: int, s: int) -> Any:
    """(t, s), true where the column is not behind the row: nothing looks into the future."""
    return ops.greater_equal(ops.reshape(ops.arange(t), (t, 1)), ops.reshape(ops.arange(s), (1, s)))


@LAYERS.register()
class Attention(Layer):
    """y = softmax(scores) value for inputs [query, value] or [query, value, key].

    score_mode "dot": scale q . k; "concat": w sum(tanh(scale (q + k))). The scale is learned with
    `use_scale`, else 1. With `return_attention_scores` also the softmax (batch, t, s).
    Luong et al. 2015, arXiv:1508.04025.
    """

    supports_masking = True

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"layer {self.name!r}: score_mode is 'dot' or 'concat', got {score_mode!r}")
        self.use_scale, self.score_mode, self.seed = use_scale, score_mode, seed
        self.dropout = check_rate(dropout, self)
        self._dropped = Dropout(dropout, seed=seed) if dropout else None
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")
        self.built = True

    def _check(self, inputs: Any, mask: Any = None) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise ValueError(f"layer {self.name!r} takes [query, value] or [query, value, key]")
        if mask is not None and (not isinstance(mask, (list, tuple)) or not 2 <= len(mask) <= len(inputs)):
            raise ValueError(f"layer {self.name!r} takes a mask (or None) of the query and one of the value")

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        both = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        both = both if self.scale is None else ops.multiply(both, self.scale)
        return ops.multiply(ops.sum(ops.tanh(both), axis=-1), self.concat_score_weight)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[:2]
        query_mask, value_mask = mask[:2] if mask is not None else (None, None)
        scores = self._scores(query, inputs[-1])
        shown = [] if value_mask is None else [ops.expand_dims(value_mask, -2)]
        if use_causal_mask:
            shown.append(ops.expand_dims(_causal(*scores.shape[-2:]), 0))
        if shown:
            scores = ops.where(reduce(ops.logical_and, shown), scores, ops.subtract(scores, 1e9))
        weights = ops.softmax(scores)
        if self._dropped is not None:
            weights = self._dropped(weights, training=training)
        y = ops.matmul(weights, value)
        if query_mask is not None:
            y = ops.where(ops.expand_dims(query_mask, -1), y, 0)
        return (y, weights) if return_attention_scores else y

    # Keras' order: the masks come as `mask`.
    def compute_mask(  # type: ignore[override]
        self, inputs: Any, mask: Any = None, previous_mask: Any = None
    ) -> Any:
        """The mask of the query, the first of `mask` (which may come as `previous_mask`); None without masks."""
        mask = previous_mask if mask is None else mask
        self._check(inputs, mask)
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # With the scores there are two results.
        return (
            self._tried(args, kwargs) if kwargs.get("return_attention_scores") else super().compute_output_spec(*args)
        )


@LAYERS.register()
class AdditiveAttention(Attention):
    """Attention with scores sum(scale tanh(q + k)), scale (dim,) learned with `use_scale`.

    Bahdanau et al. 2015, arXiv:1409.0473.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            width = known_size(input_shape[0][-1], "the last axis", self)
            self.scale = self.add_weight((width,), "glorot_uniform", name="scale")
        self.built = True

    def _scores(self, query: Any, key: Any) -> Any:
        both = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(both if self.scale is None else ops.multiply(both, self.scale), axis=-1)

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("score_mode", None)  # no argument of Keras' layer
        return config


class _Projection(Layer):
    """x (..., *sizes in) to (..., *sizes out): a dense layer whose weights keep the axes of heads."""

    def __init__(self, given: int, out: tuple, owner: MultiHeadAttention, **kwargs: Any):
        super().__init__(dtype=owner.dtype_policy, **kwargs)
        self.given, self.out, self._use_bias = given, out, owner.use_bias  # how many axes go in
        self._start = initializers.another(owner.kernel_initializer)
        self._kernel = dict(regularizer=owner.kernel_regularizer, constraint=owner.kernel_constraint)
        self._offset = dict(
            initializer=initializers.another(owner.bias_initializer),
            regularizer=owner.bias_regularizer,
            constraint=owner.bias_constraint,
        )
        self.bias: Any = None

    def build(self, input_shape: tuple) -> None:
        sizes = tuple(known_size(n, "the last axis", self) for n in input_shape[len(input_shape) - self.given :])
        axes = range(len(sizes) + len(self.out))
        start = initializers.for_axes(self._start, axes[: self.given], axes[self.given :])
        self.kernel = self.add_weight((*sizes, *self.out), start, name="kernel", **self._kernel)
        if self._use_bias:
            self.bias = self.add_weight(self.out, name="bias", **self._offset)
        self.built = True

    def call(self, inputs: Any) -> Any:
        rows, wide = inputs.shape[: inputs.ndim - self.given], math.prod(self.out)
        x = ops.reshape(inputs, (*rows, math.prod(inputs.shape[inputs.ndim - self.given :])))
        b = None if self.bias is None else ops.reshape(self.bias, (wide,))
        y = ops.dense(x, ops.reshape(self.kernel, (x.shape[-1], wide)), b)
        return ops.reshape(y, (*rows, *self.out))


@LAYERS.register()
class MultiHeadAttention(Layer):
    """`num_heads` attentions on projections of their own, joined and projected.

    head_h = softmax(q_h k_h^T / sqrt(key_dim)) v_h with q_h = query W_h + b_h, and so on. Weights:
    kernel (dim, heads, key_dim) and bias (heads, key_dim) of query, key and value (value_dim there),
    then (heads, value_dim, *output_shape) and its bias. `output_shape` is the query's width unless
    given. Masks: `attention_mask` (batch, t, s), those that query, value and key carry, and with
    `use_causal_mask` none sees what comes after it. Vaswani et al. 2017, arXiv:1706.03762.
    """

    supports_masking = True

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads = positive_int(num_heads, "num_heads", self)
        self.key_dim = positive_int(key_dim, "key_dim", self)
        self.value_dim = self.key_dim if value_dim is None else positive_int(value_dim, "value_dim", self)
        self.dropout, self.use_bias, self.seed = check_rate(dropout, self), use_bias, seed
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        if attention_axes not in (None, 1, (1,), [1]):
            raise ValueError(f"layer {self.name!r} attends along axis 1 only, got attention_axes={attention_axes!r}")
        for name, value in (
            ("sliding_window", sliding_window),
            ("flash_attention", flash_attention),
            ("use_gate", use_gate),
        ):
            if value:
                raise ValueError(f"layer {self.name!r}: {name}={value!r} is not supported")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._softmax = Softmax(dtype=self.dtype)
        self._dropped = Dropout(dropout, seed=seed) if dropout else None

    # A shape for each of the inputs that have none by default.
    def build(  # type: ignore[override]
        self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None
    ) -> None:
        for shape in (query_shape, value_shape, key_shape or value_shape):
            if len(shape) != 3:
                raise ValueError(f"layer {self.name!r} takes inputs (batch, steps, features), got shape {tuple(shape)}")
        heads = self.num_heads
        self._query = _Projection(1, (heads, self.key_dim), self, name="query")
        self._key = _Projection(1, (heads, self.key_dim), self, name="key")
        self._value = _Projection(1, (heads, self.value_dim), self, name="value")
        out = query_shape[-1:] if self.output_shape is None else self.output_shape
        self._output = _Projection(2, tuple(out), self, name="attention_output")
        self._query.build(query_shape)
        self._key.build(value_shape if key_shape is None else key_shape)
        self._value.build(value_shape)
        self._output.build((*query_shape[:2], heads, self.value_dim))
        self.built = True

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        q = ops.multiply(self._query(query), 1 / math.sqrt(self.key_dim))
        k, v = self._key(value if key is None else key), self._value(value)
        q, k, v = (ops.transpose(t, (0, 2, 1, 3)) for t in (q, k, v))  # (batch, heads, steps, size)
        scores = ops.matmul(q, ops.swapaxes(k, -2, -1))
        shown = [ops.expand_dims(m, 1) for m in (value_mask, key_mask) if m is not None]  # (batch, 1, s)
        shown += [] if query_mask is None else [ops.expand_dims(query_mask, -1)]
        shown += [] if attention_mask is None else [ops.cast(attention_mask, "bool")]
        shown += [ops.expand_dims(_causal(*scores.shape[-2:]), 0)] if use_causal_mask else []
        mask = None
        if shown:
            mask = reduce(ops.logical_and, shown)
            mask = ops.expand_dims(mask, 1) if mask.ndim == 3 else mask
        weights = self._softmax(scores, mask=mask)
        seen = weights if self._dropped is None else self._dropped(weights, training=training)
        y = self._output(ops.transpose(ops.matmul(seen, v), (0, 2, 1, 3)))
        return (y, weights) if return_attention_scores else y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask

    def compute_output_shape(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> tuple:
        return (*query_shape[:-1], *(query_shape[-1:] if self.output_shape is None else self.output_shape))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # With the scores there are two results.
        return (
            self._tried(args, kwargs) if kwargs.get("return_attention_scores") else super().compute_output_spec(*args)
        )
