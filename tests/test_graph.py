"""Graphs of layer calls: parts of them, what their inputs accept, models that are subclasses."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

X = np.random.default_rng(0).standard_normal((6, 4)).astype("float32")


def chain():
    x = layers.Input((4,), name="x")
    a = layers.Dense(3, activation="tanh", name="a")(x)
    b = layers.Dense(2, name="b")(a)
    return x, a, b, fastnn.Model(x, b)


def test_a_part_of_a_model_has_the_layers_of_that_part():
    x, a, b, whole = chain()
    encoder, decoder = fastnn.Model(x, a), fastnn.Model(a, b)
    assert [layer.name for layer in decoder.layers[1:]] == ["b"]
    assert isinstance(decoder.layers[0], layers.InputLayer)
    assert len(decoder.weights) == 2 and decoder.input_shape == (None, 3)
    np.testing.assert_array_equal(
        decoder.predict(encoder.predict(X, verbose=0), verbose=0), whole.predict(X, verbose=0)
    )
    assert whole.get_layer("b").output is b  # what it was
    inside = fastnn.Model(whole.get_layer("b").input, whole.output)
    again = type(inside).from_config(inside.get_config())
    assert [w.shape for w in again.weights] == [(3, 2), (2,)]


def test_ops_between_layers_are_not_layers_of_the_model():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    model = fastnn.Model([a, b], layers.Dense(2, name="d")(ops.relu(a + b)))
    assert [layer.name for layer in model.layers] == ["a", "b", "d"]
    assert model.get_layer(index=2).name == "d"
    lines = []
    model.summary(print_fn=lines.append)
    assert any("relu" in line for line in "\n".join(lines).splitlines())


def test_inputs_get_the_rank_and_type_of_the_model():
    x = layers.Input((1,))
    model = fastnn.Model(x, layers.Dense(2)(x))
    assert model(np.arange(5)).shape == (5, 2)
    flat = layers.Input((4,))
    assert fastnn.Model(flat, flat * 2)(X[:, :, None]).shape == (6, 4)
    doubled = fastnn.Model(flat, flat * 2)(np.ones((2, 4), "int64"))
    assert doubled.dtype == "float32"
    assert fastnn.Sequential([layers.Input((1,)), layers.Dense(2)])(np.ones(3, "float32")).shape == (3, 2)


def test_what_does_not_fit_an_input_is_named():
    x, _, _, model = chain()
    for wrong in (np.ones((2, 5)), np.ones((2, 4, 3)), np.ones(())):
        with pytest.raises(ValueError, match=r"input 'x' has shape \(None, 4\)"):
            model(wrong)


def test_inputs_as_a_dict():
    a, b = layers.Input((4,), name="first"), layers.Input((4,), name="second")
    named = fastnn.Model({"q": a, "p": b}, a - b)
    np.testing.assert_allclose(np.asarray(named({"p": X, "q": 3 * X})), 2 * X, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(named({"p": X, "q": 3 * X, "unused": X})), 2 * X, rtol=1e-6)
    with pytest.raises(ValueError, match="'p' *, *'q'"):
        named([X, X])  # which of the two would be p?
    with pytest.raises(ValueError, match="missing"):
        named({"p": X})
    listed = fastnn.Model([a, b], a - b)
    np.testing.assert_allclose(np.asarray(listed({"second": X, "first": 3 * X})), 2 * X, rtol=1e-6)


def test_a_functional_model_of_a_class_of_its_own_is_saved(tmp_path):
    class Scaled(fastnn.Model):
        def __init__(self, *args, factor=1.0, **kwargs):
            super().__init__(*args, **kwargs)
            self.factor = factor

        def call(self, inputs, training=None, mask=None):
            return ops.multiply(super().call(inputs, training=training), self.factor)

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    class Plain(fastnn.Model):
        pass

    x = layers.Input((4,))
    for cls, arguments in ((Scaled, {"factor": 3.0}), (Plain, {})):
        model = cls(x, layers.Dense(2)(x), **arguments)
        model.save(tmp_path / "m.fnn")
        again = fastnn.models.load_model(tmp_path / "m.fnn", custom_objects={cls.__name__: cls})
        assert type(again) is cls
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


class Branches(fastnn.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.table, self.hidden, self.out = layers.Embedding(9, 2), layers.Dense(units), layers.Dense(1)

    def call(self, inputs, training=False):
        rows, words = inputs["rows"], inputs["words"]
        return self.out(ops.concatenate([self.hidden(rows), self.table(words)], axis=-1))


def test_a_subclassed_model_is_saved_and_loaded(tmp_path):
    data = {"rows": X, "words": np.arange(6)}
    model = Branches(5)
    model.compile("adam", "mse")
    model.fit(data, X[:, :1], verbose=0)
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn", custom_objects={"Branches": Branches})
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))
    again.fit(data, X[:, :1], verbose=0)
    model.fit(data, X[:, :1], verbose=0)
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))


def test_build_makes_the_weights_of_a_subclassed_model():
    model = Branches()
    model.build({"rows": (None, 4), "words": (None,)})
    assert [w.shape for w in model.weights] == [(9, 2), (4, 3), (3,), (5, 1), (1,)]


def test_a_sequential_model_knows_its_input_shape():
    model = fastnn.Sequential([layers.Input((4,)), layers.Dense(2)])
    model.build((None, 4))
    with pytest.raises(ValueError, match=r"inputs of shape \(None, 4\)"):
        model.build((None, 5))


def test_a_sequential_model_of_layers_that_know_no_shapes():
    class Late(layers.Layer):
        def call(self, x):
            return ops.add(x["a"], x["b"]) if isinstance(x, dict) else ops.add(x, 1.0)

        def compute_output_spec(self, *args, **kwargs):
            raise NotImplementedError

    model = fastnn.Sequential([Late(), layers.Dense(2)])
    assert model(X).shape == (6, 2)
    model.summary(print_fn=lambda text: None)
    assert fastnn.Sequential([Late()])({"a": X, "b": X}).shape == (6, 4)


def test_a_frozen_model_freezes_its_layers():
    x = layers.Input((4,))
    model = fastnn.Model(x, layers.Dense(2)(x), trainable=False)
    assert not model.trainable_weights and not model.layers[1].trainable


@pytest.mark.parametrize("frozen", ["a", "inner", "first of inner", "all but the last"])
def test_what_was_frozen_is_frozen_after_loading(tmp_path, frozen):
    x = layers.Input((4,))
    inner = fastnn.Sequential([layers.Input((3,)), layers.Dense(3), layers.Dense(2)], name="inner")
    model = fastnn.Model(x, layers.Dense(1)(inner(layers.Dense(3, name="a")(x))))
    if frozen == "first of inner":
        inner.layers[0].trainable = False
    elif frozen == "all but the last":
        model.trainable = False
        model.layers[-1].trainable = True
    else:
        model.get_layer(frozen).trainable = False
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    model.save(tmp_path / "m.fnn")
    for again in (fastnn.models.load_model(tmp_path / "m.fnn"), fastnn.Model.from_config(model.get_config())):
        assert [w.path.split("/")[0] for w in again.trainable_weights] == [
            w.path.split("/")[0] for w in model.trainable_weights
        ]
        assert [layer.trainable for layer in (again, *again.layers[1:], *again.get_layer("inner").layers)] == [
            layer.trainable for layer in (model, *model.layers[1:], *inner.layers)
        ]
    again = fastnn.models.load_model(tmp_path / "m.fnn")
    for m in (model, again):
        m.fit(X, X[:, :1], epochs=3, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_input_spec_of_a_whole_shape():
    layer = layers.Identity()
    layer.input_spec = layers.InputSpec(shape=(None, 4, 3))
    layer(np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="size 4 on axis 1"):
        layer(np.zeros((2, 3, 3)))
    layer.input_spec = layers.InputSpec(max_ndim=2)
    with pytest.raises(ValueError, match="at most 2"):
        layer(np.zeros((2, 3, 3)))


def test_open_axes_meet_known_ones():
    steps, fixed = layers.Input((None, 4)), layers.Input((7, 4))
    assert ops.add(steps, fixed).shape == (None, 7, 4)
    assert (steps + np.ones((1, 4), "float32")).shape == (None, None, 4)
    of_two = layers.Input(batch_shape=(2, None))
    assert (layers.Input((3,)) + of_two).shape == (2, 3)
    assert ops.concatenate([layers.Input((3, 5)), layers.Input(batch_shape=(2, None, 5))], axis=1).shape == (2, None, 5)
    with pytest.raises(ValueError, match="broadcast"):
        layers.Input((5, 4)) + fixed
