"""Ops that are made of other ops, family by family, beside Keras': values and gradients.

Tolerances: a handful of float32 operations each, 1e-5 where powers or exponentials enlarge errors.
"""

import numpy as np
import pytest

from fastnn import ops
from fastnn.tensor import Tensor
from keras_compare import check, compare
from keras_reference import keras

RNG = np.random.default_rng(21)


def floats(*shape, low=-3.0, high=3.0):
    return RNG.uniform(low, high, shape).astype("float32")


def ints(*shape):
    return RNG.integers(-5, 6, shape).astype("int32")


def holes(*shape):
    x = floats(*shape)
    x.flat[::3] = np.nan
    return x


ODD = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5])
UNARY = {
    "sinh": [floats(3, 5), floats(9, low=-1e-3, high=1e-3)],
    "cosh": [floats(3, 5)],
    "arcsin": [floats(40, low=-0.99, high=0.99), floats(5, low=-1e-3, high=1e-3)],
    "arccos": [floats(40, low=-0.99, high=0.99)],
    "arctan": [floats(40), floats(9, low=-1e4, high=1e4), floats(9, low=-1e-3, high=1e-3), np.float32([0])],
    "arcsinh": [floats(40), floats(5, low=-1e-3, high=1e-3), np.float32([0, 1e30, -1e30])],
    "arccosh": [floats(40, low=1.01, high=9.0)],
    "arctanh": [floats(40, low=-0.99, high=0.99), floats(5, low=-1e-3, high=1e-3)],
    "cumprod": [floats(2, 3, 4), np.float32([2, 0, 3, 0]), floats(1)],
    "deg2rad": [floats(7), ints(4)],
    "rad2deg": [floats(7)],
    "trunc": [floats(40), ints(5)],
    "sinc": [floats(20), np.float32([0.0, 1.0])],
    "cbrt": [floats(20)],
    "fabs": [floats(20), ints(6)],
    "isposinf": [ODD, ints(3)],
    "isneginf": [ODD, ints(3)],
    "fliplr": [floats(3, 4), floats(2, 3, 2)],
    "flipud": [floats(3, 4), floats(5)],
    "diagflat": [floats(3), floats(2, 3)],
    "nan_to_num": [ODD, ints(3)],
    "sparse_plus": [floats(30), np.float32([-1, 1])],
    "sparse_sigmoid": [floats(30)],
    "vander": [floats(4)],
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    for x in UNARY[name]:
        compare(name, [x], tolerance=1e-5)


BINARY = {
    "arctan2": (floats(9, 9), floats(9)),
    "hypot": (floats(3, 4), floats(4)),
    "logaddexp2": (floats(3, 4), floats(3, 1)),
    "fmod": (floats(6, 5), floats(5, low=0.5, high=2.0)),
    "fmax": (holes(3, 4), floats(4)),
    "fmin": (floats(3, 4), holes(4)),
    "heaviside": (np.float32([-1, 0, -0.0, 2]), floats(4)),
    "inner": (floats(2, 3, 4), floats(5, 4)),
    "kron": (floats(2, 3), floats(3, 2)),
    "cross": (floats(4, 3), floats(4, 3)),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    compare(name, list(BINARY[name]), tolerance=1e-5)


def test_hypot_and_fmod_at_the_ends():
    big = np.float32([3e30, 3e-30, 0.0])
    got = ops.hypot(Tensor(big), Tensor(big * np.float32(4 / 3))).numpy()
    np.testing.assert_allclose(got, np.hypot(big.astype(float), big * 4 / 3), rtol=1e-6)
    compare("hypot", [np.repeat(ODD, 7), np.tile(ODD, 7)], gradient=False)
    odd = np.float32([0, 1, -2, np.inf, -np.inf, np.nan])
    compare("arctan2", [np.repeat(odd, 6), np.tile(odd, 6)], gradient=False)
    compare("arcsin", [np.float32([-1, 1, 0, 1.5])], gradient=False)
    compare("arccos", [np.float32([-1, 1, 0, 1.5])], gradient=False)
    x = RNG.uniform(-4, 4, (2, 1000))
    got = ops.arctan2(Tensor(x[0], "float64"), Tensor(x[1], "float64")).numpy()
    np.testing.assert_allclose(got, np.arctan2(x[0], x[1]), rtol=1e-15, atol=1e-15)
    a, b = ints(50), np.where((c := ints(50)) == 0, 3, c).astype("int32")
    compare("fmod", [a, b], gradient=False)
    compare("heaviside", [ODD, floats(7)], gradient=False)


ENDS = np.float32([-np.inf, -200, -1.0, 0, 3, 120, np.inf])


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "logaddexp2"])
def test_two_arguments_without_bounds(name):
    a, b = (m.ravel() for m in np.meshgrid(ENDS, ENDS))
    np.testing.assert_allclose(getattr(ops, name)(a, b).numpy(), getattr(np, name)(a, b), rtol=1e-6)
    x = Tensor(np.float32([-np.inf, np.inf, -np.inf, 2.0]))
    x.requires_grad = True
    ops.sum(ops.logaddexp(x, np.float32([-np.inf, np.inf, 1.0, -np.inf]))).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, 0.5, 0.0, 1.0])


@pytest.mark.parametrize("name", ["sinh", "cosh"])
def test_hyperbolic_functions_without_bounds(name):
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(getattr(ops, name)(ENDS).numpy(), getattr(np, name)(ENDS), rtol=2e-5)


def test_the_median_of_what_is_not_known_is_not_known():
    x = np.float32([[1, 2, 3, np.nan], [4, 1, 3, 2], [np.nan] * 4, [1, 2, np.inf, np.inf]])
    for arguments in ({}, dict(axis=1), dict(axis=0, keepdims=True)):
        compare("median", [x], arguments, gradient=False)


CALLS = [
    *[("cumprod", [floats(3, 9)], dict(axis=axis)) for axis in (0, 1, -1)],
    ("cumprod", [ints(5)], {}),
    ("quantile", [floats(7)], dict(q=0.3)),
    *[("quantile", [floats(4, 5, 6)], dict(q=[0.0, 0.3, 1.0], axis=axis, keepdims=k))
      for axis in (None, 1, (0, 2)) for k in (False, True)],
    *[("quantile", [floats(3, 8)], dict(q=np.float32([0.1, 0.5]), axis=-1, method=method))
      for method in ("lower", "higher", "midpoint", "nearest")],
    ("nan_to_num", [ODD], dict(nan=1.0, posinf=2.0, neginf=-3.0)),
    ("vander", [floats(4)], dict(N=3, increasing=True)),
    ("vander", [floats(3)], dict(N=5)),
    ("rot90", [floats(3, 4)], {}),
    *[("rot90", [floats(2, 3, 4)], dict(k=k, axes=axes)) for k in (0, 1, 2, 3, 5, -1) for axes in ((0, 1), (2, 0))],
    ("vsplit", [floats(4, 3)], dict(indices_or_sections=2)),
    ("hsplit", [floats(4, 6)], dict(indices_or_sections=[1, 4])),
    ("hsplit", [floats(6)], dict(indices_or_sections=3)),
    ("dsplit", [floats(2, 3, 4)], dict(indices_or_sections=2)),
    ("array_split", [floats(7, 2)], dict(indices_or_sections=3)),
    ("array_split", [floats(2, 7)], dict(indices_or_sections=4, axis=1)),
    ("kron", [floats(2, 3), floats(4)], {}),
    ("kron", [floats(3), floats(2, 2, 2)], {}),
    ("inner", [floats(4), floats(4)], {}),
    ("inner", [floats(), floats(4)], {}),
    ("cross", [floats(5, 2), floats(5, 3)], {}),
    ("cross", [floats(5, 2), floats(5, 2)], {}),
    ("cross", [floats(3, 5), floats(3, 5)], dict(axis=0)),
    ("cross", [floats(3, 5), floats(5, 3)], dict(axisa=0, axisc=0)),
    ("diff", [floats(3, 6)], {}),
    ("diff", [floats(3, 6)], dict(n=2, axis=0)),
    ("diff", [ints(6)], dict(n=3)),
    ("trapezoid", [floats(3, 6)], {}),
    ("trapezoid", [floats(3, 6)], dict(dx=0.5, axis=0)),
    ("trapezoid", [floats(3, 6), floats(6)], {}),
    ("trapezoid", [floats(6, 3), floats(6)], dict(axis=0)),
    ("diagflat", [floats(2, 2)], dict(k=-1)),
    ("allclose", [floats(3), floats(3)], {}),
    ("allclose", [np.ones(3, "float32"), np.float32([1, 1, 1 + 1e-6])], {}),
    ("allclose", [ODD, ODD], dict(equal_nan=True)),
]  # fmt: skip


@pytest.mark.parametrize("name, arrays, arguments", CALLS)
def test_call(name, arrays, arguments):
    compare(name, arrays, arguments, tolerance=1e-5)


@pytest.mark.parametrize("name", ["ptp", "nansum", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanprod"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduction(name, axis, keepdims):
    x = floats(3, 4, 5)
    if name != "ptp":
        x[RNG.random(x.shape) < 0.3] = np.nan
        x[0, 0, :2] = x[1, 0, :2] = x[:2, 1, 0] = x[:2, 2, 0] = (1, 2)
        x[:, :, 0], x[2, :2, 1:3] = floats(3, 4), floats(2, 2)
    # JAX's gradients of what nothing but NaN leads to are NaN, and so are those of a root of NaN.
    compare(name, [x], dict(axis=axis, keepdims=keepdims), tolerance=1e-5, gradient=name not in ("nanstd", "nanvar"))


@pytest.mark.parametrize("name", ["nansum", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanprod"])
def test_reduction_of_integers_and_of_nothing_but_nan(name):
    compare(name, [ints(4, 5)], dict(axis=1), tolerance=1e-5)
    compare(name, [np.full((2, 3), np.nan, "float32")], dict(axis=1), gradient=False)


def test_gradients_pass_nan_by():
    from fastnn.autograd import gradients

    for name in ("nansum", "nanmean", "nanmax", "nanvar", "nanstd"):
        x = Tensor([1.0, float("nan"), 3.0])
        x.requires_grad = True
        (dx,) = gradients(getattr(ops, name)(x), [x])
        dx = dx.numpy()
        assert dx[1] == 0 and np.isfinite(dx).all(), name


@pytest.mark.parametrize("shapes", [[(3,), (3,)], [(2, 3), (2, 3)], [(2, 3, 1), (2, 3, 2)]])
def test_dstack(shapes):
    compare("dstack", [floats(*s) for s in shapes], listed=True)


def test_select():
    x = floats(5)
    conditions = [x < -1, x < 1]
    choices = [x * 2, x * 3]
    want = keras.ops.select(conditions, choices, -7.0)
    got = ops.select([Tensor(c) for c in conditions], [Tensor(c) for c in choices], -7.0)
    check(got.numpy(), np.asarray(want), 1e-6, "select")
    with pytest.raises(ValueError, match="1 conditions for 2 choices"):
        ops.select([Tensor([True])], [Tensor([1.0]), Tensor([2.0])])


MADE = [
    *[("tri", (4,), dict(k=k)) for k in (-1, 0, 2)],
    ("tri", (3, 5), dict(dtype="int32")),
    ("logspace", (0, 3), dict(num=7)),
    ("logspace", (-1, 2, 5), dict(base=2, endpoint=False)),
    ("geomspace", (1, 1000), dict(num=4)),
    ("geomspace", (-2, -32, 5), {}),
    *[(name, (n,), {}) for name in ("hanning", "hamming", "blackman", "bartlett") for n in (0, 1, 2, 9, 64)],
]  # fmt: skip


@pytest.mark.parametrize("name, arguments, named", MADE)
def test_made(name, arguments, named):
    want = np.asarray(getattr(keras.ops, name)(*arguments, **named))
    check(getattr(ops, name)(*arguments, **named).numpy(), want, 2e-6, name)


def test_what_makes_no_sense_is_refused():
    for wrong, words in [
        (lambda: ops.cross(floats(4), floats(4)), "2 or 3 components"),
        (lambda: ops.geomspace(-1, 1), "not both"),
        (lambda: ops.vander(floats(2, 2)), "takes a vector"),
        (lambda: ops.rot90(floats(2, 2), axes=(0, 0)), "one axis"),
        (lambda: ops.array_split(floats(3), 0), "0 parts"),
        (lambda: ops.diff(floats(3), n=-1), "negative"),
    ]:
        with pytest.raises(ValueError, match=words):
            wrong()


def test_percentiles_and_bins():
    x = floats(3, 8)
    compare("quantile", [holes(2, 4)], dict(q=0.3, axis=0), gradient=False)
    np.testing.assert_allclose(ops.percentile(x, [20, 70], 1), np.percentile(x, [20, 70], 1), rtol=1e-6)
    np.testing.assert_array_equal(ops.digitize(x, np.float32([-1, 0, 2])), np.digitize(x, [-1, 0, 2]))
    for q in (1.5, -0.1, [[0.5]]):
        with pytest.raises(ValueError, match="q is a fraction"):
            ops.quantile(x, q)
