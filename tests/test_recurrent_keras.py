"""Recurrent layers and wrappers beside real Keras: the same arguments, copied weights; outputs, final
states and all gradients compared.

float32 on both sides. Tolerance 1e-4 relative to the largest magnitude: a chain of up to 9 steps, each
with rounding errors of sums in a different order and of different exponentials, carried on.
"""

import jax
import numpy as np
import pytest

import fastnn
from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_reference import keras

# Each configuration is compiled and run once.
jax.config.update("jax_disable_most_optimizations", True)

TOLERANCE = 1e-4
KINDS = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}
ACTIVATIONS = [
    "tanh",
    "sigmoid",
    "relu",
    "hard_sigmoid",
    "softsign",
    "elu",
    "gelu",
    "linear",
    "silu",
]


def close(got, want, what):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, what
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    np.testing.assert_allclose(got / scale, want / scale, atol=TOLERANCE, rtol=0, err_msg=what)


def flat(results):
    if isinstance(results, (list, tuple)):
        return [leaf for r in results for leaf in flat(r)]
    return [results]


def compare(mine, theirs, x, mask=None, states=None, gradients=True):
    """Outputs of both layers, and gradients of a random combination of them."""
    rng = np.random.default_rng(5)
    theirs.build(x.shape)
    values = [rng.standard_normal(w.shape).astype("float32") * 0.5 for w in theirs.weights]
    theirs.set_weights(values)
    kwargs = {} if mask is None else {"mask": mask}
    leaf = Tensor(x)
    leaf.requires_grad = True
    given = [Tensor(s) for s in states or []]
    for s in given:
        s.requires_grad = True
    mine.build(x.shape)
    assert [w.shape for w in mine.weights] == [w.shape for w in theirs.weights]
    assert [w.name for w in mine.weights] == [w.name for w in theirs.weights]
    mine.set_weights(values)
    got = flat(mine(leaf, **({"initial_state": given} if given else {}), **kwargs))

    def run(weights, x, states):
        extra = {"initial_state": list(states)} if states else {}
        out, _ = theirs.stateless_call(weights, [v.value for v in theirs.non_trainable_variables], x, **extra, **kwargs)
        return flat(out)

    weights = [rng.standard_normal(g.shape).astype("float32") for g in got]

    def loss(values, x, states):
        results = run(values, x, states)
        return sum((r * w).sum() for r, w in zip(results, weights)), results

    # One compilation, which takes most of the time: gradients only where asked for.
    if not gradients:
        _, want = jax.jit(loss)(values, x, states or [])
    else:
        grad = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
        (_, want), (dv, dx, ds) = grad(values, x, states or [])
    assert len(got) == len(want)
    for i, (g, w) in enumerate(zip(got, want)):
        close(g, w, f"result {i}")
    if not gradients:
        return
    total = None
    for g, w in zip(got, weights):
        term = ops.sum(ops.multiply(g, Tensor(w)))
        total = term if total is None else ops.add(total, term)
    found = autograd.gradients(total, [leaf, *mine.trainable_weights, *given])
    for i, (g, w) in enumerate(zip(found, [dx, *dv, *ds])):
        close(np.zeros(w.shape) if g is None else g, w, f"gradient {i}")


def draw_arguments(rng, kind):
    arguments = {}
    for name in ("return_sequences", "return_state", "go_backwards"):
        arguments[name] = bool(rng.random() < 0.5)
    arguments["use_bias"] = bool(rng.random() < 0.8)
    if rng.random() < 0.6:
        arguments["activation"] = str(rng.choice(ACTIVATIONS))
    if kind != "SimpleRNN" and rng.random() < 0.5:
        arguments["recurrent_activation"] = str(rng.choice(["hard_sigmoid", "sigmoid", "softsign", "tanh", "gelu"]))
    if kind == "GRU":
        arguments["reset_after"] = bool(rng.random() < 0.5)
    if kind == "LSTM":
        arguments["unit_forget_bias"] = bool(rng.random() < 0.5)
    if rng.random() < 0.3:
        arguments["zero_output_for_mask"] = True
    return arguments


# (units, input shape)
SHAPES = [(5, (4, 5, 3)), (17, (2, 4, 8)), (1, (1, 3, 1))]


def draw_inputs(rng, kind, units, shape):
    x = rng.standard_normal(shape).astype("float32")
    mask = rng.random(shape[:2]) < 0.6 if rng.random() < 0.5 else None
    states = None
    if rng.random() < 0.5:
        states = [rng.standard_normal((shape[0], units)).astype("float32") for _ in range(KINDS[kind])]
    return x, mask, states


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", KINDS)
def test_random_configurations(kind, seed):
    rng = np.random.default_rng([seed, KINDS[kind], len(kind)])
    for units, shape in SHAPES:
        arguments = draw_arguments(rng, kind)
        x, mask, states = draw_inputs(rng, kind, units, shape)
        mine, theirs = (getattr(m.layers, kind)(units, **arguments) for m in (fastnn, keras))
        compare(mine, theirs, x, mask, states, gradients=units == 5 and seed % 2 == 0)


@pytest.mark.parametrize("arguments", [{}, {"reset_after": False}, {"go_backwards": True, "return_sequences": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_many_units_and_few_rows(kind, arguments):
    """Few enough rows and enough units for the walk that shares units instead of rows."""
    if kind != "GRU" and "reset_after" in arguments:
        pytest.skip("an argument of GRU")
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32") * 0.3
    units = 256 if kind == "SimpleRNN" else 128
    mine, theirs = (getattr(m.layers, kind)(units, **arguments) for m in (fastnn, keras))
    compare(mine, theirs, x, np.array([[True, False, True], [True, True, True]]))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("kind", KINDS)
def test_bidirectional(kind, merge_mode):
    rng = np.random.default_rng(len(kind))
    for sequences in (False, True):
        for state in (False, True):
            x, mask, _ = draw_inputs(rng, kind, *SHAPES[0])
            states = None
            if state:
                states = [rng.standard_normal((x.shape[0], 5)).astype("float32") for _ in range(2 * KINDS[kind])]
            layers = [
                m.layers.Bidirectional(
                    getattr(m.layers, kind)(5, return_sequences=sequences, return_state=state),
                    merge_mode=merge_mode,
                )
                for m in (fastnn, keras)
            ]
            if merge_mode is None and mask is not None and state:
                mask = None  # Keras itself fails on the masks of this combination
            compare(*layers, x, mask, states)


def test_bidirectional_with_its_own_backward_layer():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 4)).astype("float32")
    layers = [
        m.layers.Bidirectional(
            m.layers.LSTM(3, return_sequences=True),
            backward_layer=m.layers.GRU(4, activation="relu", return_sequences=True, go_backwards=True),
        )
        for m in (fastnn, keras)
    ]
    compare(*layers, x)
    with pytest.raises(ValueError, match="different directions"):
        fastnn.layers.Bidirectional(fastnn.layers.LSTM(3), backward_layer=fastnn.layers.LSTM(3))


def test_bidirectional_starts_from_given_weights():
    layer = fastnn.layers.SimpleRNN(2)
    layer.build((None, 3, 2))
    weights = [np.full(w.shape, i, "float32") for i, w in enumerate(layer.weights * 2)]
    both = fastnn.layers.Bidirectional(fastnn.layers.SimpleRNN(2), weights=weights)
    both.build((None, 3, 2))
    for got, want in zip(both.get_weights(), weights):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("inner", ["dense", "lstm"])
def test_time_distributed(inner):
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype("float32")
    make = {
        "dense": lambda m: m.layers.TimeDistributed(m.layers.Dense(7, activation="tanh")),
        "lstm": lambda m: m.layers.TimeDistributed(m.layers.LSTM(3)),
    }[inner]
    compare(make(fastnn), make(keras), x)
    assert make(fastnn).compute_output_shape((None, 4, 5, 6)) == make(keras).compute_output_shape((None, 4, 5, 6))


CELLS = {
    "one": lambda m: m.layers.LSTMCell(4, activation="relu"),
    "stack": lambda m: [m.layers.LSTMCell(4), m.layers.GRUCell(3), m.layers.SimpleRNNCell(5)],
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cells", CELLS)
def test_rnn_around_cells(cells, masked, backwards, monkeypatch):
    """In one op, and step by step in Python."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 6, 4)).astype("float32")
    mask = rng.random((3, 6)) < 0.6 if masked else None
    arguments = dict(return_sequences=True, return_state=True, go_backwards=backwards)
    for fused in (True, False):
        if not fused:
            monkeypatch.setattr(fastnn.layers.recurrent.rnn, "is_fused", lambda cell: False)
        compare(*(m.layers.RNN(CELLS[cells](m), **arguments) for m in (fastnn, keras)), x, mask)


@pytest.mark.parametrize("kind", KINDS)
def test_own_activation_runs_step_by_step(kind):
    """A function that the kernels do not know: a cell of ops instead of one op."""
    x = np.random.default_rng(1).standard_normal((3, 5, 4)).astype("float32")
    layers = [
        getattr(m.layers, kind)(4, activation=lambda z, m=m: m.ops.multiply(z, 0.5), return_sequences=True)
        for m in (fastnn, keras)
    ]
    compare(*layers, x)


def test_own_cell():
    class Decay(fastnn.layers.Layer):
        state_size = 3

        def call(self, inputs, states):
            h = ops.add(ops.multiply(states[0], 0.5), inputs)
            return h, [h]

    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    y, h = fastnn.layers.RNN(Decay(), return_sequences=True, return_state=True)(Tensor(x))
    want, state = [], np.zeros((2, 3), "float32")
    for t in range(4):
        state = state * 0.5 + x[:, t]
        want.append(state)
    np.testing.assert_allclose(y.numpy(), np.stack(want, 1), rtol=1e-6)
    np.testing.assert_array_equal(h.numpy(), y.numpy()[:, -1])


def test_final_states_of_stacked_own_cells():
    def stack(k):
        class Sum(k.layers.Layer):
            def __init__(self, units):
                super().__init__()
                self.units = self.state_size = self.output_size = units

            def build(self, input_shape):
                self.kernel = self.add_weight((input_shape[-1], self.units), "ones")
                self.built = True

            def call(self, inputs, states):
                y = k.ops.matmul(inputs, self.kernel) + states[0]
                return y, [y]

        return k.layers.RNN([Sum(3), Sum(2)], return_state=True)

    x = np.arange(24, dtype="float32").reshape(2, 3, 4)
    ours, theirs = (stack(k)(x) for k in (fastnn, keras))
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_stateful(kind):
    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((2, 4, 3, 5)).astype("float32")
    mine, theirs = (getattr(m.layers, kind)(6, stateful=True) for m in (fastnn, keras))
    theirs.build(first.shape)
    mine.build(first.shape)
    mine.set_weights(theirs.get_weights())
    for x in (first, second):
        close(mine(Tensor(x)), theirs(x), "output")
    mine.reset_state()
    theirs.reset_state()
    close(mine(Tensor(second)), theirs(second), "after reset_state")
    with pytest.raises(ValueError, match="batch size is 4, got 2"):
        mine(Tensor(first[:2]))


def test_stateful_gradient_uses_the_states_before_the_batch():
    layer = fastnn.layers.LSTM(3, stateful=True)
    x = np.random.default_rng(0).standard_normal((2, 3, 2)).astype("float32")
    layer.build(x.shape)
    layer(Tensor(x))
    before = [s.numpy() for s in layer.states]
    got = autograd.gradients(ops.sum(layer(Tensor(x))), layer.trainable_weights)
    plain = fastnn.layers.LSTM(3)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    out = plain(Tensor(x), initial_state=[Tensor(s) for s in before])
    for g, w in zip(got, autograd.gradients(ops.sum(out), plain.trainable_weights)):
        np.testing.assert_array_equal(g.numpy(), w.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_holds_over_a_sequence(kind):
    """With weights of ones and inputs that are constant in time, dropped inputs show as equal steps."""
    layer = getattr(fastnn.layers, kind)(2, dropout=0.5, return_sequences=True, seed=1)
    x = Tensor(np.ones((64, 3, 2), "float32"))
    layer.build(x.shape)
    weights = [np.ones(w.shape, "float32") * (0 if w.name != "kernel" else 0.25) for w in layer.weights]
    layer.set_weights(weights)
    quiet = layer(x).numpy()
    assert np.ptp(quiet[:, 0]) == 0
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert len(np.unique(first[:, 0])) == 3  # none, one or both inputs dropped
    assert not np.array_equal(first, second)
    if kind == "SimpleRNN":  # without a recurrent kernel all steps are equal
        np.testing.assert_array_equal(first[:, 0], first[:, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_dropout_scales_the_state(kind):
    """One step from a state h: dropped or doubled, on average h."""
    layer = getattr(fastnn.layers, kind)(1, recurrent_dropout=0.5, activation="linear", seed=2, use_bias=False)
    x = Tensor(np.zeros((4000, 1, 1), "float32"))
    layer.build(x.shape)
    layer.set_weights([np.zeros_like(w) if i == 0 else np.ones_like(w) for i, w in enumerate(layer.get_weights())])
    states = [Tensor(np.full((4000, 1), 0.25, "float32")) for _ in range(KINDS[kind])]
    y = layer(x, initial_state=states, training=True).numpy()
    if kind == "SimpleRNN":
        assert set(np.unique(y)) == {0.0, 0.5}
        assert abs(y.mean() - 0.25) < 0.02  # five standard deviations
    else:
        # A mask for each gate: 4 gates of LSTM give 16 combinations, 3 of GRU 8, some of them equal.
        assert len(np.unique(y)) > 4


@pytest.mark.parametrize("kind", KINDS)
def test_config_and_shapes(kind):
    arguments = dict(units=7, return_sequences=True, return_state=True, activation="relu", dropout=0.1, name="r")
    mine, theirs = (getattr(m.layers, kind)(**arguments) for m in (fastnn, keras))
    config, expected = mine.get_config(), theirs.get_config()
    assert set(expected) - set(config) == set()
    assert set(config) - set(expected) <= {"seed"}
    for key in (
        "units",
        "return_sequences",
        "unroll",
        "stateful",
        "dropout",
        "use_bias",
        "go_backwards",
        "zero_output_for_mask",
    ):
        assert config[key] == expected[key], key
    again = type(mine).from_config(config)
    assert again.get_config() == config
    assert [tuple(s) for s in mine.compute_output_shape((None, 9, 3))] == [
        tuple(s) for s in theirs.compute_output_shape((None, 9, 3))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_empty_sequences(kind):
    layer = getattr(fastnn.layers, kind)(3, return_sequences=True, return_state=True)
    layer.build((2, 4, 5))
    start = np.ones((2, 3), "float32")
    y, *states = layer(Tensor(np.zeros((2, 0, 5), "float32")), initial_state=[Tensor(start)] * KINDS[kind])
    assert y.shape == (2, 0, 3)
    for s in states:
        np.testing.assert_array_equal(s.numpy(), start)
    y, *states = layer(Tensor(np.zeros((0, 4, 5), "float32")))
    assert y.shape == (0, 4, 3) and all(s.shape == (0, 3) for s in states)


def test_bad_arguments_name_what_does_not_fit():
    x, w, u = (
        Tensor(np.zeros((2, 3, 4), "float32")),
        Tensor(np.zeros((4, 20), "float32")),
        Tensor(np.zeros((5, 20), "float32")),
    )
    with pytest.raises(ValueError, match=r"lstm: x is \(batch, time, in\), got shape \(3, 4\)"):
        ops.lstm(Tensor(np.zeros((3, 4), "float32")), w, u)
    with pytest.raises(ValueError, match="lstm: kernel is"):
        ops.lstm(x, Tensor(np.zeros((4, 15), "float32")), u)
    with pytest.raises(ValueError, match="lstm: h0 is"):
        ops.lstm(x, w, u, h0=Tensor(np.zeros((3, 5), "float32")))
    with pytest.raises(ValueError, match="lstm: mask is"):
        ops.lstm(x, w, u, mask=np.ones((2, 4), bool))
    with pytest.raises(ValueError, match="is none of linear"):
        ops.lstm(x, w, u, activation=lambda z: z)
    with pytest.raises(ValueError, match="wobbly"):
        ops.lstm(x, w, u, activation="wobbly")
    with pytest.raises(ValueError, match="units is a positive integer"):
        fastnn.layers.LSTM(0)
    with pytest.raises(ValueError, match="stateful=True"):
        fastnn.layers.LSTM(2, stateful=True).build((None, 3, 4))


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_trained_layer_with_dropout_is_loaded_again(kind, tmp_path):
    x = np.random.default_rng(0).standard_normal((8, 3, 2)).astype("float32")
    model = fastnn.Sequential(
        [fastnn.Input((3, 2)), getattr(fastnn.layers, kind)(4, dropout=0.2, recurrent_dropout=0.1)]
    )
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((8, 4), "float32"), verbose=0)
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    model.fit(x, np.zeros((8, 4), "float32"), verbose=0, shuffle=False)
    again.fit(x, np.zeros((8, 4), "float32"), verbose=0, shuffle=False)  # with the same masks
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_integer_sequences_are_read_as_numbers():
    y = fastnn.layers.LSTM(3)(np.ones((2, 4, 5), "int32"))
    assert y.dtype == "float32" and y.shape == (2, 3)
