"""Layers beside real Keras on random configurations, from fixed seeds: results, shapes as predicted,
moved statistics and gradients, with the tolerances of `test_layers_keras.py`.

Configurations that Keras refuses, fastnn refuses too. Nothing is compared exactly at the kink of an
activation, where slopes may differ: biases are not 0. Recurrent layers: `test_recurrent_keras.py`.
"""

import inspect

import jax
import numpy as np
import pytest

import fastnn
from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras

jax.config.update("jax_disable_most_optimizations", True)

DRAWS = 5  # 24 passed, too; most of the time is compiling
ACTIVATIONS = [None, "relu", "tanh", "gelu", "elu", "softmax", "leaky_relu", "hard_sigmoid", "silu", "mish"]
INITIALIZERS = ["ones", "random_normal"]


class Draw:
    """Random arguments."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def of(self, *values):
        return values[self.rng.integers(len(values))]

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def number(self, low, high):
        return float(np.round(self.rng.uniform(low, high), 3))

    def flag(self):
        return bool(self.rng.random() < 0.5)

    def shape(self, rank, low=1, high=7):
        return tuple(self.whole(low, high) for _ in range(rank))

    def sizes(self, rank, low, high):
        """One number for all axes, or one for each."""
        return self.whole(low, high) if self.flag() else tuple(self.whole(low, high) for _ in range(rank))


def dense(d):
    arguments = dict(units=d.whole(1, 9), activation=d.of(*ACTIVATIONS), use_bias=d.flag())
    arguments.update(bias_initializer=d.of(*INITIALIZERS), activity_regularizer=d.of(None, "l2"))
    return arguments, d.shape(d.whole(2, 4))


def windows(d, rank):
    arguments = dict(kernel_size=d.sizes(rank, 1, 4), padding=d.of("valid", "same"), use_bias=d.flag())
    if d.flag():
        arguments["strides"] = d.sizes(rank, 1, 3)
    else:
        arguments["dilation_rate"] = d.sizes(rank, 1, 3)
    arguments.update(activation=d.of(*ACTIVATIONS), bias_initializer=d.of(*INITIALIZERS))
    return arguments


def conv(rank):
    def draw(d):
        groups = d.of(1, 1, 2, 3)
        arguments = dict(windows(d, rank), filters=groups * d.whole(1, 4), groups=groups)
        if rank == 1 and d.flag():
            arguments["padding"] = "causal"
        return arguments, (2, *d.shape(rank, 1, 11), groups * d.whole(1, 3))

    return draw


def conv_transpose(rank):
    def draw(d):
        arguments = dict(windows(d, rank), filters=d.whole(1, 4))
        strides = arguments.get("strides", 1)
        strides = (strides,) * rank if isinstance(strides, int) else strides
        if d.flag() and min(strides) > 1:
            arguments["output_padding"] = tuple(d.whole(0, s - 1) for s in strides)
        return arguments, (2, *d.shape(rank, 1, 6), d.whole(1, 4))

    return draw


def depthwise(rank):
    def draw(d):
        arguments = dict(windows(d, rank), depth_multiplier=d.whole(1, 3))
        if not isinstance(arguments.get("strides", 1), int):
            arguments["strides"] = arguments["strides"][0]  # jax takes one for both axes
        return arguments, (2, *d.shape(rank, 1, 9), d.whole(1, 5))

    return draw


def separable(rank):
    def draw(d):
        arguments, shape = depthwise(rank)(d)
        return dict(arguments, filters=d.whole(1, 5)), shape

    return draw


def pooling(rank):
    def draw(d):
        arguments = dict(pool_size=d.sizes(rank, 1, 4), padding=d.of("valid", "same"))
        arguments["strides"] = d.of(None, d.sizes(rank, 1, 3))
        return arguments, (2, *d.shape(rank, 1, 9), d.whole(1, 4))

    return draw


def global_pooling(rank):
    return lambda d: (dict(keepdims=d.flag()), (2, *d.shape(rank), d.whole(1, 4)))


def up_sampling(d):
    return dict(size=d.sizes(2, 1, 3), interpolation=d.of("nearest", "bilinear")), (2, *d.shape(2), d.whole(1, 3))


def margins(name, rank):
    """Symmetric, one a side, or one for each axis."""

    def draw(d):
        pair = lambda: (d.whole(0, 2), d.whole(0, 2))  # noqa: E731
        if rank == 1:
            value = d.of(d.whole(0, 3), pair())
        else:
            value = d.of(d.whole(0, 2), pair(), (pair(), pair()))
        return {name: value}, (2, *d.shape(rank, 4, 8), d.whole(1, 3))

    return draw


def batch_norm(d):
    shape = (d.whole(2, 5), *d.shape(d.whole(1, 3)))
    arguments = dict(axis=d.of(-1, d.whole(1, len(shape) - 1)), momentum=d.number(0, 1), epsilon=d.number(1e-3, 0.1))
    arguments.update(center=d.flag(), scale=d.flag(), moving_mean_initializer=d.of(*INITIALIZERS))
    return dict(arguments, gamma_initializer=d.of("ones", "random_normal")), shape


def some_axes(d, rank):
    axes = [a for a in range(1, rank) if d.flag()] or [rank - 1]
    axes = [a - rank if d.flag() else a for a in axes]
    return axes[0] if len(axes) == 1 and d.flag() else axes


def layer_norm(d):
    shape = d.shape(d.whole(2, 4), 2)
    arguments = dict(axis=some_axes(d, len(shape)), epsilon=d.number(1e-3, 0.1), center=d.flag(), scale=d.flag())
    return dict(arguments, gamma_initializer=d.of("ones", "random_normal")), shape


def rms_norm(d):
    shape = d.shape(d.whole(2, 4), 2)
    axes = list(range(-d.whole(1, len(shape) - 1), 0))  # the last ones: Keras cannot scale others
    return dict(axis=axes if len(axes) > 1 else d.of(-1, axes), epsilon=d.number(1e-3, 0.1)), shape


def group_norm(d):
    groups = d.of(1, 2, 3, -1)
    channels = d.whole(2, 5) if groups == -1 else groups * d.whole(1, 3)
    shape = [2, *d.shape(d.whole(1, 3), 2), channels]
    axis = d.of(-1, d.whole(1, len(shape) - 1))
    shape[axis], shape[-1] = channels, shape[axis]
    return dict(groups=groups, axis=axis, epsilon=d.number(1e-3, 0.1), center=d.flag(), scale=d.flag()), tuple(shape)


def unit_norm(d):
    shape = d.shape(d.whole(2, 4))
    return dict(axis=some_axes(d, len(shape))), shape


def prelu(d):
    shape = d.shape(d.whole(2, 4))
    shared = [a for a in range(1, len(shape)) if d.flag()]
    return dict(alpha_initializer="random_normal", shared_axes=d.of(None, shared)), shape


def relu(d):
    return dict(
        max_value=d.of(None, d.number(0, 2)), negative_slope=d.number(0, 0.5), threshold=d.of(0, d.number(0, 1))
    ), (3, 17)


def softmax(d):
    shape = d.shape(d.whole(2, 4))
    return dict(axis=d.of(-1, d.whole(1, len(shape) - 1), some_axes(d, len(shape)))), shape


def permute(d):
    rank = d.whole(1, 4)
    return dict(dims=tuple(int(i) + 1 for i in d.rng.permutation(rank))), d.shape(rank + 1)


def reshape(d):
    a, b, c = d.shape(3)
    return dict(target_shape=d.of((a * b, c), (-1, c), (c, b, a), (a * b * c,), (1, -1), (a, b, c, 1))), (2, a, b, c)


def time_distributed(d):
    inner = d.of(
        ("Dense", dict(units=4, activation="tanh")), ("Conv1D", dict(filters=3, kernel_size=2)), ("Flatten", {})
    )
    return lambda k: dict(layer=getattr(k.layers, inner[0])(**inner[1])), (2, *d.shape(3, 2, 5))


KINDS = {
    "Dense": dense,
    "Conv1D": conv(1),
    "Conv2D": conv(2),
    "Conv1DTranspose": conv_transpose(1),
    "Conv2DTranspose": conv_transpose(2),
    "DepthwiseConv1D": depthwise(1),
    "DepthwiseConv2D": depthwise(2),
    "SeparableConv1D": separable(1),
    "SeparableConv2D": separable(2),
    **{f"{kind}Pooling{rank}D": pooling(rank) for kind in ("Max", "Average") for rank in (1, 2)},
    **{f"Global{kind}Pooling{rank}D": global_pooling(rank) for kind in ("Max", "Average") for rank in (1, 2)},
    "UpSampling1D": lambda d: (dict(size=d.whole(1, 4)), (2, d.whole(1, 6), 3)),
    "UpSampling2D": up_sampling,
    "ZeroPadding1D": margins("padding", 1),
    "ZeroPadding2D": margins("padding", 2),
    "Cropping1D": margins("cropping", 1),
    "Cropping2D": margins("cropping", 2),
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "UnitNormalization": unit_norm,
    "PReLU": prelu,
    "ReLU": relu,
    "LeakyReLU": lambda d: (dict(negative_slope=d.number(0, 1)), (3, 17)),
    "ELU": lambda d: (dict(alpha=d.number(-1, 2)), (3, 17)),
    "Softmax": softmax,
    "Permute": permute,
    "Reshape": reshape,
    "RepeatVector": lambda d: (dict(n=d.whole(1, 4)), d.shape(2)),
    "Flatten": lambda d: ({}, d.shape(d.whole(1, 4))),
    "TimeDistributed": time_distributed,
}


def close(got, want, tolerance, where):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, where
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(got / scale, want / scale, atol=tolerance, rtol=0, err_msg=where)


def kerass(layer, x, training):
    """Result, moved variables, and gradients of sum(w * result)."""
    passes = {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
    layer.build(x.shape)
    trainable = [v.value for v in layer.trainable_variables]
    fixed = [v.value for v in layer.non_trainable_variables]

    def run(trainable, x):
        return layer.stateless_call(trainable, fixed, x, **passes)

    y, pull, moved = jax.vjp(run, trainable, x, has_aux=True)
    w = np.random.default_rng(9).standard_normal(y.shape).astype("float32")
    return y, moved, w, pull(w)


@pytest.mark.parametrize("name", KINDS)
def test_random_configurations(name):
    compared = 0
    for seed in range(DRAWS):
        d = Draw([seed, *name.encode()])
        drawn, shape = KINDS[name](d)
        make = drawn if callable(drawn) else lambda k, drawn=drawn: drawn
        x = d.rng.standard_normal(shape).astype("float32")
        training = d.flag()
        where = f"{name}({drawn}) on {shape}, training={training}, seed {seed}"
        try:
            theirs = getattr(keras.layers, name)(**make(keras))
            want, moved, w, (dw, dx) = kerass(theirs, x, training)
        except Exception:  # whatever Keras and JAX say
            with pytest.raises((ValueError, TypeError)):
                getattr(fastnn.layers, name)(**make(fastnn))(Tensor(x))
            continue
        if "Pooling" in name and not want.size:  # Keras makes nothing of windows that do not fit
            with pytest.raises(ValueError, match="does not fit"):
                getattr(fastnn.layers, name)(**make(fastnn))(Tensor(x))
            continue
        compared += 1
        ours = getattr(fastnn.layers, name)(**make(fastnn))
        ours.build(shape)
        assert [v.shape for v in ours.weights] == [v.shape for v in theirs.weights], where
        ours.set_weights(theirs.get_weights())
        leaf = Tensor(x)
        leaf.requires_grad = True
        y = ours(leaf, training=training)
        close(y, want, 2e-5, where)
        open_shape = (None, *shape[1:])
        assert tuple(ours.compute_output_shape(open_shape)) == tuple(theirs.compute_output_shape(open_shape)), where
        for a, b in zip(ours.non_trainable_weights, moved):
            close(a, b, 2e-5, where)
        found = autograd.gradients(ops.sum(ops.multiply(y, Tensor(w))), [leaf, *ours.trainable_weights])
        for got, g in zip(found, [dx, *dw]):
            close(np.zeros(g.shape) if got is None else got, g, 1e-4, where + ": gradient")
    assert compared, f"only {compared} configurations were compared"
