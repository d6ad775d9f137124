"""Control flow beside Keras', with gradients through it."""

import numpy as np
import pytest

from fastnn import autograd, ops
from fastnn.tensor import Tensor
from keras_compare import compare
from keras_reference import keras

RNG = np.random.default_rng(33)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def both(build):
    """The same composition over either library's ops."""
    return dict(function=build(ops), reference=build(keras.ops))


def test_loops():
    compare("fori_loop", [floats(3)], **both(lambda o: lambda x: o.fori_loop(0, 4, lambda i, v: v * x + i, x)))
    cumulate = lambda o: lambda carry, x: (carry * 0.5 + x, carry)  # noqa: E731
    for reverse in (False, True):
        compare(
            "scan",
            [floats(3), floats(5, 3)],
            **both(lambda o, reverse=reverse: lambda c, xs: o.scan(cumulate(o), c, xs, reverse=reverse)),
        )
    for name in ("map", "vectorized_map"):
        compare(
            name, [floats(4, 3)], **both(lambda o, name=name: lambda x: getattr(o, name)(lambda r: o.sum(r * r), x))
        )
    carry, nothing = ops.scan(lambda c, _: (c * 2, None), 1.0, length=5)
    assert carry == 32 and nothing is None
    pair = ops.map(lambda d: {"b": d["a"] + d["z"], "a": d["z"]}, {"z": np.arange(3), "a": np.ones(3, "int32")})
    np.testing.assert_array_equal(pair["b"], [1, 2, 3])
    np.testing.assert_array_equal(pair["a"], [0, 1, 2])


def test_while_loop():
    count = lambda i, x: (i + 1, x * 2)  # noqa: E731
    i, x = ops.while_loop(lambda i, x: i < 10, count, (0, Tensor([1.0])))
    assert i == 10 and float(x) == 1024
    assert ops.while_loop(lambda i: True, lambda i: i + 1, 0, maximum_iterations=7) == 7
    x = Tensor([3.0])
    x.requires_grad = True
    y = ops.while_loop(lambda y: y < 50, lambda y: y * x, x)
    np.testing.assert_allclose(autograd.gradients(y, [x])[0], [4 * 27])  # x^4


def test_choices():
    x = Tensor([2.0])
    x.requires_grad = True
    y = ops.cond(ops.sum(x) > 0, lambda: x * x, lambda: x)
    np.testing.assert_allclose(autograd.gradients(y, [x])[0], [4])
    branches = [lambda v: v + 1, lambda v: v * 10]
    assert [ops.switch(i, branches, 5) for i in (-3, 0, 1, 9)] == [6, 6, 50, 50]


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="length"):
        ops.scan(lambda c, x: (c, x), 0.0)
    with pytest.raises(ValueError, match="length is 3"):
        ops.scan(lambda c, x: (c, x), 0.0, np.ones(4), length=3)
    with pytest.raises(ValueError, match="first axes"):
        ops.map(lambda x: x[0], [np.ones(4), np.ones(3)])


def test_dictionaries_inside_keep_their_names():
    x = np.arange(3, dtype="float32")
    (found,) = ops.map(lambda v: [{"b": v, "a": v + 10}], x)
    np.testing.assert_array_equal(found["b"], x)
    np.testing.assert_array_equal(found["a"], x + 10)
