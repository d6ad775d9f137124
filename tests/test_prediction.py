"""predict: every row's outputs in order, however rows are cut into batches and steps into slices of time."""

import threading

import numpy as np
import pytest

import fastnn as keras
import layer_cases
from fastnn import layers, ops
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


# --- predict_on_batch: a batch like the last one goes straight to its program ---------------------
def small_model():
    keras.utils.set_random_seed(2)
    return keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])


def prompt(model, x):
    """Calls until the batch is known, and a last time."""
    for _ in range(3):
        model.predict_on_batch(x)
    assert model._promptly(x) is not None
    return model.predict_on_batch(x)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.set_weights([w + 1 for w in m.get_weights()]),
        lambda m: m.layers[0].kernel.assign(np.ones((5, 4), "float32")),
        lambda m: setattr(m.layers[0], "activation", keras.activations.get("relu")),
        lambda m: (m.compile("adam", "mse"), m.fit(rows(64), rows(64)[:, :3], verbose=0)),  # moves the weights
        lambda m: (m.compile("sgd", "mse"), m.train_on_batch(rows(8), rows(8)[:, :3])),
        lambda m: m.pop(),
        lambda m: m.add(keras.layers.Dense(2)),
        lambda m: setattr(m, "predict_step", lambda data: ops.multiply(m(data[0]), 2.0)),
        lambda m: setattr(m, "run_eagerly", True),
        lambda m: keras.config.set_epsilon(1e-6),
    ],
)
def test_a_known_batch_sees_what_has_changed(change):
    model, x = small_model(), rows(2)
    epsilon = keras.config.epsilon()
    try:
        prompt(model, x)
        change(model)
        want = (model.predict_step((x,)) if "predict_step" in vars(model) else model(x)).numpy()
        for _ in range(4):
            np.testing.assert_allclose(model.predict_on_batch(x), want, atol=1e-6)
    finally:
        keras.config.set_epsilon(epsilon)


def test_arrays_that_are_not_like_the_last_one():
    model, x = small_model(), rows(4)
    want = model(x).numpy()
    prompt(model, x)
    given = {
        "float64": x.astype("float64"),
        "other byte order": x.astype(">f4"),
        "by columns": np.asfortranarray(x),
        "every second": np.repeat(x, 2, axis=0)[::2],
        "list": x.tolist(),
        "tensor": Tensor(x),
        "subclass": x.view(type("Rows", (np.ndarray,), {})),
        "masked, nothing hidden": np.ma.masked_array(x),
    }
    for name, values in given.items():
        np.testing.assert_allclose(model.predict_on_batch(values), want, atol=1e-6, err_msg=name)
        prompt(model, x)
    np.testing.assert_allclose(model.predict_on_batch(x[:3]), want[:3], atol=1e-6)
    with pytest.raises(ValueError, match="mask"):
        model.predict_on_batch(np.ma.masked_array(x, x > 0))
    with pytest.raises(ValueError):
        model.predict_on_batch(rows(4)[:, :4])
    np.testing.assert_allclose(prompt(model, x), want, atol=1e-6)


def test_a_known_batch_in_a_dict_is_no_plain_array():
    inputs = keras.Input((5,), name="a")
    model, x = keras.Model({"a": inputs}, keras.layers.Dense(2)(inputs)), rows(2)
    for _ in range(3):
        model.predict_on_batch({"a": x})
    with pytest.raises(ValueError, match="dict"):
        model.predict_on_batch(x)


def test_a_known_batch_gives_fresh_arrays():
    model, x = small_model(), rows(2)
    first = prompt(model, x)
    kept = first.copy()
    second = model.predict_on_batch(x + 1)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)
    assert (second != kept).any()


def test_a_known_batch_inside_of_another_recording():
    inner, x = small_model(), rows(2)
    prompt(inner, x)

    class Outer(keras.Model):
        def call(self, inputs):
            return ops.add(inputs, float(inner.predict_on_batch(x)[0, 0]))

    outer = Outer()
    with pytest.warns(UserWarning, match="cannot be replayed"):
        outer.predict(np.concatenate([x] * 5), batch_size=2, verbose=0)
    inner.set_weights([w + 1 for w in inner.get_weights()])
    np.testing.assert_allclose(outer.predict_on_batch(x), x + inner(x).numpy()[0, 0], atol=1e-6)


# --- batches that are cut because what layers hand on would leave the cache ------------------------
def wide_model(last=None):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 16, 2))
    maps = keras.layers.Conv2D(48, 3, activation="relu")(inputs)
    outputs = keras.layers.GlobalMaxPooling2D()(keras.layers.BatchNormalization()(maps))
    return keras.Model(inputs, outputs if last is None else last(outputs))


class Counting(keras.layers.Layer):
    """A layer of the user's, which sees how many rows come."""

    def call(self, inputs):
        return ops.add(inputs, float(inputs.shape[0] or 0))


@pytest.mark.parametrize(
    "last, cut",
    [
        (None, True),
        (keras.layers.Dense(3, activation="softmax"), True),
        (keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)]), True),
        (keras.layers.LeakyReLU(), True),
        (keras.layers.Dense(3, activation=keras.layers.LeakyReLU()), True),
        (keras.layers.Softmax(axis=0), False),
        (keras.layers.Activation(ops.flip), False),
        (keras.layers.Dense(3, activation=keras.layers.Softmax(axis=0)), False),
        (lambda y: keras.layers.BatchNormalization()(y, training=True), False),
        (lambda y: keras.Sequential([keras.layers.BatchNormalization()])(y, training=True), False),
        (lambda y: keras.layers.Activation("softmax")(keras.layers.Reshape(())(keras.layers.Dense(1)(y))), False),
        (lambda y: y - ops.mean(y, axis=0, keepdims=True), False),
        (keras.layers.Lambda(lambda y: y / ops.max(y)), False),
        (Counting(), False),
    ],
)
def test_a_wide_batch_is_cut_where_nobody_sees_it(last, cut):
    model = wide_model(last)
    x = np.random.default_rng(0).standard_normal((300, 16, 16, 2)).astype("float32")
    assert (model._rows_of_step(256) < 256) == cut
    want = np.concatenate([model(x[:256]).numpy(), model(x[256:]).numpy()])
    for _ in range(3):
        np.testing.assert_allclose(model.predict(x, batch_size=256, verbose=0), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in layer_cases.CASES if c.make(keras).by_row], ids=str)
def test_layers_by_row_do_not_mix_rows(case):
    layer = case.make(keras)
    inputs = case.draw(np.random.default_rng(0), batch=5)

    def rows_of(begin, end):
        given = [Tensor(x[begin:end]) for x in inputs]
        return layer(given if len(given) > 1 else given[0], training=False).numpy()

    whole = rows_of(0, 5)
    np.testing.assert_allclose(np.concatenate([rows_of(0, 2), rows_of(2, 5)]), whole, rtol=1e-5, atol=1e-5)
    changed = [np.concatenate([x[:1], x[1:][::-1]]) for x in inputs]  # the first row's company is another
    inputs[:] = changed
    np.testing.assert_allclose(rows_of(0, 5)[0], whole[0], rtol=1e-5, atol=1e-5)


def test_cut_batches_count_as_those_asked_for(capsys):
    model = wide_model()
    x = np.zeros((600, 16, 16, 2), "float32")
    assert model.predict(x, batch_size=256, steps=2, verbose=0).shape == (512, 48)
    model.predict(x, batch_size=256, verbose=2)
    assert "3/3" in capsys.readouterr().err
    model.run_eagerly = True
    assert model._rows_of_step(256) == 256


def test_outputs_in_a_dictionary_keep_their_names():
    x = layers.Input((3,))
    doubled, tripled = layers.Rescaling(2.0)(x), layers.Rescaling(3.0)(x)
    data = np.ones((40, 3), "float32")
    for wrap in (lambda d: d, lambda d: [d], lambda d: {"z": d, "y": [d]}):
        model = keras.Model(x, wrap({"b": doubled, "a": tripled}))
        for found in (*(model.predict(data, verbose=0) for _ in range(3)), model.predict_on_batch(data)):
            found = found[0] if isinstance(found, list) else found.get("z", found)
            assert list(found) == ["b", "a"]
            assert (found["b"] == 2).all() and (found["a"] == 3).all()
