"""Every layer beside real Keras: same arguments, copied weights; results and gradients compared.

float32 on both sides: tolerance 2e-5 relative to the largest magnitude, which is the rounding of two
different orders of summation over at most a few hundred terms.
"""

import jax
import numpy as np
import pytest

import fastnn
from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras

IMAGES = (3, 7, 6, 4)
STEPS = (3, 9, 5)
ROWS = (4, 6)

# (class, arguments, input shape). Recurrent layers and wrappers have a file of their own.
CASES = [
    ("Dense", dict(units=5), ROWS),
    ("Dense", dict(units=5, use_bias=False, activation="gelu"), STEPS),
    ("Dense", dict(units=3, activation="relu", kernel_regularizer="l2", activity_regularizer="l1"), ROWS),
    *[("Dense", dict(units=4, activation=a), ROWS) for a in
      ["sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hard_sigmoid", "exponential", "softmax", "log_softmax", "linear", "mish", "hard_silu"]],
    *[("Activation", dict(activation=a), STEPS) for a in
      ["sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hard_sigmoid", "exponential", "softmax", "linear"]],
    ("ReLU", dict(max_value=1.0, negative_slope=0.1, threshold=0.2), STEPS),
    ("ReLU", dict(), STEPS),
    ("LeakyReLU", dict(), STEPS),
    ("LeakyReLU", dict(negative_slope=0.05), STEPS),
    ("ELU", dict(alpha=0.7), STEPS),
    ("PReLU", dict(alpha_initializer="glorot_uniform"), STEPS),
    ("PReLU", dict(alpha_initializer="glorot_uniform", shared_axes=[1, 2]), IMAGES),
    ("Softmax", dict(), STEPS),
    ("Softmax", dict(axis=1), STEPS),
    ("Softmax", dict(axis=(1, 2)), IMAGES),
    ("Softmax", dict(axis=(-1, 1)), IMAGES),
    ("Flatten", dict(), IMAGES),
    ("Reshape", dict(target_shape=(6, -1)), IMAGES),
    ("Permute", dict(dims=(2, 1)), STEPS),
    ("RepeatVector", dict(n=3), ROWS),
    ("ZeroPadding1D", dict(padding=(1, 2)), STEPS),
    ("ZeroPadding2D", dict(padding=((1, 2), (0, 3))), IMAGES),
    ("Cropping1D", dict(cropping=(1, 2)), STEPS),
    ("Cropping2D", dict(cropping=((1, 2), (0, 3))), IMAGES),
    *[("Conv2D", dict(filters=5, kernel_size=k, strides=s, padding=p, activation=a), IMAGES)
      for k, s, p, a in [(3, 1, "valid", None), (3, 1, "same", "relu"), (2, 2, "same", "tanh"), ((1, 3), (2, 1), "valid", "gelu"),
                         (1, 1, "valid", None), (5, 3, "same", None)]],
    ("Conv2D", dict(filters=4, kernel_size=3, dilation_rate=2, padding="same"), IMAGES),
    ("Conv2D", dict(filters=6, kernel_size=3, groups=2, use_bias=False), IMAGES),
    *[("Conv1D", dict(filters=4, kernel_size=k, strides=s, padding=p), STEPS)
      for k, s, p in [(3, 1, "valid"), (3, 1, "causal"), (2, 2, "same"), (4, 1, "same")]],
    ("Conv1D", dict(filters=4, kernel_size=3, dilation_rate=2, padding="causal", activation="relu"), STEPS),
    *[("Conv2DTranspose", dict(filters=3, kernel_size=k, strides=s, padding=p), IMAGES)
      for k, s, p in [(3, 1, "valid"), (3, 2, "same"), (2, 2, "valid"), (4, 2, "same"), (3, 3, "same")]],
    ("Conv2DTranspose", dict(filters=3, kernel_size=3, strides=2, padding="same", output_padding=1), IMAGES),
    ("Conv1DTranspose", dict(filters=3, kernel_size=3, strides=2, padding="same"), STEPS),
    *[("DepthwiseConv2D", dict(kernel_size=k, strides=s, padding=p, depth_multiplier=m), IMAGES)
      for k, s, p, m in [(3, 1, "valid", 1), (3, 1, "same", 2), (2, 2, "same", 1)]],
    ("DepthwiseConv1D", dict(kernel_size=3, padding="same"), STEPS),
    ("SeparableConv2D", dict(filters=5, kernel_size=3, padding="same", depth_multiplier=2, activation="relu"), IMAGES),
    ("SeparableConv1D", dict(filters=5, kernel_size=3), STEPS),
    *[(f"{kind}Pooling2D", dict(pool_size=k, strides=s, padding=p), IMAGES)
      for kind in ("Max", "Average") for k, s, p in [(2, None, "valid"), (3, 2, "same"), ((2, 3), (1, 2), "same"), (3, 1, "valid")]],
    *[(f"{kind}Pooling1D", dict(pool_size=k, strides=s, padding=p), STEPS)
      for kind in ("Max", "Average") for k, s, p in [(2, None, "valid"), (3, 2, "same"), (3, 1, "valid")]],
    *[(f"Global{kind}Pooling{d}D", dict(keepdims=keep), shape)
      for kind in ("Max", "Average") for d, shape in [(1, STEPS), (2, IMAGES)] for keep in (False, True)],
    ("UpSampling1D", dict(size=3), STEPS),
    ("UpSampling2D", dict(size=(2, 3)), IMAGES),
    ("UpSampling2D", dict(size=2, interpolation="bilinear"), IMAGES),
    ("BatchNormalization", dict(), IMAGES),
    ("BatchNormalization", dict(momentum=0.8, epsilon=1e-2, scale=False), ROWS),
    ("BatchNormalization", dict(center=False), STEPS),
    ("LayerNormalization", dict(), STEPS),
    ("LayerNormalization", dict(epsilon=1e-2, center=False), ROWS),
    ("LayerNormalization", dict(axis=(1, 2)), STEPS),
    ("LayerNormalization", dict(axis=(3, 1), gamma_initializer="glorot_uniform"), IMAGES),
    ("LayerNormalization", dict(rms_scaling=True, gamma_initializer="random_normal"), ROWS),
    ("LayerNormalization", dict(rms_scaling=True, axis=(1, 2)), STEPS),
    ("RMSNormalization", dict(), STEPS),
    ("RMSNormalization", dict(axis=(2, 3), epsilon=1e-3), IMAGES),
    ("ActivityRegularization", dict(l1=0.1, l2=0.2), ROWS),
    ("GroupNormalization", dict(groups=2), IMAGES),
    ("UnitNormalization", dict(), STEPS),
    ("Identity", dict(), ROWS),
]  # fmt: skip


def case_id(case):
    name, arguments, shape = case
    return f"{name}-{'-'.join(f'{k}={v}' for k, v in arguments.items())}-{len(shape)}d".replace(" ", "")


def close(got, want, tolerance=2e-5):
    want = np.asarray(want)
    got = np.asarray(got)
    assert got.shape == want.shape
    if want.size:
        scale = max(1.0, float(np.abs(want).max()))
        np.testing.assert_allclose(got / scale, want / scale, atol=tolerance, rtol=0)


def make_pair(name, arguments, x):
    theirs = getattr(keras.layers, name)(**arguments)
    ours = getattr(fastnn.layers, name)(**arguments)
    theirs.build(x.shape)
    rng = np.random.default_rng(3)
    ours(Tensor(x))
    weights = [np.asarray(w) for w in theirs.get_weights()]
    weights = [w + 0.1 * np.abs(rng.standard_normal(w.shape)).astype("float32") for w in weights]
    theirs.set_weights(weights)
    assert [w.shape for w in ours.weights] == [w.shape for w in weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(weights)
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_layer(case, training):
    name, arguments, shape = case
    rng = np.random.default_rng(len(case_id(case)))
    x = rng.standard_normal(shape).astype("float32")
    ours, theirs = make_pair(name, arguments, x)
    assert tuple(ours.compute_output_shape(shape)) == tuple(theirs.compute_output_shape(shape))
    trainable = [v.value for v in theirs.trainable_variables]
    fixed = [v.value for v in theirs.non_trainable_variables]
    passes = {"training": training} if name == "BatchNormalization" else {}
    seed = None

    def forward(trainable, x):
        out, moved = theirs.stateless_call(trainable, fixed, x, **passes)
        return (out * seed).sum(), (out, moved)

    t = Tensor(x)
    t.requires_grad = True
    y = ours(t, training=training)
    seed = rng.standard_normal(y.shape).astype("float32")
    (_, (want, moved)), (dw, dx) = jax.value_and_grad(forward, argnums=(0, 1), has_aux=True)(trainable, x)
    close(y, want)
    for w, v in zip(ours.non_trainable_weights, moved):
        close(w, v)
    total = ops.sum(ops.multiply(y, Tensor(seed)))
    got = autograd.gradients(total, [t, *ours.trainable_weights])
    for g, want in zip(got, [dx, *dw]):
        if g is None:
            assert not np.asarray(want).any()
        else:
            close(g, want, 1e-4)
    if ours.activity_regularizer is None:
        total = lambda losses: sum(float(np.asarray(v)) for v in losses)  # noqa: E731
        close(total(ours.losses), total(theirs.losses))


MERGES = [
    ("Add", {}), ("Subtract", {}), ("Multiply", {}), ("Average", {}), ("Maximum", {}), ("Minimum", {}),
    ("Concatenate", {}), ("Concatenate", dict(axis=1)), ("Dot", dict(axes=-1)), ("Dot", dict(axes=1, normalize=True)),
]  # fmt: skip


@pytest.mark.parametrize("name, arguments", MERGES)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5)])
def test_merge(name, arguments, shape):
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(shape).astype("float32") for _ in range(2)]
    theirs, ours = getattr(keras.layers, name)(**arguments), getattr(fastnn.layers, name)(**arguments)
    want = np.asarray(theirs(inputs))
    y = ours([Tensor(i) for i in inputs])
    close(y, want)
    assert tuple(ours.compute_output_shape([shape, shape])) == want.shape
    assert ours.get_config()["name"]


@pytest.mark.parametrize("name", ["Add", "Multiply", "Average", "Maximum", "Minimum"])
def test_merge_of_different_ranks(name):
    # Axes of length 1 come after the batch axis: NumPy's rule would give other numbers here.
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(s).astype("float32") for s in [(4, 5), (4, 4, 5), (4, 1, 4, 5)]]
    theirs, ours = getattr(keras.layers, name)(), getattr(fastnn.layers, name)()
    want = np.asarray(theirs(inputs))
    close(ours(inputs), want)
    assert tuple(ours.compute_output_shape([i.shape for i in inputs])) == want.shape


@pytest.mark.parametrize("masked", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("name, arguments", [m for m in MERGES if m[0] != "Dot"])
def test_merge_of_masked_steps(name, arguments, masked):
    x = np.array([[[0, 0], [-1, 2], [0, 0], [3, -4]]], "float32")
    z = np.array([[[0, 0], [0, 0], [1, -2], [-5, 6]]], "float32")
    results = []
    for k in (keras, fastnn):
        inputs = [k.layers.Masking()(v) if m else k.ops.convert_to_tensor(v) for v, m in zip((x, z), masked)]
        y = getattr(k.layers, name)(**arguments)(inputs)
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


def test_configs_make_equal_layers():
    for name, arguments, shape in CASES:
        layer = getattr(fastnn.layers, name)(**arguments)
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config(), name


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
