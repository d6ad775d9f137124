"""Ops and operators on symbolic tensors: the same model in Keras gives the same shapes, names and
values; and such a model survives its file.

Tolerance 1e-5: a handful of float32 operations each.
"""

import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.layers.op import Operation
from fastnn.saving.models import load_model
from fastnn.variables import clear_session
from keras_reference import keras

RNG = np.random.default_rng(0)
ROW = RNG.standard_normal(6).astype("float32")
MATRIX = RNG.standard_normal((6, 3)).astype("float32")

# name: (shapes of the inputs, model of (library, inputs), whether names of op nodes are Keras')
MODELS = {
    "operators": ([(6,), (6,)], lambda k, x, y: x + y * 2 - x / 3.0),
    "reflected": ([(6,)], lambda k, x: 1 - 2 * x + 1 / (x * x + 1)),
    "unary": ([(6,)], lambda k, x: -abs(x)),
    "power": ([(6,)], lambda k, x: (x * x + 1) ** 0.5),
    "matmul": ([(4, 6), (6, 3)], lambda k, x, y: x @ y),
    "constant array": ([(6,)], lambda k, x: x + ROW),
    "matrix": ([(6,)], lambda k, x: k.ops.matmul(x, MATRIX)),
    "first step": ([(5, 6)], lambda k, x: x[:, 0]),
    "last steps": ([(5, 6)], lambda k, x: x[:, -2:, ::2]),
    "far step": ([(None, 6)], lambda k, x: x[:, 11]),
    "ellipsis": ([(5, 6)], lambda k, x: x[..., None, 1:3]),
    "relu": ([(6,)], lambda k, x: k.ops.relu(x)),
    "softmax": ([(6,)], lambda k, x: k.ops.softmax(x, axis=-1)),
    "mean": ([(5, 6)], lambda k, x: k.ops.mean(x, axis=1, keepdims=True)),
    "sum of two axes": ([(5, 6)], lambda k, x: k.ops.sum(x, axis=(1, 2))),
    "reshape": ([(4, 6)], lambda k, x: k.ops.reshape(x, (-1, 24))),
    "transpose": ([(4, 6)], lambda k, x: k.ops.transpose(x, (0, 2, 1))),
    "concatenate": ([(6,), (3,)], lambda k, x, y: k.ops.concatenate([x, y], axis=-1)),
    "split": ([(6,)], lambda k, x: k.ops.split(x, 2, axis=1)),
    "maximum": ([(6,), (6,)], lambda k, x, y: k.ops.maximum(x, y)),
    "where": ([(6,)], lambda k, x: k.ops.where(x > 0, x, 0.1 * x)),
    "truth": ([(6,)], lambda k, x: k.ops.cast((x > 0) & (x < 1), "float32")),
    "nested keyword": ([(6,)], lambda k, x: k.ops.clip(x, x_min=-0.5, x_max=0.5)),
    "residual": ([(6,)], lambda k, x: k.layers.Dense(6, activation="relu", kernel_initializer="ones")(x) + x),
    "after layers": ([(6,)], lambda k, x: k.layers.Dense(1, kernel_initializer="ones")(x * x)[:, 0]),
}


def restart_names(k):
    clear_session() if k is fastnn else k.utils.clear_session()


def build(k, name):
    shapes, make = MODELS[name]
    restart_names(k)
    inputs = [k.Input(s, name=f"in{i}") for i, s in enumerate(shapes)]
    return k.Model(inputs, make(k, *inputs))


def arrays(name):
    rng = np.random.default_rng(1)
    return [rng.standard_normal((7, *(13 if n is None else n for n in s))).astype("float32") for s in MODELS[name][0]]


def flat(value):
    return [np.asarray(v) for v in (value if isinstance(value, (list, tuple)) else [value])]


@pytest.mark.parametrize("name", MODELS)
def test_values_and_shapes_of_keras(name):
    ours, theirs = build(fastnn, name), build(keras, name)
    assert [tuple(t.shape) for t in ours.outputs] == [tuple(t.shape) for t in theirs.outputs]
    assert [t.dtype for t in ours.outputs] == [t.dtype for t in theirs.outputs]
    x = arrays(name)
    got, want = flat(ours(x)), flat(theirs(x))
    assert len(got) == len(want)
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_through_a_file(name, tmp_path):
    model = build(fastnn, name)
    model.save(tmp_path / "m.fnn")
    again = load_model(tmp_path / "m.fnn")
    x = arrays(name)
    for a, b in zip(flat(model(x)), flat(again(x))):
        assert a.tobytes() == b.tobytes()


def test_names_are_those_of_keras():
    def names(k):
        restart_names(k)
        x = k.Input((6,), name="x")
        y = k.ops.relu(x + 2 * x + 1)[:, 1:] / 3
        model = k.Model(x, y - 1)
        return [o.name for o in (model.operations if hasattr(model, "operations") else model.layers)]

    assert names(fastnn) == names(keras)


def test_trains_through_ops():
    x = fastnn.Input((3,))
    h = fastnn.layers.Dense(8)(x)
    model = fastnn.Model(x, fastnn.layers.Dense(1)(fastnn.ops.tanh(h) * 0.5 + h))
    model.compile(optimizer=fastnn.optimizers.Adam(0.02), loss="mse")
    data = np.random.default_rng(0).standard_normal((64, 3)).astype("float32")
    target = data.sum(1, keepdims=True)
    losses = model.fit(data, target, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_a_nested_model_with_ops():
    x = fastnn.Input((4,))
    inner = fastnn.Model(x, x * 2 + 1)
    y = fastnn.Input((4,))
    outer = fastnn.Model(y, inner(inner(y)))
    np.testing.assert_allclose(np.asarray(outer(np.ones((2, 4), "float32"))), 7)


def test_shape_questions_make_no_node():
    x = fastnn.Input((5, 2))
    assert fastnn.ops.shape(x) == (None, 5, 2)
    assert fastnn.ops.ndim(x) == 3


def test_what_cannot_be_part_of_a_model():
    x = fastnn.Input((4,))
    with pytest.raises(TypeError, match="indexed by"):
        x["name"]
    with pytest.raises(IndexError):
        x[:, 9]
    with pytest.raises(ValueError):
        x + fastnn.Input((5,))
    with pytest.raises(TypeError, match="no value"):
        bool(x > 0)
    with pytest.raises(TypeError, match="iterated"):
        list(x)


def test_a_file_names_only_known_ops():
    with pytest.raises(ValueError, match="no op"):
        Operation("system")
    with pytest.raises(ValueError, match="no op"):
        Operation("__import__")


def test_a_fresh_process_reads_a_model_with_ops(tmp_path):
    # Nothing there has called an op on a symbolic tensor yet.
    model = build(fastnn, "after layers")
    model.save(tmp_path / "m.fnn")
    code = (
        "import sys, numpy as np; from fastnn.saving.models import load_model; "
        "print(float(np.asarray(load_model(sys.argv[1])(np.ones((1, 6), 'float32')))[0]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.fnn")], capture_output=True, text=True, check=True
    )
    assert float(out.stdout) == pytest.approx(6.0)
