"""Labels, sequences and optional packages. Results are compared with Keras exactly."""

import sys

import numpy as np
import pytest

from fastnn import utils
from keras_reference import keras


@pytest.mark.parametrize(
    "labels, classes",
    [
        ([0, 2, 1], None),
        ([0, 2, 1], 5),
        ([[0], [2]], None),
        ([[0, 2], [1, 1]], None),
        ([[[0], [2]]], 3),
        (3, None),
        (np.array([0, 1], np.uint8), None),
        (np.array([0.0, 1.0], np.float32), None),
        ([True, False], None),
    ],
)
def test_to_categorical(labels, classes):
    ours, theirs = (m.to_categorical(labels, classes) for m in (utils, keras.utils))
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "labels, classes, message",
    [
        ([0, -1], 3, "from 0 to 2; received -1"),  # Keras wraps round to the last class
        ([0, 5], 3, "from 0 to 2; received 5"),
        ([0.5], 2, "integer labels"),
        ([np.nan], 2, "integer labels"),
        (["a"], 2, "integer labels"),
        ([], None, "pass num_classes"),
    ],
)
def test_to_categorical_errors(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_normalize(order):
    x = np.random.default_rng(0).normal(size=(4, 5))
    x[2] = 0
    ours = utils.normalize(x, order=order)
    np.testing.assert_allclose(ours, keras.utils.normalize(x, order=order), rtol=1e-15)
    np.testing.assert_allclose(utils.normalize(x.T, 0, order), ours.T, rtol=1e-15)
    np.testing.assert_allclose(utils.normalize([3, 4]), [0.6, 0.8], rtol=1e-15)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 2, 5])
def test_pad_sequences(padding, truncating, maxlen):
    sequences = [[1, 2, 3, 4], [], [5], np.array([6, 7])]
    keywords = {"maxlen": maxlen, "padding": padding, "truncating": truncating}
    ours, theirs = (m.pad_sequences(sequences, **keywords) for m in (utils, keras.utils))
    assert ours.dtype == np.int32
    np.testing.assert_array_equal(ours, theirs)


def test_pad_sequences_of_vectors_and_strings():
    vectors = [np.ones((2, 3)), np.full((4, 3), 2.0)]
    keywords = {"dtype": "float32", "value": -1.0, "maxlen": 3}
    ours, theirs = (m.pad_sequences(vectors, **keywords) for m in (utils, keras.utils))
    np.testing.assert_array_equal(ours, theirs)
    keywords = {"dtype": object, "value": "-"}
    ours, theirs = (m.pad_sequences([["a"], ["b", "c"]], **keywords) for m in (utils, keras.utils))
    assert ours.tolist() == theirs.tolist()
    assert utils.pad_sequences([[1], [2]], maxlen=0).shape == (2, 0)
    assert utils.pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sequences": 3}, "list of sequences"),
        ({"sequences": [1, 2]}, "item 0 is 1"),
        ({"sequences": [[1]], "padding": "left"}, "padding must be"),
        ({"sequences": [[1]], "truncating": "left"}, "truncating must be"),
        ({"sequences": [[1]], "value": "x"}, "dtype=object"),
        ({"sequences": [[[1, 2]], [[1]]]}, "shape"),
    ],
)
def test_pad_sequences_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(**arguments)


def test_optional_import(monkeypatch, tmp_path):
    assert utils.optional_import("os.path", install="x") is sys.modules["os.path"]
    with pytest.raises(ImportError, match=r'needs absent_one: pip install "fastnn-ml\[plot\]"'):
        utils.optional_import("absent_one.part", install="fastnn-ml[plot]")
    # A package that is there but broken says what it lacks itself.
    (tmp_path / "broken_one.py").write_text("import absent_two\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_two"):
        utils.optional_import("broken_one", install="broken")
