"""Moves, slices, indices and orders against Keras, over random shapes; and permutations of unequal
axes on every instruction set."""

import itertools

import numpy as np
import pytest

from fastnn import _core, ops
from fastnn.tensor import Tensor
from keras_compare import compare
from keras_reference import keras

RNG = np.random.default_rng(17)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_permutation(isa):
    before = _core.current_isa()
    _core.set_isa(isa)
    try:
        for dtype in ("float32", "float64", "uint8"):
            x = (RNG.standard_normal((3, 34, 1, 5)) * 50).astype(dtype)
            for axes in itertools.permutations(range(4)):
                np.testing.assert_array_equal(ops.transpose(Tensor(x), axes).numpy(), x.transpose(axes))
            x = (RNG.standard_normal((70, 2, 33)) * 50).astype(dtype)
            for axes in itertools.permutations(range(3)):
                np.testing.assert_array_equal(ops.transpose(Tensor(x), axes).numpy(), x.transpose(axes))
    finally:
        _core.set_isa(before)


def test_shapes():
    x = floats(2, 3, 4)
    for shape in [(6, 4), (-1,), (4, -1, 2), (1, 24)]:
        compare("reshape", [x], dict(newshape=shape))
    compare("ravel", [x])
    for axis in (0, 1, 3, -1):
        compare("expand_dims", [x], dict(axis=axis))
    compare("squeeze", [floats(1, 3, 1)])
    compare("squeeze", [floats(1, 3, 1)], dict(axis=-1))
    compare("swapaxes", [x], dict(axis1=0, axis2=-1))
    compare("moveaxis", [x], dict(source=0, destination=-1))
    compare("moveaxis", [x], dict(source=(0, 2), destination=(1, 0)))
    compare("transpose", [x])
    compare("transpose", [x], dict(axes=(1, 2, 0)))


def test_repetitions():
    compare("broadcast_to", [floats(3, 1)], dict(shape=(2, 3, 4)))
    for repeats in (3, (2,), (2, 1), (2, 3), (2, 1, 3)):
        compare("tile", [floats(2, 3)], dict(repeats=repeats))
    for axis in (None, 0, 1, -1):
        compare("repeat", [floats(2, 3)], dict(repeats=3, axis=axis))
    compare("meshgrid", [floats(3), floats(4)])
    compare("meshgrid", [floats(3), floats(4), floats(2)], dict(indexing="ij"))


def test_slices():
    x = floats(5, 6, 7)
    compare("slice", [x], dict(start_indices=(1, 2, 3), shape=(2, 4, 1)))
    compare("slice_update", [x, floats(2, 3, 1)], function=lambda a,
    b: ops.slice_update(a, (1, 2, 3), b),
            reference=lambda a, b: keras.ops.slice_update(a, (1, 2, 3), b))  # fmt: skip
    for axis in (None, 0, -1, (0, 2)):
        compare("flip", [x], dict(axis=axis))
    compare("roll", [x], dict(shift=3))
    compare("roll", [x], dict(shift=-2, axis=1))
    compare("roll", [x], dict(shift=(1, -2), axis=(0, 2)))
    compare("roll", [x], dict(shift=(1, -3), axis=(1,)))
    compare("roll", [x], dict(shift=2, axis=(0, 1)))
    for k in (-7, -2, 0, 1, 9):
        compare("tril", [x], dict(k=k))
        compare("triu", [x], dict(k=k))
        compare("diag", [floats(4)], dict(k=k))
    for k in (-2, 0, 3):
        compare("diagonal", [x], dict(offset=k, axis1=0, axis2=2))
        compare("trace", [x], dict(offset=k, axis1=0, axis2=2))
        compare("diag", [floats(4, 5)], dict(k=k))


def test_joining():
    for axis in (0, 1, -1):
        compare("concatenate", [floats(2, 3, 4), floats(2, 3, 4)], dict(axis=axis), listed=True)
        compare("stack", [floats(2, 3), floats(2, 3), floats(2, 3)], dict(axis=axis), listed=True)
    compare("concatenate", [floats(2, 3), floats(2, 1), floats(2, 5)], dict(axis=1), listed=True)
    compare("vstack", [floats(3), floats(3)], listed=True)
    compare("hstack", [floats(2, 3), floats(2, 1)], listed=True)
    compare("split", [floats(4, 6)], dict(indices_or_sections=3, axis=1))
    compare("split", [floats(4, 6)], dict(indices_or_sections=[1, 4], axis=1))
    compare("unstack", [floats(4, 6)], dict(axis=1))
    compare("append", [floats(4, 6), floats(2, 6)], dict(axis=0))


def test_padding():
    for width in (1, ((1, 2),), ((1, 0), (0, 3)), ((0, 0), (2, 2))):
        compare("pad", [floats(4, 5)], dict(pad_width=width))
    compare("pad", [floats(4, 5)], dict(pad_width=((1, 0), (0, 3)), constant_values=2.0))
    # One pair is for every axis (of NumPy; Keras refuses it for another rank than 2).
    np.testing.assert_array_equal(ops.pad(floats(2, 2), (1, 2)).shape, (5, 5))
    for mode in ("reflect", "symmetric"):
        compare("pad", [floats(4, 5)], dict(pad_width=((1, 3), (0, 2)), mode=mode))
    compare("pad", [floats(2, 4, 4, 3)], dict(pad_width=((0, 0), (1, 1), (2, 0), (0, 0))))


def test_indices():
    x = floats(4, 5, 6)
    for axis, n in ((None, 120), (0, 4), (1, 5), (-1, 6)):
        for shape in [(), (3,), (2, 7)]:
            compare("take", [x, RNG.integers(-n, n, shape).astype("int32")], dict(axis=axis))
    for axis in (0, 1, 2):
        compare(
            "take_along_axis",
            [x, RNG.integers(0, x.shape[axis], x.shape).astype("int32")],
            dict(axis=axis),
        )
    for axis in (-1, 0, 1):
        compare("one_hot", [RNG.integers(-1, 6, (3, 4)).astype("int32")], dict(num_classes=5, axis=axis))
    ids = np.array([0, 2, 2, 1, 0], "int32")
    compare("segment_sum", [floats(5, 3), ids], dict(num_segments=4))
    compare("segment_sum", [floats(5, 3), np.array([0, -1, 2, 1, -3], "int32")], dict(num_segments=4))
    compare("segment_sum", [RNG.integers(-9, 9, (5, 3)).astype("int32"), ids], dict(num_segments=4))
    with pytest.raises(ValueError):
        ops.segment_sum(floats(2, 3), np.array([0, 4], "int32"), 4)


def test_scattering():
    for shape, d in (((7,), 1), ((4, 5), 1), ((4, 5), 2), ((3, 4, 5), 2)):
        # Places that occur once: which one of several stays is open in Keras.
        flat = RNG.permutation(np.prod(shape[:d]))[:3]
        at = np.stack(np.unravel_index(flat, shape[:d]), -1).astype("int32")
        compare("scatter", [at, floats(3, *shape[d:])], dict(shape=shape))
        compare("scatter_update", [floats(*shape), at, floats(3, *shape[d:])])
        compare("scatter_update", [floats(*shape), at, floats(3, *shape[d:])], dict(reduction="add"))
    twice = np.array([[1], [3], [1], [-1]], "int32")
    compare("scatter", [twice, floats(4, 2)], dict(shape=(5, 2)))
    got = ops.scatter_update(np.zeros(5, "float32"), twice, np.float32([1, 2, 3, 4])).numpy()
    np.testing.assert_array_equal(got, [0, 3, 0, 2, 4])
    for wrong in ([[5]], [[-6]]):
        with pytest.raises(ValueError):
            ops.scatter(np.array(wrong, "int32"), np.ones(1, "float32"), (5,))
    with pytest.raises(ValueError):  # inside of neither axis, though its place would be
        ops.scatter(np.array([[0, 7]], "int32"), np.ones(1, "float32"), (2, 5))


def test_orders():
    x = np.round(floats(4, 5, 60) * 4)
    for axis in (-1, 0, 1):
        compare("sort", [x], dict(axis=axis))
        compare("argsort", [x], dict(axis=axis), gradient=False)
    for k in (1, 3, 60):
        compare("top_k", [floats(4, 60)], dict(k=k))
    s = np.sort(floats(30))
    for side in ("left", "right"):
        compare("searchsorted", [s, np.concatenate([floats(9), s[:5]])], dict(side=side), gradient=False)


def test_made_from_nothing():
    for args in [(5,), (2, 9), (1, 10, 3), (10, 1, -2), (0.5, 4), (0, 1, 0.25), (3, 3)]:
        compare(
            "arange",
            [],
            function=lambda a=args: ops.arange(*a),
            reference=lambda a=args: keras.ops.arange(*a),
        )
    for args in [(3,), (3, 5), (3, 5, 1), (5, 3, -2), (2, 2, 7)]:
        compare(
            "eye",
            [],
            function=lambda a=args: ops.eye(*a),
            reference=lambda a=args: keras.ops.eye(*a),
        )
    for n in (0, 1, 5):
        for end in (True, False):
            compare("linspace", [], dict(start=-1.0, stop=3.0, num=n, endpoint=end))
            compare("linspace", [floats(3), floats(2, 1)], dict(num=n, endpoint=end, axis=-1))
    got, step = ops.linspace(0.0, np.float32([1, 2]), 3, retstep=True)
    np.testing.assert_allclose(got, [[0, 0], [0.5, 1], [1, 2]])
    np.testing.assert_allclose(step, [0.5, 1])
    compare("full_like", [floats(2, 3), floats(3)], gradient=False)
    for name in ("zeros", "ones"):
        compare(name, [], dict(shape=(2, 3)))
        compare(name + "_like", [floats(2, 3)], gradient=False)
    compare("full", [], dict(shape=(2,), fill_value=2.5))
    compare("identity", [], dict(n=3))


@pytest.mark.parametrize("shapes", [((2, 3, 4), (1, 5, 1)), ((2, 3, 1), (1, 2, 4))])
def test_indices_along_an_axis_broadcast(shapes):
    x, at = floats(*shapes[0]), RNG.integers(0, 3, shapes[1])
    np.testing.assert_array_equal(ops.take_along_axis(x, at, axis=1).numpy(), np.take_along_axis(x, at, axis=1))
