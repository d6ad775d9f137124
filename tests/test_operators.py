"""Python's operators on tensors against NumPy's, types included."""

import operator

import numpy as np
import pytest

from fastnn import autograd, kernels, ops
from fastnn.tensor import Tensor

A = np.arange(24, dtype="float32").reshape(2, 3, 4) - 7
FUNCTIONS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
operator.mod,
             operator.eq, operator.ne, operator.lt, operator.le, operator.gt,
             operator.ge]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other",
    [2.5, 3, np.float64(1.5), np.full((3, 1), 2, "float32"), [1.0, 2.0, 3.0, 4.0]],
    ids=repr,
)
def test_both_ways(f, other):
    want = np.asarray(other, "float32")
    with np.errstate(all="ignore"):
        pairs = (f(Tensor(A), other), f(A, want)), (f(other, Tensor(A)), f(want, A))
    for got, expected in pairs:
        assert isinstance(got, Tensor)
        assert got.dtype == ("bool" if expected.dtype == bool else "float32")
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_unary_and_power():
    x = Tensor(abs(A) + 1)
    np.testing.assert_array_equal((-x).numpy(), -x.numpy())
    np.testing.assert_array_equal(abs(Tensor(A)).numpy(), abs(A))
    np.testing.assert_allclose((x**2).numpy(), x.numpy() ** 2, rtol=1e-6)
    np.testing.assert_allclose((2**x).numpy(), 2 ** x.numpy(), rtol=1e-6)
    assert (+x) is x


def test_logic():
    a, b = Tensor([True, True, False]), Tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    with pytest.raises(TypeError, match="truth values"):
        a & Tensor([1, 2, 3])
    with pytest.raises(TypeError, match="truth values"):
        ~Tensor([1.0])


@pytest.mark.parametrize(
    "a, b, result",
    [("float32", "float64", "float64"), ("int32", "float32", "float32"),
     ("int32", "int32", "int32"),
     ("bool", "bool", "int32"), ("uint8", "uint8", "int32"), ("uint8", "float64", "float64"),
     ("bool", "float32", "float32")],
)  # fmt: skip
def test_types_meet(a, b, result):
    x, y = Tensor(np.ones(3), a), Tensor(np.ones(3), b)
    assert (x + y).dtype == result
    assert (y * x).dtype == result
    assert (x / y).dtype == (result if result.startswith("float") else "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
def test_numbers_take_the_type_beside_them(dtype):
    x = Tensor(np.ones(3), dtype)
    whole = "int32" if dtype in ("uint8", "bool") else dtype
    assert (x + 1).dtype == whole
    assert (x * 1.5).dtype == (whole if dtype.startswith("float") else "float32")
    assert (1 / x).dtype == (dtype if dtype == "float64" else "float32")
    assert (x > 0.5).dtype == "bool" and (x > 0.5).numpy().all()


def test_integers_compare_exactly_with_fractions():
    assert (Tensor([2, 3]) < 2.5).tolist() == [True, False]
    assert (Tensor([2**24 + 1]) > float(2**24)).tolist() == [True]


def test_integer_arithmetic_cannot_stop_the_process():
    low = -(2**31)
    x = Tensor([low, 5, 0])
    assert (x // 0).tolist() == [0, 0, 0]
    assert (x % 0).tolist() == [0, 0, 0]
    assert (x // -1).tolist() == [low, -5, 0]
    assert (x % -1).tolist() == [0, 0, 0]
    assert (x + low).tolist() == [0, 5 + low, low]
    assert abs(x).tolist() == [low, 5, 0]
    with pytest.raises(OverflowError, match="does not fit in int32"):
        x + 2**31


def test_other_objects_are_not_operands():
    with pytest.raises(TypeError):
        Tensor([1.0]) + "a"
    assert (Tensor([1.0]) == None) is False  # noqa: E711
    with pytest.raises(ValueError, match=r"add: shapes \(2,\) and \(3,\) do not broadcast"):
        Tensor([1.0, 2.0]) + Tensor([1.0, 2.0, 3.0])


KEYS = [
    0, -1, slice(None), slice(1, 2), slice(None, None, -1), ..., None, (0, 1), (0, ..., 1),
    (slice(None), 2),
    (..., slice(3, 0, -2)), (slice(0, 0),), (1, None, slice(None), 0), (0, 0, 0), (..., None),
    (slice(5, None),),
    (slice(None), slice(None, None, 2), slice(1, 3)), (slice(-1, None, -1), -1),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_get_item(key):
    x = Tensor(A, "float64")
    x.requires_grad = True
    y = x[key]
    np.testing.assert_array_equal(y.numpy(), A[key])
    w = np.random.default_rng(0).standard_normal(y.shape)
    (dx,) = autograd.gradients(ops.sum(y * Tensor(w)), [x])
    want = np.zeros(A.shape)
    want[key] += w
    np.testing.assert_array_equal(dx.numpy(), want)


def test_get_item_with_indices():
    at = np.array([[2, 0], [1, -1]])
    np.testing.assert_array_equal(Tensor(A)[:, at].numpy(), A[:, at])
    np.testing.assert_array_equal(Tensor(A)[0, :, Tensor(at)].numpy(), A[0][:, at])
    np.testing.assert_array_equal(Tensor(A)[[1, 0]].numpy(), A[[1, 0]])
    with pytest.raises(ValueError, match="take: index is 7"):
        Tensor(A)[:, Tensor([7])]


def test_leading_rows_share_memory():
    x = Tensor(A)
    row = x[1]
    x[1] = 5.0
    assert row.numpy().min() == 5


def test_bad_keys():
    x = Tensor(A)
    for key, error, match in [
        (2, IndexError, "index 2 is out of range for axis 0"),
        ((0, 0, 0, 0), IndexError, "4 indices for a tensor of 3 dimensions"),
        ((..., ...), IndexError, "one ellipsis"),
        (1.5, TypeError, "an index is"),
        (np.array([True, False]), TypeError, "masks"),
        (([0], [0]), TypeError, "only one index"),
    ]:
        with pytest.raises(error, match=match):
            x[key]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_set_item(key):
    want, x = A.copy(), Tensor(A)
    value = np.random.default_rng(0).standard_normal(A[key].shape[-1:]).astype("float32")
    want[key], x[key] = value, value
    np.testing.assert_array_equal(x.numpy(), want)
    want[key], x[key] = 3, 3
    np.testing.assert_array_equal(x.numpy(), want)
    x.requires_grad = True
    with pytest.raises(RuntimeError, match="slice_update"):
        x[0] = 1.0


def test_iteration_and_matmul():
    rows = [r.tolist() for r in Tensor(A[0])]
    assert rows == A[0].tolist()


def test_a_number_makes_no_tensor():
    from fastnn.capture import Capture

    x, y = Tensor(A), Tensor(A)

    def step():
        kernels.copy((2.0 * x - 1) / 4 + (1 - x) ** 2, y)

    capture = Capture(step)
    capture.run()
    assert "fill" not in capture.program.describe()
    x[...] = A + 1
    capture.run()
    np.testing.assert_allclose(y.numpy(), (2 * (A + 1) - 1) / 4 + (1 - (A + 1)) ** 2, rtol=1e-6)


def test_operands_that_are_both_smaller_than_the_result():
    y = Tensor(np.zeros((3, 5)))
    kernels.add(Tensor(np.array(2.0)), Tensor(np.array([[0.5]])), y)
    np.testing.assert_array_equal(y.numpy(), np.full((3, 5), 2.5))
