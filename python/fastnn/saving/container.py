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
import zipfile

from fastnn.saving import safetensors
from fastnn.saving.atomic import atomic_write
from fastnn.saving.stored_zip import MemberStream, read_directory

FORMAT = "fastnn"
FORMAT_VERSION = 1
METADATA, CONFIG = "metadata.json", "config.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
MEMBERS = (METADATA, CONFIG, WEIGHTS, OPTIMIZER)
MAX_JSON_BYTES = 16 << 20
MAX_JSON_BRACKETS = 1 << 18
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
      FileNotFoundError: as usual.
    """
    with open(path, "rb") as file:
        yield Container(file, os.fspath(path))


class Container:
    """An open file.

    Attributes:
      metadata: dictionary of metadata.json.
      config: dictionary of config.json, or None.
      weights: `{name: safetensors.Entry}`: dtype and shape of every weight, to be compared with the
        model's own before anything is read.
      optimizer: the same for the optimizer's state, or None.
    """

    def __init__(self, file, path: str):
        self._file = file
        self._path = path
        with self._naming_the_file():
            self._members = _check(read_directory(file, max_members=len(MEMBERS)))
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
        if name not in self._members:
            return None
        stream = MemberStream(self._file, self._members[name])
        data = stream.read(self._members[name].size_bytes)
        stream.finish()
        return safetensors.parse_json(data, MAX_JSON_BRACKETS)

    def _header(self, name):
        if name not in self._members:
            return None
        member = self._members[name]
        return safetensors.read_header(MemberStream(self._file, member), member.size_bytes)[0]

    def _tensors(self, name):
        if name not in self._members:
            return None
        member = self._members[name]
        with self._naming_the_file():
            stream = MemberStream(self._file, member)
            entries, _ = safetensors.read_header(stream, member.size_bytes)
            tensors = safetensors.read_tensors(stream, entries)
            stream.finish()
        return tensors

    @contextlib.contextmanager
    def _naming_the_file(self):
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self._path} cannot be read: {error}") from error


def _check(members):
    for name in members:
        if name not in MEMBERS:
            raise ValueError(f"the file holds {name!r}, which does not belong there")
    missing = {METADATA, WEIGHTS} - set(members)
    if missing:
        raise ValueError(f"the file has no {', '.join(sorted(missing))}")
    for name in {METADATA, CONFIG} & set(members):
        if members[name].size_bytes > MAX_JSON_BYTES:
            raise ValueError(f"{name} is longer than {MAX_JSON_BYTES} bytes")
    return members


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
