"""einsum against Keras: values and gradients."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from keras_compare import compare
from keras_reference import keras

SIZES = dict(a=2, b=3, c=4, d=5, e=2)


@pytest.mark.parametrize(
    "subscripts",
    [
        "ab,bc->ac", "ab,bc", "ba,bc->ca", "ab,ab->", "ab,ab->ab", "a,b->ab", "ab->ba", "abc->b", "abc->",
        "abc,acd->abd", "abc,cd->abd", "abcd,aecd->acbe", "acbe,aecd->abcd", "ab,b->a", "ab,cd->cabd",
        "ab,bc,cd->ad", "aa", "aa->a", "aba->ab", "aaa->a", "aab,bc->ac", "ab,bc,ca->", "abc,b->ac", "ab,c->a",
    ],
)  # fmt: skip
def test_as_keras(subscripts):
    rng = np.random.default_rng(0)
    terms = subscripts.partition("->")[0].split(",")
    arrays = [rng.standard_normal([SIZES[c] for c in t]).astype("float32") for t in terms]
    call = lambda k: lambda *t: k.ops.einsum(subscripts, *t)  # noqa: E731
    compare("einsum", arrays, function=call(fastnn), reference=call(keras), tolerance=4e-6)


@pytest.mark.parametrize(
    "subscripts, shapes",
    [
        ("...ab,...bc->...ac", [(2, 3, 4, 5), (3, 5, 2)]),
        ("...a,ab->...b", [(2, 3, 4), (4, 5)]),
        ("a...->...a", [(2, 3, 4)]),
        ("...a,...a", [(2, 3, 4), (2, 3, 4)]),
        ("ab,ab->a", [(3, 4), (3, 1)]),
    ],
)
def test_as_numpy(subscripts, shapes):
    arrays = [np.random.default_rng(1).standard_normal(s) for s in shapes]
    got = ops.einsum(subscripts, *arrays)
    np.testing.assert_allclose(got.numpy(), np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)


def test_in_a_functional_model(tmp_path):
    q, k = fastnn.Input((5, 2, 3)), fastnn.Input((None, 2, 3))
    model = fastnn.Model([q, k], ops.softmax(ops.einsum("bqhd,bkhd->bhqk", q, k)))
    assert model.output_shape == (None, 2, 5, None)
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn")
    x = [np.random.default_rng(2).standard_normal((4, n, 2, 3)).astype("float32") for n in (5, 7)]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_subscripts_that_do_not_fit():
    x = np.ones((2, 3), "float32")
    for subscripts, operands, match in [
        ("ab,bc->ac", [x], "2 operands"),
        ("abc->a", [x], "does not fit"),
        ("aa->a", [x], "sizes 2 and 3"),
        ("ab,bc->ac", [x, x], "sizes 3 and 2"),
        ("ab->ad", [x], "needs letters"),
        ("a1->a", [x], "does not fit"),
    ]:
        with pytest.raises(ValueError, match=match):
            ops.einsum(subscripts, *operands)


def test_a_layer_takes_open_sizes_from_its_input():
    layer = fastnn.layers.EinsumDense("abc,cde->abde", (None, 2, 3))
    assert layer.compute_output_shape((None, 7, 4)) == (None, 7, 2, 3)
    x = fastnn.Input((None, 4))
    model = fastnn.Model(x, layer(x))
    assert model.output_shape == (None, None, 2, 3) and layer.kernel.shape == (4, 2, 3)
    assert model.predict(np.ones((2, 5, 4), "float32"), verbose=0).shape == (2, 5, 2, 3)


@pytest.mark.parametrize("kind", ["glorot_uniform", "he_normal"])
@pytest.mark.parametrize("equation, shape", [("abc,cde->abde", (3, 8, 64)), ("abcd,cde->abe", (3, 256))])
def test_a_layer_s_kernel_starts_as_wide_as_in_keras(kind, equation, shape):
    pair = [k.layers.EinsumDense(equation, shape, kernel_initializer=kind) for k in (fastnn, keras)]
    for layer in pair:
        layer.build((2, 3, 256) if shape[1:] == (8, 64) else (2, 3, 8, 64))
    got, want = (np.std(np.asarray(layer.kernel)) for layer in pair)  # of 131,072 numbers: known to 0.2 %
    np.testing.assert_allclose(got, want, rtol=0.01)


@pytest.mark.parametrize(
    "equation, shape, bias, message",
    [
        ("ab->ab", 3, None, "has the form"),
        ("...ab,bc->ac", 3, None, "has the form"),
        ("abc,cd->abd", (2, 3), None, "does not fit an input"),
        ("ab,bc->ac", (2, 3), None, "another number"),
        ("ab,bc->ad", 3, None, "'d' in y, but neither"),
        ("ab,bcd->ac", 3, None, "'d' in W, but neither"),
        ("ab,bc->abc", (7, 3), None, "the size 4 in x and 7 in y"),
        ("ab,bc->ac", 3, "d", "bias_axes='d'"),
    ],
)
def test_mistakes_in_a_layer_s_equation_are_named(equation, shape, bias, message):
    with pytest.raises(ValueError, match=message):
        fastnn.layers.EinsumDense(equation, shape, bias_axes=bias)(np.ones((2, 4), "float32"))
