"""keras.backend: settings and types."""

import numpy as np
import pytest

import fastnn


def test_types():
    b = fastnn.backend
    assert b.backend() == fastnn.config.backend() == "fastnn"
    assert b.standardize_dtype(None) == "float32" and b.standardize_dtype(np.float64) == "float64"
    assert b.is_float_dtype("float32") and not b.is_float_dtype("int32")
    assert b.is_int_dtype("int32") and not b.is_int_dtype("bool")
    assert b.result_type("int32", float) == "float32"
    assert b.result_type("float32", "float64") == "float64"
    assert b.is_keras_tensor(fastnn.Input((2,))) and not b.is_keras_tensor(fastnn.ops.ones((2,)))
    with pytest.raises(TypeError):
        b.standardize_dtype("complex64")


def test_settings_are_those_of_config():
    assert fastnn.backend.floatx() == fastnn.config.floatx()
    fastnn.backend.set_epsilon(1e-5)
    try:
        assert fastnn.config.epsilon() == 1e-5
    finally:
        fastnn.backend.set_epsilon(1e-7)
    assert [fastnn.backend.get_uid("thing") for _ in range(3)] == [1, 2, 3]


def test_every_name_of_the_package_is_there():
    assert [name for name in dir(fastnn) if not hasattr(fastnn, name)] == []
    assert not hasattr(fastnn, "applications")
