"""MultiHeadAttention beside Keras: several inputs by name, masks, scores; replayed steps."""

import warnings

import jax
import numpy as np
import pytest

import fastnn
from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_compare import compare
from keras_reference import keras

jax.config.update("jax_disable_most_optimizations", True)

ARGUMENTS = [
    {},
    dict(value_dim=5),
    dict(use_bias=False),
    dict(output_shape=7, bias_initializer="ones"),
    dict(output_shape=(2, 3)),
]
CALLS = ["plain", "key", "causal", "mask", "scores"]


def close(got, want, tolerance=2e-5):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=tolerance * max(1.0, np.abs(want).max()), rtol=0)


def passes(call, rng):
    mask = rng.random((2, 4, 5)) < 0.7
    mask[..., 0] = True  # a row that sees nothing is uniform in one of Keras' ways, and zeros in the other
    return {
        "causal": dict(use_causal_mask=True),
        "mask": dict(attention_mask=mask),
        "scores": dict(return_attention_scores=True, attention_mask=mask),
    }.get(call, {})


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_as_keras(arguments, call):
    rng = np.random.default_rng(0)
    shapes = [(2, 4, 6), (2, 5, 8), (2, 5, 3)][: 3 if call == "key" else 2]
    inputs = [rng.standard_normal(s).astype("float32") for s in shapes]
    ours, theirs = (k.layers.MultiHeadAttention(3, 4, **arguments) for k in (fastnn, keras))
    theirs.build(*shapes)
    ours.build(*shapes)
    values = [rng.standard_normal(w.shape).astype("float32") * 0.5 for w in theirs.weights]
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    kwargs = passes(call, rng)
    leaves = [Tensor(x) for x in inputs]
    for t in leaves:
        t.requires_grad = True
    got = ours(*leaves, **kwargs)
    y, scores = got if call == "scores" else (got, None)
    w = rng.standard_normal(y.shape).astype("float32")

    def loss(values, inputs):
        # With the scores: Keras' other way is that of jax, which takes no values of another width.
        out, _ = theirs.stateless_call(values, [], *inputs, **{**kwargs, "return_attention_scores": True})
        return (out[0] * w).sum(), out

    (_, want), slopes = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(values, inputs)
    close(y, want[0])
    if scores is not None:
        close(scores, want[1])
    assert tuple(ours.compute_output_shape(*shapes)) == y.shape
    found = autograd.gradients(ops.sum(ops.multiply(y, Tensor(w))), [*ours.trainable_weights, *leaves])
    for g, s in zip(found, jax.tree.leaves(slopes)):
        close(g, s, 1e-4)


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "Attention", "AdditiveAttention"])
def test_masks_of_padded_steps(kind):
    tokens = np.array([[1, 2, 3, 0, 0], [4, 1, 0, 0, 0]])
    results = []
    for k in (keras, fastnn):
        embedding = k.layers.Embedding(5, 6, mask_zero=True)
        embedding.build((None, 5))
        embedding.set_weights([np.arange(30, dtype="float32").reshape(5, 6) / 10])
        layer = getattr(k.layers, kind)(2, 3) if kind.startswith("Multi") else getattr(k.layers, kind)()
        for _ in range(2):  # the second time with other weights; Keras takes the masks off its inputs
            x = embedding(tokens)
            y = layer(x, x) if kind.startswith("Multi") else layer([x, x])
            layer.set_weights([np.full(w.shape, 0.1, "float32") for w in layer.get_weights()])
        results.append(y)
    want, got = results
    close(got.numpy()[tokens != 0], np.asarray(want)[tokens != 0])
    np.testing.assert_array_equal(np.asarray(got._keras_mask), tokens != 0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["MultiHeadAttention", "Attention"])
def test_replayed_steps_equal_eager_ones(kind, dropout):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 7, (16, 5)), rng.integers(0, 3, 16)
    results = []
    for eager in (True, False):
        fastnn.utils.set_random_seed(3)
        tokens = fastnn.Input((5,), dtype="int32")
        h = fastnn.layers.Embedding(7, 6, mask_zero=True)(tokens)
        if kind == "Attention":
            h = fastnn.layers.Attention(use_scale=True, dropout=dropout, seed=1)([h, h], use_causal_mask=True)
        else:
            h, scores = fastnn.layers.MultiHeadAttention(2, 3, dropout=dropout, seed=1)(
                h, h, use_causal_mask=True, return_attention_scores=True
            )
            assert scores.shape == (None, 2, 5, 5)
        h = fastnn.layers.GlobalAveragePooling1D()(h)
        model = fastnn.Model(tokens, fastnn.layers.Dense(3, activation="softmax")(h))
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eager)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(x, y, batch_size=8, epochs=5, verbose=0)
        results.append([w.tobytes() for w in model.get_weights()])
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", ["glorot_uniform", "he_normal", "lecun_uniform", "orthogonal"])
def test_kernels_start_as_wide_as_in_keras_and_each_on_its_own(kind):
    # 512 x 512 numbers: their deviation is known to 0.2 %.
    x = np.zeros((1, 2, 512), "float32")
    pair = [k.layers.MultiHeadAttention(8, 64, kernel_initializer=kind) for k in (fastnn, keras)]
    for layer in pair:
        layer(x, x)
    for got, want in zip(*(layer.trainable_weights for layer in pair)):
        np.testing.assert_allclose(np.std(np.asarray(got)), np.std(np.asarray(want)), rtol=0.01)
    query, key, value = (np.asarray(w) for w in pair[0].trainable_weights[0:6:2])
    assert not (np.allclose(query, key) or np.allclose(query, value) or np.allclose(key, value))


def test_configs_go_both_ways(tmp_path):
    ours, theirs = (k.layers.MultiHeadAttention(3, 4, output_shape=7, dropout=0.1) for k in (fastnn, keras))
    read = fastnn.layers.MultiHeadAttention.from_config(theirs.get_config())
    assert {**read.get_config(), "name": ""} == {**ours.get_config(), "name": ""}
    want, got = theirs.get_config(), keras.layers.MultiHeadAttention.from_config(ours.get_config()).get_config()
    assert {**got, "name": ""} == {**want, "name": ""}
    x = fastnn.Input((4, 6))
    model = fastnn.Model(x, fastnn.layers.MultiHeadAttention(2, 3)(x, x))
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn")
    data = np.random.default_rng(0).standard_normal((2, 4, 6)).astype("float32")
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fastnn.layers.MultiHeadAttention(0, 3), "num_heads is a positive integer"),
        (lambda: fastnn.layers.MultiHeadAttention(2, 3, attention_axes=(1, 2)), "axis 1 only"),
        (lambda: fastnn.layers.MultiHeadAttention(2, 3, use_gate=True), "use_gate=True is not supported"),
        (lambda: fastnn.layers.MultiHeadAttention(2, 3)(*[np.ones((2, 3), "float32")] * 2), "batch, steps, features"),
        (lambda: fastnn.layers.Attention(score_mode="sum"), "score_mode"),
        (lambda: fastnn.layers.Attention()(np.ones((2, 3, 4), "float32")), r"\[query, value\]"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_dot_product_attention():
    rng = np.random.default_rng(8)
    floats = lambda *shape: rng.standard_normal(shape).astype("float32")  # noqa: E731
    q, k, v = floats(2, 3, 4, 5), floats(2, 6, 4, 5), floats(2, 6, 4, 5)
    mask = rng.random((2, 1, 3, 6)) < 0.7
    mask[..., 0] = True
    compare("dot_product_attention", [q, k, v], tolerance=1e-5)
    compare("dot_product_attention", [q, k[:, :, :2], v[:, :, :2]], tolerance=1e-5)
    compare("dot_product_attention", [q, k, v, floats(2, 4, 3, 6)], dict(scale=0.3), tolerance=1e-5)
    compare("dot_product_attention", [q, k, v], dict(mask=mask), tolerance=1e-5)
    compare("dot_product_attention", [k, k, v], dict(is_causal=True), tolerance=1e-5)
    scores = 2 * np.tanh(np.einsum("btnd,bsnd->bnts", q, k) / 5**0.5 / 2)  # Keras caps on a TPU only
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    close(ops.dot_product_attention(q, k, v, attn_logits_soft_cap=2.0), np.einsum("bnts,bsnd->btnd", weights, v))
    for wrong in ((q[0], k[0], v[0]), (q, k[:, :, :3], v[:, :, :3]), (q, k, v[:, :4])):
        with pytest.raises(ValueError, match="dot_product_attention"):
            ops.dot_product_attention(*wrong)
    x = fastnn.Input((6, 4, 5))
    model = fastnn.Model(x, ops.dot_product_attention(x, x, x, is_causal=True))
    close(model.predict(k, verbose=0), ops.dot_product_attention(k, k, k, is_causal=True))


def test_compute_mask_is_asked_as_in_keras():
    inputs, masks = [np.ones((2, 3, 4), "float32")] * 2, [np.array([[True, False, True]] * 2), None]
    for kind in ("Attention", "AdditiveAttention"):
        ours, theirs = (getattr(k.layers, kind)() for k in (fastnn, keras))
        np.testing.assert_array_equal(
            ours.compute_mask(inputs, mask=masks), theirs.compute_mask(inputs, mask=masks), strict=True
        )
        assert ours.compute_mask(inputs) is None and ours.compute_mask(inputs, mask=masks[::-1]) is None
        with pytest.raises(ValueError, match="takes a mask"):
            ours.compute_mask(inputs, mask=masks[0])
