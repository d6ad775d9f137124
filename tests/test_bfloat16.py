"""Products of operands rounded to bfloat16: `matmul_precision` "bfloat16" and the policy "mixed_bfloat16".

Where the processor has no such products everything must be as in float32, so each expectation is stated for both.
"""

import itertools

import numpy as np
import pytest

import fastnn
import test_kernels
from fastnn import _core, layers, ops, reference
from fastnn.tensor import from_numpy

EPS = 2.0**-8  # of a number rounded to 8 bits: half a step
LEAST_DEPTH = 16  # products of fewer terms stay in float32


@pytest.fixture(autouse=True)
def restore_settings():
    isa, threads = _core.current_isa(), _core.max_threads()
    yield
    fastnn.config.set_matmul_precision("float32")
    fastnn.config.set_dtype_policy(None)
    _core.set_isa(isa)
    _core.set_max_threads(threads)


def rounded(x):
    """float32 to the nearest number with 8 bits, ties to even; as it is where the processor has no such products."""
    if not _core.multiplies_bfloat16():
        return x
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + (bits >> 16 & 1) + 0x7FFF) & 0xFFFF0000).view(np.float32)


def near(got, a, b):
    """a @ b up to the rounding of sums in float32, of blocks of 256 products, as in test_matmul.py."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = np.finfo(np.float32).eps * (8 + 2 * np.sqrt(a.shape[-1])) * (np.abs(a) @ np.abs(b))
    return bool((np.abs(got - a @ b) <= bound).all())


EDGES = [2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 65, 193]
rng = np.random.default_rng(0)
SHAPES = [s for s in itertools.product([1, *EDGES], EDGES, [16, 17, 31, 64, 255, 257, 600]) if rng.random() < 0.1]
SHAPES += [(25, 515, 257), (200, 530, 513), (600, 260, 300), (33, 1, 40), (5, 33, 15), (40, 40, 1)]
FORMS = {
    "nn": lambda a, b: (a, b),
    "nt": lambda a, b: (a, b.swapaxes(-1, -2)),
    "tn": lambda a, b: (a.swapaxes(-1, -2), b),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("isa", _core.available_isas())
def test_products_are_those_of_rounded_operands(isa, form):
    """Exactly those: the products of 8 bits are exact, and their sums are as in float32."""
    _core.set_isa(isa)
    fastnn.config.set_matmul_precision("bfloat16")
    kernel = _core.kernels[f"matmul_{form}"]
    for m, n, k in SHAPES:
        a = rng.standard_normal((k, m) if form == "tn" else (m, k)).astype(np.float32)
        b = rng.standard_normal((n, k) if form == "nt" else (k, n)).astype(np.float32)
        results = []
        for threads in (1, 3):
            _core.set_max_threads(threads)
            whole = np.full(m * n + 128, 777, np.float32)
            kernel(from_numpy(a), from_numpy(b), from_numpy(whole[64:-64].reshape(m, n)))
            assert (whole[:64] == 777).all() and (whole[-64:] == 777).all()
            results.append(whole[64:-64].reshape(m, n))
        np.testing.assert_array_equal(*results)
        plain = k < LEAST_DEPTH or (m < 32 if form == "tn" else n == 1)
        x, y = FORMS[form](a, b)
        assert near(results[0], *((x, y) if plain else (rounded(x), rounded(y)))), (m, n, k)


def test_a_row_of_a_product_does_not_depend_on_the_others():
    fastnn.config.set_matmul_precision("bfloat16")
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((300, 100), (100, 70)))
    whole = ops.matmul(x, w).numpy()
    for rows in (1, 2, 8, 31, 33, 200):
        np.testing.assert_array_equal(ops.matmul(x[:rows], w).numpy(), whole[:rows])


@pytest.mark.parametrize("m", [1, 5, 40, 300])
def test_odd_numbers_stay_what_they_are(m):
    fastnn.config.set_matmul_precision("bfloat16")
    a, b = np.ones((m, 64), np.float32), np.ones((64, 48), np.float32)
    a[0, 3], b[5, 7], b[6, 8] = np.nan, np.inf, -1e38
    c = ops.matmul(a, b).numpy()
    assert np.isnan(c[0]).all() and (c[1:, 7] == np.inf).all()
    assert np.isfinite(np.delete(c[1:], 7, 1)).all() and (c[1:, 8] < -9e37).all()


@pytest.mark.parametrize(
    "name", [n for n in _core.kernels if n.startswith(("conv", "dense", "matmul", "batch_matmul"))]
)
def test_meaning(name):
    """Every case of the catalogue, up to the rounding of operands."""
    fastnn.config.set_matmul_precision("bfloat16")
    case, kernel = reference.KERNELS[name], _core.kernels[name]
    for sizes in case.sizes:
        for scalars in case.scalars:
            test_kernels.check(case, kernel, sizes, scalars, "float32", eps=EPS)


@pytest.mark.parametrize("name", [n for n in _core.kernels if n.startswith(("lstm", "gru", "simple_rnn"))])
def test_meaning_of_recurrent_layers(name):
    """Rounding in each of the steps adds up, and gradients pass through all of them."""
    fastnn.config.set_matmul_precision("bfloat16")
    case, kernel = reference.KERNELS[name], _core.kernels[name]
    for sizes in case.sizes:
        for scalars in case.scalars:
            test_kernels.check(case, kernel, sizes, scalars, "float32", eps=4 * EPS)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in _core.kernels
        if n.startswith(("conv", "dense", "matmul", "batch_matmul", "lstm", "gru", "simple_rnn"))
    ],
)
def test_same_bits_for_any_thread_count(name):
    fastnn.config.set_matmul_precision("bfloat16")
    test_kernels.test_same_bits_for_any_thread_count(name)


@pytest.mark.parametrize("filters", [16, 32, 48])
def test_winograd_of_rounded_numbers(filters):
    """It rounds sums of four inputs; the error stays within twice that of rounded inputs."""
    x = rng.standard_normal((4, 20, 20, 32)).astype(np.float32)
    w = rng.standard_normal((3, 3, 32, filters)).astype(np.float32)
    fastnn.config.set_matmul_precision("float32_strict")
    exact = ops.conv(x, w, padding="same").numpy()
    plain = ops.conv(rounded(x), rounded(w), padding="same").numpy()
    fastnn.config.set_matmul_precision("bfloat16")
    error = lambda y: np.sqrt(np.mean((y - exact) ** 2))  # noqa: E731
    assert error(ops.conv(x, w, padding="same").numpy()) <= 2 * error(plain) + 1e-6 * np.abs(exact).max()


# --- the policy -----------------------------------------------------------------------------------


def test_a_mixed_layer_rounds_its_products_and_those_of_its_gradients():
    x = rng.standard_normal((40, 50)).astype(np.float32)
    layer = layers.Dense(33, use_bias=False, dtype="mixed_bfloat16")
    assert (
        layer.dtype_policy == fastnn.DTypePolicy("mixed_bfloat16") and layer.dtype == layer.variable_dtype == "float32"
    )
    dy = rng.standard_normal((40, 33)).astype(np.float32)
    with fastnn.GradientTape() as tape:
        inputs = from_numpy(x)
        tape.watch(inputs)
        y = layer(inputs)
        loss = ops.sum(y * from_numpy(dy))
    dx, dw = tape.gradient(loss, [inputs, layer.kernel])
    w = layer.kernel.numpy()
    assert y.dtype == "float32"
    assert near(y.numpy(), rounded(x), rounded(w))
    assert near(dx.numpy(), rounded(dy), rounded(w).T)
    assert near(dw.numpy(), rounded(x).T, rounded(dy))
    # Nothing of that stays behind.
    assert near(ops.matmul(x, w).numpy(), x, w)


def test_layers_have_policies_of_their_own():
    fastnn.mixed_precision.set_global_policy("mixed_bfloat16")
    assert fastnn.config.dtype_policy().name == "mixed_bfloat16"

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.exact, self.rounded = layers.Dense(20, dtype="float32"), layers.Dense(20)

        def call(self, x):
            return self.exact(x), self.rounded(x), ops.matmul(x, self.exact.kernel)

    x, outer = rng.standard_normal((9, 64)).astype(np.float32), Outer()
    exact, mine, inside = (t.numpy() for t in outer(x))
    assert near(exact, x, outer.exact.kernel.numpy())
    assert near(mine, rounded(x), rounded(outer.rounded.kernel.numpy()))
    assert near(inside, rounded(x), rounded(outer.exact.kernel.numpy()))


def test_recorded_steps_follow_the_policy():
    x = rng.standard_normal((300, 64)).astype(np.float32)
    fastnn.config.set_dtype_policy("mixed_bfloat16")
    model = fastnn.Sequential([layers.Dense(32, use_bias=False), layers.Dense(24, use_bias=False, dtype="float32")])
    y = model.predict(x, verbose=0)
    hidden = model.layers[0](x).numpy()
    np.testing.assert_array_equal(y, ops.matmul(hidden, model.layers[1].kernel).numpy())
    np.testing.assert_array_equal(y[:1], model.predict_on_batch(x[:1]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.Dense(32, "relu"), layers.Dense(1)],
        lambda: [layers.Reshape((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Conv2D(16, 3),
                 layers.Flatten(), layers.Dense(1)],
        lambda: [layers.Reshape((8, 8)), layers.LSTM(32), layers.Dense(1)],
        lambda: [layers.Reshape((8, 8)), layers.Bidirectional(layers.GRU(32)), layers.Dense(1)],
    ],
)  # fmt: skip
def test_training_converges_as_in_float32(make):
    x = np.random.default_rng(1).standard_normal((512, 64)).astype(np.float32)
    y = np.tanh(x[:, :8].sum(1, keepdims=True) / 3)
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        fastnn.config.set_dtype_policy(policy)
        fastnn.utils.set_random_seed(0)
        model = fastnn.Sequential(make())
        model.compile(fastnn.optimizers.Adam(3e-3), "mse")
        losses[policy] = model.fit(x, y, epochs=12, batch_size=32, verbose=0).history["loss"]
    first, last = losses["float32"][0], losses["float32"][-1]
    assert last < 0.5 * first
    assert abs(losses["mixed_bfloat16"][-1] - last) < 0.1 * (first - last) + 0.2 * last


def test_policies_are_kept_in_configurations_and_files(tmp_path):
    fastnn.config.set_dtype_policy("mixed_bfloat16")
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3), layers.Dense(2, dtype="float32")])
    fastnn.config.set_dtype_policy(None)
    assert model.layers[0].get_config()["dtype"] == {
        "module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}, "registered_name": None,
    }  # fmt: skip
    assert model.get_config()["layers"][0]["config"]["dtype"] == "float32"  # of the inputs
    model.save(tmp_path / "model.fnn")
    for again in (fastnn.Sequential.from_config(model.get_config()), fastnn.saving.load_model(tmp_path / "model.fnn")):
        assert [layer.dtype_policy.name for layer in again.layers] == ["mixed_bfloat16", "float32"]


def test_a_configuration_says_it_to_a_constructor():
    layer = layers.Dense(3, dtype="mixed_bfloat16")
    assert layers.Dense(**layer.get_config()).dtype_policy == layer.dtype_policy
    both = layers.Bidirectional(layers.GRU(4, dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    assert layers.Bidirectional.from_config(both.get_config()).dtype_policy.name == "mixed_bfloat16"
    fastnn.config.set_dtype_policy(layer.get_config()["dtype"])
    assert fastnn.config.dtype_policy() == layer.dtype_policy
    assert fastnn.metrics.Mean(dtype=layer.dtype_policy).dtype == "float32"


def test_the_parts_of_a_layer_have_its_policy():
    heads = layers.MultiHeadAttention(2, 32, dtype="mixed_bfloat16")
    x = rng.standard_normal((2, 5, 64)).astype(np.float32)
    heads(x, x)
    inside = [layer for layer in heads._sublayers if layer.weights]
    assert inside and all(layer.dtype_policy == heads.dtype_policy for layer in inside)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("make", [layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell])
def test_a_cell_computes_by_its_own_policy(make, fused):
    x = rng.standard_normal((4, 3, 40)).astype(np.float32)
    results = {}
    for outer, inner in itertools.product(("float32", "mixed_bfloat16"), repeat=2):
        fastnn.utils.set_random_seed(0)
        cell = make(32, activation="tanh" if fused else lambda x: ops.tanh(x), dtype=inner)
        results[outer, inner] = layers.RNN(cell, dtype=outer)(x).numpy()
    for inner in ("float32", "mixed_bfloat16"):
        np.testing.assert_array_equal(results["float32", inner], results["mixed_bfloat16", inner])
    differ = (results["float32", "float32"] != results["float32", "mixed_bfloat16"]).any()
    assert differ == _core.multiplies_bfloat16()


def test_ops_of_a_graph_keep_the_policy_that_they_were_made_under(tmp_path):
    fastnn.config.set_dtype_policy("mixed_bfloat16")
    x = fastnn.Input((4, 64))
    model = fastnn.Model(x, ops.matmul(x, ops.transpose(x, (0, 2, 1))))
    model.save(tmp_path / "model.fnn")
    fastnn.config.set_dtype_policy(None)
    data = rng.standard_normal((3, 4, 64)).astype(np.float32)
    for m in (model, fastnn.saving.load_model(tmp_path / "model.fnn")):
        got = m.predict(data, verbose=0)
        assert all(near(g, rounded(d), rounded(d).T) for g, d in zip(got, data))


def test_integers_are_exact():
    fastnn.config.set_matmul_precision("bfloat16")
    a, b = np.full((2, 16), 257), np.ones((16, 2), int)
    for product in (
        ops.matmul,
        ops.dot,
        lambda a, b: ops.tensordot(a, b, 1),
        lambda a, b: ops.einsum("ij,jk->ik", a, b),
    ):
        np.testing.assert_array_equal(product(a, b).numpy(), a @ b)
    assert ops.matmul(np.array([[2**20 + 1]]), np.array([[2**10 - 1]])).numpy() == (2**20 + 1) * (2**10 - 1)


def test_wrapped_layers_get_the_policy_of_their_wrapper():
    fastnn.config.set_dtype_policy("mixed_bfloat16")
    both = layers.Bidirectional(layers.LSTM(20))
    fastnn.config.set_dtype_policy(None)
    assert both.forward_layer.dtype_policy == both.backward_layer.dtype_policy == both.dtype_policy
    assert layers.Dense(2).dtype_policy.name == "float32"


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_float64", "bf16", "", 3])
def test_unknown_policies(name):
    for call in (fastnn.DTypePolicy, fastnn.config.set_dtype_policy, lambda p: layers.Dense(2, dtype=p)):
        with pytest.raises((ValueError, TypeError)):
            call(name)
    assert fastnn.config.dtype_policy().name == "float32"


def test_a_policy_of_float64_is_that_type():
    fastnn.config.set_dtype_policy("float64")
    layer = layers.Dense(3)
    assert layer(np.ones((2, 20))).dtype == layer.dtype == "float64"
    fastnn.config.set_dtype_policy(None)
    fastnn.config.set_floatx("float64")
    try:
        assert fastnn.config.dtype_policy().name == "float64"
    finally:
        fastnn.config.set_floatx("float32")
