"""The one-file format `.fnn`: a zip, stored and not compressed, of

    metadata.json            format, version, and what the writer adds
    config.json              the architecture; absent in a .weights.fnn
    weights.safetensors
    optimizer.safetensors    absent where there is no optimizer to resume

The zip's CRC-32 of each member finds damaged bytes. Reading: names, sizes and headers are checked
before any array is made, so a file can never claim more memory than it has bytes; links, paths,
unknown and duplicate names are refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import struct
import zipfile
import zlib

from fastnn.saving import safetensors
from fastnn.saving.atomic import atomic_write

FORMAT = "fastnn"
FORMAT_VERSION = 1
METADATA, CONFIG = "metadata.json", "config.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
MEMBERS = (METADATA, CONFIG, WEIGHTS, OPTIMIZER)
MAX_JSON_BYTES = 16 << 20
MAX_JSON_BRACKETS = 1 << 18
_MAX_DIRECTORY_BYTES = 4096  # four entries take about 300
_TIME = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def write_container(
    path,
    *,
    weights: dict,
    config: dict | None = None,
    optimizer: dict | None = None,
    metadata: dict | None = None,
) -> None:
    """Write a model or its weights to `path`, atomically.

    Args:
      weights, optimizer: `{name: array}`.
      config: plain data, see `serialization.serialize_object`.
      metadata: more entries for metadata.json.

    Raises:
      ValueError: something that JSON or safetensors cannot hold. Nothing is written then.
    """
    reserved = {"format", "format_version"} & set(metadata or {})
    if reserved:
        raise ValueError(f"metadata must not set {', '.join(sorted(reserved))}")
    texts = {METADATA: {"format": FORMAT, "format_version": FORMAT_VERSION, **(metadata or {})}}
    if config is not None:
        texts[CONFIG] = config
    encoded = {name: _encode_json(name, data) for name, data in texts.items()}
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in encoded.items():
            with _create(archive, name) as member:
                member.write(data)
        for name, tensors in ((WEIGHTS, weights), (OPTIMIZER, optimizer)):
            if tensors is not None:
                with _create(archive, name) as member:
                    safetensors.write(member, tensors)


def _create(archive, name):
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return archive.open(info, "w", force_zip64=name in (WEIGHTS, OPTIMIZER))


def _encode_json(name, data):
    try:
        text = json.dumps(data, allow_nan=False, ensure_ascii=False, indent=1).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from error
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"{name} would be {len(text)} bytes long; {MAX_JSON_BYTES} is the limit")
    return text


@contextlib.contextmanager
def open_container(path):
    """`with open_container(path) as container:` gives a `Container` whose names, sizes and headers
    are checked.

    Raises:
      ValueError: not a file of this format, a damaged one, or one of a newer version.
        FileNotFoundError as usual.
    """
    with open(path, "rb") as file:
        with _faults_as_value_errors(path):
            _check_directory_size(file)
            archive = zipfile.ZipFile(file)
            container = Container(archive, file.seek(0, os.SEEK_END), os.fspath(path))
        with archive:
            yield container


class Container:
    """An open file.

    Attributes:
      metadata: dictionary of metadata.json.
      config: dictionary of config.json, or None.
      weights: `{name: safetensors.Entry}`: dtype and shape of every weight, to be compared with the
        model's own before anything is read.
      optimizer: the same for the optimizer's state, or None.
    """

    def __init__(self, archive, size_bytes, path):
        self._archive = archive
        self._path = path
        self._infos = _check_members(archive.infolist(), size_bytes)
        self.metadata = self._json(METADATA)
        _check_version(self.metadata)
        self.config = self._json(CONFIG)
        self.weights = self._header(WEIGHTS)
        self.optimizer = self._header(OPTIMIZER)

    def read_weights(self) -> dict:
        """`{name: array}` of the weights; bfloat16 comes as float32."""
        return self._tensors(WEIGHTS)

    def read_optimizer(self) -> dict | None:
        """`{name: array}` of the optimizer's state, or None."""
        return self._tensors(OPTIMIZER)

    def _json(self, name):
        if name not in self._infos:
            return None
        with self._archive.open(self._infos[name]) as member:
            return safetensors.parse_json(member.read(), MAX_JSON_BRACKETS)

    def _header(self, name):
        if name not in self._infos:
            return None
        with self._archive.open(self._infos[name]) as member:
            return safetensors.read_header(member, self._infos[name].file_size)[0]

    def _tensors(self, name):
        if name not in self._infos:
            return None
        with _faults_as_value_errors(self._path), self._archive.open(self._infos[name]) as member:
            entries, _ = safetensors.read_header(member, self._infos[name].file_size)
            tensors = safetensors.read_tensors(member, entries)
            member.read(1)  # zipfile compares the CRC when it meets the end
            return tensors


def _check_directory_size(file):
    """The zip's list of members is read as a whole by zipfile, so its length is looked at first."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - 98))  # end record 22, zip64 locator 20, zip64 end record 56
    tail = file.read()
    if len(tail) < 22 or tail[-22:-18] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise zipfile.BadZipFile("no end record, or something after it")
    count, directory_bytes = struct.unpack("<HL", tail[-12:-10] + tail[-10:-6])
    if tail[-42:-38] == b"PK\6\7":
        if len(tail) < 98 or tail[:4] != b"PK\6\6":
            raise zipfile.BadZipFile("a zip64 locator that points elsewhere")
        count, directory_bytes = struct.unpack("<QQ", tail[32:48])
    if not 0 < count <= len(MEMBERS) or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"{count} members, listed in {directory_bytes} bytes")
    file.seek(0)


def _check_members(infos, size_bytes):
    found = {}
    for info in infos:
        name = info.orig_filename
        if name not in MEMBERS:
            raise ValueError(f"the file holds {name!r:.80}, which does not belong there")
        if name in found:
            raise ValueError(f"the file holds {name} twice")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"{name} is compressed, which this format never is")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise ValueError(f"{name} is a link, a folder or encrypted")
        if name in (METADATA, CONFIG) and info.file_size > MAX_JSON_BYTES:
            raise ValueError(
                f"{name} is {info.file_size} bytes long; {MAX_JSON_BYTES} is the limit"
            )
        found[name] = info
    missing = {METADATA, WEIGHTS} - set(found)
    if missing:
        raise ValueError(f"the file has no {', '.join(sorted(missing))}")
    if sum(info.file_size for info in infos) > size_bytes:
        raise ValueError("the members claim more bytes than the file has")
    return found


def _check_version(metadata):
    if metadata.get("format") != FORMAT:
        raise ValueError(f"the file's format is {metadata.get('format')!r:.80}, not {FORMAT!r}")
    version = metadata.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"the file's format_version is {version!r:.80}")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"the file is of format version {version}, this fastnn reads up to {FORMAT_VERSION}: "
            "upgrade fastnn-ml to read it"
        )


@contextlib.contextmanager
def _faults_as_value_errors(path):
    """zipfile meets damage with half a dozen kinds of error; a caller needs one, with the path in
    it.
    """
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{path} is not a fastnn file, or it is damaged: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
