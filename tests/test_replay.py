"""The guard of recorded programs: ten replayed steps equal ten eager steps bit for bit, for every
registered layer, loss, optimizer and schedule (metrics: `test_metrics_keras.py`); and training gives
the same bits for any number of threads.
"""

import hashlib
import itertools
import re
import warnings

import numpy as np
import pytest

import fastnn as keras
import layer_cases
import loss_cases
import registered
from fastnn import _core, layers, ops
from fastnn.symbolic import flatten

ROW = (12,)

# By class: arguments of constructors.
OPTIMIZERS = {
    "SGD": [{}, dict(momentum=0.9, nesterov=True), dict(global_clipnorm=0.1)],
    "AveragedMomentumSGD": [{}],
    "RMSprop": [dict(clipvalue=0.01), dict(momentum=0.9, centered=True)],
    "Adam": [{}, dict(clipnorm=0.1), dict(amsgrad=True, weight_decay=0.1)],
    "AdamW": [{}],
    "Adagrad": [{}],
    "Adadelta": [{}],
    "Adamax": [{}],
    "Nadam": [{}],
    "Lion": [{}],
    "Ftrl": [dict(l1_regularization_strength=0.01)],
}
SCHEDULES = {
    "ExponentialDecay": dict(initial_learning_rate=0.01, decay_steps=3, decay_rate=0.5),
    "PiecewiseConstantDecay": dict(boundaries=[2, 5], values=[0.02, 0.01, 0.005]),
    "PolynomialDecay": dict(initial_learning_rate=0.02, decay_steps=6),
    "InverseTimeDecay": dict(initial_learning_rate=0.02, decay_steps=3, decay_rate=0.5),
    "CosineDecay": dict(initial_learning_rate=0.001, decay_steps=8, warmup_target=0.02, warmup_steps=2),
    "CosineDecayRestarts": dict(initial_learning_rate=0.02, first_decay_steps=3),
}


def trained(make_model, make_optimizer, loss, x, y, eager, epochs=5, batch=8):
    """The weights' hash and the history after two steps an epoch, with warnings as errors."""
    keras.utils.set_random_seed(5)
    model = make_model()
    model.compile(make_optimizer(), loss, run_eagerly=eager)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a spoiled recording would warn
        history = model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
    return digest, history.history


def sparse_crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def adam():
    return keras.optimizers.Adam(0.01)


def around(case):
    """A model with the layer of a case inside: something that learns before it and behind it."""
    inputs = [layers.Input(s[1:], dtype="float32" if case.below is None else "int32") for s in case.shapes]
    x = inputs if case.below is not None else [layers.Dense(s[-1])(i) for i, s in zip(inputs, case.shapes)]
    layer = case.make(keras)
    y = [layers.Flatten()(t) for t in flatten(layer(x if len(x) > 1 else x[0]))]
    return keras.Model(inputs, layers.Dense(3)(layers.concatenate(y) if len(y) > 1 else y[0]))


def train_layer(case, eager, batch=8):
    rng = np.random.default_rng(0)
    x, y = case.draw(rng, 2 * batch), rng.integers(0, 3, 2 * batch)
    return trained(lambda: around(case), adam, sparse_crossentropy(), x if len(x) > 1 else x[0], y, eager, batch=batch)


def train(make_optimizer, eager, width=6):
    """A small dense model."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, *ROW)).astype("float32"), rng.integers(0, 3, 16)
    make = lambda: keras.Sequential([layers.Input(ROW), layers.Dense(width, activation="tanh"), layers.Dense(3)])  # noqa: E731
    return trained(make, make_optimizer, sparse_crossentropy(), x, y, eager)


@pytest.mark.parametrize("case", layer_cases.CASES, ids=str)  # those of every registered layer
def test_layers_replay_bit_for_bit(case):
    assert train_layer(case, eager=True) == train_layer(case, eager=False)


@pytest.mark.parametrize("name", sorted(registered.classes("optimizers")))
def test_optimizers_replay_bit_for_bit(name):
    for arguments in OPTIMIZERS[name]:
        make = lambda: getattr(keras.optimizers, name)(**{"learning_rate": 0.01, **arguments})  # noqa: B023, E731
        assert train(make, eager=True) == train(make, eager=False)


@pytest.mark.parametrize("name", sorted(registered.classes("optimizers.schedules")))
def test_schedules_replay_bit_for_bit(name):
    make = lambda: keras.optimizers.SGD(getattr(keras.optimizers.schedules, name)(**SCHEDULES[name]))  # noqa: E731
    assert train(make, eager=True) == train(make, eager=False)


@pytest.mark.parametrize(
    "name,arguments,target,prediction", loss_cases.CASES, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_losses_replay_bit_for_bit(name, arguments, target, prediction):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, *ROW)).astype("float32")
    y, _ = loss_cases.draw(rng, target, prediction, (16, 4))
    last = "linear" if prediction is loss_cases.normal else "softmax"
    make = lambda: keras.Sequential([layers.Input(ROW), layers.Dense(4, activation=last)])  # noqa: E731
    loss = getattr(keras.losses, name)(**arguments)
    assert trained(make, adam, loss, x, y, eager=True) == trained(make, adam, loss, x, y, eager=False)


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "BatchNormalization", "Dropout", "LSTM", "GRU"])
def test_threads_do_not_change_bits(name):
    case = layer_cases.first(name)
    before = _core.max_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            results.append(train_layer(case, eager=False, batch=64))
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
    assert train(ACCUMULATING[name], eager=True) == train(ACCUMULATING[name], eager=False)


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
    assert [c.program is not None for c, *_ in model._captures.values()] == [True, True]


def test_the_recorded_steps_can_be_looked_at():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.programs() == []
    for n in (8, 4) * 2:
        model.train_on_batch(np.ones((n, 4), "float32"), np.ones((n, 1), "float32"))
    whole, rest = model.programs()
    assert "x(8, 4) w(4, 3)" in whole.describe() and "x(4, 4) w(4, 3)" in rest.describe()
    lines = re.findall(r"^ *\d+ [| ][1 ] (\w+) ", whole.describe(), re.MULTILINE)
    assert [t.kernel for t in whole.profile(2)] == lines
    with pytest.raises(ValueError, match="'fit'"):
        model.programs("fit")


def test_small_calls_are_made_by_one_member_without_barriers():
    """A step of 2,000 units is shared by the team; what hangs on the loss is too little to be. Members wait
    for each other where they hand something over, and nowhere in a chain of small calls.
    """
    model = keras.Sequential([layers.Input((2000,)), layers.Dense(2000, activation="relu"), layers.Dense(1)])
    model.compile("sgd", "mse")
    for _ in range(2):
        model.train_on_batch(np.ones((64, 2000), "float32"), np.ones((64, 1), "float32"))
    program = model.programs()[0]
    marks = re.findall(r"^ *\d+ ([| ])([1 ]) (\w+) ", program.describe(), re.MULTILINE)
    assert marks[0] == (" ", " ", "dense")  # the first product, shared
    alone = {name for _, one, name in marks if one == "1"}
    assert {"pointwise_loss", "mean", "fill", "pointwise_loss_grad"} <= alone < {name for *_, name in marks}
    for (_, before, _), (barrier, one, name) in itertools.pairwise(marks):
        if before == one == "1":
            assert barrier == " ", name
    tiny = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    tiny.compile("adam", "mse")
    for _ in range(2):
        tiny.train_on_batch(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"))
    assert "|" not in tiny.programs()[0].describe()


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
