"""Odd arguments: arrays of every kind that NumPy has and a kernel could stumble over, and structure
(axes, strides, shapes, names) that is out of bounds. Drawn by hypothesis."""

import tempfile

import hypothesis.strategies as st
import numpy as np

DTYPES = [
    "float32", "float64", "float16", "longdouble", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64",
    "bool", ">f4", ">f8", ">i4", "complex64", "object", "str", "bytes", "datetime64[s]", "record",
]  # fmt: skip
LAYOUTS = [
    "plain", "fortran", "reversed", "strided", "broadcast", "huge stride", "misaligned", "readonly", "list", "nan",
    "subclass", "masked", "memmap", "extreme", "tensor", "scalar",
]  # fmt: skip

# Whole numbers at which some product or sum of sizes wraps.
NUMBERS = [
    0, 1, 2, 3, -1, -2, -3, 7, 255, 256, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**32 + 1, 2**40, 2**62, 2**63 - 1,
    2**63, -(2**63), 2**64, 10**30,
]  # fmt: skip
WORDS = [
    "valid",
    "same",
    "causal",
    "SAME",
    "full",
    "channels_first",
    "float32",
    "int32",
    "float8",
    "relu",
    "ij,jk->ik",
    "",
    "é\0",
]
SCALARS = [0.0, 0.5, -1.0, 1e300, float("nan"), float("inf"), True, None, 1 + 2j, np.float32(2), np.int64(3), object]


class Marked(np.ndarray):
    """A subclass of ndarray whose own arithmetic must not be used."""

    def __add__(self, other):
        raise AssertionError("a subclass' operator was called")


def filled(shape, kind, seed):
    base = np.random.default_rng(seed).standard_normal(shape) * 3
    if kind == "object":
        return np.asarray(base, dtype=object)
    if kind in ("str", "bytes"):
        return np.asarray(base).astype("S4" if kind == "bytes" else "U4")
    if kind == "datetime64[s]":
        return np.asarray(base).astype("int64").astype(kind)
    if kind == "record":
        return np.zeros(shape, [("a", "f4"), ("b", "i4")])
    with np.errstate(all="ignore"):
        return np.asarray(base).astype(kind)


def laid_out(array, layout):
    """The same values where they can be, in a memory layout that kernels do not have."""
    shape, dtype = array.shape, array.dtype
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "reversed" and array.ndim:
        return array[::-1]
    if layout == "strided" and array.ndim:
        return np.repeat(array, 2, axis=0)[::2]
    if layout == "broadcast":
        return np.broadcast_to(array, (2, *shape))
    if layout == "huge stride" and array.ndim and array.size:
        whole = np.zeros((shape[0], 4099), dtype)
        return np.lib.stride_tricks.as_strided(whole, shape, (whole.strides[0],) + (dtype.itemsize,) * (len(shape) - 1))
    if layout == "misaligned" and array.size and not dtype.hasobject:
        raw = np.zeros(array.nbytes + 1, "uint8")
        raw[1:] = np.frombuffer(array.tobytes(), "uint8")
        return raw[1:].view(dtype).reshape(shape)
    if layout == "readonly":
        array = array.copy()
        array.flags.writeable = False
    if layout == "list":
        return array.tolist()
    if layout == "nan" and dtype.kind == "f" and array.size:
        array.flat[0] = np.nan
    if layout == "extreme" and dtype.kind in "iuf":
        limit = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
        return np.full(shape, limit, dtype)
    if layout == "subclass":
        return array.view(Marked)
    if layout == "masked" and dtype.kind in "iufb":
        return np.ma.array(array, mask=np.ones(shape, bool))
    if layout == "memmap" and array.nbytes and not dtype.hasobject:
        with tempfile.TemporaryFile() as file:
            file.write(array.tobytes())
            file.flush()
            return np.memmap(file, dtype, "r", shape=shape)
    if layout == "scalar" and not array.ndim:
        return array[()]
    if layout == "tensor":
        from fastnn.tensor import Tensor

        try:
            return Tensor(np.asarray(array))
        except (TypeError, ValueError):
            return array
    return array


@st.composite
def arrays(draw, shape=None):
    """An array of any type and layout."""
    if shape is None:
        shape = tuple(draw(st.sampled_from([0, 1, 2, 3, 5])) for _ in range(draw(st.integers(0, 5))))
    # Half of them are of a type that gets past the door.
    kind = draw(st.one_of(st.sampled_from(["float32", "float32", "int32", "bool", "float64"]), st.sampled_from(DTYPES)))
    array = filled(shape, kind, draw(st.integers(0, 9)))
    return laid_out(array, draw(st.one_of(st.just("plain"), st.sampled_from(LAYOUTS))))


def structure():
    """What steers an op: numbers, tuples of them, words."""
    number = st.sampled_from(NUMBERS)
    small = st.integers(-3, 5)
    return st.one_of(
        small,
        number,
        st.lists(small, max_size=4).map(tuple),
        st.lists(number, max_size=4),
        st.sampled_from(WORDS),
        st.sampled_from(SCALARS),
    )


def anything():
    return st.one_of(arrays(), structure(), st.lists(arrays(), max_size=3))
