"""Losses against real Keras: values, reductions, weights, masks, gradients; and their mistakes."""

import jax
import numpy as np
import pytest

import registered
from fastnn import autograd, losses, ops
from fastnn.tensor import Tensor
from keras_reference import keras
from loss_cases import CASES, distribution, draw, normal, positive

# float32 on both sides, sums in a different order; near 1 a probability p leaves 1 - p few bits.
TOLERANCE = dict(rtol=2e-4, atol=2e-5)
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def test_every_registered_loss_is_compared():
    assert {case[0] for case in CASES} == registered.classes("losses")
    assert set(FUNCTIONS) == registered.functions("losses")


@pytest.mark.parametrize("name,arguments,target,prediction", CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_as_keras(name, arguments, target, prediction):
    make = getattr(keras.losses, name)

    @jax.jit
    def theirs(t, y, w):
        """Every reduction, weighted and not, and a gradient: one compilation a shape."""
        plain = [make(reduction=r, **arguments)(t, y) for r in REDUCTIONS]
        weighted = [] if w is None else [make(reduction=r, **arguments)(t, y, w) for r in REDUCTIONS]
        return plain, weighted, jax.grad(lambda y: make(**arguments)(t, y))(y)

    for seed, shape in enumerate([(6, 5), (4, 3, 7), (33, 10)]):
        rng = np.random.default_rng(seed)
        t, y = draw(rng, target, prediction, shape)
        one_each = getattr(losses, name)(reduction="none", **arguments)(t, y)
        w = rng.uniform(0, 2, one_each.shape).astype("f") if one_each.ndim else None
        plain, weighted, slope = theirs(t, y, w)
        for reduction, want in zip(REDUCTIONS, plain):
            got = getattr(losses, name)(reduction=reduction, **arguments)(t, y)
            np.testing.assert_allclose(got.numpy(), want, **TOLERANCE)
        for reduction, want in zip(REDUCTIONS, weighted):
            got = getattr(losses, name)(reduction=reduction, **arguments)(t, y, w)
            np.testing.assert_allclose(got.numpy(), want, **TOLERANCE)
        leaf = Tensor(y)
        leaf.requires_grad = True
        (got,) = autograd.gradients(getattr(losses, name)(**arguments)(t, leaf), [leaf])
        np.testing.assert_allclose(got.numpy(), slope, **TOLERANCE)


FUNCTIONS = [
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "cosine_similarity",
    "kl_divergence",
    "poisson",
    "binary_crossentropy",
    "categorical_crossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "dice",
    "tversky",
    "sparse_categorical_crossentropy",
    "categorical_generalized_cross_entropy",
]
WITHOUT_DEFAULT = {"categorical_generalized_cross_entropy": dict(q=0.3)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_as_keras(name):
    rng = np.random.default_rng(0)
    more = WITHOUT_DEFAULT.get(name, {})
    labels = getattr(getattr(losses, name), "integer_targets", False)
    for shape in [(2, 5, 3)]:
        t, y = draw(rng, None if labels else positive, positive, shape)
        want = getattr(keras.losses, name)(t, y, **more)
        np.testing.assert_allclose(getattr(losses, name)(t, y, **more).numpy(), want, **TOLERANCE)
        np.testing.assert_allclose(losses.get(name)(t, y, **more).numpy(), want, **TOLERANCE)


@pytest.mark.parametrize("labels", [[0.5, 1, 2], [np.nan, 1, 2], [4, 1, 2], [-1, 1, 2], [0, 1]], ids=str)
@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"])
def test_labels_that_are_no_classes(name, labels):
    y = np.full((3, 4), 0.25, "f")
    with pytest.raises(ValueError):
        getattr(losses, name)()(np.array(labels), y)


def test_classes_in_a_column():
    y = distribution(np.random.default_rng(0), (3, 4))
    for name in ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"):
        rows, column = (getattr(losses, name)()(np.array(t), y).item() for t in ([0, 3, 2], [[0], [3], [2]]))
        assert rows == column
    with pytest.raises(ValueError, match="q must be between 0 and 1; received 1"):
        losses.CategoricalGeneralizedCrossEntropy(q=1)


def test_clipping_at_the_ends():
    y = np.array([[0, 1.0], [1, 0], [1e-9, 1], [0.5, 0.5]], "f")
    t = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], "f")
    for name in ("BinaryCrossentropy", "CategoricalCrossentropy", "KLDivergence"):
        got = getattr(losses, name)(reduction="none")(t, y).numpy()
        np.testing.assert_allclose(got, getattr(keras.losses, name)(reduction="none")(t, y), rtol=1e-5, atol=1e-6)
        leaf = Tensor(y)
        leaf.requires_grad = True
        (g,) = autograd.gradients(getattr(losses, name)()(t, leaf), [leaf])
        assert np.isfinite(g.numpy()).all()
    got = losses.SparseCategoricalCrossentropy(reduction="none")(np.array([0, 0, 0, 1]), y).numpy()
    np.testing.assert_allclose(
        got,
        keras.losses.SparseCategoricalCrossentropy(reduction="none")(np.array([0, 0, 0, 1]), y),
        rtol=1e-5,
        atol=1e-6,
    )
    assert got[0] == pytest.approx(16.118, abs=1e-3)


def test_large_logits_stay_finite():
    y = Tensor(np.array([[1e4, -1e4, 0], [-1e4, 1e4, 3]], "f"))
    y.requires_grad = True
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)(np.array([1, 1]), y)
    assert float(loss) == pytest.approx(1e4)
    (g,) = autograd.gradients(loss, [y])
    np.testing.assert_allclose(g.numpy(), [[0.5, -0.5, 0], [0, 0, 0]], atol=1e-6)


def test_squeezing_as_keras():
    rng = np.random.default_rng(0)
    flat, column = positive(rng, 6), positive(rng, (6, 1))
    for name in ("MeanSquaredError", "BinaryCrossentropy", "Huber"):
        for t, y in ((flat, column), (column, flat), (column, column), (flat, flat)):
            np.testing.assert_allclose(
                getattr(losses, name)()(t, y).numpy(),
                getattr(keras.losses, name)()(t, y),
                **TOLERANCE,
            )
    labels = rng.integers(0, 3, (6, 1))
    y = distribution(rng, (6, 3))
    np.testing.assert_allclose(
        losses.SparseCategoricalCrossentropy()(labels, y).numpy(),
        keras.losses.SparseCategoricalCrossentropy()(labels, y),
        **TOLERANCE,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_mask_as_keras(reduction, weighted):
    rng = np.random.default_rng(0)
    t, y = normal(rng, (4, 5, 3)), normal(rng, (4, 5, 3))
    mask = rng.random((4, 5)) < 0.6
    weights = rng.uniform(0, 2, (4, 5)).astype("f") if weighted else None
    theirs_y = keras.ops.convert_to_tensor(y)
    keras.src.backend.set_keras_mask(theirs_y, keras.ops.convert_to_tensor(mask))
    ours_y = Tensor(y)
    ours_y._keras_mask = Tensor(mask)
    got = losses.MeanSquaredError(reduction=reduction)(t, ours_y, weights).numpy()
    np.testing.assert_allclose(
        got, keras.losses.MeanSquaredError(reduction=reduction)(t, theirs_y, weights), **TOLERANCE
    )
    ours_y._keras_mask = Tensor(np.zeros((4, 5), bool))
    assert np.all(losses.MeanSquaredError(reduction=reduction)(t, ours_y, weights).numpy() == 0)


def test_own_losses():
    class Own(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.multiply(y_true, y_pred), axis=-1)

    t, y = np.arange(6).reshape(2, 3), Tensor(np.ones((2, 3), "f"))
    assert float(Own()(t, y)) == 2.5
    assert Own().name == "own"
    wrapped = losses.LossFunctionWrapper(lambda t, y: ops.sum(ops.subtract(t, y), axis=-1), reduction="sum")
    assert float(wrapped(t, y)) == 9


def test_names_and_configs():
    for name, arguments, _, _ in CASES:
        ours, theirs = getattr(losses, name)(**arguments), getattr(keras.losses, name)(**arguments)
        config = ours.get_config()
        assert {k: config[k] for k in theirs.get_config()} == theirs.get_config()
        copy = losses.deserialize(losses.serialize(ours))
        assert type(copy) is type(ours) and copy.get_config() == config
    for alias in (
        "mse",
        "MSE",
        "mae",
        "mape",
        "MSLE",
        "bce",
        "kld",
        "huber",
        "MeanSquaredError",
        "SparseCategoricalCrossentropy",
    ):
        assert losses.get(alias) is not None
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get(None) is None


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: losses.MeanSquaredError()(np.ones(3), np.ones((3, 3))), "equal"),
        (lambda: losses.MeanSquaredError()(np.ones((3, 1)), np.ones((3, 2))), "equal"),
        (lambda: losses.MeanSquaredError(reduction="max"), "reduction"),
        (
            lambda: losses.MeanSquaredError()(np.ones((3, 2)), np.ones((3, 2)), np.ones(2)),
            "sample_weight",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()([0, 3], np.ones((2, 3), "f")),
            "label is 3, expected 0 <= value < 3",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()([0, -1], np.ones((2, 3), "f")),
            "label is -1",
        ),
        (lambda: losses.SparseCategoricalCrossentropy()([0, 1, 2], np.ones((2, 3), "f")), "target"),
        (lambda: losses.get("mean_square"), "mean_squared_error"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
