"""Every layer beside real Keras: same arguments, copied weights; results and gradients compared.

float32 on both sides: tolerance 2e-5 relative to the largest magnitude, which is the rounding of two
different orders of summation over at most a few hundred terms.
"""

import functools
import inspect

import jax
import numpy as np
import pytest

import fastnn
import registered
from fastnn import autograd, ops
from fastnn.symbolic import flatten
from fastnn.tensor import Tensor
from keras_reference import keras
from layer_cases import CASES, ELSEWHERE, MERGES, RANDOM, STEPS, classes_in

# Each configuration is compiled and run once.
jax.config.update("jax_disable_most_optimizations", True)


def close(got, want, tolerance=2e-5):
    want = np.asarray(want)
    got = np.asarray(got)
    assert got.shape == want.shape
    if want.size:
        scale = max(1.0, float(np.abs(want).max()))
        np.testing.assert_allclose(got / scale, want / scale, atol=tolerance, rtol=0)


def one_or_all(items):
    return items[0] if len(items) == 1 else items


def plain(shape):
    """A structure of shapes with tuples for lists."""
    return tuple(map(plain, shape)) if isinstance(shape, (list, tuple)) else shape


def make_pair(case, inputs):
    theirs, ours = case.make(keras), case.make(fastnn)
    theirs.build(one_or_all(case.shapes))
    ours(one_or_all([Tensor(x) for x in inputs]))
    rng = np.random.default_rng(3)
    weights = [np.asarray(w) for w in theirs.get_weights()]
    weights = [w + 0.1 * np.abs(rng.standard_normal(w.shape)).astype("float32") for w in weights]
    theirs.set_weights(weights)
    assert [w.shape for w in ours.weights] == [w.shape for w in weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(weights)
    return ours, theirs


def test_every_registered_layer_has_a_case():
    """A new layer belongs into `layer_cases.py`, which this and the tests of replays read."""
    used = set().union(*(classes_in(case.make(fastnn)) for case in CASES))
    assert sorted(registered.classes("layers") - used - set(ELSEWHERE)) == []
    assert not used & set(ELSEWHERE)


MODES = [(case, training) for case in CASES for training in (False, True) if case not in RANDOM or not training]


@pytest.mark.parametrize("case, training", MODES, ids=str)
def test_layer(case, training):
    rng = np.random.default_rng(len(str(case)))
    arrays = case.draw(rng)
    ours, theirs = make_pair(case, arrays)
    assert plain(ours.compute_output_shape(one_or_all(case.shapes))) == plain(
        theirs.compute_output_shape(one_or_all(case.shapes))
    )
    trainable = [v.value for v in theirs.trainable_variables]
    fixed = [v.value for v in theirs.non_trainable_variables]
    passes = {"training": training} if "training" in inspect.signature(theirs.call).parameters else {}
    tensors = [Tensor(a) for a in arrays]
    for t in tensors:
        t.requires_grad = case.below is None
    results = flatten(ours(one_or_all(tensors), training=training))
    seeds = [rng.standard_normal(y.shape).astype("float32") for y in results]

    def forward(trainable, inputs):
        out, moved = theirs.stateless_call(trainable, fixed, one_or_all(inputs), **passes)
        out = jax.tree.leaves(out)
        return sum((y * s).sum() for y, s in zip(out, seeds)), (out, moved)

    with_respect_to = (0, 1) if case.below is None else 0
    (_, (want, moved)), slopes = jax.value_and_grad(forward, argnums=with_respect_to, has_aux=True)(trainable, arrays)
    assert len(results) == len(want)
    for y, w in zip(results, want):
        close(y, w)
    for w, v in zip(ours.non_trainable_weights, moved):
        close(w, v)
    total = functools.reduce(ops.add, [ops.sum(ops.multiply(y, Tensor(s))) for y, s in zip(results, seeds)])
    sources = [*ours.trainable_weights, *(tensors if case.below is None else [])]
    if not sources:
        return
    got = autograd.gradients(total, sources)
    for g, want in zip(got, jax.tree.leaves(slopes)):
        if g is None:
            assert not np.asarray(want).any()
        else:
            close(g, want, 1e-4)
    if ours.activity_regularizer is None:
        total = lambda losses: sum(float(np.asarray(v)) for v in losses)  # noqa: E731
        close(total(ours.losses), total(theirs.losses))


@pytest.mark.parametrize("masked", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("case", [m for m in MERGES if m.name != "Dot" and m.shape == [STEPS] * 2], ids=str)
def test_merge_of_masked_steps(case, masked):
    x = np.array([[[0, 0], [-1, 2], [0, 0], [3, -4]]], "float32")
    z = np.array([[[0, 0], [0, 0], [1, -2], [-5, 6]]], "float32")
    results = []
    for k in (keras, fastnn):
        inputs = [k.layers.Masking()(v) if m else k.ops.convert_to_tensor(v) for v, m in zip((x, z), masked)]
        y = case.make(k)(inputs)
        results.append((np.asarray(y), getattr(y, "_keras_mask", None)))
    (want, want_mask), (got, mask) = results
    close(got, want)
    assert (mask is None) == (want_mask is None)
    if mask is not None:
        np.testing.assert_array_equal(np.asarray(mask), np.asarray(want_mask))


def test_merges_refuse_what_does_not_fit():
    for name, shapes, match in [
        ("Add", [(2, 3), (1, 3)], "batch"),
        ("Subtract", [(2, 3)] * 3, "two inputs"),
        ("Multiply", [(2, 3), (2, 4)], "cannot join"),
    ]:
        with pytest.raises(ValueError, match=match):
            getattr(fastnn.layers, name)()([np.ones(s, "float32") for s in shapes])


@pytest.mark.parametrize("axes", [5, 2, -4, 0, -2, (1, 0), (1, 3), (1, -4)])
def test_dot_refuses_axes_that_are_not_there_and_the_batch(axes):
    a, b = np.ones((2, 3), "float32"), np.ones((2, 3, 3), "float32")
    for k, errors in ((fastnn, ValueError), (keras, (ValueError, IndexError))):
        with pytest.raises(errors):
            k.layers.Dot(axes)([a, b])
    for wrong in (None, "1", (1, 2, 3), (1.0, 1)):
        with pytest.raises(ValueError, match="axes is an integer or two"):
            fastnn.layers.Dot(wrong)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_softmax_with_a_mask(axis):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 4, 5)).astype("float32")
    for mask in (rng.random(x.shape) < 0.5, np.array([1.0, 0.0, 1.0, 0.4, 0.6], "float32")):
        want = keras.layers.Softmax(axis)(x, mask=mask)
        close(fastnn.layers.Softmax(axis)(x, mask=mask), want)
    assert not np.asarray(fastnn.layers.Softmax()(x, mask=np.zeros(x.shape, bool))).any()
    with pytest.raises(ValueError, match="does not broadcast"):
        fastnn.layers.Softmax()(x, mask=np.ones((2, 3, 4, 5), bool))


def test_relu_at_its_threshold():
    x = np.array([6, 7, 0, 5, 10, -2], "float32")
    for arguments in (dict(threshold=5), dict(threshold=5, max_value=8), dict(threshold=5, negative_slope=0.5)):
        close(fastnn.layers.ReLU(**arguments)(x), keras.layers.ReLU(**arguments)(x))


@pytest.mark.parametrize("axis", [1, -1])
def test_batch_normalization_of_masked_steps(axis):
    x = np.random.default_rng(3).standard_normal((4, 3, 5)).astype("float32") + 1
    x[0, 1] = x[2, 2] = x[3, 0] = 0
    pair = [k.layers.BatchNormalization(axis=axis, momentum=0.7) for k in (keras, fastnn)]
    for training in (True, False):
        want, got = (layer(k.layers.Masking()(x), training=training) for layer, k in zip(pair, (keras, fastnn)))
        # The running variance of the kernel has no epsilon in its count.
        close(got, want)
    for w, v in zip(pair[1].get_weights(), pair[0].get_weights()):
        close(w, v)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "Lambda"], ids=str)
def test_configs_make_equal_layers(case):
    layer = case.make(fastnn)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "Lambda"], ids=str)
def test_configs_are_read_by_the_other_library(case):
    theirs, ours = case.make(keras), case.make(fastnn)
    from_theirs = type(ours).from_config(theirs.get_config())
    from_ours = type(theirs).from_config(ours.get_config())
    if classes_in(ours) == {case.name}:  # layers inside have names of their own
        read, made = from_theirs.get_config(), ours.get_config()
        for key in made.keys() - {"name", "activity_regularizer"}:  # Keras rounds its factors to float32
            assert read[key] == made[key], key
    want, got = theirs.get_config(), from_ours.get_config()
    for key in want.keys() - {"name", "layer", "backward_layer", "cell"}:
        assert plain(got[key]) == plain(want[key]), key


def test_a_layer_refuses_another_width():
    layer = fastnn.layers.Dense(3)
    layer(np.zeros((2, 5), "float32"))
    with pytest.raises(ValueError, match=r"'dense.*size 5 on axis -1, got shape \(2, 6\)"):
        layer(np.zeros((2, 6), "float32"))


def test_embedding_masks_and_refuses_foreign_indices():
    layer = fastnn.layers.Embedding(5, 3, mask_zero=True)
    y = layer(np.array([[1, 0, 4]]))
    np.testing.assert_array_equal(np.asarray(y._keras_mask), [[True, False, True]])
    with pytest.raises(ValueError, match="5"):
        layer(np.array([[1, 5]]))


WITH_A_FORMAT = sorted(
    {c.name for c in CASES if "data_format" in inspect.signature(getattr(fastnn.layers, c.name)).parameters}
)


@pytest.mark.parametrize("name", WITH_A_FORMAT)
def test_channels_first_is_refused(name):
    arguments = next(c for c in CASES if c.name == name).arguments
    with pytest.raises(ValueError, match="channels_last"):
        getattr(fastnn.layers, name)(**arguments, data_format="channels_first")
