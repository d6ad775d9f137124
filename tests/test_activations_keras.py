"""Every registered activation function beside Keras': values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import registered
from fastnn import activations, layers, ops
from fastnn.autograd import gradients
from fastnn.tensor import Tensor
from keras_compare import compare
from keras_reference import keras

# Arguments without a default, or other than it.
ARGUMENTS = {
    "threshold": [dict(threshold=0.3, default_value=-1.0)],
    "relu": [{}, dict(negative_slope=0.1, max_value=1.0, threshold=0.2)],
    "leaky_relu": [{}, dict(negative_slope=0.05)],
    "elu": [{}, dict(alpha=0.6)],
    "celu": [{}, dict(alpha=0.6)],
    "gelu": [{}, dict(approximate=True)],
    "glu": [{}, dict(axis=1)],
    "hard_shrink": [{}, dict(threshold=0.2)],
    "soft_shrink": [{}, dict(threshold=0.2)],
    "squareplus": [{}, dict(b=2)],
    "softmax": [{}, dict(axis=1)],
    "log_softmax": [{}, dict(axis=1)],
}
# Keras leaves these out of its list of names.
UNLISTED = {"step"}


@pytest.mark.parametrize("name", sorted(registered.functions("activations") - UNLISTED))
def test_as_keras(name):
    x = 2 * np.random.default_rng(0).standard_normal((3, 4, 6)).astype("float32")
    for arguments in ARGUMENTS.get(name, [{}]):
        functions = getattr(activations, name), getattr(keras.activations, name)
        compare(name, [x], arguments, tolerance=1e-5, function=functions[0], reference=functions[1])
    assert activations.get(name) is getattr(activations, name)


# --- at the kinks ---------------------------------------------------------------------------------

POINTS = np.float32([-6, -3, -2, -1, -0.5, -0.0, 0, 0.5, 1, 2, 3, 6])
SLOPE = dict(negative_slope=0.25)
KINKS = [
    ("relu", {}), ("relu", SLOPE), ("relu", dict(threshold=1)), ("relu", dict(threshold=1, **SLOPE)),
    ("relu", dict(threshold=-1, **SLOPE)), ("relu", dict(max_value=6)), ("relu6", {}),
    ("leaky_relu", {}), ("leaky_relu", dict(negative_slope=0.0)), ("leaky_relu", dict(negative_slope=-0.5)),
    ("elu", {}), ("elu", dict(alpha=0.5)), ("elu", dict(alpha=-0.5)),
    ("celu", {}), ("celu", dict(alpha=0.5)), ("celu", dict(alpha=2.0)), ("selu", {}),
    ("hard_sigmoid", {}), ("hard_silu", {}), ("hard_tanh", {}), ("hard_shrink", {}), ("soft_shrink", {}),
    ("threshold", dict(threshold=1.0, default_value=0.5)), ("softsign", {}),
]  # fmt: skip
# Where Keras on JAX has half of a gradient, as at any tie of a maximum; its other backends have 1.
TIES = [("relu", dict(max_value=3)), ("relu", dict(max_value=3, threshold=1, **SLOPE))]


def derivatives(function, reference):
    """At POINTS: fastnn's and Keras'."""
    x = Tensor(POINTS)
    x.requires_grad = True
    (got,) = gradients(ops.sum(function(x)), [x])
    want = jax.grad(lambda x: jnp.sum(reference(x)))(jnp.asarray(POINTS))
    return got.numpy(), np.asarray(want)


@pytest.mark.parametrize("name, arguments", KINKS)
def test_derivatives_at_kinks(name, arguments):
    function, reference = getattr(activations, name), getattr(keras.activations, name)
    got, want = derivatives(lambda x: function(x, **arguments), lambda x: reference(x, **arguments))
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("name, arguments", TIES)
def test_derivatives_at_the_largest_value(name, arguments):
    function, reference = getattr(activations, name), getattr(keras.activations, name)
    got, want = derivatives(lambda x: function(x, **arguments), lambda x: reference(x, **arguments))
    at = arguments["max_value"] == POINTS
    np.testing.assert_allclose(got[~at], want[~at], atol=1e-6)
    assert got[at] == 1 and want[at] == 0.5


LAYERS = [
    ("ReLU", {}), ("ReLU", SLOPE), ("ReLU", dict(threshold=1, **SLOPE)), ("LeakyReLU", {}),
    ("LeakyReLU", dict(negative_slope=0.0)), ("PReLU", {}), ("PReLU", dict(alpha_initializer="ones")), ("ELU", {}),
]  # fmt: skip


@pytest.mark.parametrize("name, arguments", LAYERS)
def test_layers_at_kinks(name, arguments):
    mine, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    for layer in (mine, theirs):
        layer.build((1, len(POINTS)))
    got, want = derivatives(lambda x: mine(x[None]), lambda x: theirs(x[None]))
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("name", sorted({name for name, arguments in KINKS if not arguments}))
def test_products_at_kinks(name):
    """An activation inside the product of a Dense layer, whose sums are 0 here."""
    made = dict(activation=name, kernel_initializer="identity")
    mine, theirs = layers.Dense(len(POINTS), **made), keras.layers.Dense(len(POINTS), **made)
    for layer in (mine, theirs):
        layer.build((1, len(POINTS)))
    got, want = derivatives(lambda x: mine(x[None]), lambda x: theirs(x[None]))
    np.testing.assert_allclose(got, want, atol=1e-6)
