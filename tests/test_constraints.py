"""Projections against Keras, with NumPy in the place of `fastnn.ops`. Keras computes in float32."""

import numpy as np
import pytest

import registered
from fastnn import constraints
from keras_reference import keras
from numpy_ops import numpy_ops  # noqa: F401

CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.3, "axis": 1}),
]


def test_every_registered_constraint_is_compared():
    assert {case[0] for case in CASES} == registered.classes("constraints")


@pytest.mark.usefixtures("numpy_ops")
@pytest.mark.parametrize("name, arguments", CASES)
def test_projection_is_kerass(name, arguments):
    w = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)
    w[:, 0] *= 0.01
    ours = getattr(constraints, name)(**arguments)(w)
    theirs = getattr(keras.constraints, name)(**arguments)(w)
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("numpy_ops")
def test_zero_weights_stay_finite():
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(1.0)):
        np.testing.assert_array_equal(constraint(np.zeros((3, 2), np.float32)), 0)
