"""Pooling and up-sampling against real Keras on JAX: results and gradients.

Tolerance: means and their gradients sum up to a few hundred float32 values in different orders;
1e-5 of the largest value is allowed. Maxima are exact.
"""

import functools

import numpy as np
import pytest

from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras
from test_conv_keras import any_of, compare, drawn


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
@pytest.mark.parametrize("seed", range(18))
def test_pool(name, seed):
    rng = np.random.default_rng(seed)
    rank, padding = any_of(rng, 1, 2, 2), any_of(rng, "valid", "same")
    pool = tuple(int(rng.integers(1, 5)) for _ in range(rank))
    strides = None if rng.random() < 0.3 else tuple(int(rng.integers(1, 6)) for _ in range(rank))
    sizes = [int(rng.integers(p if padding == "valid" else 1, 14)) for p in pool]
    x = drawn(rng, int(rng.integers(1, 4)), *sizes, int(any_of(rng, 1, 3, 8, 19)))
    settings = dict(pool_size=pool, strides=strides, padding=padding)
    # Keras on JAX fails on a tuple without strides.
    theirs = dict(settings, strides=strides or pool)
    compare(
        functools.partial(getattr(ops, name), **settings),
        functools.partial(getattr(keras.ops, name), **theirs), (x,), rng,
    )  # fmt: skip


def test_equals_and_nan():
    x = np.zeros((1, 4, 4, 9), "float32")
    t = Tensor(x)
    t.requires_grad = True
    y = ops.max_pool(t, 2)
    (dx,) = autograd.gradients(y, [t])
    want = np.zeros_like(x)
    want[:, ::2, ::2] = 1  # the first of equals
    np.testing.assert_array_equal(dx.numpy(), want)
    x[0, 1, 2, 4] = np.nan
    y = ops.max_pool(x, 3, strides=1, padding="same").numpy()
    assert np.isnan(y[0, :3, 1:, 4]).all() and np.isnan(y).sum() == 9
    assert np.isnan(ops.global_max_pool(x).numpy()).sum() == 1


@pytest.mark.parametrize("shape", [(2, 7, 5), (3, 4, 6, 17), (2, 400, 3)])
def test_global_pools(shape):
    rng = np.random.default_rng(0)
    axes = tuple(range(1, len(shape) - 1))
    x = drawn(rng, *shape)
    x[:, 1] = x[:, 0] = 5  # equals share the gradient, as in Keras
    compare(ops.global_max_pool, lambda v: keras.ops.max(v, axis=axes), (x,), rng)
    compare(ops.global_average_pool, lambda v: keras.ops.mean(v, axis=axes), (x,), rng)


def test_masked_mean_is_that_of_the_layer():
    rng = np.random.default_rng(0)
    x, mask = drawn(rng, 4, 9, 5), rng.random((4, 9)) < 0.5
    mask[:, 0] = True
    layer = keras.layers.GlobalAveragePooling1D()
    compare(lambda v: ops.global_average_pool(v, mask), lambda v: layer.call(v, mask=mask), (x,), rng)
    mask[0] = False
    assert not ops.global_average_pool(x, mask).numpy()[0].any()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [2, (3, 2), (1, 4)])
def test_upsample(size, interpolation):
    rng = np.random.default_rng(0)
    x = drawn(rng, 2, 4, 5, 3)
    layer = keras.layers.UpSampling2D(size, interpolation=interpolation)
    compare(lambda v: ops.upsample(v, size, interpolation), layer.call, (x,), rng)


def test_upsample_sequence():
    rng = np.random.default_rng(0)
    compare(
        lambda v: ops.upsample(v, 3),
        lambda v: keras.ops.repeat(v, 3, axis=1),
        (drawn(rng, 2, 5, 4),),
        rng,
    )


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda x: ops.max_pool(x, 2, data_format="channels_first"), "channels_last"),
        (lambda x: ops.max_pool(x, 0), "pool_size is a positive integer"),
        (lambda x: ops.average_pool(x, 6), "covers 6 does not fit into an axis of 5"),
        (lambda x: ops.average_pool(x, 2, padding="causal"), "padding is"),
        (lambda x: ops.max_pool(x[0, 0], 2), "one to three spatial axes"),
        (lambda x: ops.upsample(x, 2, "cubic"), "interpolation is 'nearest' or 'bilinear'"),
        (lambda x: ops.global_average_pool(x, np.ones((2, 5), bool)), "a mask"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 5, 6, 4), "float32"))
