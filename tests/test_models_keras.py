"""Whole models beside real Keras: the same weights to start from, the same batches; losses, metrics,
predictions and the weights after several epochs compared.

Tolerances: float32 training amplifies the rounding of other summation orders step by step; after a
dozen steps 2e-4 relative to the largest weight holds for plain SGD and 2e-3 for Adam and RMSprop, whose
division by sqrt(v) magnifies it where gradients are near zero: there rounding may decide on the sign, so
one weight in a hundred (or one of fewer) may be anywhere that so many steps reach.
"""

import numpy as np
import pytest

import fastnn
from keras_reference import keras

SEEDS = range(3)
# At the default rate of 0.001, where the sign is all that is left of a gradient; RMSprop's first step.
LONGEST_STEP = {"sgd": 0, "adam": 0.001, "rmsprop": 0.001 / np.sqrt(1 - 0.9)}


def mlp(k):
    return k.Sequential([
        k.layers.Input((12,)), k.layers.Dense(16, activation="relu"), k.layers.BatchNormalization(),
        k.layers.Dense(8, activation="tanh", kernel_regularizer="l2"), k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def cnn(k):
    return k.Sequential([
        k.layers.Input((10, 10, 2)), k.layers.Conv2D(6, 3, activation="relu"), k.layers.MaxPooling2D(),
        k.layers.Conv2D(8, 3, padding="same", strides=2, activation="relu"), k.layers.Flatten(),
        k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def text(k, core):
    return k.Sequential([
        k.layers.Input((9,), dtype="int32"), k.layers.Embedding(20, 6), core(k), k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def masked_lstm(k):
    return k.Sequential([
        k.layers.Input((9,), dtype="int32"), k.layers.Embedding(20, 6, mask_zero=True), k.layers.LSTM(5),
        k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def conv1d_text(k):
    return k.Sequential([
        k.layers.Input((9,), dtype="int32"), k.layers.Embedding(20, 6), k.layers.Conv1D(8, 3, padding="same", activation="relu"),
        k.layers.GlobalMaxPooling1D(), k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def autoencoder(k):
    return k.Sequential([
        k.layers.Input((8, 8, 1)), k.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        k.layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        k.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ])  # fmt: skip


def branches(k):
    a = k.Input((12,), name="a")
    b = k.layers.Dense(6, activation="relu", name="b")(a)
    c = k.layers.Dense(6, activation="tanh", name="c")(a)
    d = k.layers.Concatenate(name="d")([b, c, a])
    return k.Model(
        a,
        k.layers.Dense(4, activation="softmax", name="e")(k.layers.Add()([k.layers.Dense(5)(d), k.layers.Dense(5)(d)])),
    )


FLOATS = lambda *shape: lambda rng, n: rng.standard_normal((n, *shape)).astype("float32")  # noqa: E731
WORDS = lambda rng, n: rng.integers(0, 20, (n, 9)).astype("int32")  # noqa: E731

MODELS = {
    "mlp": (mlp, FLOATS(12), "classes"),
    "cnn": (cnn, FLOATS(10, 10, 2), "classes"),
    "lstm": (lambda k: text(k, lambda k: k.layers.LSTM(5)), WORDS, "classes"),
    "gru": (lambda k: text(k, lambda k: k.layers.GRU(5)), WORDS, "classes"),
    "rnn": (lambda k: text(k, lambda k: k.layers.SimpleRNN(5)), WORDS, "classes"),
    "bidirectional": (lambda k: text(k, lambda k: k.layers.Bidirectional(k.layers.LSTM(3))), WORDS, "classes"),
    "masked_lstm": (masked_lstm, WORDS, "classes"),
    "conv1d_text": (conv1d_text, WORDS, "classes"),
    "autoencoder": (autoencoder, FLOATS(8, 8, 1), "itself"),
    "branches": (branches, FLOATS(12), "classes"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("optimizer, tolerance", [("sgd", 2e-4), ("adam", 2e-3), ("rmsprop", 2e-3)])
@pytest.mark.parametrize("name", MODELS)
def test_training(name, optimizer, tolerance, seed):
    make, draw, target = MODELS[name]
    rng = np.random.default_rng(seed)
    x = draw(rng, 20)  # batches of 8, 8 and 4
    if target == "itself":
        x = 1 / (1 + np.exp(-x))
        y, loss, metrics = x, "binary_crossentropy", ["mse"]
    else:
        y, loss, metrics = rng.integers(0, 4, 20), "sparse_categorical_crossentropy", ["accuracy"]
    theirs, ours = make(keras), make(fastnn)
    ours.set_weights(theirs.get_weights())
    arguments = dict(optimizer=optimizer, loss=loss, metrics=metrics)
    theirs.compile(**arguments)
    ours.compile(**arguments)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-5)
    fit = dict(batch_size=8, epochs=4, shuffle=False, verbose=0, validation_split=0.2)
    if seed == 1 and target == "classes":  # Keras takes one weight per sample only with one loss per sample
        fit["sample_weight"] = rng.uniform(0.5, 2, 20).astype("float32")
    if seed == 2 and target == "classes":
        fit["class_weight"] = {0: 2.0, 1: 0.5, 2: 1.0, 3: 1.5}
    want, got = theirs.fit(x, y, **fit).history, ours.fit(x, y, **fit).history
    assert sorted(got) == sorted(want)
    for key in want:
        np.testing.assert_allclose(got[key], want[key], atol=tolerance, rtol=tolerance, err_msg=key)
    steps = fit["epochs"] * 2
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
        apart, near = np.abs(a - b), tolerance * max(1, np.abs(b).max())
        few = 0 if optimizer == "sgd" else max(1, 0.01 * apart.size)
        assert (apart > near).sum() <= few and apart.max() <= max(near, 2 * steps * LONGEST_STEP[optimizer])
    np.testing.assert_allclose(
        ours.evaluate(x, y, batch_size=8, verbose=0), theirs.evaluate(x, y, batch_size=8, verbose=0),
        atol=tolerance, rtol=tolerance,
    )  # fmt: skip


def test_several_inputs_and_outputs():
    def make(k):
        a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
        h = k.layers.Concatenate()([k.layers.Dense(5, activation="relu")(a), b])
        return k.Model(
            [a, b], [k.layers.Dense(2, name="left")(h), k.layers.Dense(1, activation="sigmoid", name="right")(h)]
        )

    rng = np.random.default_rng(0)
    x = [rng.standard_normal((12, 4)).astype("float32"), rng.standard_normal((12, 3)).astype("float32")]
    y = [rng.standard_normal((12, 2)).astype("float32"), rng.integers(0, 2, (12, 1)).astype("float32")]
    histories = []
    start = None
    for k in (keras, fastnn):
        model = make(k)
        if start is None:
            start = model.get_weights()
        model.set_weights(start)
        model.compile(
            "sgd", loss=["mse", "binary_crossentropy"], loss_weights=[1.0, 0.5], metrics=[["mae"], ["accuracy"]]
        )
        histories.append(model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history)
    want, got = histories
    assert sorted(got) == sorted(want)
    for key in want:
        np.testing.assert_allclose(got[key], want[key], atol=2e-4, rtol=2e-4, err_msg=key)
