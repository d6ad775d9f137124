"""Reader and writer of safetensors: 8 bytes little-endian header length, JSON header, the tensors'
bytes.

    {"__metadata__": {"k": "v"}, "dense/kernel": {"dtype": "F32", "shape": [2, 3], "data_offsets":
    [0, 24]}, ...}

The reader is strict: everything is checked against the number of bytes there are before a single
array is made, and any fault is a ValueError. Same bytes as the reference writer
(github.com/huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

MAX_HEADER_BYTES = 8 << 20
MAX_TENSORS = 1 << 16
MAX_RANK = 32

# In the order in which the reference writer sorts them: wide types first keeps every tensor
# aligned.
_DTYPES: dict[str, np.dtype] = {
  "U64": np.dtype("<u8"), "I64": np.dtype("<i8"), "F64": np.dtype("<f8"),
  "F32": np.dtype("<f4"), "U32": np.dtype("<u4"), "I32": np.dtype("<i4"),
  "BF16": np.dtype("<u2"), "F16": np.dtype("<f2"), "U16": np.dtype("<u2"), "I16": np.dtype("<i2"),
  "I8": np.dtype("i1"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip
_ORDER = {name: i for i, name in enumerate(_DTYPES)}
_NAMES = {dtype: name for name, dtype in _DTYPES.items() if name != "BF16"}


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: `begin` and `end` in bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numpy_dtype(self) -> np.dtype:
        """The type of the array that is read: bfloat16, which NumPy lacks, comes as float32 of
        equal value.
        """
        return np.dtype(np.float32) if self.dtype == "BF16" else _DTYPES[self.dtype].newbyteorder("=")


def write(file, tensors: dict, metadata: dict[str, str] | None = None) -> int:
    """Write `{name: array}` to a binary file.

    Returns:
      The number of bytes.

    Raises:
      ValueError: a dtype that the format lacks, or names and metadata that are not strings.
    """
    header, parts = _layout(tensors, metadata)
    file.write(len(header).to_bytes(8, "little") + header)
    for array in parts:
        file.write(memoryview(array.reshape(-1).view(np.uint8)))
    return 8 + len(header) + sum(array.nbytes for array in parts)


def _layout(tensors, metadata):
    """The header, and the arrays in the order in which their bytes follow it."""
    arrays = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(f"a tensor cannot be called {name!r}")
        arrays[name] = _encode(name, value)
    header, parts, offset = {}, [], 0
    if metadata is not None:
        if not all(isinstance(text, str) for item in metadata.items() for text in item):
            raise ValueError(f"metadata must be strings; received {metadata!r}")
        header["__metadata__"] = dict(sorted(metadata.items()))
    for name in sorted(arrays, key=lambda name: (_ORDER[arrays[name][0]], name.encode())):
        dtype, array = arrays[name]
        end = offset + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, end]}
        parts.append(array)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    if len(text) > MAX_HEADER_BYTES or len(arrays) > MAX_TENSORS:
        raise ValueError(f"{len(arrays)} tensors are more than one file can hold ({MAX_TENSORS})")
    return text, parts


def _encode(name, value):
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":  # of the package ml_dtypes
        return "BF16", np.ascontiguousarray(array).view(np.uint16).astype("<u2", copy=False).reshape(array.shape)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _NAMES:
        raise ValueError(f"tensor {name!r} has dtype {array.dtype}, which the safetensors format lacks")
    return _NAMES[dtype], np.ascontiguousarray(array, dtype).reshape(array.shape)


def read_header(file, size_bytes: int) -> tuple[dict[str, Entry], dict[str, str]]:
    """Read and check the header at the file's position, of a safetensors stream `size_bytes` long.

    Returns:
      ({name: entry} in the order of the data, metadata). The file then stands at the first tensor.

    Raises:
      ValueError: anything at all that is not as the format says.
    """
    if size_bytes < 8:
        raise _fault(f"{size_bytes} bytes are too few")
    length = int.from_bytes(_read(file, 8), "little")
    if length > size_bytes - 8:
        raise _fault(f"the header's length is {length}, but only {size_bytes - 8} bytes follow")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise _fault(f"the header's length is {length}; 2 to {MAX_HEADER_BYTES} is possible")
    header = parse_json(_read(file, length), max_brackets=3 * MAX_TENSORS)
    if not isinstance(header, dict):
        raise _fault("the header is not a dictionary")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _fault("__metadata__ must hold strings only")
    if len(header) > MAX_TENSORS:
        raise _fault(f"{len(header)} tensors are more than the {MAX_TENSORS} that are read")
    entries = {name: _entry(name, fields) for name, fields in header.items()}
    # Sorted by place the tensors must cover the data exactly, without gaps and overlaps.
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    offset = 0
    for name, entry in entries.items():
        if entry.begin != offset:
            raise _fault(f"tensor {name!r} begins at {entry.begin}, but the one before it ends at {offset}")
        offset = entry.end
    if offset != size_bytes - 8 - length:
        raise _fault(f"the tensors take {offset} bytes, but {size_bytes - 8 - length} follow the header")
    return entries, metadata


def _entry(name, fields) -> Entry:
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise _fault(f"tensor {name!r} must have dtype, shape and data_offsets; it has {fields!r:.200}")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _fault(f"tensor {name!r} has the unknown dtype {dtype!r:.80}; known: {', '.join(_DTYPES)}")
    if not _sizes(shape) or len(shape) > MAX_RANK:
        raise _fault(f"tensor {name!r} has the shape {shape!r:.80}")
    if not _sizes(offsets) or len(offsets) != 2:
        raise _fault(f"tensor {name!r} has the data_offsets {offsets!r:.80}")
    begin, end = offsets
    bytes_needed = math.prod(shape) * _DTYPES[dtype].itemsize  # Python's integers cannot wrap round
    if end - begin != bytes_needed:
        raise _fault(f"tensor {name!r}: shape {tuple(shape)} of {dtype} takes {bytes_needed} bytes, not {end - begin}")
    return Entry(dtype, tuple(shape), begin, end)


def _sizes(values):
    # An upper bound too: the product of 32 sizes of 10,000 digits each would be a computation of
    # its own.
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in values)


def read_tensors(file, entries: dict[str, Entry]) -> dict[str, np.ndarray]:
    """The arrays of a file that stands right behind its header."""
    tensors = {}
    for name, entry in entries.items():
        array = np.empty(entry.shape, _DTYPES[entry.dtype])
        _read_into(file, array.reshape(-1).view(np.uint8).data)
        if entry.dtype == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        elif entry.dtype == "BOOL" and np.any(array.view(np.uint8) > 1):
            raise _fault(f"tensor {name!r} holds booleans other than 0 and 1")
        tensors[name] = array.astype(entry.numpy_dtype, copy=False)
    return tensors


def save_file(path, tensors: dict, metadata: dict[str, str] | None = None) -> None:
    """Write `{name: array}` to a `.safetensors` file, atomically."""
    from fastnn.saving.atomic import atomic_write

    with atomic_write(path) as file:
        write(file, tensors, metadata)


def load_file(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata) of a `.safetensors` file.

    Raises:
      ValueError: not a safetensors file, or a damaged one.
    """
    with open(path, "rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        entries, metadata = read_header(file, size_bytes)
        return read_tensors(file, entries), metadata


def parse_json(data: bytes, max_brackets: int):
    """JSON without what it should never hold: duplicate keys, NaN, more nesting or brackets than
    the caller expects.

    Raises:
      ValueError: any of that, or not JSON at all.
    """
    # A bracket of text becomes up to 64 bytes of list or dict: counting them first bounds the
    # memory.
    if data.count(b"[") + data.count(b"{") > max_brackets:
        raise _fault(f"JSON with more than {max_brackets} brackets")
    if not data.startswith(b"{"):
        raise _fault("JSON that does not begin with '{'")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise _fault("JSON nested too deeply") from None
    except ValueError as error:  # of json, of int (too many digits), of UTF-8
        raise _fault(f"not the JSON that was expected ({error})") from error


def _unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise _fault(f"the key {next(n for n in names if names.count(n) > 1)!r:.80} appears twice")
    return result


def _no_constant(text):
    raise _fault(f"JSON with {text}")


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise _fault(f"JSON with the number {text:.20}")
    return value


def _read(file, count):
    data = file.read(count)
    if len(data) != count:
        raise _fault("it ends too early")
    return data


def _read_into(file, view):
    while len(view):
        count = file.readinto(view)
        if not count:
            raise _fault("it ends too early")
        view = view[count:]


def _fault(text):
    text = re.sub(r"[^\x20-\x7e–×]", "?", text)  # names from a file may hold control characters
    return ValueError(f"damaged or malformed file: {text}")
