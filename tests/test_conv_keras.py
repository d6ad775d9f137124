"""Convolutions against real Keras on JAX: results and gradients on random configurations.

Tolerance: both sum up to a few thousand float32 products in different orders, so they may differ by
a few dozen eps of the largest value; 3e-5 of it is allowed.
"""

import functools

import jax
import numpy as np
import pytest

from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras

TOLERANCE = 3e-5


def close(got, want, what):
    want = np.asarray(want)
    assert got.shape == want.shape, what
    if want.size:
        error = np.abs(got.numpy() - want).max() / max(1.0, np.abs(want).max())
        assert error < TOLERANCE, f"{what}: {error}"


def compare(ours, theirs, arrays, rng):
    """Results and gradients of two functions of the same arrays."""
    tensors = [Tensor(a) for a in arrays]
    for t in tensors:
        t.requires_grad = True
    y = ours(*tensors)
    want, pull = jax.vjp(theirs, *arrays)
    close(y, want, "result")
    dy = rng.standard_normal(y.shape).astype("float32")
    names = ("inputs", "kernel", "second kernel")
    got = autograd.gradients(y, tensors, seed=Tensor(dy))
    for name, g, w in zip(names, got, pull(dy)):
        close(g, w, f"gradient of {name}")


def drawn(rng, *shape):
    return rng.standard_normal(shape).astype("float32")


def any_of(rng, *values):
    return values[rng.integers(len(values))]


def window(rng, rank):
    """Kernel sizes, strides and dilation; one of the last two is 1."""
    taps = tuple(int(rng.integers(1, 5)) for _ in range(rank))
    strides = tuple(int(rng.integers(1, 6)) for _ in range(rank))
    dilation = tuple(int(rng.integers(1, 4)) for _ in range(rank))
    if rng.random() < 0.5:
        return taps, strides, (1,) * rank
    return taps, (1,) * rank, dilation


def spatial(rng, taps, dilation, padding):
    low = [(t - 1) * d + 1 if padding == "valid" else 1 for t, d in zip(taps, dilation)]
    return tuple(int(rng.integers(n, n + 12)) for n in low)


@pytest.mark.parametrize("seed", range(36))
def test_conv(seed):
    rng = np.random.default_rng(seed)
    rank, groups = any_of(rng, 1, 2, 2), any_of(rng, 1, 1, 2, 3)
    taps, strides, dilation = window(rng, rank)
    padding = any_of(rng, "valid", "same", "SAME")
    c, k = int(rng.integers(1, 20)), int(any_of(rng, 1, 2, 3, 5, 8, 17, 40))
    x = drawn(rng, int(rng.integers(1, 4)), *spatial(rng, taps, dilation, padding), groups * c)
    w = drawn(rng, *taps, c, groups * k)
    settings = dict(strides=strides, padding=padding, dilation_rate=dilation)
    compare(
        functools.partial(ops.conv, **settings),
        functools.partial(keras.ops.conv, **settings),
        (x, w),
        rng,
    )


@pytest.mark.parametrize("seed", range(16))
def test_depthwise_conv(seed):
    rng = np.random.default_rng(100 + seed)
    rank = any_of(rng, 1, 2, 2)
    taps, strides, dilation = window(rng, rank)
    # jax takes one stride for both axes here.
    strides = (strides[0],) * rank
    padding = any_of(rng, "valid", "same")
    c, m = int(any_of(rng, 1, 3, 8, 19, 40)), int(rng.integers(1, 4))
    x = drawn(rng, 2, *spatial(rng, taps, dilation, padding), c)
    w = drawn(rng, *taps, c, m)
    settings = dict(strides=strides, padding=padding, dilation_rate=dilation)
    compare(
        functools.partial(ops.depthwise_conv, **settings),
        functools.partial(keras.ops.depthwise_conv, **settings), (x, w), rng,
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_separable_conv(padding):
    rng = np.random.default_rng(0)
    arrays = drawn(rng, 2, 7, 9, 4), drawn(rng, 3, 3, 4, 2), drawn(rng, 1, 1, 8, 5)
    settings = dict(strides=2, padding=padding)
    compare(
        functools.partial(ops.separable_conv, **settings),
        functools.partial(keras.ops.separable_conv, **settings), arrays, rng,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(24))
def test_conv_transpose(seed):
    rng = np.random.default_rng(200 + seed)
    rank = any_of(rng, 1, 2, 2)
    taps, strides, dilation = window(rng, rank)
    padding = any_of(rng, "valid", "same")
    output_padding = None
    if rng.random() < 0.3 and min(strides) > 1:
        output_padding = tuple(int(rng.integers(0, s)) for s in strides)
    c, k = int(any_of(rng, 1, 2, 8, 17)), int(any_of(rng, 1, 3, 9, 16))
    x = drawn(rng, 2, *(int(rng.integers(1, 8)) for _ in range(rank)), k)
    w = drawn(rng, *taps, c, k)
    settings = dict(strides=strides, padding=padding, output_padding=output_padding, dilation_rate=dilation)
    compare(
        functools.partial(ops.conv_transpose, **settings),
        functools.partial(keras.ops.conv_transpose, **settings), (x, w), rng,
    )  # fmt: skip


@pytest.mark.parametrize("dilation,strides", [(1, 1), (3, 1), (1, 2)])
def test_causal_is_that_of_the_layer(dilation, strides):
    rng = np.random.default_rng(1)
    x = drawn(rng, 2, 11, 3)
    layer = keras.layers.Conv1D(
        4,
        3,
        padding="causal",
        dilation_rate=dilation,
        strides=strides,
        bias_initializer="normal",
        activation="tanh",
    )
    want = np.asarray(layer(x))
    w, b = map(np.asarray, layer.get_weights())
    got = ops.conv(x, w, padding="causal", dilation_rate=dilation, strides=strides, bias=b, activation=ops.tanh)
    close(got, want, "result")


def test_bias_and_activation_of_a_layer():
    rng = np.random.default_rng(2)
    x = drawn(rng, 2, 8, 7, 3)
    for cls, op in (
        (keras.layers.Conv2D, ops.conv),
        (keras.layers.Conv2DTranspose, ops.conv_transpose),
    ):
        for activation, function in (("relu", ops.relu), ("silu", ops.silu)):
            layer = cls(5, 3, strides=2, padding="same", activation=activation, bias_initializer="normal")
            want = np.asarray(layer(x))
            w, b = layer.get_weights()
            settings = dict(strides=2, padding="same", activation=function)
            close(
                op(x, np.asarray(w), bias=np.asarray(b), **settings),
                want,
                f"{cls.__name__} {activation}",
            )


def test_empty_batch():
    w = Tensor(np.ones((3, 3, 2, 4), "float32"))
    w.requires_grad = True
    y = ops.conv(np.zeros((0, 5, 6, 2), "float32"), w, padding="same")
    assert y.shape == (0, 5, 6, 4)
    (dw,) = autograd.gradients(y, [w], seed=Tensor(np.zeros(y.shape, "float32")))
    assert not dw.numpy().any()


def test_windows_beyond_the_scratch():
    """Windows and weights that no scratch can hold: summed tap by tap, unpacked."""
    rng = np.random.default_rng(3)
    for x_shape, w_shape, settings in [
        ((1, 300, 2), (4200, 2, 3), dict(padding="same")),
        ((1, 9, 8, 4100), (9, 8, 4100, 3), dict(padding="same")),
        ((1, 6, 5, 2), (70, 60, 2, 2), dict(padding="same", strides=2)),
        ((1, 3000, 130), (3, 130, 2), dict(padding="same", dilation_rate=1400)),
    ]:
        x, w = drawn(rng, *x_shape), drawn(rng, *w_shape)
        compare(
            functools.partial(ops.conv, **settings),
            functools.partial(keras.ops.conv, **settings),
            (x, w),
            rng,
        )


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda x, w: ops.conv(x, w, data_format="channels_first"), "channels_last"),
        (lambda x, w: ops.conv(x, w, padding="causal"), "padding is 'valid' or 'same'"),
        (lambda x, w: ops.conv(x, w, strides=0), "strides is a positive integer"),
        (lambda x, w: ops.conv(x, w, dilation_rate=(1, 2, 3)), "dilation_rate"),
        (lambda x, w: ops.conv(x, np.ones((3, 3, 3, 4), "float32")), "no multiple of the 3"),
        (
            lambda x, w: ops.conv(x, np.ones((3, 3, 2, 3), "float32")),
            "cannot be shared among 2 groups",
        ),
        (
            lambda x, w: ops.conv(x, np.ones((9, 3, 4, 4), "float32")),
            "covers 9 does not fit into an axis of 5",
        ),
        (lambda x, w: ops.conv(x, np.ones((3, 4, 4), "float32")), "does not fit inputs"),
        (lambda x, w: ops.conv(x, w, bias=np.ones(3, "float32")), "bias is float32 \\(3,\\)"),
        (lambda x, w: ops.depthwise_conv(x, np.ones((3, 3, 3, 1), "float32")), "for 3 channels"),
        (lambda x, w: ops.conv_transpose(x, np.ones((3, 3, 4, 3), "float32")), "for 3 channels"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    x, w = np.ones((2, 5, 6, 4), "float32"), np.ones((3, 3, 4, 4), "float32")
    with pytest.raises(ValueError, match=message):
        call(x, w)
