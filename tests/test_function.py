"""Lambda: a function as a layer."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

X = np.arange(6, dtype="float32").reshape(2, 3)


def double(x):
    return ops.concatenate([x, x], axis=-1)


def test_shapes_and_values():
    for layer in (
        layers.Lambda(double),
        layers.Lambda(double, output_shape=(6,)),
        layers.Lambda(double, output_shape=lambda s: (s[0], 2 * s[1])),
    ):
        assert layer(layers.Input((3,))).shape == (None, 6)
        np.testing.assert_array_equal(np.asarray(layer(X)), np.concatenate([X, X], -1))
    scaled = layers.Lambda(lambda x, by: x * by, arguments={"by": 3.0})
    np.testing.assert_array_equal(np.asarray(scaled(X)), 3 * X)


def test_training_and_masks_reach_the_function():
    layer = layers.Lambda(lambda x, training, mask: x * 0 if training else x, mask=lambda x, mask: mask)
    masked = layers.Masking()(X.reshape(2, 3, 1))
    y = layer(masked)
    np.testing.assert_array_equal(np.asarray(y._keras_mask), X != 0)
    assert not np.asarray(layer(masked, training=True)).any()
    fixed = layers.Lambda(ops.square, mask=np.array([[True, False, True]]))(X)
    np.testing.assert_array_equal(np.asarray(fixed._keras_mask), [[True, False, True]])


def test_a_model_with_a_named_function_is_saved_and_one_with_a_lambda_is_not(tmp_path):
    x = layers.Input((3,))
    model = fastnn.Model(x, layers.Dense(1)(layers.Lambda(double)(x)))
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn", custom_objects={"double": double})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="double"):
        fastnn.models.load_model(tmp_path / "m.fnn")
    with pytest.raises(ValueError, match="lambda"):
        fastnn.Model(x, layers.Lambda(lambda x: x)(x)).save(tmp_path / "l.fnn")
    with pytest.raises(TypeError, match="function"):
        layers.Lambda(3)
