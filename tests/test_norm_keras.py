"""Normalisation and embedding against Keras: values, gradients, moving statistics, large means."""

import jax
import numpy as np
import pytest

from fastnn import _core, autograd, kernels, ops
from fastnn.tensor import Tensor
from keras_reference import keras

# float32 on both sides; gradients of normalisation cancel, so a few hundred roundings of size 1.
TOLERANCE = dict(rtol=1e-4, atol=3e-5)


def leaf(x):
    t = Tensor(x)
    t.requires_grad = True
    return t


def normal(rng, *shape):
    return rng.standard_normal(shape).astype("f")


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 6), (2, 7, 5, 9), (40, 1), (3, 200)])
@pytest.mark.parametrize("masked", [False, True])
def test_batch_norm_training(shape, masked):
    if masked and shape[-1] == 1:
        pytest.skip("Keras squeezes the channel axis away")
    rng = np.random.default_rng(sum(shape))
    x, dy = 3 * normal(rng, *shape) + 1, normal(rng, *shape)
    gamma, beta = normal(rng, shape[-1]), normal(rng, shape[-1])
    mask = rng.random(shape[:-1]) < 0.7 if masked else None
    layer = keras.layers.BatchNormalization(momentum=0.8, epsilon=1e-3)
    layer.build(shape)
    trainable, state = [gamma, beta], [normal(rng, shape[-1]), np.abs(normal(rng, shape[-1]))]

    @jax.jit
    def theirs(x, *trainable):
        return layer.stateless_call(list(trainable), state, x, training=True, mask=mask)

    want, pullback, moved = jax.vjp(theirs, x, *trainable, has_aux=True)
    leaves = [leaf(x), leaf(gamma), leaf(beta)]
    mean, variance = Tensor(state[0]), Tensor(state[1])
    y = ops.batch_norm_training(*leaves, mean, variance, 0.8, 1e-3, mask)
    np.testing.assert_allclose(y.numpy(), want, **TOLERANCE)
    np.testing.assert_allclose(mean.numpy(), moved[0], **TOLERANCE)
    np.testing.assert_allclose(variance.numpy(), moved[1], **TOLERANCE)
    for got, expected in zip(autograd.gradients(y, leaves, Tensor(dy)), pullback(dy)):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("statistics", [False, True])
def test_batch_normalization(axis, statistics):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, 4, 5, 6), normal(rng, 4, 5, 6)
    n = x.shape[axis]
    mean, variance, offset, scale = (
        normal(rng, n),
        np.abs(normal(rng, n)) + 0.5,
        normal(rng, n),
        normal(rng, n),
    )
    theirs = jax.jit(lambda x, m, v, o, s: keras.ops.batch_normalization(x, m, v, axis, o, s, 1e-2))
    want, pullback = jax.vjp(theirs, x, mean, variance, offset, scale)
    leaves = [
        leaf(x),
        *((leaf(mean), leaf(variance)) if statistics else (Tensor(mean), Tensor(variance))),
        leaf(offset),
        leaf(scale),
    ]
    y = ops.batch_normalization(leaves[0], leaves[1], leaves[2], axis, leaves[3], leaves[4], 1e-2)
    np.testing.assert_allclose(y.numpy(), want, **TOLERANCE)
    for i, (got, expected) in enumerate(zip(autograd.gradients(y, leaves, Tensor(dy)), pullback(dy))):
        if statistics or i not in (1, 2):
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (0, 2), (-2, -1)])
@pytest.mark.parametrize("affine", [False, True])
def test_layer_normalization(axis, affine):
    rng = np.random.default_rng(0)
    x, dy = 2 * normal(rng, 3, 4, 5) + 1, normal(rng, 3, 4, 5)
    shape = np.shape(
        np.zeros((3, 4, 5))[tuple(slice(None) if a in [b % 3 for b in np.atleast_1d(axis)] else 0 for a in range(3))]
    )
    parameters = [normal(rng, *shape), normal(rng, *shape)] if affine else []
    if affine and axis != -1:
        # Keras' op wants gamma to broadcast against x; the layer reshapes it so.
        full = [x.shape[a] if a in [b % 3 for b in np.atleast_1d(axis)] else 1 for a in range(3)]
        theirs = [p.reshape(full) for p in parameters]
    else:
        theirs = parameters
    want, pullback = jax.vjp(
        jax.jit(lambda x, *p: keras.ops.layer_normalization(x, *p, axis=axis, epsilon=1e-3)),
        x,
        *theirs,
    )
    leaves = [leaf(x), *map(leaf, parameters)]
    y = ops.layer_normalization(*leaves, axis=axis, epsilon=1e-3)
    np.testing.assert_allclose(y.numpy(), want, **TOLERANCE)
    for got, expected in zip(autograd.gradients(y, leaves, Tensor(dy)), pullback(dy)):
        np.testing.assert_allclose(got.numpy(), np.reshape(expected, got.shape), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_normalization(axis):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, 3, 4, 5), normal(rng, 3, 4, 5)
    scale = normal(rng, x.shape[axis])
    shaped = scale if axis == -1 else scale[:, None]
    want, pullback = jax.vjp(
        jax.jit(lambda x, s: keras.ops.rms_normalization(x, s, axis=axis, epsilon=1e-3)), x, shaped
    )
    leaves = [leaf(x), leaf(scale)]
    y = ops.rms_normalization(*leaves, axis=axis, epsilon=1e-3)
    np.testing.assert_allclose(y.numpy(), want, **TOLERANCE)
    for got, expected in zip(autograd.gradients(y, leaves, Tensor(dy)), pullback(dy)):
        np.testing.assert_allclose(got.numpy(), np.reshape(expected, got.shape), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "groups,axis,shape",
    [
        (2, -1, (3, 4, 6)),
        (3, -1, (2, 3, 2, 6)),
        (1, -1, (3, 4)),
        (4, 1, (2, 4, 3)),
        (6, -1, (2, 5, 6)),
    ],
)
def test_group_normalization(groups, axis, shape):
    rng = np.random.default_rng(0)
    x, dy = 2 * normal(rng, *shape) + 1, normal(rng, *shape)
    gamma, beta = normal(rng, shape[axis]), normal(rng, shape[axis])
    layer = keras.layers.GroupNormalization(groups=groups, axis=axis)
    layer.build(shape)
    want, pullback = jax.vjp(jax.jit(lambda x, *p: layer.stateless_call(list(p), [], x)[0]), x, gamma, beta)
    leaves = [leaf(x), leaf(gamma), leaf(beta)]
    y = ops.group_normalization(*leaves, groups=groups, axis=axis, epsilon=1e-3)
    np.testing.assert_allclose(y.numpy(), want, **TOLERANCE)
    for got, expected in zip(autograd.gradients(y, leaves, Tensor(dy)), pullback(dy)):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3, atol=2e-4)


def test_a_large_mean_costs_no_digits():
    """Variance 1 about a mean of 10,000: float32 sums of squares would be off by tens."""
    rng = np.random.default_rng(0)
    x = (1e4 + rng.standard_normal((5000, 4))).astype("f")
    moved = [Tensor(np.zeros(4, "f")), Tensor(np.zeros(4, "f"))]
    ops.batch_norm_training(Tensor(x), None, None, *moved, momentum=0.0)
    np.testing.assert_allclose(moved[0].numpy(), x.mean(0, dtype="d"), rtol=1e-7)
    np.testing.assert_allclose(moved[1].numpy(), x.var(0, dtype="d"), rtol=1e-5)


def test_same_bits_for_any_thread_count():
    rng = np.random.default_rng(0)
    x, dy = Tensor(normal(rng, 1000, 37)), Tensor(normal(rng, 1000, 37))
    before, results = _core.max_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            leaves = [leaf(x.numpy()), leaf(np.ones(37, "f")), leaf(np.ones(37, "f"))]
            y = ops.batch_norm_training(*leaves, Tensor(np.zeros(37, "f")), Tensor(np.ones(37, "f")))
            results.append([t.numpy().tobytes() for t in (y, *autograd.gradients(y, leaves, dy))])
    finally:
        _core.set_max_threads(before)
    assert all(r == results[0] for r in results)


def test_embedding():
    rng = np.random.default_rng(0)
    for shape in [(5,), (4, 7), (2, 3, 4)]:
        index, table = rng.integers(0, 9, shape), normal(rng, 9, 6)
        want, pullback = jax.vjp(lambda t: keras.ops.take(t, index, axis=0), table)  # noqa: B023
        t, dy = leaf(table), normal(rng, *shape, 6)
        y = ops.embedding_lookup(index, t)
        np.testing.assert_array_equal(y.numpy(), want)
        np.testing.assert_allclose(
            autograd.gradients(y, [t], Tensor(dy))[0].numpy(), pullback(dy)[0], rtol=1e-5, atol=1e-6
        )


def test_embedding_index_outside_the_table():
    for index in ([0, 9], [-1, 2]):
        with pytest.raises(
            ValueError,
            match=f"embedding: index is {9 if 9 in index else -1}, expected 0 <= value < 9",
        ):
            ops.embedding_lookup(index, np.zeros((9, 2), "f"))
    dtable = Tensor(np.ones((3, 2), "f"))
    kernels.embedding_grad(Tensor([0, 7, -5, 2]), Tensor(np.ones((4, 2), "f")), dtable)
    assert dtable.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="gamma"):
        ops.layer_normalization(np.ones((2, 3), "f"), np.ones(4, "f"))
    with pytest.raises(ValueError, match="groups do not divide"):
        ops.group_normalization(np.ones((2, 3), "f"), groups=2)
    with pytest.raises(TypeError, match="float"):
        ops.layer_normalization(np.ones((2, 3), "i4"))
