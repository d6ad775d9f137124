"""clone_model: the same architecture, other weights, other layers where asked for."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.models import clone_model

X = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")


def branching(shared=False):
    x = layers.Input((3,), name="x")
    one = layers.Dense(4, name="one")
    two = one if shared else layers.Dense(4, name="two")
    return fastnn.Model({"x": x}, layers.Dense(2, name="out")(layers.Add()([one(x), two(x * 2)])))


def chain():
    return fastnn.Sequential([layers.Input((3,)), layers.Dense(4, name="one"), layers.Dense(2, name="two")])


@pytest.mark.parametrize("make", [branching, lambda: branching(True), chain])
def test_copies_compute_the_same_with_the_same_weights(make):
    model = make()
    data = {"x": X} if isinstance(model.input, dict) else X
    copy = clone_model(model)
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]
    assert not {id(w) for w in copy.weights} & {id(w) for w in model.weights}
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(data, verbose=0), model.predict(data, verbose=0))
    assert not copy.compiled
    model.compile("adam", "mse")
    assert clone_model(model).compiled


@pytest.mark.parametrize("make", [branching, chain])
def test_other_layers_in_the_place_of_those(make):
    def renamed(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "name": config["name"] + "_new"})

    model = make()
    for before, after in zip(model.layers, clone_model(model, clone_function=renamed).layers):
        if not isinstance(before, layers.InputLayer):
            assert after.name == before.name + "_new"


def test_other_calls_and_inputs():
    def with_dropout(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        return layers.Dropout(0.5)(y) if isinstance(layer, layers.Dense) else y

    model = branching()
    new = clone_model(model, {"x": layers.Input((3,), name="z")}, lambda layer: layer, with_dropout)
    assert sum(isinstance(layer, layers.Dropout) for layer in new.layers) == 3
    assert new.get_layer("one") is model.get_layer("one")
    assert new.input["x"].name == "z"
    np.testing.assert_array_equal(new.predict({"x": X}, verbose=0), model.predict({"x": X}, verbose=0))
    assert clone_model(chain(), layers.Input((3,), batch_size=5)).input_shape == (5, 3)
    with pytest.raises(ValueError, match="structure of model.input"):
        clone_model(model, [layers.Input((3,))])
    with pytest.raises(ValueError, match="Sequential"):
        clone_model(chain(), call_function=with_dropout)


def test_models_inside_of_models():
    seen = []

    def mark(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    outer = fastnn.Sequential([layers.Input((3,)), fastnn.Sequential([layers.Dense(4, name="deep")], name="inner")])
    clone_model(outer, clone_function=mark)
    assert seen == ["inner"]
    seen.clear()
    clone_model(outer, clone_function=mark, recursive=True)
    assert seen == ["deep"]
