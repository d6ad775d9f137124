"""Reductions against Keras, over random shapes and axes."""

import numpy as np
import pytest

from fastnn import ops
from keras_compare import compare

NAMES = ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"]


def shapes_and_axes(rng, count):
    for _ in range(count):
        shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 5)))
        rank = len(shape)
        axis = [
            None,
            int(rng.integers(-rank, rank)),
            tuple(int(a) for a in rng.permutation(rank)[: rng.integers(1, rank + 1)]),
        ]
        yield shape, axis[int(rng.integers(3))], bool(rng.integers(2))


@pytest.mark.parametrize("name", NAMES)
def test_reduction(name):
    rng = np.random.default_rng(11)
    for shape, axis, keepdims in shapes_and_axes(rng, 24):
        if name == "std":
            shape = tuple(n + 2 for n in shape)  # the root of a zero variance has no gradient
        x = rng.standard_normal(shape).astype("float32")
        compare(name, [x], dict(axis=axis, keepdims=keepdims), tolerance=1e-5)
    compare(
        name,
        [rng.standard_normal((300, 400)).astype("float32") * (0.01 if name == "prod" else 1)],
        dict(axis=1),
        tolerance=2e-5,
    )


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient(name):
    rng = np.random.default_rng(12)
    for axis in (None, 0, 1, (0, 1)):
        compare(name, [rng.integers(0, 3, (6, 5)).astype("float32")], dict(axis=axis))


@pytest.mark.parametrize("name", ["any", "all"])
def test_truth(name):
    rng = np.random.default_rng(13)
    for shape, axis, keepdims in shapes_and_axes(rng, 12):
        compare(name, [rng.random(shape) < 0.6], dict(axis=axis, keepdims=keepdims))
        compare(
            name,
            [rng.integers(0, 2, shape).astype("float32")],
            dict(axis=axis, keepdims=keepdims),
            gradient=False,
        )


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places(name):
    rng = np.random.default_rng(14)
    for shape, axis, keepdims in shapes_and_axes(rng, 24):
        axis = axis[0] if isinstance(axis, tuple) else axis
        x = rng.integers(0, 4, shape).astype("float32")  # with ties
        compare(name, [x], dict(axis=axis, keepdims=keepdims), gradient=False)
        if x.size > 3:
            x.flat[x.size // 2] = np.nan
            compare(name, [x], dict(axis=axis, keepdims=keepdims), gradient=False)


def test_cumsum_and_norms():
    rng = np.random.default_rng(15)
    for shape in [(5,), (3, 4), (2, 3, 4)]:
        x = rng.standard_normal(shape).astype("float32")
        for axis in (None, *range(len(shape))):
            compare("cumsum", [x], dict(axis=axis))
        for axis in range(len(shape)):
            for order in (None, 1, 2, 3, np.inf, -np.inf):
                compare("norm", [x], dict(ord=order, axis=axis), tolerance=1e-5)
            for order in (1, 2, 3):
                compare("normalize", [x], dict(axis=axis, order=order), tolerance=1e-5)


def test_integers():
    x = np.random.default_rng(16).integers(-5, 6, (4, 5)).astype("int32")
    for name in ("sum", "max", "min", "prod", "cumsum", "mean", "var"):
        compare(name, [x], dict(axis=1))
    compare("count_nonzero", [x], dict(axis=0))
    for axis in (1, (1,)):
        compare("average", [x.astype("float32")], dict(axis=axis, weights=np.arange(5).astype("float32")))
    compare("median", [x.astype("float32")], dict(axis=0), gradient=False)
    compare("median", [np.float32([[1, np.nan, 3], [1, 5, 3]])], dict(axis=1), gradient=False)
    compare("median", [np.float32([[1, np.inf, np.inf], [-np.inf, 1, 2]])], dict(axis=1), gradient=False)
    for axis in (None, 1, (0, 2)):
        y = np.random.default_rng(3).standard_normal((3, 4, 6)).astype("float32")
        compare("median", [y], dict(axis=axis))
        compare("median", [y], dict(axis=axis, keepdims=True))


def test_product_in_another_type():
    x = np.array([[3, 5], [7, 11]], "int32")
    for dtype in ("float32", "float64"):
        got = ops.prod(x, axis=1, dtype=dtype)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.numpy(), [15, 77])
