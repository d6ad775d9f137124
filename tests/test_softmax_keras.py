"""Softmax and log_softmax against Keras: values, gradients, every axis, and what is not finite."""

import jax
import numpy as np
import pytest

from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras

SHAPES = [(7,), (3, 5), (2, 1), (4, 1000), (2, 3, 4), (5, 4, 3, 2), (1, 17, 9), (2, 5000)]


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", SHAPES)
def test_as_keras(name, shape):
    rng = np.random.default_rng(0)
    for scale in (1, 30):
        x, dy = (
            (scale * rng.standard_normal(shape)).astype("f"),
            rng.standard_normal(shape).astype("f"),
        )
        for axis in range(-1, len(shape)):
            leaf = Tensor(x)
            leaf.requires_grad = True
            y = getattr(ops, name)(leaf, axis=axis)
            want, pullback = jax.vjp(jax.jit(lambda x: getattr(keras.ops, name)(x, axis=axis)), x)  # noqa: B023
            # A few rounding errors of the largest value: log_softmax reaches 200 here.
            np.testing.assert_allclose(y.numpy(), want, rtol=3e-6, atol=3e-7 * scale)
            (dx,) = autograd.gradients(y, [leaf], Tensor(dy))
            np.testing.assert_allclose(dx.numpy(), pullback(dy)[0], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_not_finite_as_keras(name, axis):
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf, 1], [-inf, -inf, -inf], [nan, 0, 0], [inf, 0, 0], [3e38, -3e38, 0]], "f")
    x = x if axis == 1 else np.ascontiguousarray(x.T)
    want = np.asarray(getattr(keras.ops, name)(x, axis=axis))
    np.testing.assert_allclose(getattr(ops, name)(Tensor(x), axis=axis).numpy(), want, rtol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="axis 2"):
        ops.softmax(Tensor(np.ones((2, 3), "f")), axis=2)
    with pytest.raises(TypeError, match="float"):
        ops.softmax(Tensor([1, 2, 3]))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [None, (0,), (0, 2), (2, 1), (-1, 0)])
def test_several_axes_together(name, axis):
    x, dy = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype("f")
    leaf = Tensor(x)
    leaf.requires_grad = True
    y = getattr(ops, name)(leaf, axis=axis)
    positive = axis and tuple(a % 3 for a in axis)  # Keras takes no others
    want, pullback = jax.vjp(lambda x: getattr(keras.ops, name)(x, axis=positive), x)
    np.testing.assert_allclose(y.numpy(), want, rtol=3e-6, atol=3e-7)
    (dx,) = autograd.gradients(y, [leaf], Tensor(dy))
    np.testing.assert_allclose(dx.numpy(), pullback(dy)[0], rtol=1e-4, atol=2e-5)
