"""Arithmetic, functions, comparisons and activations against Keras, with random broadcasts."""

import numpy as np
import pytest

from fastnn import activations
from keras_compare import compare
from keras_reference import keras

BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "mod",
    "floor_divide",
    "logaddexp",
    "divide_no_nan",
]
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isclose"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]
UNARY = [
    "negative",
    "absolute",
    "sign",
    "square",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "erf",
    "floor",
    "ceil",
    "round",
    "isnan",
    "isinf",
    "isfinite",
    "logical_not",
]
ACTIVATIONS = [
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "exponential",
    "mish",
    "log_sigmoid",
    "hard_tanh",
    "hard_shrink",
    "soft_shrink",
    "tanh_shrink",
    "squareplus",
    "glu",
]


def broadcast_pair(rng):
    """Two random shapes that broadcast to one another."""
    shape = rng.integers(1, 6, rng.integers(0, 5))
    pair = []
    for _ in range(2):
        s = np.where(rng.random(shape.size) < 0.3, 1, shape)
        pair.append(tuple(int(n) for n in s[int(rng.integers(0, s.size + 1)) if rng.random() < 0.4 else 0 :]))
    return pair


def draw(rng, shape, kind):
    if kind == "int":
        return rng.integers(1, 9, shape).astype("int32")
    return rng.uniform(0.3, 3, shape).astype("float32") * rng.choice([-1, 1], shape).astype("float32")


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    rng = np.random.default_rng(3)
    for i in range(12):
        a, b = broadcast_pair(rng)
        kinds = ("int", "int") if i % 4 == 3 and name not in ("logaddexp",) else ("float", "float")
        # JAX's mod of x by y has no derivative in y that NumPy's definition has not.
        compare(
            name,
            [draw(rng, a, kinds[0]), draw(rng, b, kinds[1])],
            gradient=name != "floor_divide",
            tolerance=4e-6,
        )


def test_power():
    rng = np.random.default_rng(4)
    for _ in range(8):
        a, b = broadcast_pair(rng)
        base = rng.uniform(0.3, 3, a).astype("float32")
        compare("power", [base, draw(rng, b, "float")], tolerance=1e-5)
    for exponent in (2, 3, 0.5, -1, 1, 0, 2.5):
        compare(
            "power",
            [rng.uniform(0.3, 3, (5, 7)).astype("float32")],
            {"x2": exponent},
            tolerance=1e-5,
        )


@pytest.mark.parametrize("name", COMPARISONS + LOGIC)
def test_truth(name):
    rng = np.random.default_rng(5)
    for _ in range(12):
        a, b = broadcast_pair(rng)
        compare(name, [rng.integers(-1, 2, s).astype("float32") for s in (a, b)], gradient=False)
        compare(name, [rng.integers(-1, 2, s).astype("int32") for s in (a, b)], gradient=False)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    rng = np.random.default_rng(6)
    positive = name in ("sqrt", "rsqrt", "log", "log2", "log10", "log1p")
    for shape in [(), (1,), (7,), (3, 5), (2, 3, 4), (1000,)]:
        x = draw(rng, shape, "float")
        # tan grows without bound: its error is that of the cosine it divides by.
        compare(name, [abs(x) if positive else x], tolerance=2e-5 if name == "tan" else 4e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    rng = np.random.default_rng(7)
    for shape in [(4,), (3, 6), (2, 3, 8)]:
        x = (rng.standard_normal(shape) * 3).astype("float32")
        compare(
            name,
            [x],
            function=getattr(activations, name),
            reference=getattr(keras.activations, name),
        )


@pytest.mark.parametrize(
    "name, kwargs",
    [("relu", dict(negative_slope=0.1)), ("relu", dict(max_value=2.0)),
     ("relu", dict(threshold=0.5, negative_slope=0.2)),
     ("relu", dict(max_value=1.5, threshold=0.5)), ("leaky_relu", dict(negative_slope=0.4)),
     ("elu", dict(alpha=0.5)),
     ("celu", dict(alpha=0.7)), ("gelu", dict(approximate=True)),
     ("threshold", dict(threshold=0.3, default_value=-1.0)),
     ("glu", dict(axis=0)), ("hard_shrink", dict(threshold=1.0)), ("squareplus", dict(b=2))],
)  # fmt: skip
def test_activation_with_arguments(name, kwargs):
    x = (np.random.default_rng(8).standard_normal((6, 10)) * 2).astype("float32")
    compare(
        name,
        [x],
        kwargs,
        function=getattr(activations, name),
        reference=getattr(keras.activations, name),
    )


def test_where_and_clip():
    rng = np.random.default_rng(9)
    for _ in range(12):
        a, b = broadcast_pair(rng)
        condition = rng.random(np.broadcast_shapes(a, b)) < 0.5
        compare("where", [condition, draw(rng, a, "float"), draw(rng, b, "float")])
    for limits in [(-1.0, 1.0), (0.5, 2.0), (-2.0, 0.1)]:
        compare("clip", [draw(rng, (6, 7), "float")], dict(x_min=limits[0], x_max=limits[1]))


def test_round_to_decimals():
    x = np.random.default_rng(10).uniform(-50, 50, 40).astype("float32")
    compare("round", [x], dict(decimals=1), gradient=False)
