"""The arguments of fit, evaluate and predict at their edges, against Keras: which batches callbacks see,
what comes back, which errors.
"""

import warnings

import numpy as np
import pytest

import fastnn
from keras_reference import keras

X = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")
Y, C, ONES = X[:, :1] * 2, (X[:, 0] > 0).astype("int32"), np.ones(12)


def batches(n):
    return ((X[:4], Y[:4]) for _ in range(n))


def fit(x=X, y=Y, **arguments):
    return lambda m, spy: m.fit(x() if callable(x) else x, y, **{"verbose": 0, "callbacks": [spy], **arguments})


def fit_batches(n, **arguments):
    return fit(lambda: batches(n), None, **arguments)


def evaluate(x=X, y=Y, **arguments):
    return lambda m, spy: m.evaluate(x() if callable(x) else x, y, verbose=0, callbacks=[spy], **arguments)


def predict(x=X, **arguments):
    return lambda m, spy: m.predict(x() if callable(x) else x, verbose=0, callbacks=[spy], **arguments)


def outcome(k, call):
    """What a call gives or which error, what callbacks saw, and whether it warned of too few data."""
    events = []

    class Spy(k.callbacks.Callback):
        def on_train_begin(self, logs=None):
            events.append("begin")

        def on_train_end(self, logs=None):
            events.append("end")

        def on_epoch_begin(self, epoch, logs=None):
            events.append(f"epoch {epoch}")

        def on_train_batch_end(self, batch, logs=None):
            events.append(f"batch {batch}")

        def on_test_batch_end(self, batch, logs=None):
            events.append(f"test {batch}")

        def on_predict_batch_end(self, batch, logs=None):
            events.append(f"predict {batch}")

    model = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(0.01), "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call(model, Spy())
        except Exception as error:
            return type(error).__name__, events, False
    if hasattr(result, "history"):
        result = {name: len(values) for name, values in result.history.items()}
    return (
        np.shape(result) or result if not isinstance(result, float) else float,
        events,
        any("ran out" in str(w.message) for w in caught),
    )


def validated(**arguments):
    return fit(**{"validation_data": (X, Y), **arguments})


SAME = {
    "no epochs": fit(epochs=0),
    "epochs None": fit(epochs=None),
    "epochs of NumPy": fit(epochs=np.int64(2)),
    "initial_epoch": fit(epochs=3, initial_epoch=1),
    "initial_epoch = epochs": fit(epochs=2, initial_epoch=2),
    "initial_epoch > epochs": fit(epochs=2, initial_epoch=5),
    "batch_size None": fit(batch_size=None),
    "batch_size above the rows": fit(batch_size=100),
    "batch_size of NumPy": fit(batch_size=np.int32(4)),
    "steps": fit(steps_per_epoch=2, batch_size=4, epochs=2),
    "few steps, many epochs": fit(steps_per_epoch=1, batch_size=4, epochs=5),
    "too many steps": fit(steps_per_epoch=5, batch_size=4, epochs=2),
    "split": fit(validation_split=0.5),
    "split and data": fit(validation_split=0.5, validation_data=(X, Y)),
    "split of one": fit(validation_split=1.0),
    "split leaves nothing": fit(validation_split=0.999),
    "split of a generator": fit_batches(3, validation_split=0.5),
    "validation_freq": validated(validation_freq=2, epochs=5),
    "validation_freq a list": validated(validation_freq=[1, 4], epochs=5),
    "validation_freq without validation": fit(validation_freq=0),
    "validation_steps": validated(validation_steps=2, validation_batch_size=4),
    "validation_steps too many": validated(validation_steps=7, validation_batch_size=4),
    "validation_batch_size": validated(validation_batch_size=3),
    "validation with weights": validated(validation_data=(X, Y, ONES)),
    "validation as a list": validated(validation_data=[X, Y]),
    "validation without y": validated(validation_data=(X,)),
    "validation of four": validated(validation_data=(X, Y, X, X)),
    "validation by batches": lambda m, spy: fit(validation_data=batches(3), validation_steps=2)(m, spy),
    "y of other length": fit(y=Y[:5]),
    "weights of other length": fit(sample_weight=np.ones(5)),
    "weights in a column": fit(sample_weight=np.ones((12, 1))),
    "no x": fit(x=None),
    "class weights": fit(y=C, class_weight={0: 1.0, 1: 2.0}),
    "a class without weight": fit(y=C, class_weight={0: 1.0}),
    "no class weights": fit(y=C, class_weight={}),
    "class and sample weights": fit(y=C, class_weight={0: 1.0, 1: 2.0}, sample_weight=ONES),
    "verbose auto": fit(verbose="auto"),
    "verbose 1": fit(verbose=1),
    "verbose 2": fit(verbose=2),
    "verbose True": fit(verbose=True),
    "shuffle batch": fit(shuffle="batch"),
    "generator for all steps": fit_batches(4, steps_per_epoch=2, epochs=2),
    "generator ends in an epoch": fit_batches(3, steps_per_epoch=2, epochs=2),
    "generator ends in the first": fit_batches(3, steps_per_epoch=5),
    "generator and y": fit(lambda: batches(3), Y),
    "generator and weights": fit_batches(3, sample_weight=ONES),
    "evaluate": evaluate(batch_size=5),
    "evaluate some": evaluate(batch_size=4, steps=2),
    "evaluate too many": evaluate(batch_size=4, steps=9),
    "evaluate other lengths": evaluate(y=Y[:5]),
    "evaluate without y": evaluate(y=None),
    "evaluate a generator": evaluate(lambda: batches(3), None, steps=3),
    "evaluate a short generator": evaluate(lambda: batches(3), None, steps=5),
    "evaluate no batch": evaluate(lambda: batches(0), None),
    "predict": predict(batch_size=5),
    "predict some": predict(batch_size=4, steps=2),
    "predict too many": predict(batch_size=4, steps=9),
    "predict a generator": predict(lambda: batches(3), steps=3),
    "predict a short generator": predict(lambda: batches(3), steps=5),
    "predict no batch": predict(lambda: batches(0)),
    "predict a row": predict(X[0]),
    "train_on_batch, two weights": lambda m, spy: m.train_on_batch(X, C, sample_weight=ONES, class_weight={0: 1.0}),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_as_keras(name):
    ours, theirs = outcome(fastnn, SAME[name]), outcome(keras, SAME[name])
    if isinstance(theirs[0], str) and theirs[0].endswith("Error"):  # when it is noticed may differ
        assert ours[0] == theirs[0]
    else:
        assert ours == theirs


NOT_INTEGERS = {
    "epochs": fit(epochs=1.5),
    "epochs as text": fit(epochs="3"),
    "batch_size": fit(batch_size=4.0),
    "steps_per_epoch": fit(steps_per_epoch=1.5),
}


@pytest.mark.parametrize("name", NOT_INTEGERS)
def test_what_is_no_integer_is_a_type_error(name):
    assert outcome(keras, NOT_INTEGERS[name])[0] == "TypeError"
    assert outcome(fastnn, NOT_INTEGERS[name])[:2] == ("TypeError", [])  # before anything happens


# Mistakes that Keras lets pass, or reports from far inside: what we say, before training begins.
REFUSED = {
    "epochs below zero": (fit(epochs=-1), "epochs is an integer, at least 0; got -1"),
    "initial_epoch below zero": (fit(initial_epoch=-1), "initial_epoch is an integer, at least 0; got -1"),
    "batch_size 0": (fit(batch_size=0), "batch_size is an integer, at least 1; got 0"),
    "batch_size below zero": (fit(batch_size=-1), "batch_size is an integer, at least 1; got -1"),
    "no steps": (fit(steps_per_epoch=0), "steps_per_epoch is an integer, at least 1; got 0"),
    "split below zero": (fit(validation_split=-0.5), "validation_split lies between 0 and 1, got -0.5"),
    "split above one": (fit(validation_split=1.5), "validation_split lies between 0 and 1, got 1.5"),
    "validation_freq 0": (validated(validation_freq=0), "validation_freq is an integer, at least 1; got 0"),
    "validation_freq 1.5": (
        validated(validation_freq=1.5),
        "validation_freq is an integer or a list of epochs, got 1.5",
    ),
    "validation without rows": (validated(validation_data=(X[:0], Y[:0])), "validation_data has no rows"),
    "no rows": (fit(X[:0], Y[:0]), r"fit\(\) got arrays without rows"),
    "verbose": (fit(verbose=3), "verbose must be 0, 1, 2 or 'auto'; received 3"),
    "evaluate, batch_size 0": (evaluate(batch_size=0), "batch_size is an integer, at least 1; got 0"),
    "evaluate, no steps": (evaluate(steps=0), "steps is an integer, at least 1; got 0"),
    "evaluate, no rows": (evaluate(X[:0], Y[:0]), r"evaluate\(\) got no data"),
    "predict, no steps": (predict(steps=0), "steps is an integer, at least 1; got 0"),
    "predict, no rows": (predict(X[:0]), r"predict\(\) got arrays without rows"),
    "train_on_batch, no rows": (lambda m, spy: m.train_on_batch(X[:0], Y[:0]), "a batch without rows has no loss"),
    "test_on_batch, no rows": (lambda m, spy: m.test_on_batch(X[:0], Y[:0]), "a batch without rows has no loss"),
    "train_on_batch, other lengths": (lambda m, spy: m.train_on_batch(X, Y[:4]), "must have the same number of rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_refused_before_training(name):
    call, words = REFUSED[name]
    seen = []

    class Spy(fastnn.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append("begin")

    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(ValueError, match=words):
        call(model, Spy())
    assert seen == [] and [w.tobytes() for w in model.get_weights()] == before


def test_a_generator_that_ends_between_epochs_ends_training():
    """Keras goes on with what it had kept of the first batches, or with none and the last epoch's numbers."""
    result, events, warned = outcome(fastnn, fit_batches(4, steps_per_epoch=2, epochs=3))
    assert result == {"loss": 2} and warned
    assert events == ["begin", "epoch 0", "batch 0", "batch 1", "epoch 1", "batch 0", "batch 1", "epoch 2", "end"]
    assert outcome(keras, fit_batches(4, steps_per_epoch=2, epochs=3)) == ({"loss": 3}, events, True)


def test_validation_that_ends_between_epochs():
    result, _, warned = outcome(fastnn, lambda m, spy: fit(validation_data=batches(3), epochs=2)(m, spy))
    assert result == {"loss": 2, "val_loss": 1} and warned
    assert outcome(fastnn, lambda m, spy: fit(validation_data=batches(0))(m, spy))[0] == "ValueError"
