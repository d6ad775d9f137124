"""Errors from inside a call are told in the words of its signature; the user's own are left alone."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

X = np.ones((2, 3), "float32")


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: ops.sum(X, axis="rows"), TypeError, "sum: axis is 'rows', expected int or a sequence of int or None"),
        (lambda: ops.reshape(X), TypeError, "reshape: missing a required argument: 'newshape'"),
        (lambda: ops.reshape(X, (6,), copy=True), TypeError, "reshape: got an unexpected keyword argument 'copy'"),
        (lambda: ops.leaky_relu(X, [1]), TypeError, r"leaky_relu: negative_slope is \[1\], expected float"),
        (lambda: ops.flip(X, axis=0.5), TypeError, "flip: axis is 0.5, expected int"),
        (lambda: ops.concatenate(3), TypeError, "concatenate: xs is 3, expected a sequence"),
        (lambda: ops.sum(fastnn.Input((3,)), axis="rows"), TypeError, "sum: axis is 'rows'"),
        (lambda: layers.LeakyReLU((1, 2)), (TypeError, ValueError), r"negative_slope cannot be \(1, 2\)"),
        (lambda: layers.Add(name="sums")(X), ValueError, "layer 'sums'|sums"),
        (lambda: ops.zeros((2**63,)), ValueError, r"zeros .*shape=\(9223372036854775808,\): .*does not fit in 64 bits"),
        (lambda: ops.pad(X, ((2**63, 0), (0, 0))), ValueError, "pad .*does not fit in 64 bits"),
        (lambda: layers.ZeroPadding2D(2**62)(X[None, ..., None]), ValueError, "layer 'zero_padding2d.*64 bits"),
        (lambda: fastnn.random.normal((2**63,)), ValueError, "does not fit in 64 bits"),
        (lambda: layers.Permute("ab"), (TypeError, ValueError), "Permute"),
    ],
)
def test_the_argument_is_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


class Mine(layers.Layer):
    def call(self, x):
        return x.no_such_attribute


def test_errors_of_the_users_code_stay_what_they_are():
    for model in (Mine(), fastnn.Sequential([Mine()]), layers.TimeDistributed(Mine())):
        with pytest.raises(AttributeError, match="no_such_attribute"):
            model(np.ones((2, 3, 4), "float32"))
    with pytest.raises(ZeroDivisionError):
        layers.Lambda(lambda x: 1 // 0)(X)


def test_the_cause_is_kept():
    with pytest.raises(TypeError) as caught:
        ops.sum(X, axis="rows")
    assert caught.value.__cause__ is not None
