"""What `compile` was told, against Keras: names in History, losses and metrics per output."""

import numpy as np
import pytest

import fastnn
from keras_reference import keras

X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = np.abs(X[:, :1]).clip(0, 1)


def history(k, compile_arguments, outputs):
    x = k.Input((3,), name="x")
    heads = [k.layers.Dense(1, activation="sigmoid", name=name)(x) for name in outputs]
    model = k.Model(x, heads if len(heads) > 1 else heads[0])
    model.compile("sgd", **compile_arguments)
    y = [Y] * len(heads) if len(heads) > 1 else Y
    return set(model.fit(X, y, batch_size=4, verbose=0).history)


@pytest.mark.parametrize(
    "arguments, outputs",
    [
        (dict(loss="mse", metrics=["mean_squared_error"], weighted_metrics=["mean_squared_error"]), ["a"]),
        (dict(loss="mse", metrics=["mae"], weighted_metrics=["mse"]), ["a"]),
        (dict(loss=[["mse"], ["mae"]]), ["a", "b"]),
        (dict(loss={"a": ["mse"], "b": ["mae"]}), ["a", "b"]),
        (
            dict(
                loss="mse",
                metrics={"a": ["mse"], "b": ["mse", "accuracy"]},
                weighted_metrics={"a": ["mse"], "b": ["mse", "accuracy"]},
            ),
            ["a", "b"],
        ),
    ],
)
def test_names_in_the_history(arguments, outputs):
    assert history(fastnn, arguments, outputs) == history(keras, arguments, outputs)


def test_metrics_of_one_name_do_not_hide_each_other():
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mse", fastnn.metrics.MeanAbsoluteError(name="mse")])
    assert set(model.fit(X, Y, verbose=0).history) == {"loss", "mse", "mse_1"}
