"""Penalties against Keras, with NumPy in the place of `fastnn.ops`.

Keras computes in float32: n eps relative, n = 60 terms, so 1e-5 leaves room.
"""

import numpy as np
import pytest

import registered
from fastnn import regularizers
from keras_reference import keras
from numpy_ops import numpy_ops  # noqa: F401

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1}),
    ("L1L2", {"l2": 0.2}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {"factor": 0.5}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


def test_every_registered_regularizer_is_compared():
    assert {case[0] for case in CASES} == registered.classes("regularizers")


@pytest.mark.usefixtures("numpy_ops")
@pytest.mark.parametrize("name, arguments", CASES)
def test_penalty_is_kerass(name, arguments):
    x = np.random.default_rng(0).normal(size=(6, 10)).astype(np.float32)
    ours = getattr(regularizers, name)(**arguments)(x)
    theirs = getattr(keras.regularizers, name)(**arguments)(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-5)


@pytest.mark.usefixtures("numpy_ops")
def test_orthogonal_rows_cost_nothing_and_zero_rows_stay_finite():
    penalty = regularizers.OrthogonalRegularizer(1.0)
    assert penalty(np.eye(3, dtype=np.float32)) == 0
    assert penalty(np.ones((2, 3), np.float32)) == pytest.approx(1.0, rel=1e-6)
    assert penalty(np.zeros((2, 3), np.float32)) == 0
    with pytest.raises(ValueError, match="only 1"):
        penalty(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="matrices"):
        penalty(np.ones(3, np.float32))


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", True, [0.1]])
def test_bad_factors(value):
    with pytest.raises(ValueError, match="non-negative number"):
        regularizers.L2(value)
    with pytest.raises(ValueError, match="non-negative number"):
        regularizers.OrthogonalRegularizer(value)


def test_names():
    assert regularizers.get("l2").l2 == 0.01
    assert isinstance(regularizers.get("L1L2"), regularizers.L1L2)
    assert regularizers.l1_l2 is regularizers.L1L2
    with pytest.raises(ValueError):
        regularizers.get("l1_l2")  # refused by Keras as well
    with pytest.raises(ValueError):
        keras.regularizers.get("l1_l2")
    with pytest.raises(ValueError, match="mode must be"):
        regularizers.OrthogonalRegularizer(mode="row")
