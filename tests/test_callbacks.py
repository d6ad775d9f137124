"""Callbacks, driven side by side with Keras' own through the same epochs of a fake model. Exact."""

import math
import os
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import callbacks
from keras_reference import keras

NAN = float("nan")


class Optimizer:
    def __init__(self, rate):
        self.learning_rate = rate


class Model:
    """What callbacks use of a model; its single weight counts the epochs."""

    def __init__(self, rate=0.1):
        self.optimizer = Optimizer(rate)
        self.stop_training = False
        self.built = True
        self.weights = [np.zeros(1)]
        self.saved = []
        self._initial_epoch = 0

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = [np.array(w) for w in weights]

    def save(self, path, overwrite=True):
        self.saved.append(path)
        np.asarray(self.weights[0]).tofile(path)

    save_weights = save

    def load_weights(self, path):
        self.weights = [np.fromfile(path)]


def drive(callback, values, metric="val_loss", model=None, batches=0, extra=None, package=callbacks):
    """Run `fit`'s hooks; returns (model, history)."""
    model = model or Model()
    options = {} if package is callbacks else {"add_progbar": False}
    every = package.CallbackList([callback], add_history=True, model=model, verbose=0, **options)
    every.on_train_begin()
    for epoch, value in enumerate(values):
        every.on_epoch_begin(epoch)
        for batch in range(batches):
            every.on_train_batch_end(batch, {"loss": float(value)})
        model.weights = [np.full(1, float(epoch))]
        every.on_epoch_end(epoch, {"loss": 1.0, metric: value, **(extra or {})})
        if model.stop_training:
            break
    every.on_train_end()
    return model, model.history


def both(name, values, metric="val_loss", batches=0, **arguments):
    results = []
    for package in (callbacks, keras.callbacks):
        callback = getattr(package, name)(**arguments)
        model, history = drive(callback, values, metric, batches=batches, package=package)
        rate = float(model.optimizer.learning_rate)
        results.append((callback, model.weights[0][0], history.epoch, history.history, rate))
    return results


PATHS = [
    [1.0, 0.9, 0.8, 0.85, 0.9, 0.7, 0.95, 0.96, 0.97, 0.98],
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    [1.0, 0.99, 0.98, 0.97, 0.96, 0.95],
    [NAN, 0.5, 0.4, 0.3, 0.2],
    [0.5, NAN, 0.6, 0.4, 0.3],
]


@pytest.mark.parametrize("values", PATHS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"patience": 2},
        {"patience": 2, "restore_best_weights": True},
        {"patience": 20, "restore_best_weights": True},
        {"patience": 2, "min_delta": 0.05},
        {"patience": 2, "mode": "max"},
        {"patience": 2, "baseline": 0.75, "restore_best_weights": True},
        {"patience": 1, "start_from_epoch": 3, "restore_best_weights": True},
        {"monitor": "val_accuracy", "mode": "max", "patience": 1},
    ],
)
def test_early_stopping_is_kerass(values, arguments):
    ours, theirs = both("EarlyStopping", values, arguments.get("monitor", "val_loss"), **arguments)
    assert ours[1:3] == theirs[1:3]  # weights at the end, epochs run
    for name in ("stopped_epoch", "best_epoch", "wait"):
        assert getattr(ours[0], name) == getattr(theirs[0], name)
    assert repr(ours[0].best) == repr(theirs[0].best)


def test_best_weights_return_without_an_early_stop():
    callback = callbacks.EarlyStopping(patience=99, restore_best_weights=True)
    model, _ = drive(callback, [3.0, 1.0, 2.0])
    assert model.weights[0] == 1.0 and callback.stopped_epoch == 0 and callback.best_epoch == 1
    drive(callback, [9.0, 8.0])  # used again, it has forgotten
    assert callback.best == 8.0


@pytest.mark.parametrize("values", PATHS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 1, "cooldown": 2, "factor": 0.5},
        {"patience": 2, "min_lr": 0.05, "factor": 0.2},
        {"patience": 1, "min_delta": 0.3},
        {"patience": 1, "mode": "max"},
        {"patience": 1, "min_lr": 0.1},
    ],
)
def test_reduce_lr_on_plateau_is_kerass(values, arguments):
    ours, theirs = both("ReduceLROnPlateau", values, **arguments)
    assert repr(ours[2:]) == repr(theirs[2:])  # epochs, history with learning_rate, final rate
    assert "learning_rate" in ours[3]


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.1 / (epoch + 1), math.exp])
def test_learning_rate_scheduler_is_kerass(schedule):
    ours, theirs = both("LearningRateScheduler", [1.0, 0.9, 0.8], schedule=schedule)
    assert ours[2:] == theirs[2:] and len(ours[3]["learning_rate"]) == 3


def test_learning_rate_scheduler_errors():
    with pytest.raises(ValueError, match="must return a float"):
        drive(callbacks.LearningRateScheduler(lambda epoch, rate: None), [1.0])

    def broken(epoch, rate):
        return rate + "0.1"

    with pytest.raises(TypeError, match="unsupported operand"):  # not hidden by a second try
        drive(callbacks.LearningRateScheduler(broken), [1.0])


@pytest.mark.parametrize("extra", [{}, {"val_acc": 0.5}, {"f1_score": np.array([0.5, 0.25])}, {"a,b": "x"}])
@pytest.mark.parametrize("separator", [",", ";"])
def test_csv_is_kerass_byte_for_byte(tmp_path, extra, separator):
    written = []
    for package in (callbacks, keras.callbacks):
        path = tmp_path / f"{package.__name__}.csv"
        for append in (False, True):
            callback = package.CSVLogger(path, separator=separator, append=append)
            drive(callback, [0.5, 0.25], "accuracy", extra=extra, package=package)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert written[0].count(b"epoch") == 1 and written[0].count(b"\r\n") == 5


def test_csv_starts_anew_without_append(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        drive(callbacks.CSVLogger(path), [0.5], "accuracy")
    assert path.read_text().splitlines() == [
        "epoch,accuracy,loss,val_accuracy,val_loss",
        "0,0.5,1.0,NA,NA",
    ]


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_terminate_on_nan(bad, capsys):
    model, history = drive(callbacks.TerminateOnNaN(), [1.0, bad, 1.0], batches=2)
    assert model.stop_training and history.epoch == [0, 1]
    assert "Batch 0: Invalid loss, terminating training" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"):
        drive(callbacks.TerminateOnNaN(raise_error=True), [bad], batches=1)


def test_lambda_callback():
    seen = []
    callback = callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"),
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["val_loss"])),
        on_train_batch_end=lambda batch, logs: seen.append(batch),
        on_train_end=lambda logs: seen.append("end"),
    )
    drive(callback, [0.5], batches=2)
    assert seen == ["begin", 0, 1, (0, 0.5), "end"]
    with pytest.raises(ValueError, match="knows no hook 'on_epoch_ende'"):
        callbacks.LambdaCallback(on_epoch_ende=print)


# --- directions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, higher",
    [
        ("loss", False), ("val_loss", False), ("val_acc", True), ("accuracy", True),
        ("val_out_accuracy", True), ("out_loss", False), ("auc_1", True), ("val_f1_score", True),
        ("mean_absolute_error", False), ("mae", False), ("sparse_categorical_accuracy", True),
        ("binary_crossentropy", False), ("mean_io_u_12", True), ("root_mean_squared_error", False),
        ("precision", True), ("val_recall", True), ("squared_hinge", False),
    ],
)  # fmt: skip
def test_direction_of_names(name, higher):
    callback = callbacks.EarlyStopping(monitor=name)
    callback.set_model(Model())
    assert callback.is_improvement(2.0, 1.0) is higher


def test_directions_are_those_of_keras_metrics():
    callback = callbacks.MonitorCallback
    for name in dir(keras.metrics):
        made = getattr(keras.metrics, name)
        direction = None
        if isinstance(made, type) and issubclass(made, keras.metrics.Metric):
            try:
                metric = made()
                direction, name = metric._direction, metric.name
            except (TypeError, AttributeError):
                continue  # needs arguments, or has no direction
        if direction is not None:
            monitor = callback(monitor=f"val_{name}")
            monitor.set_model(Model())
            assert monitor.is_improvement(2.0, 1.0) is (direction == "up"), name


def test_a_metric_may_state_its_direction():
    model = Model()
    model.metrics = [type("Regret", (), {"name": "regret", "_direction": "up"})()]
    callback = callbacks.EarlyStopping(monitor="val_regret")
    callback.set_model(model)
    assert callback.is_improvement(2.0, 1.0)
    callback = callbacks.EarlyStopping(monitor="val_remorse")
    callback.set_model(model)
    with pytest.raises(ValueError, match="pass mode='max' or mode='min'"):
        callback.is_improvement(2.0, 1.0)
    with pytest.raises(ValueError, match="mode must be"):
        callbacks.EarlyStopping(mode="up")


@pytest.mark.parametrize("make", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_missing_metrics_are_warned_of(make):
    with pytest.warns(UserWarning, match="`val_loss` which is not available.*accuracy,loss"):
        drive(make(), [0.5], "accuracy")


def test_factor_must_reduce():
    with pytest.raises(ValueError, match="factor >= 1.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)


# --- files ----------------------------------------------------------------------------------------


def test_checkpoint_names_and_best_only(tmp_path):
    path = tmp_path / "deep" / "{epoch:02d}-{val_loss:.2f}.fnn"
    model, _ = drive(callbacks.ModelCheckpoint(path), [0.5, 0.75])
    assert [os.path.basename(p) for p in model.saved] == ["01-0.50.fnn", "02-0.75.fnn"]

    best = callbacks.ModelCheckpoint(tmp_path / "{epoch}.fnn", save_best_only=True)
    model, _ = drive(best, [0.5, 0.75, 0.25, 0.25])
    assert [os.path.basename(p) for p in model.saved] == ["1.fnn", "3.fnn"]

    threshold = callbacks.ModelCheckpoint(tmp_path / "{epoch}.fnn", save_best_only=True, initial_value_threshold=0.3)
    model, _ = drive(threshold, [0.5, 0.75, 0.25])
    assert [os.path.basename(p) for p in model.saved] == ["3.fnn"]


@pytest.mark.parametrize("save_freq", [1, 3, 4, 5])
def test_checkpoint_every_n_batches_is_kerass(tmp_path, save_freq):
    saved = []
    for package, suffix in ((callbacks, ".weights.fnn"), (keras.callbacks, ".weights.h5")):
        path = str(tmp_path / ("{epoch}-{batch}" + suffix))
        callback = package.ModelCheckpoint(path, save_weights_only=True, save_freq=save_freq)
        model, _ = drive(callback, [0.5, 0.4, 0.3], batches=4, package=package)
        saved.append([os.path.basename(p).removesuffix(suffix) for p in model.saved])
    assert saved[0] == saved[1] and saved[0]


def test_checkpoint_messages(tmp_path, capsys):
    path = str(tmp_path / "m.fnn")
    drive(callbacks.ModelCheckpoint(path, verbose=1, save_best_only=True), [0.5, 0.75])
    assert capsys.readouterr().err.split("\n") == [
        "",
        f"Epoch 1: val_loss improved from None to 0.50000, saving model to {path}",
        "",
        f"Epoch 1: finished saving model to {path}",
        "",
        "Epoch 2: val_loss did not improve from 0.50000",
        "",
    ]


@pytest.mark.parametrize(
    "path, weights_only, message",
    [
        ("m.keras", False, r"Keras' own file formats; received 'm.keras', write 'm.fnn'"),
        ("m.h5", False, "write 'm.fnn'"),
        ("m.weights.h5", True, "write 'm.weights.fnn'"),
        ("m", False, r"must end in '.fnn'"),
        ("m.fnn", True, r"must end in '.weights.fnn'"),
        ("m.weights.fnn", False, "pass save_weights_only=True"),
    ],
)
def test_checkpoint_suffixes(path, weights_only, message):
    with pytest.raises(ValueError, match=message):
        callbacks.ModelCheckpoint(path, save_weights_only=weights_only)


def test_checkpoint_errors(tmp_path):
    with pytest.raises(KeyError, match="val_los.*there are: epoch, loss, val_loss"):
        drive(callbacks.ModelCheckpoint("{val_los}.fnn"), [0.5])
    for save_freq in (0, -1, 1.5, "batch", True):
        with pytest.raises(ValueError, match="save_freq must be"):
            callbacks.ModelCheckpoint("m.fnn", save_freq=save_freq)
    (tmp_path / "d.fnn").mkdir()
    with pytest.raises(OSError, match="directory of that name"):
        drive(callbacks.ModelCheckpoint(tmp_path / "d.fnn"), [0.5])
    with pytest.warns(UserWarning, match="only the best model with a number `val_loss`"):
        drive(callbacks.ModelCheckpoint(tmp_path / "m.fnn", save_best_only=True), [0.5], "mae")


class Interrupted(Exception):
    pass


def interrupted_fit(directory, kill=None, **options):
    """The weights that `fit` ends with; `kill(model, epoch, batch)` may raise Interrupted."""
    fastnn.utils.set_random_seed(4)
    model = fastnn.Sequential(
        [fastnn.layers.Input((5,)), fastnn.layers.Dense(6), fastnn.layers.Dropout(0.5), fastnn.layers.Dense(1)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    x = np.random.default_rng(1).standard_normal((20, 5)).astype("float32")
    hooks = {} if kill is None else {"on_epoch_begin": lambda epoch, logs: kill(model, epoch)}
    each = [callbacks.BackupAndRestore(directory, **options)] if directory else []
    history = model.fit(
        x, x[:, 0], batch_size=6, epochs=5, verbose=0, callbacks=[*each, callbacks.LambdaCallback(**hooks)]
    )
    return model.get_weights(), history


def kill_at_3(model, epoch):
    if epoch == 3:
        fastnn.random.make_default_seed()  # what a new process has drawn does not matter
        raise Interrupted


@pytest.mark.parametrize("double", [False, True])
def test_an_interrupted_training_goes_on_with_equal_bits(tmp_path, double):
    wanted, _ = interrupted_fit(None)
    directory = tmp_path / "backup"
    with pytest.raises(Interrupted):
        interrupted_fit(directory, kill_at_3, double_checkpoint=double)
    assert sorted(os.listdir(directory)) == (["latest.fnn", "previous.fnn"] if double else ["latest.fnn"])
    got, history = interrupted_fit(directory)
    assert history.epoch == [3, 4]
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not directory.exists()


def test_backups_every_few_batches_resume_at_the_epochs_beginning(tmp_path):
    with pytest.raises(Interrupted):
        interrupted_fit(tmp_path / "backup", kill_at_3, save_freq=3)  # of 4 batches an epoch: 12 in all
    _, history = interrupted_fit(tmp_path / "backup", delete_checkpoint=False)
    assert history.epoch == [2, 3, 4]  # the last backup was written in the midst of epoch 2
    assert (tmp_path / "backup").exists()


def test_a_damaged_backup(tmp_path):
    for double in (False, True):
        directory = tmp_path / str(double)
        with pytest.raises(Interrupted):
            interrupted_fit(directory, kill_at_3, double_checkpoint=double)
        (directory / "latest.fnn").write_bytes(b"0")
        if not double:
            with pytest.raises(ValueError, match="latest"):
                interrupted_fit(directory)
        else:
            assert interrupted_fit(directory)[1].epoch == [2, 3, 4]
    model = fastnn.Sequential([fastnn.layers.Input((5,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must not be empty"):
        callbacks.BackupAndRestore("")
    unbuilt = fastnn.Sequential([fastnn.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="is built"):
        unbuilt.fit(np.zeros((2, 5)), np.zeros((2, 1)), callbacks=[callbacks.BackupAndRestore(tmp_path / "b")])


# --- lists ----------------------------------------------------------------------------------------


class OldName(callbacks.Callback):
    def on_batch_end(self, batch, logs=None):
        self.last = batch


class TestBatches(callbacks.Callback):
    __test__ = False

    def on_test_batch_end(self, batch, logs=None):
        pass


def test_needs_batches():
    def needs(*items):
        every = callbacks.CallbackList(list(items), add_history=True, model=Model())
        return every.needs_batches, every.needs_test_batches, every.needs_predict_batches

    none = (False, False, False)
    assert needs() == none
    quiet = [
        callbacks.EarlyStopping(),
        callbacks.ModelCheckpoint("a.fnn"),
        callbacks.BackupAndRestore("d"),
        callbacks.ReduceLROnPlateau(),
        callbacks.LearningRateScheduler(lambda e: 0.1),
        callbacks.CSVLogger("f"),
        callbacks.LambdaCallback(on_epoch_end=print),
    ]
    assert needs(*quiet) == none
    train = (True, False, False)
    assert needs(OldName()) == train
    assert needs(callbacks.TerminateOnNaN()) == none  # fit looks at the loss for it
    assert needs(callbacks.TerminateOnNaN(), OldName()) == train
    assert needs(callbacks.ModelCheckpoint("a.fnn", save_freq=2)) == train
    assert needs(callbacks.BackupAndRestore("d", save_freq=2)) == train
    assert needs(callbacks.LambdaCallback(on_train_batch_begin=print)) == train
    assert needs(TestBatches()) == (False, True, False)
    assert needs(callbacks.LambdaCallback(on_predict_batch_end=print)) == (False, False, True)
    assert needs(keras.callbacks.History()) == (True, True, True)  # a stranger is asked everything

    class Own(callbacks.ModelCheckpoint):
        def on_train_batch_end(self, batch, logs=None):
            pass

    assert needs(Own("a.fnn")) == train


def test_every_hook_of_keras_is_called():
    hooks = [h for h in dir(keras.callbacks.Callback) if h.startswith("on_")]
    assert hooks == [h for h in dir(callbacks.Callback) if h.startswith("on_")]
    for hook in hooks:
        if hook in ("on_batch_begin", "on_batch_end"):
            continue
        seen = []
        callback = callbacks.Callback()
        setattr(callback, hook, lambda *index, seen=seen: seen.append(index))
        every = callbacks.CallbackList(callback)
        call = getattr(every, hook)
        index = (3,) if "batch" in hook or "epoch" in hook else ()
        call(*index, {"loss": np.float32(0.5)})
        assert seen == [(*index, {"loss": 0.5})] and type(seen[0][-1]["loss"]) is float


def test_the_logs_are_shared_and_returned_but_not_the_callers():
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["added"] = 1

    given = {"loss": 0.5}
    every = callbacks.CallbackList([Adds()], add_history=True, model=Model())
    every.on_train_begin()
    assert every.on_epoch_end(0, given) == {"loss": 0.5, "added": 1}
    assert every.history.history == {"loss": [0.5], "added": [1]}
    assert given == {"loss": 0.5}


def test_list_building():
    model = Model()
    own = callbacks.History()
    every = callbacks.CallbackList([[callbacks.EarlyStopping()], own], True, model, epochs=3)
    assert len(every.callbacks) == 2 and every.history is own and model.history is own
    assert own.params == {"epochs": 3} and own.model is model
    late = callbacks.ModelCheckpoint("a.fnn", save_freq=2)
    every.append(late)
    assert every.needs_batches and late.model is model and late.params == {"epochs": 3}
    with pytest.raises(ValueError, match=r"write EarlyStopping\(\)"):
        callbacks.CallbackList([callbacks.EarlyStopping])
    with pytest.raises(ValueError, match="must be Callback objects; received 'x'"):
        callbacks.CallbackList(["x"])


# --- history --------------------------------------------------------------------------------------


def test_history_plot_and_pandas(monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    history = callbacks.History()
    with pytest.raises(ValueError, match="empty"):
        history.plot()
    history.history = {"loss": [3.0, 2.0], "val_loss": [4.0, 3.0], "accuracy": [0.1, 0.2]}
    history.history["learning_rate"] = [0.1, 0.1]
    figure = history.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xydata(), [[1, 4], [2, 3]])
    assert len(history.plot("loss").axes) == 1
    axis = pyplot.figure().add_subplot()
    assert history.plot(["accuracy"], axes=axis) is axis.figure
    with pytest.raises(ValueError, match="no 'acc'; it has loss"):
        history.plot("acc")
    with pytest.raises(ValueError, match="1 axes for 2 metrics"):
        history.plot(axes=axis)
    pyplot.close("all")

    frames = []
    fake = type("pandas", (), {})
    fake.Index = staticmethod(lambda values, name: (name, values))
    fake.DataFrame = staticmethod(lambda data, index: frames.append((data, index)) or "frame")
    monkeypatch.setitem(__import__("sys").modules, "pandas", fake)
    assert history.to_pandas() == "frame" and frames[0] == (history.history, ("epoch", [1, 2]))
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match='pip install "pandas"'):
        history.to_pandas()


def test_no_callback_warns_by_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive([callbacks.EarlyStopping(), callbacks.ReduceLROnPlateau()], [0.5, 0.4])
