"""Layers that prepare data, beyond the configurations of `layer_cases.py`: what they adapt to."""

import numpy as np
import pytest

import fastnn
from keras_reference import keras


@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1, (-1, 1)])
@pytest.mark.parametrize("invert", [False, True])
def test_normalization_adapts_as_keras(axis, invert):
    data = np.random.default_rng(0).standard_normal((50, 3, 4)).astype("float32") * 3 + 1
    pair = [k.layers.Normalization(axis=axis, invert=invert) for k in (fastnn, keras)]
    for layer in pair:
        layer.adapt(data)
    ours, theirs = pair
    np.testing.assert_allclose(ours(data), theirs(data), rtol=2e-5, atol=2e-5)
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]
    for got, want in zip(ours.get_weights()[:2], theirs.get_weights()):
        np.testing.assert_allclose(got, want, rtol=2e-5)
    again = fastnn.layers.Normalization.from_config(theirs.get_config())
    assert again.axis == ours.axis


class _Parts(fastnn.utils.PyDataset):
    """Batches of several sizes, with labels."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        return self.parts[index], np.zeros(len(self.parts[index]))


@pytest.mark.parametrize("axis", [-1, None, (1, 2)])
@pytest.mark.parametrize("form", [list, iter, _Parts], ids=["list", "generator", "PyDataset"])
def test_normalization_adapts_to_batches_as_to_all_of_them(axis, form):
    data = np.random.default_rng(1).standard_normal((50, 3, 4)).astype("float32") * 3 + 100
    whole, parts = (fastnn.layers.Normalization(axis=axis) for _ in range(2))
    whole.adapt(data)
    parts.adapt(form([data[:7], data[7:40], data[40:]]))
    for got, want in zip(parts.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_an_adapted_model_is_replayed_with_what_it_adapted_to():
    layer = fastnn.layers.Normalization()
    layer.adapt(np.zeros((4, 2)))
    model = fastnn.Sequential([fastnn.Input((2,)), layer])
    x = np.array([[1.0, 2.0], [3.0, 6.0]], "float32")
    for _ in range(3):
        model.predict(x, verbose=0)
    layer.adapt(x)
    np.testing.assert_allclose(model.predict(x, verbose=0), [[-1, -1], [1, 1]], rtol=1e-6)


def test_weights_of_counts():
    x, w = np.array([[0, 1, 1], [2, 2, 3]]), np.array([[0.5, 1, 2], [1, 1, 3]], "float32")
    pair = [k.layers.CategoryEncoding(4, "count") for k in (fastnn, keras)]
    got, want = (np.asarray(layer(x, count_weights=w)) for layer in pair)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fastnn.layers.Normalization(mean=1.0), "together"),
        (lambda: fastnn.layers.Normalization(mean=1.0, variance=2.0).adapt(np.ones((2, 3))), "cannot adapt"),
        (lambda: fastnn.layers.Normalization().adapt(iter([])), "no samples"),
        (lambda: fastnn.layers.Normalization().adapt(np.ones((0, 3))), "no samples"),
        (lambda: fastnn.layers.Normalization(axis=3)(np.ones((2, 3), "float32")), "out of range"),
        (lambda: fastnn.layers.CategoryEncoding(), "num_tokens is a positive integer"),
        (lambda: fastnn.layers.CategoryEncoding(3, "many"), "output_mode"),
        (lambda: fastnn.layers.CategoryEncoding(3, sparse=True), "sparse"),
        (
            lambda: fastnn.layers.CategoryEncoding(3)(np.ones((2, 2), int), count_weights=np.ones((2, 2))),
            "for output_mode",
        ),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
