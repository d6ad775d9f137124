"""pickle and copy.deepcopy of tensors, metrics, optimizers and models; models in several threads."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastnn as keras
from fastnn import layers

WAYS = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def sequential():
    return keras.Sequential(
        [layers.Input((6,)), layers.Dense(8, activation="relu"), layers.Dropout(0.3), layers.Dense(2)]
    )


def functional():
    a = layers.Input((6,))
    shared = layers.Dense(6, activation="tanh")
    b = layers.Add()([shared(a), shared(shared(a))])
    return keras.Model(a, layers.Dense(2)(b))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(5, activation="relu")
        self.outer = layers.Dense(2)

    def call(self, inputs):
        return self.outer(self.inner(inputs))


def compiled(model, optimizer):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("way", WAYS)
def test_a_tensor_keeps_values_and_attributes(way):
    v = keras.Variable([[1.0, 2.0]], name="v", trainable=False)
    copied = WAYS[way](v)
    assert type(copied) is keras.Variable and copied.name == "v" and not copied.trainable
    np.testing.assert_array_equal(copied.numpy(), v.numpy())
    v.assign([[3.0, 4.0]])
    np.testing.assert_array_equal(copied.numpy(), [[1, 2]])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [sequential, functional, Subclassed])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam"])
def test_a_copied_model_trains_on_as_the_original_does(way, make, optimizer, data):
    x, y = data
    model = compiled(make(), optimizer)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    other = WAYS[way](model)
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    before = model.get_weights()
    for m in (model, other):
        m.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        if m is model:
            trained = m.get_weights()
            for a, b in zip(other.get_weights(), before):
                np.testing.assert_array_equal(a, b)  # the copy shares nothing
    for a, b in zip(other.get_weights(), trained):
        np.testing.assert_array_equal(a, b)
    assert int(other.optimizer.iterations) == int(model.optimizer.iterations)
    assert other.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("way", WAYS)
def test_deep_models_can_be_copied(way):
    x = inputs = layers.Input((3,))
    for _ in range(200):
        x = layers.Add()([layers.Dense(3)(x), x])
    model = keras.Model(inputs, x)
    for a, b in zip(WAYS[way](model).get_weights(), model.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_metrics_and_excluded_variables(way):
    metric = keras.metrics.MeanSquaredError()
    metric.update_state([1.0, 2.0], [2.0, 4.0])
    assert WAYS[way](metric).result() == metric.result()
    v = [keras.Variable([1.0, 2.0], name="a"), keras.Variable([3.0], name="b")]
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(v[1:])
    optimizer, w = WAYS[way]((optimizer, v))
    optimizer.apply_gradients([(keras.Tensor([0.0, 0.0]), w[0]), (keras.Tensor([0.0]), w[1])])
    np.testing.assert_allclose(w[0].numpy(), np.array([1.0, 2.0]) * 0.95, rtol=1e-6)
    assert w[1].numpy() == 3.0


def in_threads(functions):
    """Runs the functions at the same time; raises what one of them raised."""
    errors, start = [], threading.Barrier(len(functions))

    def guarded(function):
        try:
            start.wait()
            function()
        except BaseException as error:  # handed on below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_threads_predict_with_one_model(data):
    x, _ = data
    model = sequential()
    parts = [x[i : i + n] for i, n in ((0, 40), (3, 17), (10, 17), (20, 5))]
    wanted = [sequential_predict(model, p) for p in parts]
    model._captures.clear()  # the threads meet while programs are being recorded

    def check(k):
        for _ in range(30):
            np.testing.assert_array_equal(model.predict(parts[k], batch_size=8, verbose=0), wanted[k])

    in_threads([lambda k=k: check(k) for k in range(4)])


def sequential_predict(model, x):
    return model.predict(x, batch_size=8, verbose=0)


@pytest.mark.parametrize("eager", [False, True])
def test_threads_train_a_model_each(data, eager):
    x, y = data

    def fit(model):
        model.fit(x, y, batch_size=8, epochs=10, shuffle=False, verbose=0)

    def make():
        model = compiled(functional(), "adam")
        model.run_eagerly = eager
        return model

    alone = [make() for _ in range(3)]
    beside = [copy.deepcopy(m) for m in alone]
    for m in alone:
        fit(m)
    in_threads([lambda m=m: fit(m) for m in beside])
    for m, n in zip(alone, beside):
        for a, b in zip(m.get_weights(), n.get_weights()):
            np.testing.assert_array_equal(a, b)
