"""What an override of `train_step`, `test_step` and `predict_step` gets as `data`, against Keras."""

import numpy as np
import pytest

import fastnn
from fastnn import utils
from keras_reference import keras

X = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")
Y, W = X[:, :1] * 2.0, np.linspace(0.5, 1.5, 12).astype("float32")
IN_TWO = [X[:, :1], X[:, 1:]]
NAMED = {"b": X[:, :1], "a": X[:, 1:]}


def shape_of(data):
    """Containers and shapes."""
    if isinstance(data, dict):
        return {k: shape_of(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return type(data)(shape_of(v) for v in data)
    return None if data is None else tuple(data.shape)


def spy(k):
    """A model that learns nothing and notes what its steps get. Keras' steps on JAX get a state, too."""

    class Spying(k.Model):
        seen = None

        def note(self, step, data):
            self.seen.append((step, shape_of(data)))

        def train_step(self, *args):
            self.note("train", args[-1])
            return super().train_step(*args)

        def test_step(self, *args):
            self.note("test", args[-1])
            return super().test_step(*args)

        def predict_step(self, *args):
            self.note("predict", args[-1])
            return super().predict_step(*args)

    return Spying


def model_of(k, x):
    names = sorted(x) if isinstance(x, dict) else range(len(x)) if isinstance(x, (list, tuple)) else [None]
    inputs = [k.Input((3,) if n is None else x[n].shape[1:], name=f"in_{n}") for n in names]
    joined = k.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    given = dict(zip(names, inputs)) if isinstance(x, dict) else inputs if len(inputs) > 1 else inputs[0]
    model = spy(k)(given, k.layers.Dense(1)(joined))
    model.compile("sgd", "mse", run_eagerly=True)  # so that every step is seen
    model.seen = []
    return model


def generator(*parts):
    while True:
        yield tuple(p if p is None else p[:4] for p in parts)


CALLS = {
    "x, y": (X, lambda m: m.fit(X, Y, batch_size=6, verbose=0)),
    "x, y, weights": (X, lambda m: m.fit(X, Y, sample_weight=W, batch_size=6, verbose=0)),
    "class weights": (X, lambda m: m.fit(X, (Y > 0).astype("int32"), class_weight={0: 1.0, 1: 2.0}, verbose=0)),
    "two inputs": (IN_TWO, lambda m: m.fit(IN_TWO, Y, batch_size=6, verbose=0)),
    "inputs by name": (NAMED, lambda m: m.fit(NAMED, Y, batch_size=6, verbose=0)),
    "validation": (X, lambda m: m.fit(X, Y, validation_data=(X[:4], Y[:4], W[:4]), batch_size=12, verbose=0)),
    "split": (X, lambda m: m.fit(X, Y, sample_weight=W, validation_split=0.5, batch_size=12, verbose=0)),
    "generator": (X, lambda m: m.fit(generator(X, Y), steps_per_epoch=2, verbose=0)),
    "generator, weights": (X, lambda m: m.fit(generator(X, Y, W), steps_per_epoch=2, verbose=0)),
    "generator, None": (X, lambda m: m.fit(generator(X, Y, None), steps_per_epoch=2, verbose=0)),
    "evaluate": (X, lambda m: m.evaluate(X, Y, batch_size=6, verbose=0)),
    "evaluate, weights": (X, lambda m: m.evaluate(X, Y, sample_weight=W, batch_size=6, verbose=0)),
    "predict": (X, lambda m: m.predict(X, batch_size=6, verbose=0)),
    "predict, two inputs": (IN_TWO, lambda m: m.predict(IN_TWO, batch_size=6, verbose=0)),
    "predict, by name": (NAMED, lambda m: m.predict(NAMED, batch_size=6, verbose=0)),
    "predict, generator": (X, lambda m: m.predict(generator(X), steps=2, verbose=0)),
    "predict, generator with y": (X, lambda m: m.predict(generator(X, Y), steps=2, verbose=0)),
    "train_on_batch": (X, lambda m: m.train_on_batch(X, Y)),
    "train_on_batch, weights": (X, lambda m: m.train_on_batch(X, Y, W)),
    "test_on_batch": (X, lambda m: m.test_on_batch(X, Y)),
    "predict_on_batch": (X, lambda m: m.predict_on_batch(X)),
}


def seen(k, name):
    x, call = CALLS[name]
    model = model_of(k, x)
    call(model)
    return model.seen


@pytest.mark.parametrize("name", CALLS)
def test_the_data_of_a_step(name):
    ours, theirs = seen(fastnn, name), seen(keras, name)
    assert theirs
    assert ours == theirs


@pytest.mark.parametrize("data", [X, (X,), [X], (X, Y), [X, Y], (X, Y, W), NAMED, (NAMED, Y), (IN_TWO,)])
def test_unpack(data):
    ours, theirs = utils.unpack_x_y_sample_weight(data), keras.utils.unpack_x_y_sample_weight(data)
    assert shape_of(ours) == shape_of(theirs)


@pytest.mark.parametrize("parts", [(X,), (X, Y), (X, Y, W), (IN_TWO,), (NAMED,), (X, None, W), ((X, X), Y), ((X, X),)])
def test_pack(parts):
    ours, theirs = utils.pack_x_y_sample_weight(*parts), keras.utils.pack_x_y_sample_weight(*parts)
    assert shape_of(ours) == shape_of(theirs)


@pytest.mark.parametrize("data", [(), (X, Y, W, W)])
def test_unpack_refuses(data):
    for k in (fastnn, keras):
        with pytest.raises(ValueError, match="x, y, sample_weight"):
            k.utils.unpack_x_y_sample_weight(data)


def test_steps_that_take_their_data_apart_themselves():
    """`x, y = data`, as in Keras' guides; x alone without targets."""

    class Direct(fastnn.Model):
        def train_step(self, data):
            x, y = data
            return super().train_step((x, y))

        def test_step(self, data):
            x, y = data
            return super().test_step((x, y))

    class Reconstructing(fastnn.Model):
        def train_step(self, data):
            return super().train_step((data, data))

    for kind, width, y in ((Direct, 1, Y), (Reconstructing, 3, None)):
        inputs = fastnn.Input((3,))
        model = kind(inputs, fastnn.layers.Dense(width)(inputs))
        model.compile(fastnn.optimizers.SGD(0.1), "mse")
        losses = model.fit(X, y, batch_size=5, epochs=20, verbose=0).history["loss"]
        assert losses[-1] < 0.5 * losses[0]
        if y is not None:
            assert model.evaluate(X, y, batch_size=5, verbose=0) < losses[-1]
        assert len(model.programs()) == 2
