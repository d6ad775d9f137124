"""Reader of IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.

Layout, big-endian: two zero bytes, type code, rank; one uint32 size per dimension; the elements in
C order. Specification: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
The reader is strict: a file that is shorter or longer than its header says is refused.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LIMIT_BYTES = 1 << 32  # a header that claims more is damage, not data
MAX_RANK = 32  # of NumPy 1.x


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, gzipped or not, into a new array in native byte order.

    Raises OSError where the file cannot be read and ValueError, naming the file, what was
    expected and what was found, where it is not a whole IDX file.
    """
    path = Path(path)
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_gzip:
            return _parse(file, path)
        import gzip  # here, since it would be a tenth of the package's import time

        try:
            with gzip.open(file) as unpacked:
                return _parse(unpacked, path)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip data: {error}") from error


def _parse(file: Readable, path: Path) -> np.ndarray:
    head = _read_header(file, 4, path)
    if head[:2] != b"\0\0" or head[2] not in DTYPES:
        codes = ", ".join(f"0x{code:02x}" for code in DTYPES)
        raise ValueError(
            f"{path}: not an IDX file: expected two zero bytes and a type code ({codes}), found {head[:3].hex(' ')}"
        )
    dtype, rank = np.dtype(DTYPES[head[2]]), head[3]
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"{path}: expected 1 to {MAX_RANK} dimensions, the header says {rank}")
    shape = struct.unpack(f">{rank}I", _read_header(file, 4 * rank, path))
    size_bytes = math.prod(shape) * dtype.itemsize
    if size_bytes > LIMIT_BYTES:
        raise ValueError(f"{path}: shape {shape} is {size_bytes} bytes, over {LIMIT_BYTES}")
    data = file.read(size_bytes + 1)  # one more, to see that nothing follows
    if len(data) != size_bytes:
        found = f"only {len(data)}" if len(data) < size_bytes else "more"
        raise ValueError(f"{path}: shape {shape} needs {size_bytes} bytes of data, found {found}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_header(file: Readable, n: int, path: Path) -> bytes:
    data = file.read(n)
    if len(data) < n:
        raise ValueError(f"{path}: cut off in the header: expected {n} bytes, found {len(data)}")
    return data
