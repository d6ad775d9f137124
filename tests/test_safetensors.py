"""Our safetensors against the reference package, and against everything that a file should not be.

Values are compared exactly, bytes too.
"""

import contextlib
import io
import json
import struct

import hypothesis
import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from fastnn.saving import safetensors as ours

DTYPES = [
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


def example():
    rng = np.random.default_rng(0)
    tensors = {f"a/{d}": (100 * rng.normal(size=(3, 5))).astype(d) for d in DTYPES}
    tensors["scalar"] = np.float32(1.5)
    tensors["empty"] = np.zeros((0, 3), np.float32)
    tensors["ünïcode"] = np.arange(7, dtype=np.int16)
    return tensors


def encode(tensors, metadata=None):
    stream = io.BytesIO()
    assert ours.write(stream, tensors, metadata) == len(stream.getvalue())
    return stream.getvalue()


def decode(data):
    stream = io.BytesIO(data)
    entries, metadata = ours.read_header(stream, len(data))
    return ours.read_tensors(stream, entries), metadata


def raw(header, data=b"", pad=True):
    """A file of any header text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8) if pad else b""
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_bytes_are_those_of_the_reference_writer():
    tensors = {name: np.ascontiguousarray(value) for name, value in example().items()}
    tensors["scalar"] = tensors["scalar"].reshape(())
    assert encode(tensors, {"made": "here"}) == safetensors.numpy.save(tensors, {"made": "here"})
    assert encode(tensors) == safetensors.numpy.save(tensors)
    assert encode({}) == safetensors.numpy.save({})


@pytest.mark.parametrize("by", ["us", "reference"])
def test_both_read_what_either_wrote(tmp_path, by):
    path = tmp_path / "x.safetensors"
    tensors = {name: np.array(value) for name, value in example().items()}
    if by == "us":
        ours.save_file(path, tensors, {"k": "v"})
    else:
        safetensors.numpy.save_file(tensors, path, {"k": "v"})
    loaded, metadata = ours.load_file(path)
    reference = safetensors.numpy.load_file(path)
    assert metadata == {"k": "v"} and set(loaded) == set(tensors) == set(reference)
    for name, value in tensors.items():
        for got in (loaded[name], reference[name]):
            assert got.dtype == value.dtype and got.shape == value.shape
            np.testing.assert_array_equal(got, value)


@hypothesis.given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=4)),
        max_size=5,
    )
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_any_names_and_shapes_return(layout):
    tensors = {}
    for i, (name, (dtype, shape)) in enumerate(layout.items()):
        tensors[name] = np.full(shape, i + 1, dtype)
    loaded, metadata = decode(encode(tensors))
    assert set(loaded) == set(tensors) and metadata == {}
    for name, value in tensors.items():
        assert loaded[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded[name], value)


def test_any_memory_order():
    square = np.arange(12.0).reshape(3, 4)
    arrays = {"t": square.T, "step": square[::2, ::-1], "big": square.astype(">f4")}
    arrays["read_only"] = np.broadcast_to(np.float32(3), (2, 2))
    loaded, _ = decode(encode(arrays))
    for name, value in arrays.items():
        np.testing.assert_array_equal(loaded[name], value)
    assert loaded["big"].dtype == np.float32 and loaded["t"].flags.writeable


def test_bfloat16_comes_as_equal_float32():
    values = np.array([1.0, -2.5, 3e38, np.inf, 0.0, 1e-40], ml_dtypes.bfloat16)
    data = encode({"w": values})
    assert b'"BF16"' in data
    loaded, _ = decode(data)
    assert loaded["w"].dtype == np.float32
    np.testing.assert_array_equal(loaded["w"], values.astype(np.float32))


def test_entries_tell_shapes_before_anything_is_read():
    data = encode({"w": np.zeros((2, 3), np.float16)})
    entries, _ = ours.read_header(io.BytesIO(data), len(data))
    assert entries == {"w": ours.Entry("F16", (2, 3), 0, 12)}
    assert entries["w"].numpy_dtype == np.float16


@pytest.mark.parametrize(
    "tensors, metadata, message",
    [
        ({"w": np.zeros(2, np.complex64)}, None, "dtype complex64"),
        ({"w": np.array(["a"])}, None, "dtype <U1"),
        ({"w": np.array([object()])}, None, "dtype object"),
        ({3: np.zeros(2)}, None, "cannot be called 3"),
        ({"__metadata__": np.zeros(2)}, None, "cannot be called"),
        ({}, {"k": 3}, "metadata must be strings"),
    ],
)
def test_what_cannot_be_written(tensors, metadata, message):
    with pytest.raises(ValueError, match=message):
        encode(tensors, metadata)


EIGHT = b"\0" * 8
ATTACKS = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "header of length 0": struct.pack("<Q", 0),
    "header of length 1": struct.pack("<Q", 1) + b"{",
    "header of length 2^63": struct.pack("<Q", 1 << 63) + b"{}",
    "header of length 2^64 - 1": struct.pack("<Q", (1 << 64) - 1) + b"{}",
    "header beyond the file": struct.pack("<Q", 100) + b"{}",
    "header beyond the limit": raw(b"{" + b" " * ours.MAX_HEADER_BYTES + b"}"),
    "not JSON": raw(b"{]"),
    "JSON array": raw([]),
    "JSON number": raw(b"12"),
    "leading space": raw(b" {}"),
    "not UTF-8": raw(b'{"\xff": 1}'),
    "half a surrogate": raw(b'{"\xed\xa0\x80": 1}'),
    "NaN": raw(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', EIGHT),
    "infinity": raw(b'{"w":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', EIGHT),
    "text behind the JSON": raw(b"{}x"),
    "the same tensor twice": raw(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    "the same field twice": raw(b'{"w":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}', EIGHT),
    "deep lists": raw(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep dictionaries": raw(b'{"w":' * 50_000 + b"1" + b"}" * 50_000),
    "many brackets": raw(b'{"w":[' + b"[]," * 300_000 + b"[]]}"),
    "too many tensors": raw(
        {str(i): tensor(shape=[0], offsets=[0, 0]) for i in range(ours.MAX_TENSORS // 8)} | {"x": 1}
    ),
    "entry is a list": raw({"w": [1]}, EIGHT),
    "entry lacks the shape": raw({"w": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT),
    "entry has one field more": raw({"w": {**tensor(), "x": 1}}, EIGHT),
    "unknown dtype": raw({"w": tensor("F31")}, EIGHT),
    "dtype is a list": raw({"w": tensor(["F32"])}, EIGHT),
    "negative size": raw({"w": tensor(shape=[-2])}, EIGHT),
    "two negative sizes": raw({"w": tensor(shape=[-2, -1])}, EIGHT),
    "size of text": raw({"w": tensor(shape=["2"])}, EIGHT),
    "float size": raw({"w": tensor(shape=[2.0])}, EIGHT),
    "boolean size": raw({"w": tensor(shape=[True, 2])}, EIGHT),
    "shape is a number": raw({"w": {**tensor(), "shape": 2}}, EIGHT),
    "size of 5000 digits": raw(b'{"w":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', EIGHT),
    "product wraps to 4": raw({"w": tensor("U8", [1 << 32, 1 << 32, 4], [0, 4])}, b"\0" * 4),
    "product wraps with a zero": raw({"w": tensor("U8", [1 << 63, 0], [0, 0])}),
    "bytes wrap to 8": raw({"w": tensor("F64", [(1 << 61) + 1], [0, 8])}, EIGHT),
    "rank 33": raw({"w": tensor("U8", [1] * 33, [0, 1])}, b"\0"),
    "shape takes more": raw({"w": tensor(shape=[3])}, EIGHT),
    "offsets backwards": raw({"w": tensor(offsets=[8, 0])}, EIGHT),
    "negative offset": raw({"w": tensor(offsets=[-8, 0])}, EIGHT),
    "three offsets": raw({"w": tensor(offsets=[0, 8, 8])}, EIGHT),
    "offset beyond the end": raw({"w": tensor(shape=[4], offsets=[0, 16])}, EIGHT),
    "gap at the beginning": raw({"w": tensor(offsets=[8, 16])}, EIGHT * 2),
    "gap": raw({"a": tensor(), "b": tensor(offsets=[16, 24])}, EIGHT * 3),
    "overlap": raw({"a": tensor(), "b": tensor(offsets=[4, 12])}, b"\0" * 12),
    "the same bytes twice": raw({"a": tensor(), "b": tensor()}, EIGHT),
    "bytes behind the tensors": raw({"w": tensor()}, EIGHT + b"\0"),
    "bytes behind no tensors": raw({}, b"\0"),
    "metadata of numbers": raw({"__metadata__": {"k": 1}}),
    "metadata is a list": raw({"__metadata__": []}),
    "boolean of 2": raw({"w": tensor("BOOL", [1], [0, 1])}, b"\2"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_value_errors(name):
    data = ATTACKS[name]
    with pytest.raises(ValueError):
        decode(data)
    if name != "boolean of 2":  # that is in the data; all others are seen before any array is made
        with pytest.raises(ValueError):
            ours.read_header(io.BytesIO(data), len(data))


def test_the_attacks_that_the_reference_sees_are_a_subset():
    # A guard against a corpus that is refused for the wrong reason: the well-formed twin is read.
    loaded, _ = decode(raw({"w": tensor()}, EIGHT))
    np.testing.assert_array_equal(loaded["w"], np.zeros(2, np.float32))
    loaded, _ = decode(raw({"b": tensor(offsets=[8, 16]), "a": tensor()}, EIGHT * 2))
    assert list(loaded) == ["a", "b"]
    assert decode(raw({"w": tensor("U8", [1] * 32, [0, 1])}, b"\0"))[0]["w"].ndim == 32


def test_truncation_at_every_byte():
    data = encode({"a": np.arange(6.0), "b": np.ones((2, 2), np.int8)}, {"k": "v"})
    for length in range(len(data)):
        with pytest.raises(ValueError):
            decode(data[:length])


def test_bit_flips_are_errors_or_other_values_but_never_more():
    data = bytearray(encode({"a": np.arange(6.0), "b": np.ones((2, 2), bool)}, {"k": "v"}))
    size = len(data)
    refused = 0
    for bit in range(8 * size):
        data[bit // 8] ^= 1 << bit % 8
        try:
            loaded, _ = decode(bytes(data))
            assert sum(value.nbytes for value in loaded.values()) <= size
        except ValueError:
            refused += 1
        data[bit // 8] ^= 1 << bit % 8
    assert refused > 4 * size  # nearly all flips in the header


@hypothesis.given(st.binary(max_size=64))
@hypothesis.settings(max_examples=300, deadline=None)
def test_any_bytes_as_a_header(noise):
    for data in (noise, raw(noise), raw(b"{" + noise + b"}", EIGHT)):
        with contextlib.suppress(ValueError):
            decode(data)


def test_memory_of_a_hostile_header_is_bounded(monkeypatch):
    import tracemalloc

    monkeypatch.setattr(ours, "MAX_TENSORS", 4096)  # a 16th of the real limit, to be quick
    # Lists of small lists are the worst that JSON can do to memory per byte.
    worst = raw(b'{"w":[' + b"[]," * (3 * 4096 - 4) + b"[]]}")
    beyond = raw(b'{"w":[' + b"[]," * (3 * 4096) + b"[]]}")
    commas = raw(b'{"w":[' + b"1," * 200_000 + b"1]}")
    for data, message in ((worst, "must have dtype"), (beyond, "brackets"), (commas, "must have")):
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            decode(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # A small int in a list takes 8 bytes for its 2 of text; decoding the text copies it once.
        assert peak <= 8 * len(data) + (1 << 20)
