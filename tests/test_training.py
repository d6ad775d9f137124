"""fit, evaluate, predict: what they accept, what they return, what they refuse."""

import gc
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn as keras
from fastnn import GradientTape, layers, ops


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def make(loss="binary_crossentropy", outputs=1, activation="sigmoid", **arguments):
    model = keras.Sequential(
        [layers.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(outputs, activation=activation)]
    )
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], **arguments)
    return model


def test_history_and_validation_split(data):
    history = make().fit(*data, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(v) == 3 for v in history.history.values())


def test_learning_happens(data):
    model = make()
    model.optimizer.learning_rate = 0.01
    history = model.fit(*data, epochs=60, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history["accuracy"][-1] > 0.95


def test_set_random_seed_makes_runs_equal(data):
    def run():
        keras.utils.set_random_seed(3)
        model = make()
        model.fit(*data, epochs=2, verbose=0)
        return model.get_weights()

    state = np.random.get_state()[1].copy()
    for a, b in zip(run(), run()):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("kind", ["lists", "float64", "uint8", "fortran", "strided", "readonly"])
def test_inputs_of_every_kind(data, kind):
    x, y = data
    x = {
        "lists": lambda: x.tolist(),
        "float64": lambda: x.astype("float64"),
        "uint8": lambda: (np.abs(x) * 10).astype("uint8"),
        "fortran": lambda: np.asfortranarray(x),
        "strided": lambda: np.repeat(x, 2, axis=1)[:, ::2],
        "readonly": lambda: np.frombuffer(x.tobytes(), "float32").reshape(x.shape),
    }[kind]()
    model = make()
    model.fit(x, y.tolist() if kind == "lists" else y, verbose=0)
    assert model.predict(x, verbose=0).shape == (50, 1)


def test_generators_give_the_same_as_arrays(data):
    x, y = data
    keras.utils.set_random_seed(0)
    a, b = make(), make()
    b.set_weights(a.get_weights())

    def batches():
        while True:
            for i in range(0, 50, 10):
                yield x[i : i + 10], y[i : i + 10]

    first = a.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    second = b.fit(batches(), steps_per_epoch=5, epochs=3, verbose=0)
    assert first.history == second.history
    for u, v in zip(a.get_weights(), b.get_weights()):
        np.testing.assert_array_equal(u, v)


def test_sequences_of_batches_with_ragged_lengths(data):
    x, y = data

    class Batches:
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return x[i * 20 : (i + 1) * 20], y[i * 20 : (i + 1) * 20]

    model = make()
    model.fit(Batches(), epochs=2, verbose=0)
    assert model.predict(Batches(), verbose=0).shape == (50, 1)
    assert len(model.evaluate(Batches(), verbose=0)) == 2


def test_train_on_batch_and_friends(data):
    x, y = data
    model = make()
    values = [model.train_on_batch(x[:20], y[:20])[0] for _ in range(30)]
    assert values[-1] < values[0]
    assert set(model.test_on_batch(x, y, return_dict=True)) == {"loss", "accuracy"}
    np.testing.assert_allclose(model.predict_on_batch(x), model.predict(x, verbose=0), atol=1e-6)


def test_the_learning_rate_may_change_between_steps(data):
    x, y = data
    model = make()
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(x, y, verbose=0)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.learning_rate) == 0.0


def test_freezing_a_layer_after_training(data):
    x, y = data
    model = make()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "binary_crossentropy")
    before = model.layers[0].get_weights()
    model.fit(x, y, verbose=0)
    for a, b in zip(before, model.layers[0].get_weights()):
        np.testing.assert_array_equal(a, b)


def test_callbacks_are_called_in_keras_order(data):
    calls = []

    class Note(keras.callbacks.Callback):
        pass

    def note(name):
        def hook(self, *arguments):
            calls.append(name)
            if name == "on_train_batch_end":
                assert set(arguments[-1]) == {"loss", "accuracy"}

        return hook

    wanted = [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_epoch_end",
        "on_train_end",
    ]
    for name in wanted:
        setattr(Note, name, note(name))
    make().fit(*data, epochs=1, batch_size=25, verbose=0, callbacks=[Note()])
    batch = wanted[2:4]
    assert calls == [*wanted[:2], *batch, *batch, *wanted[4:]]


def test_early_stopping_restores(data):
    model = make()
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=10.0, restore_best_weights=True)
    assert len(model.fit(*data, epochs=20, verbose=0, callbacks=[stop]).epoch) == 2


def test_custom_loop_equals_fit(data):
    x, y = data
    keras.utils.set_random_seed(0)
    a = make()
    b = make()
    b.set_weights(a.get_weights())
    a.fit(x, y, batch_size=50, epochs=5, shuffle=False, verbose=0)
    loss_fn, optimizer = keras.losses.BinaryCrossentropy(), keras.optimizers.Adam()
    for _ in range(5):
        with GradientTape() as tape:
            loss = loss_fn(y, b(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, b.trainable_variables), b.trainable_variables))
    for u, v in zip(a.get_weights(), b.get_weights()):
        np.testing.assert_allclose(u, v, atol=1e-6)


def test_custom_train_step_is_recorded(data):
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, activation="sigmoid")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data[:2]
            with GradientTape() as tape:
                loss = ops.mean(ops.square(ops.subtract(self(x, training=True)[:, 0], ops.cast(y, "float32"))))
            grads = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            return {"loss": loss}

    model = Mine()
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    history = model.fit(*data, epochs=10, batch_size=25, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_ctrl_c_is_answered_quickly_and_leaves_a_usable_model(data):
    x = np.random.default_rng(0).standard_normal((4000, 6)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    model = make()
    model.fit(x, y, verbose=0)
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    # A suite that was started in the background of a shell ignores the signal.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, epochs=100_000, verbose=0)
    finally:
        signal.signal(signal.SIGINT, handler)
    answered = time.perf_counter() - sent[0]
    assert answered < 1.0  # about 50 ms where nobody else uses the cores
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x, y, verbose=0)


# --- what is refused ------------------------------------------------------------------------------


def test_different_numbers_of_rows(data):
    with pytest.raises(ValueError, match="same number of rows.*50.*49"):
        make().fit(data[0], data[1][:-1], verbose=0)


def test_text_is_refused():
    with pytest.raises(TypeError, match="expected numbers"):
        make().fit(np.array([["a"] * 6]), np.zeros(1), verbose=0)


def test_wrong_width_names_the_layer(data):
    with pytest.raises(ValueError, match=r"dense.*\(32, 5\)"):
        make().fit(data[0][:, :5], data[1], verbose=0)


def test_labels_out_of_range(data):
    model = make("sparse_categorical_crossentropy", 2, "softmax")
    with pytest.raises(ValueError, match="label is 7, expected 0 <= value < 2"):
        model.fit(data[0], np.full(50, 7), verbose=0)


def test_labels_out_of_range_in_a_replayed_batch(data):
    model = make("sparse_categorical_crossentropy", 2, "softmax")
    y = data[1].copy()
    y[-1] = 7
    with pytest.raises(ValueError, match="label is 7"):
        model.fit(data[0], y, batch_size=10, shuffle=False, verbose=0)


def test_nan_stops_and_names_where(data):
    x = data[0].copy()
    x[13, 2] = np.nan
    with pytest.raises(FloatingPointError, match="NaN in epoch 1"):
        make().fit(x, data[1], verbose=0)
    make(on_nan="ignore").fit(x, data[1], verbose=0)


def test_fit_before_compile(data):
    with pytest.raises(ValueError, match="compile"):
        keras.Sequential([layers.Input((6,)), layers.Dense(1)]).fit(*data)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "8"])
def test_bad_batch_size(data, bad):
    with pytest.raises(ValueError if isinstance(bad, int) else TypeError, match="batch_size"):
        make().fit(*data, batch_size=bad, verbose=0)


@pytest.mark.parametrize("split", [1.5, -0.1, 0.999999])
def test_bad_validation_split(data, split):
    with pytest.raises(ValueError, match="validation_split"):
        make().fit(*data, validation_split=split, verbose=0)


def test_empty_arrays():
    with pytest.raises(ValueError, match="without rows"):
        make().fit(np.zeros((0, 6)), np.zeros(0), verbose=0)


def test_progress_goes_to_stderr_only(data, capfd):
    make().fit(*data, epochs=2, verbose=2)
    out, err = capfd.readouterr()
    assert out == "" and "Epoch 1/2" in err and "loss" in err


# --- what Keras does at the edges of fit ------------------------------------------------------------


def test_train_on_batch_starts_the_metrics_anew(data):
    x, y = data
    model = make()
    first = model.train_on_batch(x, y, return_dict=True)["loss"]
    second = model.train_on_batch(x, y, return_dict=True)["loss"]
    assert model.test_on_batch(x, y)[0] < second < first  # a running mean would lie behind
    assert model.test_on_batch(x, y)[0] == model.evaluate(x, y, batch_size=50, verbose=0)[0]


def test_class_weight_and_sample_weight_exclude_each_other(data):
    with pytest.raises(ValueError, match="cannot be given together"):
        make().fit(*data, class_weight={0: 1.0}, sample_weight=np.ones(50), verbose=0)


def test_steps_per_epoch_cuts_a_pass_into_epochs(data):
    x, y = data
    seen = []

    class Rows(layers.Layer):
        def call(self, inputs):
            seen.append(inputs.numpy()[:, 0].copy())
            return inputs

    model = keras.Sequential([layers.Input((6,)), Rows(), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    model.fit(x, y[:, None], batch_size=10, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), x[:40, 0])
    seen.clear()
    with pytest.warns(UserWarning, match="ran out"):
        model.fit(x, y[:, None], batch_size=10, steps_per_epoch=3, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), np.concatenate([x[:, 0], x[:30, 0]]))


@pytest.mark.parametrize("stream", [False, True])
def test_steps_per_execution_groups_the_batches_of_callbacks(data, stream):
    calls = []
    model = make(steps_per_execution=3)
    hooks = {f"on_{mode}_batch_{end}": lambda b, logs, key=(mode, end): calls.append((*key, b))
             for mode in ("train", "test", "predict") for end in ("begin", "end")}  # fmt: skip
    watcher = keras.callbacks.LambdaCallback(**hooks)
    x, y = data
    batches = [(x[i : i + 10], y[i : i + 10]) for i in range(0, 50, 10)]
    source, arguments = ((b for b in batches), {}) if stream else (x, {"y": y, "batch_size": 10})
    model.fit(source, **arguments, callbacks=[watcher], verbose=0)
    grouped = [("begin", 0), ("end", 2), ("begin", 3), ("end", 5)]
    assert calls == [("train", *c) for c in grouped]
    calls.clear()
    model.evaluate((b for b in batches) if stream else x, **arguments, callbacks=[watcher], verbose=0)
    model.predict((b for b in batches) if stream else x, batch_size=10, callbacks=[watcher], verbose=0)
    assert calls == [("test", *c) for c in grouped] + [("predict", *c) for c in grouped]


def test_a_generator_may_fill_the_same_arrays_again(data):
    x, y = data

    def fresh():
        for i in range(0, 24, 4):
            yield x[i : i + 4], y[i : i + 4]

    def reused():
        xs, ys = np.empty_like(x[:4]), np.empty_like(y[:4])
        for a, b in fresh():
            xs[:], ys[:] = a, b
            yield xs, ys

    for steps in (1, 3):
        results = []
        for source in (fresh, reused):
            keras.utils.set_random_seed(0)
            model = make(steps_per_execution=steps)
            history = model.fit(source(), verbose=0).history
            results.append([history, model.evaluate(source(), verbose=0)])
            results[-1].append(model.predict((a for a, _ in source()), verbose=0).tobytes())
        assert results[0] == results[1]


def test_evaluate_and_predict_can_be_stopped(data):
    x, y = data
    model = make()

    def forever():
        while True:
            yield x, y

    class Stop(keras.callbacks.Callback):
        def __init__(self, what):
            super().__init__()
            self.what = what

        def on_test_batch_end(self, batch, logs=None):
            setattr(self.model, self.what, batch == 2)

        on_predict_batch_end = on_test_batch_end

    model.evaluate(forever(), callbacks=[Stop("stop_evaluating")], verbose=0)
    assert len(model.predict(forever(), callbacks=[Stop("stop_predicting")], verbose=0)) == 150
    for _ in range(2):  # the flag is of one run
        assert len(model.predict(x, verbose=0)) == 50


def test_metrics_that_are_attributes_are_in_the_logs(data):
    class Inner(layers.Layer):
        def __init__(self):
            super().__init__()
            self.size = keras.metrics.Mean(name="size")

        def call(self, inputs):
            self.size.update_state(ops.abs(inputs))
            return inputs

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.dense = Inner(), layers.Dense(1, activation="sigmoid")
            self.own = keras.metrics.Mean(name="own")

        def call(self, inputs):
            return self.dense(self.inner(inputs))

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):  # without `training`
            loss = super().compute_loss(x, y, y_pred, sample_weight)
            self.own.update_state(ops.multiply(loss, 4.0))
            return loss

    x, y = data
    model = Own()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=25, verbose=0).history
    assert list(history) == ["accuracy", "loss", "own", "size"]
    np.testing.assert_allclose(history["own"], np.multiply(4, history["loss"]), rtol=1e-6)
    np.testing.assert_allclose(history["size"], np.abs(x).mean(), rtol=1e-6)
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics", "own", "size"]
    assert len(model.evaluate(x, y, verbose=0)) == 4


def test_an_override_may_add_to_the_logs_of_train_step(data):
    class Own(keras.Sequential):
        def train_step(self, batch):
            logs = super().train_step(batch)
            logs["constant"] = 10.0
            assert "constant" in logs._added
            return logs

    model = Own([layers.Input((6,)), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(*data, epochs=2, verbose=0).history
    assert history["constant"] == [10, 10] and set(history) == {"loss", "accuracy", "constant"}


def test_moving_averages_are_in_place_after_fit(data):
    model = make()
    model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "binary_crossentropy")
    model.fit(*data, epochs=2, verbose=0)
    for w, t in zip(model.get_weights(), [v for v in model.optimizer.variables if "average" in v.name]):
        np.testing.assert_array_equal(w, t.numpy())


@pytest.mark.parametrize("eager", [False, True])
def test_terminate_on_nan_names_the_first_bad_batch(eager, capsys):
    x = np.ones((40, 2), "float32")
    x[23] = np.nan
    model = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eager)
    history = model.fit(
        x, np.ones((40, 1)), batch_size=4, epochs=5, shuffle=False, callbacks=[keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )  # fmt: skip
    assert history.epoch == [0] and np.isnan(history.history["loss"][0]) and model.stop_training
    assert capsys.readouterr().err == "Batch 5: Invalid loss, terminating training\n"
    model.set_weights([np.ones((2, 1)), np.ones(1)])
    watcher = keras.callbacks.TerminateOnNaN(raise_error=True)
    with pytest.raises(RuntimeError, match="batch 5"):
        model.fit(x, np.ones((40, 1)), batch_size=4, shuffle=False, callbacks=[watcher], verbose=0)


def test_one_y_for_the_one_output_with_a_loss():
    a = layers.Input((2,))
    b = layers.Dense(3, kernel_initializer="ones")(a)
    x, y = np.ones((32, 2)), np.ones((32, 3))
    part, whole = keras.Model(a, [b, b, b]), keras.Model(a, [b, b, b])
    part.compile(loss=["mse", None, None])
    whole.compile(loss=["mse", "mse", "mse"])
    np.testing.assert_allclose(3 * part.evaluate(x, y, verbose=0), whole.evaluate(x, [y] * 3, verbose=0)[0])


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, endless=False, **arguments):
        super().__init__(**arguments)
        self.x, self.y, self.endless, self.begun, self.ended = x, y, endless, 0, 0

    @property
    def num_batches(self):
        return None if self.endless else 5

    def __getitem__(self, i):
        rows = slice(10 * (i % 5), 10 * (i % 5) + 10)
        return self.x[rows], self.y[rows]

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize("endless", [False, True])
def test_pydataset_gives_the_same_as_arrays(data, endless):
    model, other = make(), make()
    other.set_weights(model.get_weights())
    batches = Batches(*data, endless, workers=2)
    model.fit(batches, epochs=3, steps_per_epoch=5 if endless else None, verbose=0)
    other.fit(*data, batch_size=10, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert batches.begun == batches.ended == 3
    with pytest.raises(NotImplementedError, match="__len__"):
        model.fit(keras.utils.PyDataset(), verbose=0)


def test_swapped_averages_are_what_is_evaluated_and_saved(data):
    model = make()
    model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), "binary_crossentropy")
    averaged = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            averaged.append([w.copy() for w in self.model.get_weights()])

    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    history = model.fit(
        *data, epochs=3, shuffle=False, validation_data=data, callbacks=[swap, Look()], verbose=0
    ).history
    # The weights that were seen at the end of an epoch have the loss that validation found.
    other = make()
    for weights, loss in zip(averaged, history["val_loss"]):
        other.set_weights(weights)
        np.testing.assert_allclose(other.evaluate(*data, verbose=0)[0], loss, rtol=1e-6)
    for a, b in zip(model.get_weights(), averaged[-1]):
        np.testing.assert_array_equal(a, b)
    plain = make()
    plain.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="use_ema"):
        plain.fit(*data, callbacks=[swap], validation_data=data, verbose=0)


class Tracking(keras.Model):
    """The custom step of Keras' guide: its own loss, its own metric, results as a dictionary."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data[:2]
        with GradientTape() as tape:
            loss = ops.mean(ops.square(self(x, training=True) - y))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.loss_tracker.update_state(loss)
        return {m.name: m.result() for m in self.metrics}

    @property
    def metrics(self):
        return [self.loss_tracker]


def test_a_step_that_returns_results_of_metrics_is_replayed():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((96, 3)).astype("f"), rng.standard_normal((96, 1)).astype("f")
    curves = []
    for eager in (True, False):
        keras.random.set_random_seed(1)
        model = Tracking()
        model.compile(keras.optimizers.SGD(0.05), run_eagerly=eager)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a step that cannot be replayed warns
            curves.append(model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert curves[0] == curves[1]
    assert curves[0][2] < curves[0][0]


def test_models_that_are_dropped_leave_nothing(data):
    x, y = data

    def tensors():
        model = make()
        model.fit(x, y, verbose=0)
        model.run_eagerly = True
        model.fit(x, y, verbose=0)
        with keras.GradientTape() as tape:
            loss = keras.ops.mean(keras.ops.softmax(model(x)))
        tape.gradient(loss, model.trainable_weights)
        del model, tape, loss
        gc.collect()
        return sum(isinstance(o, keras.Tensor) for o in gc.get_objects())

    first = tensors()
    assert [tensors() for _ in range(3)] == [first] * 3
