"""Layers that are computed together with the one that reads their results, against both called one by one."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as keras
from fastnn import ops
from fastnn.layers.pairs import in_pairs

L = keras.layers


def draw(rng, rank):
    """A convolution, a pooling layer and inputs that fit both."""
    conv, max_pool, average_pool = (
        (L.Conv1D, L.MaxPooling1D, L.AveragePooling1D) if rank == 1 else (L.Conv2D, L.MaxPooling2D, L.AveragePooling2D)
    )
    groups = int(rng.choice([1, 1, 2]))
    strides = int(rng.choice([1, 1, 2]))
    settings = {
        "filters": groups * int(rng.integers(1, 20)),
        "kernel_size": tuple(int(n) for n in rng.integers(1, 5, rank)),
        "strides": strides,
        "dilation_rate": 1 if strides > 1 else int(rng.choice([1, 1, 2])),
        "padding": str(rng.choice(["valid", "same", "causal"] if rank == 1 else ["valid", "same"])),
        "groups": groups,
        "activation": str(rng.choice(["linear", "relu", "tanh", "sigmoid", "gelu", "elu"])),
        "use_bias": bool(rng.integers(2)),
        "bias_initializer": "random_normal",
    }
    size = tuple(int(n) for n in rng.integers(1, 5, rank))
    pool_settings = {
        "pool_size": size,
        "strides": None if rng.integers(2) else tuple(int(n) for n in rng.integers(1, 4, rank)),
        "padding": str(rng.choice(["valid", "valid", "same"])),
    }
    spatial = tuple(int(n) for n in rng.integers(20, 31, rank))
    pool = max_pool if rng.integers(3) else average_pool
    shape = (*spatial, groups * int(rng.integers(1, 9)))
    return conv(**settings), pool(**pool_settings), shape


def gradients(call, layer, x):
    """The result, and the gradients of a weighted sum of it by inputs and weights."""
    x = keras.Variable(x)
    with keras.GradientTape() as tape:
        y = call(x)
        weights = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape).astype(y.dtype)
        loss = ops.sum(y * weights)
    return [y, *tape.gradient(loss, [x, *layer.trainable_variables])]


@pytest.mark.parametrize("seed", range(60))
def test_a_pair_gives_what_its_layers_give(seed):
    rng = np.random.default_rng(seed)
    conv, pool, shape = draw(rng, rank=1 + seed % 2)
    model = keras.Sequential([L.Input(shape), conv, pool])
    x = rng.standard_normal((3, *shape)).astype("float32")
    for ours, plain in zip(gradients(model, conv, x), gradients(lambda t: pool(conv(t)), conv, x)):
        # Winograd's sums, where only one of the two repays them, differ by some roundings.
        scale = np.abs(plain).max()
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=2e-5 * max(scale, 1e-3))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [(13, 13), (12, 15), (9, 17)])
def test_a_pair_of_winograds_convolutions_gives_what_its_layers_give(size, padding):
    rng = np.random.default_rng(7)
    conv, pool = L.Conv2D(24, 3, padding=padding, activation="relu"), L.MaxPooling2D()
    x = rng.standard_normal((8, *size, 16)).astype("float32")
    (pair,) = in_pairs([conv, pool])
    for ours, plain in zip(gradients(pair, conv, x), gradients(lambda t: pool(conv(t)), conv, x)):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=2e-5 * np.abs(plain).max())


@pytest.mark.parametrize("seed", range(10))
def test_a_pair_in_float64_gives_what_its_layers_give(seed):
    rng = np.random.default_rng(100 + seed)
    conv, pool, shape = draw(rng, rank=1 + seed % 2)
    conv, pool = (type(t).from_config({**t.get_config(), "dtype": "float64"}) for t in (conv, pool))
    (pair,) = in_pairs([conv, pool])
    x = rng.standard_normal((2, *shape))
    for ours, plain in zip(gradients(pair, conv, x), gradients(lambda t: pool(conv(t)), conv, x)):
        np.testing.assert_allclose(ours, plain, rtol=1e-11, atol=1e-11)


def test_outputs_that_fill_no_window_are_not_computed():
    """11 x 11 outputs, of which 5 x 5 windows of 2 x 2 see 10 x 10."""
    x, y = np.zeros((4, 13, 13, 3), "float32"), np.zeros((4, 5, 5, 6), "float32")
    x_in = L.Input((13, 13, 3))
    functional = keras.Model(x_in, L.MaxPooling2D()(L.Conv2D(6, 3, activation="relu")(x_in)))
    for model in (keras.Sequential([L.Input((13, 13, 3)), L.Conv2D(6, 3), L.MaxPooling2D()]), functional):
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=4, verbose=0, epochs=2)
        steps = model.programs()[0].describe()
        assert "(4, 10, 10, 6)" in steps
        assert "(4, 11, 11, 6)" not in steps


def test_nothing_is_kept_for_a_gradient_that_nobody_asks_for():
    model = keras.Sequential([L.Input((13, 13, 3)), L.Conv2D(6, 3), L.MaxPooling2D()])
    for _ in range(2):
        model.predict_on_batch(np.zeros((4, 13, 13, 3), "float32"))
    assert " arg" not in model.programs("predict")[0].describe()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_model_has_the_pairs_of_the_model(copied):
    x_in = L.Input((13, 13, 3))
    branches = [L.MaxPooling2D()(L.Conv2D(n, 3, activation="relu")(x_in)) for n in (2, 3, 5)]
    model = keras.Model(x_in, L.Concatenate()(branches))
    x = np.random.default_rng(0).standard_normal((4, 13, 13, 3)).astype("float32")
    steps = []
    for m in (model, copied(model)):
        for _ in range(2):
            y = m.predict_on_batch(x)
        steps.append((m.programs("predict")[0].describe(), np.asarray(y).tobytes()))
    assert steps[0] == steps[1]
    assert "(4, 10, 10, 5)" in steps[0][0]


@pytest.mark.parametrize(
    "activation",
    [
        lambda t: t - ops.mean(t, axis=(1, 2), keepdims=True),
        L.LayerNormalization(axis=[1, 2, 3]),
        L.ReLU(activity_regularizer="l1"),
        "gelu",
    ],
    ids=["own", "layer", "regularized", "unfused"],
)
def test_an_activation_may_look_at_all_outputs(activation):
    conv, pool = L.Conv2D(6, 3, activation=activation), L.MaxPooling2D()
    x = np.random.default_rng(0).standard_normal((4, 13, 13, 3)).astype("float32")
    (both,) = in_pairs([conv, pool])
    np.testing.assert_array_equal(both(keras.ops.convert_to_tensor(x)), pool(conv(x)))
    if isinstance(activation, L.ReLU):
        model = keras.Sequential([L.Input((13, 13, 3)), conv, pool])
        model(x)
        assert float(sum(model.losses)) == pytest.approx(0.01 * float(ops.sum(conv(x))) / 4, rel=1e-5)


def test_layers_of_other_types_are_no_pair():
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 2)).astype("float32")
    conv, pool = L.Conv2D(3, 3, dtype="float64"), L.MaxPooling2D()
    assert in_pairs([conv, pool]) == [conv, pool]
    assert keras.Sequential([conv, pool])(x).dtype == "float32"


def test_layers_that_are_called_twice():
    x_in = L.Input((9, 9, 4))
    conv, pool = L.Conv2D(4, 3, padding="same"), L.MaxPooling2D(padding="same")
    model = keras.Model(x_in, pool(conv(pool(conv(x_in)))))
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), pool(conv(pool(conv(x)))), rtol=1e-5, atol=1e-6)


def test_a_call_put_into_a_class_is_called(monkeypatch):
    monkeypatch.setattr(L.MaxPooling2D, "call", lambda self, inputs: inputs)
    model = keras.Sequential([L.Conv2D(2, 1), L.MaxPooling2D()])
    assert model(np.ones((1, 4, 4, 1), "float32")).shape == (1, 4, 4, 2)


def test_an_output_that_somebody_looks_at_is_whole():
    x_in = L.Input((13, 13, 3))
    conv = L.Conv2D(6, 3)(x_in)
    model = keras.Model(x_in, [conv, L.MaxPooling2D()(conv)])
    between, pooled = model.predict(np.ones((2, 13, 13, 3), "float32"), verbose=0)
    assert between.shape == (2, 11, 11, 6) and pooled.shape == (2, 5, 5, 6)


def test_a_regularizer_sees_all_outputs():
    conv = L.Conv2D(2, 1, use_bias=False, kernel_initializer="ones", activity_regularizer=keras.regularizers.L1(1.0))
    model = keras.Sequential([L.Input((3, 3, 1)), conv, L.MaxPooling2D()])
    model.compile("sgd", "mse")
    loss = model.evaluate(np.ones((1, 3, 3, 1), "float32"), np.ones((1, 1, 1, 2), "float32"), verbose=0)
    assert loss == pytest.approx(18)


def test_a_call_of_the_users_is_called():
    class Doubled(L.Conv2D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    conv, own = L.Conv2D(2, 1, use_bias=False, kernel_initializer="ones"), L.MaxPooling2D()
    own.call = lambda inputs: inputs
    x = np.ones((1, 4, 4, 1), "float32")
    doubled = keras.Sequential([Doubled(2, 1, use_bias=False, kernel_initializer="ones"), L.MaxPooling2D()])
    assert np.asarray(doubled(x)).max() == 2
    assert keras.Sequential([conv, own])(x).shape == (1, 4, 4, 2)


def test_the_layer_that_does_not_fit_is_named():
    model = keras.Sequential([L.Conv2D(2, 3, name="first"), L.MaxPooling2D(4, name="then")])
    model(np.ones((1, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match="'then'"):
        model(np.ones((1, 4, 4, 1), "float32"))
    with pytest.raises(ValueError, match="'first'"):
        model(np.ones((1, 2, 2, 1), "float32"))
    model.layers[1].pool_size = "x"
    with pytest.raises((TypeError, ValueError), match="'then'"):
        model(np.ones((1, 8, 8, 1), "float32"))
    model.layers[1].pool_size = (4, 4)
    with pytest.raises(ValueError, match="'first'"):
        model(np.ones((1, 8, 8, 5), "float32"))


def embedded(mask_zero, **settings):
    return L.Embedding(50, 20, mask_zero=mask_zero, **settings), L.GlobalAveragePooling1D()


@pytest.mark.parametrize("mask_zero", [False, True])
def test_an_embedding_and_the_average_of_its_steps(mask_zero):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 50, (6, 150)).astype("int32")
    x[1, 3:] = 0
    x[2] = 0
    embedding, average = embedded(mask_zero)
    model = keras.Sequential([L.Input((150,), dtype="int32"), embedding, average, L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((6, 1)), batch_size=6, epochs=2, verbose=0)
    assert "embedding_mean" in model.programs()[0].describe()
    (both,) = in_pairs([embedding, average])
    weights = np.cos(np.arange(120)).reshape(6, 20).astype("float32")
    results = []
    for call in (both, lambda t: average(embedding(t))):
        with keras.GradientTape() as tape:
            y = call(keras.ops.convert_to_tensor(x))
            loss = ops.sum(y * weights)
        assert getattr(y, "_keras_mask", None) is None
        results.append([y, *tape.gradient(loss, embedding.trainable_variables)])
    for ours, plain in zip(*results):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


def test_an_index_outside_the_table_is_told():
    model = keras.Sequential([L.Input((3,), dtype="int32"), *embedded(False)])
    with pytest.raises(ValueError, match="index is 50, expected 0 <= value < 50"):
        model(np.array([[1, 2, 50]]))


def test_steps_that_somebody_reads_are_kept():
    x_in = L.Input((7,), dtype="int32")
    embedding, average = embedded(True)
    steps = embedding(x_in)
    model = keras.Model(x_in, [steps, average(steps)])
    results = model.predict(np.ones((2, 7), "int32"), verbose=0)
    assert [r.shape for r in results] == [(2, 7, 20), (2, 20)]


def test_embedding_mean_says_what_is_wrong():
    table = np.ones((5, 2), "float32")
    with pytest.raises(ValueError, match=r"indices are \(batch, steps\), got \(3,\)"):
        ops.embedding_mean(np.array([1, 2, 3]), table)
    with pytest.raises(ValueError, match="a mask .* does not fit indices"):
        ops.embedding_mean(np.array([[1, 2, 3]]), table, np.ones((1, 2), bool))
    with pytest.raises(ValueError, match="index is 5"):
        ops.embedding_mean(np.array([[1, 5]]), table)


def test_conv_pool_says_what_is_wrong():
    x, W = np.ones((1, 8, 8, 2), "float32"), np.ones((3, 3, 2, 4), "float32")
    with pytest.raises(ValueError, match="pooling is 'max' or 'average', got 'min'"):
        ops.conv_pool(x, W, 2, pooling="min")
    with pytest.raises(ValueError, match="conv_pool: inputs .*, pool_size"):
        ops.conv_pool(x, W, 7)
    with pytest.raises(ValueError, match="inputs are .* one or two spatial axes"):
        ops.conv_pool(np.ones((1, 3, 3, 3, 2), "float32"), np.ones((1, 1, 1, 2, 2), "float32"), 2)
