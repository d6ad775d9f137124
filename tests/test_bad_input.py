"""Odd arguments into every kernel and every op: a clear exception or a result, never a crash.

The same file runs in the sanitizer job (`make sanitize`), where a read or write outside an array ends
the process.
"""

import inspect

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import fastnn
from fastnn import _core, ops, reference
from fastnn.tensor import Tensor, from_numpy
from test_kernels import make_arguments

reference.load()

REFUSALS = (ValueError, TypeError, OverflowError, IndexError, MemoryError, _core.DeviceError)
QUIET = dict(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


# --- kernels: one argument of a good call is spoiled ----------------------------------------------


def spoil(value, how, rng):
    """A wrong stand-in for one argument of a kernel call."""
    if not isinstance(value, np.ndarray):
        return {"type": "text", "none": None, "negative": -3, "huge": 2**62}.get(
            how, [1, 2, 3] if how == "list" else value
        )
    shape = value.shape
    if how == "rank" or not shape:
        shape = (*shape, 2) if rng.integers(2) or not shape else shape[1:]
    elif how == "size":
        axis = rng.integers(len(shape))
        shape = tuple(int(rng.choice([0, 1, n + 1, 2 * n])) if i == axis else n for i, n in enumerate(shape))
    elif how == "empty":
        shape = (0,) * len(shape)
    elif how == "dtype":
        other = rng.choice([d for d in ("float32", "float64", "int32", "uint8", "bool") if d != value.dtype.name])
        return np.zeros(shape, other)
    elif how == "extreme":
        low, high = (-(2**31), 2**31 - 1) if value.dtype == np.int32 else (-np.inf, np.nan)
        return np.full(shape, rng.choice([low, high])).astype(value.dtype)
    elif how == "none":
        return None
    elif how == "type":
        return [1.0, 2.0]
    elif how == "readonly":
        value = value.copy()
        value.flags.writeable = False
        return value
    return np.zeros(shape, value.dtype)


WAYS = ["rank", "size", "empty", "dtype", "extreme", "none", "type", "readonly", "negative", "huge", "list"]


@pytest.mark.parametrize("name", list(_core.kernels))
def test_kernel_refuses_or_computes(name):
    kernel, case = _core.kernels[name], reference.KERNELS.get(name)
    if case is None:
        pytest.skip("its arguments are made by a test file of its own")
    rng = np.random.default_rng(1)
    sizes = [s for s in case.sizes if all(np.prod(v) < 3000 for v in s.values() if not isinstance(v, str))]
    for trial in range(60):
        values = make_arguments(
            case, kernel, sizes[trial % len(sizes)], case.scalars[trial % len(case.scalars)], "float32"
        )
        victim = int(rng.integers(len(values)))
        values[victim] = spoil(values[victim], WAYS[trial % len(WAYS)], rng)
        try:
            kernel(*[from_numpy(v) if isinstance(v, np.ndarray) else v for v in values])
        except REFUSALS as error:
            assert str(error)


def test_wrong_number_of_arguments():
    for kernel in _core.kernels.values():
        with pytest.raises(TypeError, match="takes"):
            kernel(*[None] * (len(kernel.params) + 1))


@pytest.mark.parametrize("shape", [(2**31, 2**31), (2**62, 4), (2**62, 2**62, 0), (-1, 3), (2**40,)])
def test_sizes_that_wrap(shape):
    with pytest.raises((ValueError, MemoryError)):
        _core.Array(shape, "float32", "cpu")


# --- ops: arrays of every odd kind ----------------------------------------------------------------


@st.composite
def odd_arrays(draw):
    rank = draw(st.integers(0, 5))
    shape = tuple(draw(st.sampled_from([0, 1, 2, 3, 5])) for _ in range(rank))
    kind = draw(st.sampled_from(
        ["float32", "float64", "float16", "int8", "int32", "int64", "uint8", "bool", ">f4", "complex64", "object", "str", "longdouble"]))  # fmt: skip
    base = np.random.default_rng(draw(st.integers(0, 9))).standard_normal(shape)
    if kind == "object":
        array = base.astype(object)
    elif kind == "str":
        array = base.astype(str)
    else:
        array = (base * 3).astype(kind)
    array = np.asarray(array)  # NumPy makes scalars of arrays without axes
    layout = draw(
        st.sampled_from(["plain", "fortran", "reversed", "strided", "broadcast", "offset", "readonly", "list", "nan"])
    )
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "reversed" and rank:
        return array[::-1]
    if layout == "strided" and rank:
        return np.repeat(array, 2, axis=0)[::2]
    if layout == "broadcast":
        return np.broadcast_to(array, (2, *shape))
    if layout == "offset" and kind in ("float32", "int32") and array.size:
        raw = np.zeros(array.nbytes + 1, "uint8")
        raw[1:] = np.frombuffer(array.tobytes(), "uint8")
        return raw[1:].view(kind).reshape(shape)
    if layout == "readonly":
        array = array.copy()
        array.flags.writeable = False
    if layout == "list":
        return array.tolist()
    if layout == "nan" and array.dtype.kind == "f" and array.size:
        array.flat[0] = np.nan
    return array


def required_arguments(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


OPS = sorted(
    name for name in dir(ops)
    if not name.startswith("_") and inspect.isfunction(getattr(ops, name)) and required_arguments(getattr(ops, name))
)  # fmt: skip


@pytest.mark.parametrize("name", OPS)
@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_op_refuses_or_computes(name, data):
    function = getattr(ops, name)
    arguments = []
    for p in required_arguments(function):
        small = st.one_of(
            st.integers(-3, 4), st.floats(-2, 2), st.none(), st.tuples(st.integers(-2, 5), st.integers(-2, 5))
        )
        arguments.append(data.draw(st.one_of(odd_arrays(), odd_arrays(), small)))
    try:
        with np.errstate(all="ignore"):
            result = function(*arguments)
    except (*REFUSALS, AttributeError, NotImplementedError) as error:
        assert str(error)
        return
    for r in result if isinstance(result, (tuple, list)) else [result]:
        if isinstance(r, Tensor):
            r.numpy()


@settings(max_examples=150, **QUIET)
@given(array=odd_arrays())
def test_fit_refuses_or_trains(array):
    model = fastnn.Sequential([fastnn.layers.Dense(2)])
    model.compile("sgd", "mse", on_nan="ignore")
    try:
        model.fit(array, array, verbose=0)
        model.predict(array, verbose=0)
    except REFUSALS as error:
        assert str(error)
