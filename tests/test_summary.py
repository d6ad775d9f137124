"""The table against Keras' own, character by character."""

import numpy as np
import pytest

from fastnn.summary import Row, Total, format_summary, print_summary, readable_size
from keras_reference import keras

LONG = "a_layer_with_a_name_that_is_far_too_long_for_its_column_and_must_be_cut_short"


def total(weights):
    count = sum(int(np.prod(w.shape)) for w in weights)
    return Total(count, 4 * count)


def ours(model, branches=False, **options):
    """Keras' model as our rows."""
    rows = []
    for layer in model.layers:
        shape = layer.output.shape if layer._inbound_nodes else None
        params = layer.count_params() if layer.built else None
        sources = [t._keras_history for node in layer._inbound_nodes for t in node.input_tensors]
        links = ", ".join(f"{h.operation.name}[{h.node_index}][{h.tensor_index}]" for h in sources)
        trainable = layer.trainable if layer.weights else None
        connected = (links or "-") if branches else None
        rows.append(Row(layer.name, type(layer).__name__, shape, params, connected, trainable))
    optimizer = None
    if model.compiled and model.optimizer.built:
        optimizer = total(model.optimizer.variables)
    parts = total(model.trainable_weights), total(model.non_trainable_weights), optimizer
    return format_summary(model.name, rows, *parts, **options)


def theirs(model, **options):
    lines = []
    model.summary(print_fn=lambda text, **_: lines.append(text), **options)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def sequential():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3),
            layers.BatchNormalization(trainable=False),
            layers.Flatten(),
            layers.Dense(10, name=LONG),
        ]
    )
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((2, 28, 28, 1)), np.zeros((2, 10)))
    return model


@pytest.fixture(scope="module")
def branching():
    x = keras.Input((4,))
    a, b = keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)
    return keras.Model(x, keras.layers.Add()([a, b]))


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("show_trainable", [False, True])
def test_terminals(monkeypatch, sequential, columns, show_trainable):
    monkeypatch.setenv("COLUMNS", str(columns))
    options = {"show_trainable": show_trainable}
    assert ours(sequential, **options) == theirs(sequential, **options)


@pytest.mark.parametrize("line_length", [50, 64, 77, 88, 99, 100, 121])
def test_line_lengths(monkeypatch, sequential, branching, line_length):
    monkeypatch.setenv("COLUMNS", "200")
    options = {"line_length": line_length}
    assert ours(sequential, **options) == theirs(sequential, **options)
    assert ours(branching, branches=True, **options) == theirs(branching, **options)


def test_positions(monkeypatch, sequential):
    monkeypatch.setenv("COLUMNS", "200")
    options = {"line_length": 90, "positions": [0.3, 0.6, 1.0]}
    assert ours(sequential, **options) == theirs(sequential, **options)


def test_unbuilt(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    model = keras.Sequential([keras.layers.Dense(3)])
    assert ours(model) == theirs(model)
    assert "0 (unbuilt)" in ours(model)


def test_nested_rows_and_many_outputs():
    rows = [
        Row("inner", "Sequential", (None, 3), 15),
        Row("dense", "Dense", (None, 3), 15, level=1),
        Row("lstm", "LSTM", [(None, 3), (None, 3)], 96),
        Row("split", "Split", {"a": (None, 1), "b": (None, 2)}, 0),
    ]
    text = format_summary("m", rows, Total(111, 444), Total(), line_length=120)
    assert "│    └ dense (Dense) " in text
    assert "[(None, 3), (None, 3)]" in text and "{a: (None, 1), b: (None, 2)}" in text


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 866_600, 5 << 20, 3 << 30, 2 << 40, 7 << 50])
def test_sizes(size):
    from keras.src.utils.summary_utils import readable_memory_size

    assert readable_size(size) == readable_memory_size(size)


def test_errors_and_print_fn(capsys):
    seen = []
    print_summary("m", [], Total(), Total(), print_fn=seen.append)
    assert len(seen) == 1 and seen[0].startswith('Model: "m"\n┏')
    print_summary("m", [], Total(), Total())
    assert capsys.readouterr().out.startswith('Model: "m"')
    with pytest.raises(ValueError, match="leaves no room"):
        format_summary("m", [], Total(), Total(), line_length=10)
    with pytest.raises(ValueError, match="one number per column"):
        format_summary("m", [], Total(), Total(), positions=[0.5, 1.0])
