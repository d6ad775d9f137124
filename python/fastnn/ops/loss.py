"""Cross-entropies and other losses, one number a row, with Keras' formulas and clipping.

Softmax is part of a cross-entropy that starts from logits; the forward pass keeps two or three
numbers a row for the backward pass, not the probabilities.
"""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..autograd import grad_to, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .elementwise import cast, divide, multiply, subtract
from .move import transpose
from .promotion import whole_numbers
from .reduce import sum

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "pointwise_loss",
    "sparse_categorical_crossentropy",
]

# The order of PointwiseLoss in csrc/losses.h.
_NAMES = (
    "squared_error",
    "absolute_error",
    "percentage_error",
    "squared_log_error",
    "huber",
    "log_cosh",
    "binary_crossentropy",
    "binary_crossentropy_logits",
    "hinge",
    "squared_hinge",
    "poisson",
    "kl_divergence",
)
POINTWISE_LOSSES = {name: number for number, name in enumerate(_NAMES)}
# loss(t, y) = loss(y, t): the target's gradient is the prediction's with roles exchanged.
_SYMMETRIC = ("squared_error", "absolute_error", "huber", "log_cosh")
_NO_CLASS = 2**31  # no int32 label is this


def _float_output(name: str, output: Any) -> Tensor:
    output = to_tensor(output)
    if not output.dtype.startswith("float"):
        raise TypeError(f"{name}: output must be a float tensor, got {output.dtype}")
    return output


def _same_shape(name: str, target: Any, output: Tensor) -> Tensor:
    target = to_tensor(target)
    if target.shape != output.shape:
        raise ValueError(
            f"{name}: target and output must have the same shape, got target {target.shape} and output {output.shape}"
        )
    return target if target.dtype == output.dtype else cast(target, output.dtype)


def _axis_last(name: str, x: Tensor, axis: int) -> Tensor:
    """x with `axis` moved to the end (x itself if it is there)."""
    if not x.ndim or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis {axis} is out of range for a tensor {x.shape}")
    axis %= x.ndim
    if axis == x.ndim - 1:
        return x
    return transpose(x, [*range(axis), *range(axis + 1, x.ndim), axis])


def _axis_back(x: Tensor, axis: int) -> Tensor:
    axis %= x.ndim
    return transpose(x, [*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)])


def _grad_through_axis(x: Tensor, axis: int, run: Any) -> Tensor | None:
    """The gradient of x, where run(dx) writes it with `axis` last."""
    if not needs_grad(x):
        return None
    if axis % x.ndim == x.ndim - 1:
        return grad_to(x, run)
    dx = empty([*x.shape[: axis % x.ndim], *x.shape[axis % x.ndim + 1 :], x.shape[axis]], like=x)
    run(dx)
    return _axis_back(dx, axis)


@op
def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
):
    """-log p[target], p = softmax(output), or output / sum(output) clipped to [1e-7, 1 - 1e-7].

    target: integers, the shape of output without `axis` (or with 1 there). -> the shape of target;
    0 where target is `ignore_class`. ValueError for a label that is not a class.
    """
    name = "sparse_categorical_crossentropy"
    output = _float_output(name, output)
    rows = _axis_last(name, output, axis)
    label = to_tensor(target)
    shape = rows.shape[:-1]
    if label.ndim == output.ndim and label.shape[axis] == 1:
        label = view(label, [n for i, n in enumerate(label.shape) if i != axis % label.ndim])
    if label.shape != shape:
        raise ValueError(
            f"{name}: target must have the shape of output without its classes, {shape}; got "
            f"target {label.shape} and output {output.shape}"
        )
    label = whole_numbers(label)
    ignored = _NO_CLASS if ignore_class is None else int(ignore_class)
    loss, stats = empty(shape, like=output), empty((*shape, 2), like=output)
    kernels.sparse_crossentropy(rows, label, loss, stats, bool(from_logits), ignored)

    def backward(dloss):
        def run(dx):
            kernels.sparse_crossentropy_grad(rows, label, stats, dloss, dx, bool(from_logits), ignored)

        return None, _grad_through_axis(output, axis, run)

    return loss, backward


@op
def categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    label_smoothing: float = 0.0,
):
    """-sum t log p along `axis`, t = target (1 - s) + s / classes, p as in the sparse form.

    target: probabilities, the shape of output. -> the shape of output without `axis`.
    """
    name = "categorical_crossentropy"
    output = _float_output(name, output)
    target = _same_shape(name, target, output)
    rows, t = _axis_last(name, output, axis), _axis_last(name, target, axis)
    shape, smoothing = rows.shape[:-1], float(label_smoothing)
    loss, stats = empty(shape, like=output), empty((*shape, 3), like=output)
    kernels.categorical_crossentropy(t, rows, loss, stats, bool(from_logits), smoothing)

    def backward(dloss):
        def run(dx):
            kernels.categorical_crossentropy_grad(t, rows, stats, dloss, dx, bool(from_logits), smoothing)

        def run_target(dt):
            each = _surprise(rows, bool(from_logits))
            kernels.multiply(each, view(multiply(dloss, 1 - smoothing), (*shape, 1)), dt)

        return _grad_through_axis(target, axis, run_target), _grad_through_axis(output, axis, run)

    return loss, backward


def _surprise(rows: Tensor, from_logits: bool) -> Tensor:
    """-log p of every class."""
    y = empty(rows.shape, like=rows)
    if from_logits:
        kernels.log_softmax(rows, y)
        return multiply(y, -1.0)
    p = divide(rows, sum(rows, axis=-1, keepdims=True))
    _bce(_filled(rows, 1.0), p, y, False)
    return y


def _filled(like: Tensor, value: float) -> Tensor:
    y = empty(like.shape, like=like)
    kernels.fill(y, value)
    return y


def _bce(target: Tensor, output: Tensor, loss: Tensor, from_logits: bool) -> None:
    kind = POINTWISE_LOSSES["binary_crossentropy_logits" if from_logits else "binary_crossentropy"]
    ones = (*output.shape, 1)  # every element is a row of its own
    kernels.pointwise_loss(view(target, ones), view(output, ones), loss, kind, 0.0, False)


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False):
    """-(t log p + (1 - t) log(1 - p)) of every element, p = sigmoid(output), or output clipped to
    [1e-7, 1 - 1e-7].
    """
    output = _float_output("binary_crossentropy", output)
    target = _same_shape("binary_crossentropy", target, output)
    loss = empty(output.shape, like=output)
    _bce(target, output, loss, from_logits)

    def backward(dloss):
        kind = POINTWISE_LOSSES["binary_crossentropy_logits" if from_logits else "binary_crossentropy"]
        ones = (*output.shape, 1)

        def run(dx):
            kernels.pointwise_loss_grad(view(target, ones), view(output, ones), dloss, view(dx, ones), kind, 0.0, False)

        def run_target(dt):  # the loss is a straight line in t
            at_one, at_zero = empty(output.shape, like=output), empty(output.shape, like=output)
            _bce(_filled(output, 1.0), output, at_one, from_logits)
            _bce(_filled(output, 0.0), output, at_zero, from_logits)
            kernels.multiply(subtract(at_one, at_zero), dloss, dt)

        return grad_to(target, run_target), grad_to(output, run)

    return loss, backward


@op
def pointwise_loss(target: Any, output: Any, kind: str, parameter: float = 0.0, mean: bool = True):
    """The loss `kind` of every pair of elements, averaged (or added) over the last axis.

    kind: a name of POINTWISE_LOSSES; parameter: delta of huber, label smoothing of the binary
    cross-entropies, else unused.
    """
    if kind not in POINTWISE_LOSSES:
        raise ValueError(f"pointwise_loss: kind is one of {', '.join(POINTWISE_LOSSES)}; got {kind!r}")
    output = _float_output(kind, output)
    target = _same_shape(kind, target, output)
    if not output.ndim:
        raise ValueError(f"{kind}: a loss needs at least one axis, got two scalars")
    if needs_grad(target) and kind not in _SYMMETRIC:
        raise ValueError(f"{kind}: there is no gradient for the target; pass ops.stop_gradient(target)")
    number, parameter, mean = POINTWISE_LOSSES[kind], float(parameter), bool(mean)
    loss = empty(output.shape[:-1], like=output)
    kernels.pointwise_loss(target, output, loss, number, parameter, mean)

    def backward(dloss):
        def run(t, y, dy):
            kernels.pointwise_loss_grad(t, y, dloss, dy, number, parameter, mean)

        return grad_to(target, run, output, target), grad_to(output, run, target, output)

    return loss, backward
