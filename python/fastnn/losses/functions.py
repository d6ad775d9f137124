"""Loss functions: y_true and y_pred (*samples, n) -> one value a sample. Formulas, clipping and
defaults are Keras'.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from .. import config, ops
from ..explain import clear
from ..tensor import Tensor, to_tensor
from .base import _family, squeeze_or_expand_to_same_rank


def _function(*aliases: str) -> Callable:
    """Enters a loss function in the family, with errors in the words of its signature."""
    return lambda function: _family.register(*aliases)(clear(function))


def _pair(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both as float tensors of one shape; (n,) goes with (n, 1)."""
    y_pred = to_tensor(y_pred)
    if not y_pred.dtype.startswith("float"):
        y_pred = ops.cast(y_pred, config.floatx())
    y_true, y_pred = squeeze_or_expand_to_same_rank(to_tensor(y_true, y_pred.dtype), y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"{name}: y_true has shape {y_true.shape} but y_pred {y_pred.shape}; they must be equal")
    return y_true, y_pred


def _check_axis(name: str, y_pred: Tensor, axis: Any) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int) or not -y_pred.ndim <= axis < y_pred.ndim:
        raise ValueError(f"{name}: axis must be an integer that y_pred {y_pred.shape} has; received {axis!r}")


def _over_axis(name: str, y_true: Tensor, y_pred: Tensor, axis: Any) -> tuple[Tensor, Tensor]:
    """Both with `axis` last."""
    rank = y_pred.ndim
    _check_axis(name, y_pred, axis)
    axis %= rank
    if axis == rank - 1:
        return y_true, y_pred
    order = [*range(axis), *range(axis + 1, rank), axis]
    return ops.transpose(y_true, order), ops.transpose(y_pred, order)


@_function("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean (y_pred - y_true)^2."""
    return ops.pointwise_loss(*_pair("mean_squared_error", y_true, y_pred), "squared_error")


@_function("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean |y_pred - y_true|."""
    return ops.pointwise_loss(*_pair("mean_absolute_error", y_true, y_pred), "absolute_error")


@_function("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 mean(|y_pred - y_true| / max(|y_true|, 1e-7))."""
    return ops.pointwise_loss(*_pair("mean_absolute_percentage_error", y_true, y_pred), "percentage_error")


@_function("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean (log(1 + y_pred) - log(1 + y_true))^2, both at least 1e-7."""
    return ops.pointwise_loss(*_pair("mean_squared_logarithmic_error", y_true, y_pred), "squared_log_error")


@_function()
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """mean of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2 (Huber 1964)."""
    return ops.pointwise_loss(*_pair("huber", y_true, y_pred), "huber", delta)


@_function("logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean log(cosh(y_pred - y_true))."""
    return ops.pointwise_loss(*_pair("log_cosh", y_true, y_pred), "log_cosh")


@_function()
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true log(y_pred + 1e-7))."""
    return ops.pointwise_loss(*_pair("poisson", y_true, y_pred), "poisson")


@_function("kld", "KLD", "kullback_leibler_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum y_true log(y_true / y_pred), both clipped to [1e-7, 1]."""
    return ops.pointwise_loss(*_pair("kl_divergence", y_true, y_pred), "kl_divergence", 0.0, False)


def _plus_minus(y_true: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; anything else as it is. Decided by all labels together."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    # y (1 + b) - b for b = 1 or 0: no value has to come to Python.
    b = ops.cast(binary, y_true.dtype)
    return ops.subtract(ops.multiply(y_true, ops.add(b, 1.0)), b)


@_function()
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean max(1 - y_true y_pred, 0), labels -1 and 1 (0 and 1 are converted)."""
    y_true, y_pred = _pair("hinge", y_true, y_pred)
    return ops.pointwise_loss(_plus_minus(y_true), y_pred, "hinge")


@_function()
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean max(1 - y_true y_pred, 0)^2, labels -1 and 1 (0 and 1 are converted)."""
    y_true, y_pred = _pair("squared_hinge", y_true, y_pred)
    return ops.pointwise_loss(_plus_minus(y_true), y_pred, "squared_hinge")


@_function()
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(1 + max((1 - y_true) y_pred) - sum(y_true y_pred), 0)."""
    y_true, y_pred = _pair("categorical_hinge", y_true, y_pred)
    positive = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    negative = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.maximum(ops.add(ops.subtract(negative, positive), 1.0), 0.0)


@_function()
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """-sum(y_true y_pred) / (|y_true| |y_pred|) along `axis`: -1 is the same direction."""
    y_true, y_pred = _pair("cosine_similarity", y_true, y_pred)
    return ops.multiply(ops.sum(ops.multiply(_unit(y_true, axis), _unit(y_pred, axis)), axis=axis), -1.0)


def _unit(x: Tensor, axis: int) -> Tensor:
    """x / max(|x|, 1e-7)."""
    norm = ops.sqrt(ops.maximum(ops.sum(ops.multiply(x, x), axis=axis, keepdims=True), config.epsilon() ** 2))
    return ops.divide(x, norm)


@_function("bce", "BCE")
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """mean of -(t log p + (1 - t) log(1 - p)), t = y_true (1 - s) + s / 2, p = y_pred clipped to
    [1e-7, 1 - 1e-7], or sigmoid(y_pred) from logits.
    """
    kind = "binary_crossentropy_logits" if from_logits else "binary_crossentropy"
    y_true, y_pred = _over_axis("binary_crossentropy", *_pair("binary_crossentropy", y_true, y_pred), axis)
    return ops.pointwise_loss(y_true, y_pred, kind, label_smoothing)


def _warn_of_one_class(name: str, y_pred: Tensor, axis: int) -> None:
    _check_axis(name, y_pred, axis)
    if y_pred.shape[axis] == 1:
        warnings.warn(
            f"{name} of a single class is constant: y_pred has shape {y_pred.shape}. "
            "For two classes in one column there is binary_crossentropy",
            SyntaxWarning,
            stacklevel=3,
        )


@_function()
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum t log p, t = y_true (1 - s) + s / classes, p = y_pred / sum y_pred clipped to
    [1e-7, 1 - 1e-7], or softmax(y_pred) from logits.
    """
    y_true, y_pred = _pair("categorical_crossentropy", y_true, y_pred)
    _warn_of_one_class("categorical_crossentropy", y_pred, axis)
    y_true, y_pred = _over_axis("categorical_crossentropy", y_true, y_pred, axis)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, -1, label_smoothing)


@_function()
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log p[y_true], p as in categorical_crossentropy; 0, and left out of means, where y_true is
    `ignore_class`.

    Raises:
      ValueError: a label that is not a class, or shapes that do not fit.
    """
    y_true = to_tensor(y_true)
    loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis, ignore_class)
    if ignore_class is not None:
        loss._keras_mask = ops.reshape(ops.not_equal(y_true, ignore_class), loss.shape)
    return loss


sparse_categorical_crossentropy.integer_targets = True


@_function()
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p[y_true]^q) / q of probabilities p: between cross-entropy (q near 0) and mean absolute error
    (q near 1), which mind wrong labels less (Zhang & Sabuncu 2018). y_true: classes, (n) or (n, 1).

    Raises:
      ValueError: a label that is not a class, or shapes that do not fit.
    """
    p = to_tensor(y_pred)
    labels = to_tensor(y_true)
    if labels.shape not in (p.shape[:-1], (*p.shape[:-1], 1)):
        raise ValueError(f"labels {labels.shape} do not fit predictions {p.shape}")
    # A fraction, NaN or negative number is no class: an index that is refused.
    labels = ops.where(
        ops.logical_and(ops.equal(ops.floor(labels), labels), ops.greater_equal(labels, 0)), labels, -1e9
    )
    index = ops.cast(ops.reshape(labels, (*p.shape[:-1], 1)), "int32")
    p = ops.reshape(ops.take_along_axis(p, index, -1), p.shape[:-1])
    return ops.divide(ops.subtract(1.0, ops.power(p, float(q))), float(q))


categorical_generalized_cross_entropy.integer_targets = True


@_function()
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """mean of (1 - p_t)^gamma BCE, p_t the probability of the label (Lin et al. 2017); with
    apply_class_balancing times alpha for label 1 and 1 - alpha for label 0.
    """
    t, p = _pair("binary_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        t = ops.add(ops.multiply(t, 1.0 - label_smoothing), 0.5 * label_smoothing)
    if from_logits:
        p = ops.sigmoid(p)
    p_t = ops.add(ops.multiply(t, p), ops.multiply(ops.subtract(1.0, t), ops.subtract(1.0, p)))
    loss = ops.multiply(ops.power(ops.subtract(1.0, p_t), gamma), ops.binary_crossentropy(t, p))
    if apply_class_balancing:
        loss = ops.multiply(ops.add(ops.multiply(t, alpha), ops.multiply(ops.subtract(1.0, t), 1.0 - alpha)), loss)
    return ops.mean(loss, axis=axis)


@_function()
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """sum of alpha (1 - p)^gamma (-t log p), as in categorical_crossentropy (Lin et al. 2017)."""
    t, p = _pair("categorical_focal_crossentropy", y_true, y_pred)
    _warn_of_one_class("categorical_focal_crossentropy", p, axis)
    if label_smoothing:
        t = ops.add(ops.multiply(t, 1.0 - label_smoothing), label_smoothing / t.shape[-1])
    if from_logits:
        p = ops.softmax(p, axis=axis)
    p = ops.divide(p, ops.sum(p, axis=axis, keepdims=True))
    p = ops.clip(p, config.epsilon(), 1.0 - config.epsilon())
    weight = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), -alpha)
    return ops.sum(ops.multiply(weight, ops.multiply(t, ops.log(p))), axis=axis)


@_function()
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - 2 sum(y_true y_pred) / (sum y_true + sum y_pred + 1e-7), over all axes or `axis`."""
    t, y = _pair("dice", y_true, y_pred)
    total = ops.add(ops.add(ops.sum(t, axis=axis), ops.sum(y, axis=axis)), config.epsilon())
    return ops.subtract(1.0, ops.divide(ops.multiply(ops.sum(ops.multiply(t, y), axis=axis), 2.0), total))


@_function()
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - tp / (tp + alpha fp + beta fn + 1e-7), as Keras counts: fp = sum((1 - y_pred) y_true),
    fn = sum(y_pred (1 - y_true)) (Salehi et al. 2017).
    """
    t, y = _pair("tversky", y_true, y_pred)
    hit = ops.sum(ops.multiply(t, y), axis=axis)
    fp = ops.sum(ops.multiply(ops.subtract(1.0, y), t), axis=axis)
    fn = ops.sum(ops.multiply(y, ops.subtract(1.0, t)), axis=axis)
    rest = ops.add(ops.add(ops.multiply(fp, alpha), ops.multiply(fn, beta)), config.epsilon())
    return ops.subtract(1.0, ops.divide(hit, ops.add(hit, rest)))
