"""predict: every row's outputs in order, however rows are cut into batches and steps into slices of time."""

import threading

import numpy as np
import pytest

import fastnn as keras
from fastnn import ops
from fastnn.prediction import Results
from fastnn.tensor import Tensor


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(7, activation="tanh")(inputs)
    return keras.Model(inputs, {"a": keras.layers.Dense(3)(hidden), "b": keras.layers.Reshape((1, 7))(hidden)})


def rows(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 5)).astype("float32")


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("count, batch", [(1, 32), (31, 32), (32, 32), (33, 32), (1000, 7), (1000, None), (257, 256)])
def test_batches_join_in_order(model, count, batch, eager):
    model.compile("sgd", "mse", run_eagerly=eager)
    x = rows(count)
    want = {name: part.numpy() for name, part in model(x).items()}
    for _ in range(3):  # the first calls record, the others replay
        got = model.predict(x, batch_size=batch, verbose=0)
        assert got.keys() == want.keys()
        for name, part in got.items():
            np.testing.assert_allclose(part, want[name], atol=1e-6)
    again = model.predict(x[::-1], batch_size=batch, verbose=0)  # not contiguous
    np.testing.assert_allclose(again["a"], want["a"][::-1], atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_steps_cut_the_rows(model, steps):
    x = rows(100)
    got = model.predict(x, batch_size=30, steps=steps, verbose=0)
    assert len(got["a"]) == min(100, 30 * steps)
    np.testing.assert_allclose(got["a"], model(x)["a"].numpy()[: 30 * steps], atol=1e-6)


def test_more_steps_than_data(model):
    with pytest.warns(UserWarning, match="ran out"):
        assert len(model.predict(rows(100), batch_size=30, steps=9, verbose=0)["a"]) == 100


def test_results_belong_to_the_caller(model):
    first = model.predict(rows(64), verbose=0)["a"]
    kept = first.copy()
    model.predict(rows(64, seed=1), verbose=0)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # writable


def test_outputs_that_are_not_a_row_per_sample():
    class Pairs(keras.Model):
        def call(self, x):
            return ops.reshape(x, (-1, 1))

    x = rows(70)
    np.testing.assert_array_equal(Pairs().predict(x, batch_size=16, verbose=0), x.reshape(-1, 1))


def test_many_slices_of_time(model, monkeypatch):
    monkeypatch.setattr("fastnn.prediction.SLICE_SECONDS", 0.0)
    x = rows(500)
    np.testing.assert_allclose(model.predict(x, batch_size=9, verbose=0)["a"], model(x)["a"].numpy(), atol=1e-6)


def test_stopped_in_between(model, monkeypatch):
    monkeypatch.setattr("fastnn.prediction.SLICE_SECONDS", 0.0)
    x = rows(500)

    done = []

    def update(self, steps, logs=None):
        done.append(steps)
        model.stop_predicting = steps >= 5

    monkeypatch.setattr("fastnn.progress.Progress.update", update)
    got = model.predict(x, batch_size=10, verbose=0)
    assert len(got["a"]) == len(got["b"]) == 50 and done == [1, 2, 3, 4, 5]


def test_wrong_values_name_the_kernel():
    model = keras.Sequential([keras.layers.Embedding(4, 2)])
    good, bad = np.zeros((100, 3), "int32"), np.zeros((100, 3), "int32")
    bad[70, 1] = 9
    model.predict(good, batch_size=10, verbose=0)
    with pytest.raises(ValueError, match="index is 9, expected 0 <= value < 4"):
        model.predict(bad, batch_size=10, verbose=0)
    assert model.predict(good, batch_size=10, verbose=0).shape == (100, 3, 2)


def test_from_several_threads(model):
    inputs = [rows(300, seed) for seed in range(4)]
    want = [model(x)["a"].numpy() for x in inputs]
    got = [None] * 4

    def work(i):
        for _ in range(20):
            got[i] = model.predict(inputs[i], batch_size=8 + i, verbose=0)["a"]
            np.testing.assert_allclose(got[i], want[i], atol=1e-6)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, atol=1e-6)


def test_results_of_changing_shape_are_joined_as_numpy_would():
    results = Results(rows=6)
    parts = [np.float32([[1, 2], [3, 4]]), np.float32([[5, 6]]), np.float32([[7, 8], [9, 9], [0, 0]])]
    for part, size in zip(parts, (2, 2, 2)):
        results.add([Tensor(part)], size)
    np.testing.assert_array_equal(results.whole()[0], np.concatenate(parts))
