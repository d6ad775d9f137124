"""Recorded steps: what they hold fast, what spoils them, and how long they are kept."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import fastnn as keras
from fastnn import layers, ops
from fastnn.capture import Capture, is_own_code
from fastnn.tensor import Tensor

rng = np.random.default_rng(0)
X = rng.standard_normal((21, 5)).astype("float32")  # batches of 8, 8 and 5
Y = rng.integers(0, 3, 21)
WEIGHTS = rng.uniform(0.5, 1.5, 5)
PICK = np.array([4, 0, 2])
TARGETS = np.eye(3, dtype="float32")


class WithArrays(layers.Layer):
    """NumPy in an operator, in an op, as indices, and numbers that become tensors."""

    def call(self, x):
        x = x * WEIGHTS + np.arange(5, dtype="float32")
        x = ops.concatenate([x, ops.take(x, PICK, axis=1)], axis=1)
        half = ops.convert_to_tensor(0.5, dtype=x.dtype)
        return ops.where(x > np.float32(0.1), x * half, x) + ops.cast(3, "float32") + x[:, np.array([1])]


def loss_with_arrays(y, p):
    # The tensor made of TARGETS lives for one op only: nothing else may take its memory.
    error = ops.square(ops.softmax(p) - ops.take(ops.convert_to_tensor(TARGETS), ops.cast(y, "int32"), axis=0))
    return ops.mean(error * np.array([1.0, 2.0, 0.5]), axis=-1)


class StepWithArrays(keras.Model):
    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            p = self(x * np.linspace(0.5, 1.5, 5), training=True)
            loss = self.compute_loss(x, y, p) + ops.sum(ops.square(p * np.array([0.0, 0.1, 0.2])))
        variables = self.trainable_variables
        gradients = [g * np.float32(0.5) for g in tape.gradient(loss, variables)]
        self.optimizer.apply(gradients, variables)
        return {"loss": loss * np.array(2.0)}


def model_of(kind, *inner, loss="sparse_categorical_crossentropy", **arguments):
    keras.utils.set_random_seed(3)
    inputs = layers.Input((5,))
    x = inputs
    for layer in inner:
        x = layer(x)
    last = None if callable(loss) else "softmax"
    model = kind(inputs, layers.Dense(3, activation=last)(layers.Dense(6, activation="tanh")(x)))
    model.compile(keras.optimizers.Adam(0.01), loss, **arguments)
    return model


MODELS = {
    "layer": lambda **a: model_of(keras.Model, WithArrays(), **a),
    "loss": lambda **a: model_of(keras.Model, loss=loss_with_arrays, **a),
    "train_step": lambda **a: model_of(StepWithArrays, **a),
    "lambda": lambda **a: model_of(keras.Model, layers.Lambda(lambda x: x @ np.eye(5, 4, 1, "float32")), **a),
}


def trained(make, eager, fits=2):
    """Histories, weights and predictions, with warnings as errors."""
    model = make(run_eagerly=eager)
    curves = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(fits):
            curves.append(model.fit(X, Y, batch_size=8, epochs=4, verbose=0).history)
        curves.append(model.evaluate(X, Y, batch_size=8, verbose=0))
    return model, [
        curves,
        [w.tobytes() for w in model.get_weights()],
        model.predict(X, batch_size=8, verbose=0).tobytes(),
    ]


@pytest.mark.parametrize("name", MODELS)
def test_arrays_in_a_step_are_constants_of_the_program(name):
    model, recorded = trained(MODELS[name], eager=False)
    _, eager = trained(MODELS[name], eager=True)
    assert recorded == eager
    assert len(model.programs("train")) == 2  # for batches of 8 and of 5
    assert all(p.constants for p in model.programs("train"))


def test_a_constant_keeps_the_values_it_had():
    values = np.ones(3, "float32")
    x = Tensor(np.ones(3, "float32"))

    def step():
        total = ops.convert_to_tensor(values) + x
        for _ in range(5):  # what comes later must not take the constant's memory
            total = ops.exp(ops.log(total))
        return total

    capture = Capture(step)
    capture.run()
    first = capture.logs.numpy()
    capture.run()
    assert capture.program is not None and capture.program.constants == 1
    values[:] = 100.0  # as with Python numbers: a recorded step keeps what was there
    gc.collect()
    for _ in range(3):
        capture.run()
        np.testing.assert_array_equal(capture.logs.numpy(), first)


class Noisy(layers.Layer):
    """Another number in every step, as an array or as a Python number."""

    def __init__(self, as_array):
        super().__init__(name="noisy")
        self.as_array = as_array
        self._random = np.random.default_rng(7)

    def call(self, x):
        return x * (self._random.random(5) if self.as_array else float(self._random.random()))


@pytest.mark.parametrize("as_array", [True, False])
def test_numbers_that_change_from_step_to_step_are_not_frozen(as_array):
    results = []
    for eager in (True, False):
        model = model_of(keras.Model, Noisy(as_array), run_eagerly=eager)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results.append(model.fit(X, Y, batch_size=8, epochs=6, verbose=0).history["loss"])
        assert ["others in every step" in str(w.message) for w in caught] == [True] * (not eager)
        assert model.programs() == []
    assert results[0] == results[1]


class Picking(layers.Layer):
    """Another part of a tensor in every step, which no kernel's name or number tells."""

    def __init__(self, pick):
        super().__init__(name="picking")
        keras.utils.set_random_seed(1)
        self.table = self.add_weight(shape=(4, 5), initializer="glorot_uniform", trainable=False)
        self._pick, self._step, self._kept = pick, 0, [0.0]

    def call(self, x):
        self._step += 1
        return self._pick(self, x)


def keep_a_tensor(layer, x):
    before, layer._kept[0] = layer._kept[0], ops.mean(x, axis=0)
    return x + before


PICKS = {
    "row of a weight": lambda layer, x: x * layer.table[layer._step % 4],
    "row of what the step makes": lambda layer, x: x + (x * 2.0)[layer._step % 4],
    "size of a slice": lambda layer, x: x + ops.sum(x[:, : 1 + layer._step % 4], axis=1, keepdims=True),
    "tensor of the step before": keep_a_tensor,
}


@pytest.mark.parametrize("pick", PICKS)
def test_parts_of_tensors_that_change_from_step_to_step_are_not_frozen(pick):
    results = []
    for eager in (True, False):
        model = model_of(keras.Model, Picking(PICKS[pick]), run_eagerly=eager)
        model.layers[1]._step = 0  # how often the graph was made of it does not count
        model.layers[1]._kept = [0.0]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results.append(model.fit(X, Y, batch_size=7, epochs=6, verbose=0, shuffle=False).history["loss"])
        assert ["others in every step" in str(w.message) for w in caught] == [True] * (not eager)
    assert results[0] == results[1]


def test_a_tensor_that_the_first_step_makes_and_keeps_is_replayed():
    def cached(layer, x):
        if layer._step == 1:
            layer._kept[0] = ops.tanh(ops.arange(5, dtype="float32"))
        return x * layer._kept[0]

    results = []
    for eager in (True, False):
        model = model_of(keras.Model, Picking(cached), run_eagerly=eager)
        model.layers[1]._step = 0
        results.append(model.fit(X, Y, batch_size=7, epochs=6, verbose=0, shuffle=False).history["loss"])
    assert results[0] == results[1] and len(model.programs()) == 1


class Counting(layers.Layer):
    def call(self, x):
        table = ops.convert_to_tensor(np.zeros(5, "float32"))
        table[2] = 1.0  # in the first replay it would be there already
        return x + table


def test_a_constant_that_is_written_to_spoils_the_recording():
    with pytest.warns(UserWarning, match="is written to afterwards in layer"):
        model_of(keras.Model, Counting()).fit(X, Y, epochs=4, verbose=0)


def test_what_is_read_and_what_is_assigned_spoil_the_recording():
    target = Tensor(np.zeros(3, "float32"))

    def reading():
        return ops.sum(target).item()

    def assigning():
        target.assign_numpy(np.ones(3, "float32"))

    def moving():
        target.rebind(Tensor(np.ones(3, "float32")))

    for step, words in ((reading, "copied to NumPy"), (assigning, "assigned from NumPy"), (moving, "other memory")):
        capture = Capture(step)
        capture.run()
        capture.run()
        with pytest.warns(UserWarning, match=words):
            capture.run()


def test_seeds_that_are_integers_are_constants():
    noise = layers.Lambda(lambda x: x + keras.random.normal((1, 5), seed=3))
    _, recorded = trained(lambda **a: model_of(keras.Model, noise, **a), eager=False)
    _, eager = trained(lambda **a: model_of(keras.Model, noise, **a), eager=True)
    assert recorded == eager


class Peeking(layers.Layer):
    def call(self, x):
        return x * float(ops.sum(x) * 0.0 + 1.0)


def test_a_model_warns_once_for_a_cause():
    model = model_of(keras.Model, Peeking(name="peeking"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for batch in (8, 8, 7, 4):
            model.fit(X, Y, batch_size=batch, epochs=3, verbose=0)
            model.evaluate(X, Y, batch_size=batch, verbose=0)
    assert len(caught) == 1 and "'peeking'" in str(caught[0].message)


# --- between calls of fit ---------------------------------------------------------------------------


class CountingSteps(keras.Model):
    steps = 0

    def train_step(self, data):
        CountingSteps.steps += 1
        return super().train_step(data)


def fitted(model, **arguments):
    """How many steps of a fit ran as Python."""
    before = CountingSteps.steps
    model.fit(X, Y, **{"batch_size": 7, "epochs": 4, "verbose": 0, **arguments})
    return CountingSteps.steps - before


def test_fit_keeps_its_steps():
    model = model_of(CountingSteps)
    # The first finds the loss; what comes after it is confirmed by another, for it is not our code.
    assert fitted(model) == 3
    program = model.programs()[0]
    assert "x(7, 5) w(5, 6)" in program.describe()
    assert fitted(model) == fitted(model, validation_split=1 / 3) == fitted(model, shuffle=False) == 0
    model.train_on_batch(X[:7], Y[:7], sample_weight=np.ones(7))  # other data: a step of its own
    assert fitted(model, batch_size=21) == 2
    assert model.programs()[0] is program
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    assert model.programs() == []
    assert fitted(model) == 3


def freeze(model):
    model.layers[1].trainable = False


def freeze_a_weight(model):
    model.layers[1].kernel.trainable = False


def another_rate_of_decay(model):
    model.optimizer.beta_1 = 0.5


def smooth_labels(model):
    model._compiled_loss.functions[0].ignore_class = 2


def another_optimizer(model):
    keras.optimizers.SGD(0.1).build(model.trainable_variables)


def another_epsilon(model):
    keras.config.set_epsilon(1e-3)


def a_schedule(model):
    model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(0.3, 2, 0.5)


def a_penalty(model):
    model.layers[2].kernel.regularizer = keras.regularizers.L2(0.5)


def another_penalty(model):
    model.layers[1].kernel_regularizer.l2 = 0.5


def another_bound(model):
    model.layers[1].kernel_constraint.max_value = 0.2


@pytest.mark.parametrize(
    "change",
    [
        freeze, freeze_a_weight, another_rate_of_decay, smooth_labels, another_optimizer, another_epsilon, a_schedule,
        a_penalty, another_penalty, another_bound,
    ],
)  # fmt: skip
def test_a_step_is_recorded_anew_where_what_it_depends_on_changes(change):
    before = keras.config.epsilon()
    results = []
    try:
        for eager in (True, False):
            keras.config.set_epsilon(before)
            keras.utils.set_random_seed(1)
            inner = layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01), kernel_constraint="max_norm")
            model = model_of(CountingSteps, inner, run_eagerly=eager)
            fitted(model)
            change(model)
            steps = fitted(model)
            assert eager or steps == (3 if change is another_optimizer else 2)  # one more brings the weights back
            results.append([w.tobytes() for w in model.get_weights()])
    finally:
        keras.config.set_epsilon(before)
    assert results[0] == results[1]


def test_a_learning_rate_is_no_reason_to_record_anew():
    model = model_of(CountingSteps)
    fitted(model)
    model.optimizer.learning_rate = 0.5
    assert fitted(model) == 0


def test_many_fits_keep_neither_data_nor_programs():
    model = model_of(keras.Model)
    seen = []
    for i in range(6):
        x, y = X + np.float32(i), Y.astype("int32")
        model.fit(x, y, batch_size=8, verbose=0, validation_data=(x, y), callbacks=[keras.callbacks.TerminateOnNaN()])
        model.predict(x, verbose=0)
        seen.append(weakref.ref(x))
        del x, y
    gc.collect()
    assert [r() is not None for r in seen] == [False] * 6
    kept = {id(c) for c, *_ in model._captures.values()}
    model.fit(X, Y, batch_size=8, verbose=0, validation_data=(X, Y), callbacks=[keras.callbacks.TerminateOnNaN()])
    assert {id(c) for c, *_ in model._captures.values()} == kept
    for _ in range(40):  # a change each time replaces programs
        model.layers[1].trainable = not model.layers[1].trainable
        model.fit(X, Y, batch_size=8, verbose=0)
    assert len(model._captures) <= len(kept) + 2
    for n in range(1, 21):  # and batches of other sizes push the oldest out
        model.fit(X[:n], Y[:n], batch_size=n, verbose=0)
        model.evaluate(X[:n], Y[:n], batch_size=n, verbose=0)
    assert len(model._captures) == 32


def test_what_is_own_code():
    assert is_own_code(loss_with_arrays) and is_own_code(WithArrays()) and is_own_code(np.sum)
    assert is_own_code(layers.Dense(1, activation=lambda x: x))
    for ours in (layers.Dense(1, activation="relu"), keras.losses.MeanSquaredError(), "mse", None, 0.5):
        assert not is_own_code(ours)
