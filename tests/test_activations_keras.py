"""Every registered activation function beside Keras': values and gradients."""

import numpy as np
import pytest

import registered
from fastnn import activations
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
