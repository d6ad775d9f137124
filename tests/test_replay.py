"""The guard of recorded programs: ten replayed steps equal ten eager steps bit for bit, for every
layer and optimizer; and training gives the same bits for any number of threads.
"""

import hashlib
import warnings

import numpy as np
import pytest

import fastnn as keras
from fastnn import _core, layers, ops

IMAGE, STEPS, ROW = (8, 8, 3), (10, 6), (12,)

LAYERS = {
    "dense": (ROW, lambda: [layers.Dense(7, activation="relu")]),
    "dense_gelu": (ROW, lambda: [layers.Dense(7, activation="gelu")]),
    "regularized": (ROW, lambda: [layers.Dense(7, kernel_regularizer="l2", activity_regularizer="l1")]),
    "constrained": (ROW, lambda: [layers.Dense(7, kernel_constraint="max_norm")]),
    "activations": (ROW, lambda: [layers.Activation(a) for a in ("tanh", "elu", "silu", "softplus")]),
    "leaky": (ROW, lambda: [layers.LeakyReLU(), layers.PReLU(), layers.Softmax()]),
    "dropout": (ROW, lambda: [layers.Dense(9), layers.Dropout(0.4)]),
    "noise": (ROW, lambda: [layers.GaussianNoise(0.1), layers.GaussianDropout(0.2), layers.AlphaDropout(0.2)]),
    "spatial_dropout": (STEPS, lambda: [layers.SpatialDropout1D(0.4)]),
    "batch_norm": (IMAGE, lambda: [layers.BatchNormalization()]),
    "layer_norm": (STEPS, lambda: [layers.LayerNormalization()]),
    "conv2d": (IMAGE, lambda: [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()]),
    "conv2d_same": (IMAGE, lambda: [layers.Conv2D(4, 3, strides=2, padding="same"), layers.AveragePooling2D(2)]),
    "conv1d": (STEPS, lambda: [layers.Conv1D(4, 3, padding="causal"), layers.GlobalMaxPooling1D()]),
    "transpose": (IMAGE, lambda: [layers.Conv2DTranspose(4, 3, strides=2, padding="same")]),
    "depthwise": (IMAGE, lambda: [layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D()]),
    "moves": (IMAGE, lambda: [layers.ZeroPadding2D(1), layers.UpSampling2D(), layers.Permute((2, 1, 3))]),
    "simple_rnn": (STEPS, lambda: [layers.SimpleRNN(5, return_sequences=True), layers.SimpleRNN(4)]),
    "lstm": (STEPS, lambda: [layers.LSTM(5, return_sequences=True), layers.LSTM(4)]),
    "gru": (STEPS, lambda: [layers.GRU(5, return_sequences=True), layers.GRU(4, reset_after=False)]),
    "bidirectional": (STEPS, lambda: [layers.Bidirectional(layers.LSTM(4))]),
    "time_distributed": (STEPS, lambda: [layers.TimeDistributed(layers.Dense(3))]),
}

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "clipped": lambda: keras.optimizers.SGD(0.05, global_clipnorm=0.1),
    "clipnorm": lambda: keras.optimizers.Adam(clipnorm=0.1),
    "clipvalue": lambda: keras.optimizers.RMSprop(clipvalue=0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "adadelta": lambda: keras.optimizers.Adadelta(0.05),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.01),
    "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)),
}


def train(shape, make_layers, make_optimizer, eager, batch=8, epochs=5):
    """The weights' hash and the history after two steps an epoch."""
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 * batch, *shape)).astype("float32")
    y = rng.integers(0, 3, 2 * batch)
    model = keras.Sequential([layers.Input(shape), *make_layers(), layers.Flatten(), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(make_optimizer(), loss, metrics=["accuracy"], run_eagerly=eager)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a spoiled recording would warn
        history = model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
    return digest, history.history


@pytest.mark.parametrize("name", LAYERS)
def test_layers_replay_bit_for_bit(name):
    shape, make = LAYERS[name]
    adam = lambda: keras.optimizers.Adam(0.01)  # noqa: E731
    assert train(shape, make, adam, eager=True) == train(shape, make, adam, eager=False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_replay_bit_for_bit(name):
    make = lambda: [layers.Dense(6, activation="tanh")]  # noqa: E731
    eager = train(ROW, make, OPTIMIZERS[name], eager=True)
    assert eager == train(ROW, make, OPTIMIZERS[name], eager=False)


@pytest.mark.parametrize("name", ["dense", "conv2d", "batch_norm", "dropout", "lstm", "gru"])
def test_threads_do_not_change_bits(name):
    shape, make = LAYERS[name]
    before = _core.max_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            results.append(train(shape, make, lambda: keras.optimizers.Adam(0.01), eager=False, batch=64))
    finally:
        _core.set_max_threads(before)
    assert all(r == results[0] for r in results)


def test_a_step_that_looks_at_values_warns_once_and_goes_on():
    class Peeking(layers.Layer):
        def call(self, inputs):
            scale = float(ops.sum(inputs))
            return ops.multiply(inputs, 1.0 if scale == scale else 0.0)

    model = keras.Sequential([layers.Input((4,)), Peeking(name="peeking"), layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.ones((16, 4), "float32")
    with pytest.warns(UserWarning, match="'peeking'") as caught:
        model.fit(x, np.zeros((16, 2)), batch_size=4, epochs=3, verbose=0)
    assert len(caught) == 1


def test_nothing_is_allocated_in_a_replay():
    import tracemalloc

    model = keras.Sequential([layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.ones((64, 4), "float32"), np.zeros((64, 1), "float32")
    model.fit(x, y, batch_size=8, verbose=0)
    tracemalloc.start()
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    _, first = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    model.fit(x, y, batch_size=8, epochs=300, verbose=0)
    _, second = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Histories grow by a few hundred bytes an epoch; a step's tensors would be many times that.
    assert second < first + 300 * 1024


ACCUMULATING = {
    "adam": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=2),
    "average": lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=3),
    "overwriting": lambda: keras.optimizers.SGD(
        0.05, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2, gradient_accumulation_steps=2
    ),
}


@pytest.mark.parametrize("name", ACCUMULATING)
def test_accumulated_gradients_replay_bit_for_bit(name):
    make = lambda: [layers.Dense(7, activation="relu")]  # noqa: E731
    assert train(ROW, make, ACCUMULATING[name], eager=True) == train(ROW, make, ACCUMULATING[name], eager=False)


def test_a_recording_of_ones_own_says_what_accumulation_needs():
    from fastnn.capture import Capture

    v = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    optimizer.build([v])
    gradient = keras.Tensor([1.0])
    capture = Capture(lambda: optimizer.apply([gradient], [v]))
    capture.run()
    capture.run()
    with pytest.warns(UserWarning, match="optimizer.cover"):
        capture.run()
    capture.run()
    np.testing.assert_allclose(v.numpy(), [0.8], rtol=1e-6)


@pytest.mark.parametrize(
    "metric", ["F1Score", "FBetaScore", "R2Score", "AUC", "accuracy"]
)  # the first four make their state when they see the number of outputs
def test_the_first_step_is_recorded(metric):
    metrics = {"AUC": lambda: keras.metrics.AUC(multi_label=True), "accuracy": lambda: "accuracy"}
    make_metric = metrics.get(metric) or getattr(keras.metrics, metric)
    model = keras.Sequential([layers.Input(ROW), layers.Dense(4, activation="sigmoid")])
    model.compile("adam", "mse", metrics=[make_metric()])
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, *ROW)).astype("float32"), rng.integers(0, 2, (8, 4)).astype("float32")
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    assert [c.program is not None for c, _ in model._captures.values()] == [True, True]


def test_the_recorded_steps_can_be_looked_at():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.programs() == []
    for n in (8, 4) * 2:
        model.train_on_batch(np.ones((n, 4), "float32"), np.ones((n, 1), "float32"))
    whole, rest = model.programs()
    assert "x(8, 4) w(4, 3)" in whole.describe() and "x(4, 4) w(4, 3)" in rest.describe()
    lines = whole.describe().replace("|", " ").splitlines()
    assert [t.kernel for t in whole.profile(2)] == [line.split()[1] for line in lines]
    with pytest.raises(ValueError, match="'fit'"):
        model.programs("fit")


def test_a_profile_is_a_sequence_and_a_table():
    model = keras.Sequential([layers.Input((40,)), layers.Dense(30, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mse")
    for _ in range(2):
        model.train_on_batch(np.ones((8, 40), "float32"), np.ones((8, 1), "float32"))
    program = model.programs()[0]
    profile = program.profile(3)
    calls = list(profile)
    assert len(profile) == len(calls) == program.calls and profile.threads == program.threads
    assert profile[-1].kernel == calls[-1].kernel == profile[len(calls) - 1].kernel
    for outside in (len(calls), -len(calls) - 1):
        with pytest.raises(IndexError):
            profile[outside]
    first = profile[0]
    assert first.kernel == "dense" and first.flops == 2 * 8 * 40 * 30
    assert first.gflops == pytest.approx(first.flops / first.seconds / 1e9)
    assert first.gbytes == pytest.approx(first.bytes / first.seconds / 1e9)
    title, *rows, everything, peaks = str(profile).splitlines()
    assert title.split() == ["kernel", "us", "share", "GFLOP/s", "peak", "GB/s", "copy"]
    assert [row.split()[1] for row in rows] == [call.kernel for call in calls]
    assert sum(float(row.split()[3].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.1 * len(rows))
    assert everything.split()[0] == "all" and peaks.startswith(f"{profile.threads} thread")
    # GFLOP/s and percent of the peak are one number, said twice.
    most = float(peaks.split("at most ")[1].split()[0])
    of_peak = float(rows[0].split()[5].rstrip("%"))
    assert of_peak == pytest.approx(100 * first.gflops / most, abs=1 + 0.02 * of_peak)


def test_peaks_are_measured_for_any_number_of_threads():
    for threads in (-1, 0, 1, 2, 10**9):
        assert 1e8 < _core.peak_flops(threads) < 1e15
        assert 1e7 < _core.copy_bandwidth(threads, 0) < 1e15
    with pytest.raises(MemoryError):
        _core.copy_bandwidth(1, 2**60)


def test_an_attribute_whose_default_the_class_holds_is_noticed():
    class Scaled(layers.Layer):
        factor = 1.0

        def call(self, x):
            return ops.multiply(x, self.factor)

    layer = Scaled()
    model = keras.Sequential([layers.Input((3,)), layer])
    x = np.ones((4, 3), "float32")
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    layer.factor = 2.0
    np.testing.assert_array_equal(model.predict(x, verbose=0), 2 * x)
