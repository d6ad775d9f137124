"""What `compile` was told, against Keras: names in History, losses and metrics per output."""

import numpy as np
import pytest

import fastnn
from keras_reference import keras

X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = np.abs(X[:, :1]).clip(0, 1)
Y2 = np.abs(X[:, 1:2]).clip(0, 1)
W = np.linspace(0.5, 1.5, 8).astype("float32")


def model_of(k, outputs, weights):
    """Outputs: names in a list, or a dict from keys to names."""
    x = k.Input((3,), name="x")
    heads = {name: k.layers.Dense(1, activation="sigmoid", name=name)(x) for name in ("a", "b")}
    if isinstance(outputs, dict):
        model = k.Model(x, {key: heads[name] for key, name in outputs.items()})
        y = {key: Y if name == "a" else Y2 for key, name in outputs.items()}
    else:
        model = k.Model(x, [heads[name] for name in outputs] if len(outputs) > 1 else heads[outputs[0]])
        y = [Y, Y2] if len(outputs) > 1 else Y
    model.set_weights(weights[: len(model.weights)])
    return model, y


def told(k, arguments, outputs):
    """Names in their order, wherever they are shown, and the values of `evaluate`."""
    kernels = np.random.default_rng(1).standard_normal((2, 3, 1)).astype("float32")
    model, y = model_of(k, outputs, [kernels[0], np.zeros(1), kernels[1], np.zeros(1)])
    model.compile("sgd", **{name: v(k) if callable(v) else v for name, v in arguments.items()})
    seen = {}

    class Spy(k.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen["batch"] = list(logs)

        def on_test_batch_end(self, batch, logs=None):
            seen["test batch"] = list(logs)

        def on_test_end(self, logs=None):
            seen["test"] = list(logs)

        def on_epoch_end(self, epoch, logs=None):
            seen["epoch"] = list(logs)

    values = model.evaluate(X, y, sample_weight=None if len(outputs) > 1 else W, batch_size=4, verbose=0)
    fitted = model.fit(X, y, batch_size=4, epochs=2, verbose=0, validation_data=(X, y), callbacks=[Spy()])
    seen["history"] = list(fitted.history)
    seen["evaluate"] = list(model.evaluate(X, y, verbose=0, return_dict=True))
    seen["train_on_batch"] = list(model.train_on_batch(X, y, return_dict=True))
    seen["metrics"] = list(model.metrics_names)
    return seen, np.ravel(values)


ONE, TWO, NAMED, REVERSED = ["a"], ["a", "b"], {"p": "a", "q": "b"}, {"b": "b", "a": "a"}
COMPILED = [
    (dict(loss="mse"), ONE),
    (dict(loss="mse", metrics=["mse", "mae"]), ONE),
    (dict(loss="mse", metrics=("mae", "accuracy", "AUC")), ONE),
    (dict(loss="mse", metrics=["acc"]), ONE),
    (dict(loss="mse", metrics=["mae"], weighted_metrics=["mse"]), ONE),
    (dict(loss="mse", weighted_metrics=["mse", "mae"]), ONE),
    (dict(loss="mse", metrics=lambda k: [k.metrics.AUC(name="zz"), k.metrics.BinaryAccuracy(name="aa")]), ONE),
    (dict(loss="mse", metrics=[["mae", "mse"]]), ONE),
    (dict(loss={"a": "mse"}, metrics={"a": "mae"}), ONE),
    (dict(loss="mse"), TWO),
    (dict(loss="mse", metrics=["mae", "mse"]), TWO),
    (dict(loss=["mse", "mae"], loss_weights=[1.0, 2.0]), TWO),
    (dict(loss=[["mse"], ["mae"]]), TWO),
    (dict(loss={"a": ["mse"], "b": ["mae"]}), TWO),
    (dict(loss=["mse", None], metrics=[["mae"], ["mse"]]), TWO),
    (dict(loss=["mse", "mae"], metrics=[["mae"], ["mse", "mae"]]), TWO),
    (dict(loss={"b": "mse", "a": "mae"}, metrics={"b": ["mae"], "a": ["mse"]}), TWO),
    (dict(loss=lambda k: [k.losses.MeanSquaredError(name="other"), k.losses.MeanAbsoluteError()]), TWO),
    (dict(loss="mse", metrics={"b": ["mae"]}), TWO),
    (dict(loss=["mse", "mse"], metrics=[["mae"], ["mae"]], weighted_metrics=[["mae"], ["mae"]]), TWO),
    (
        dict(
            loss={"b": "mse", "a": "mae"},
            loss_weights={"a": 0.5, "b": 2.0},
            metrics={"a": ["mse"], "b": ["mse", "accuracy"]},
            weighted_metrics={"a": ["mse"], "b": "mae"},
        ),
        TWO,
    ),
    (dict(loss={"b": "mse", "a": "mae"}, metrics={"b": ["mae"], "a": ["mse"]}), REVERSED),
    (dict(loss={"q": "mse", "p": "mae"}, metrics={"q": ["mae"], "p": ["mse"]}), NAMED),
    (dict(loss={"a": "mse", "b": "mse"}), REVERSED),
    (dict(loss="mse"), REVERSED),
]


@pytest.mark.parametrize("arguments, outputs", COMPILED)
def test_names_values_and_their_order(arguments, outputs):
    (ours, mine), (theirs, wanted) = (told(k, arguments, outputs) for k in (fastnn, keras))
    assert ours == theirs
    np.testing.assert_allclose(mine, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("given", [dict(metrics=["mae", "mae"]), dict(metrics=["mae"], weighted_metrics=["mae"])])
def test_a_list_of_values_names_none_twice(given):
    """The names are Keras'; in the list that `evaluate` returns it repeats the value of the first `mae`."""
    (ours, mine), (theirs, wanted) = (told(k, dict(loss="mse", **given), ONE) for k in (fastnn, keras))
    assert ours == theirs
    assert len(mine) == 3 and len(wanted) == 4
    np.testing.assert_allclose(mine, [*wanted[:2], wanted[3]], rtol=2e-5)


def test_metrics_of_one_name_do_not_hide_each_other():
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mse", fastnn.metrics.MeanAbsoluteError(name="mse")])
    assert set(model.fit(X, Y, verbose=0).history) == {"loss", "mse", "mse_1"}
