"""Whole-model files whose parts are well formed and whose description is not: the loader answers with
a ValueError (or a TypeError for a wrong argument), and takes no more memory than the file is large.
"""

import copy
import json
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import fastnn as keras
from fastnn import layers
from fastnn.saving.container import open_container, write_container
from test_bad_input import REFUSALS, tries, watched


def model():
    x = keras.Input((6, 4))
    h = layers.Conv1D(3, 2, activation="relu")(x)
    h = layers.LSTM(3)(h)
    h = layers.Dropout(0.2)(layers.BatchNormalization()(h))
    m = keras.Model(x, layers.Dense(2, activation="softmax")(h))
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    m.fit(np.ones((4, 6, 4), "float32"), np.zeros(4, "int32"), verbose=0)
    return m


class Parts(tuple):
    __repr__ = object.__repr__  # short, in what hypothesis prints


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """(config, weights, optimizer) of a good file, and a folder to write others to."""
    folder = tmp_path_factory.mktemp("models")
    model().save(folder / "good.fnn")
    with open_container(folder / "good.fnn") as file:
        return Parts((file.config, file.read_weights(), file.read_optimizer(), folder))


def load(parts, config):
    _, weights, optimizer, folder = parts
    write_container(folder / "m.fnn", weights=weights, config=config, optimizer=optimizer)
    return keras.models.load_model(folder / "m.fnn")


def paths(value, path=()):
    """Every place in a tree of lists and dictionaries."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from paths(item, (*path, i))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def test_the_good_file_loads(parts):
    x = np.ones((2, 6, 4), "float32")
    again = load(parts, parts[0])
    assert again.predict(x, verbose=0).shape == (2, 2)


@pytest.mark.parametrize("units", [2**40, 2**30, 2**62, 20_000_000])
def test_a_description_of_terabytes(parts, units):
    config = copy.deepcopy(parts[0])
    dense = [p for p in paths(config) if p and p[-1] == "units"]
    assert len(dense) == 2
    for path in dense:
        at(config, path[:-1])["units"] = units
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than the file has weights for"):
        load(parts, config)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


VALUES = [
    None, True, 0, -1, 1, 2**31, 2**62, 2**64, 1e300, 0.5, "", "relu", "x" * 100, "../../etc/passwd", [], [[]], {}, [1, 2],
    [None], {"class_name": "Dense", "config": {}}, {"class_name": "eval", "config": "1"}, [2**40] * 3,
]  # fmt: skip


@tries(400)
@given(data=st.data())
def test_any_value_anywhere(parts, data):
    """One place of a good description holds something else, or is missing."""
    config = copy.deepcopy(parts[0])
    path = data.draw(st.sampled_from([p for p in paths(config) if p]))
    holder, key = at(config, path[:-1]), path[-1]
    if data.draw(st.integers(0, 4)):
        holder[key] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    else:
        del holder[key]
    try:
        json.dumps(config)
        with watched():
            loaded = load(parts, config)
            loaded.predict(np.ones((2, 6, 4), "float32"), verbose=0)
    except REFUSALS as error:
        assert str(error)
