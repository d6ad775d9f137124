"""A strict reader of zips that are stored, not compressed (PKWARE APPNOTE 4.3). Every byte is
accounted for: members follow one another from the first byte to the directory, the directory to the
end record, the end record to the end. Two descriptions of a member that differ, a gap, a comment or
an unknown feature are faults, not guesses.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass

# signature, then the fields; names of the fields are those of the APPNOTE
_END = struct.Struct("<4s4HLLH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_FULL = (_FULL16, _FULL32, _FULL32)  # of the end record's count, length and begin
_UTF8_NAME = 1 << 11


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie."""

    name: str
    begin: int
    size_bytes: int
    crc: int


def read_directory(file, max_members: int, max_name: int = 64) -> dict[str, Member]:
    """`{name: member}` of a whole zip in a binary file.

    Raises:
      ValueError: anything that is not as a plain stored zip should be.
    """
    size_bytes = file.seek(0, 2)
    count, begin, end = _read_end(file, size_bytes)
    # The longest entry: its fixed part, its name, and extra fields (zip64, times).
    if count > max_members or end - begin > count * (_ENTRY.size + max_name + 128):
        raise ValueError(f"the zip lists {count} members in {end - begin} bytes")
    directory = _read_at(file, begin, end - begin)
    members, place, covered = {}, 0, 0
    for _ in range(count):
        member, offset, length = _entry(file, directory[place:], max_name)
        place += length
        if offset != covered:
            raise ValueError(f"{member.name} lies at {offset}, but what is before it ends at {covered}")
        covered = member.begin + member.size_bytes
        if covered > begin:
            raise ValueError(f"{member.name} is said to be {member.size_bytes} bytes long, which do not fit")
        if member.name in members:
            raise ValueError(f"the file holds {member.name} twice")
        members[member.name] = member
    if place != len(directory) or covered != begin:
        raise ValueError("the zip's directory does not describe the whole file")
    return members


def _read_end(file, size_bytes):
    """(number of members, begin and end of the directory)."""
    if size_bytes < _END.size:
        raise ValueError(f"{size_bytes} bytes are too few for a zip")
    end = size_bytes - _END.size
    signature, *disks, here, count, length, begin, comment = _END.unpack(_read_at(file, end, _END.size))
    if signature != b"PK\5\6" or any(disks) or here != count or comment:
        raise ValueError("not a zip, or something follows it")
    tail = _END64.size + _END64_LOCATOR.size
    if end >= tail:
        locator_bytes = _read_at(file, end - _END64_LOCATOR.size, _END64_LOCATOR.size)
        locator, *place = _END64_LOCATOR.unpack(locator_bytes)
        if locator == b"PK\6\7":
            end -= tail
            narrow = (count, length, begin)
            record = _END64.unpack(_read_at(file, end, _END64.size))
            signature, size, _, _, *disks, here, count, length, begin = record
            if (signature, size, place, disks) != (b"PK\6\6", 44, [0, end, 1], [0, 0]):
                raise ValueError("the zip's end record is damaged")
            wide = (count, length, begin)
            agree = all(n in (w, full) for n, w, full in zip(narrow, wide, _FULL, strict=True))
            if here != count or not agree:
                raise ValueError("the zip's two end records differ")
    if begin + length != end:
        raise ValueError("the zip's directory is not where the end record says")
    return count, begin, end


def _entry(file, data, max_name):
    """The first entry of the directory's rest: (member, offset of its local header, length of the
    entry).
    """
    if len(data) < _ENTRY.size:
        raise ValueError("the zip's directory ends too early")
    (
        signature,
        _,
        _,
        flags,
        method,
        _,
        _,
        crc,
        packed,
        size,
        name_length,
        extra_length,
        comment,
        disk,
        _,
        attributes,
        offset,
    ) = _ENTRY.unpack_from(data)
    if signature != b"PK\1\2" or disk or comment:
        raise ValueError("the zip's directory is damaged")
    length = _ENTRY.size + name_length + extra_length
    name = _name(data[_ENTRY.size : _ENTRY.size + name_length], name_length, flags, max_name)
    extra = data[length - extra_length : length]
    size, packed, offset = _wide(extra, extra_length, size, packed, offset)
    if method or packed != size:
        raise ValueError(f"{name} is compressed, which this format never is")
    if stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG):
        raise ValueError(f"{name} is a link or a folder")

    local = _LOCAL.unpack(_read_at(file, offset, _LOCAL.size))
    (
        signature,
        _,
        local_flags,
        local_method,
        _,
        _,
        local_crc,
        packed,
        local_size,
        local_name,
        local_extra,
    ) = local
    begin = offset + _LOCAL.size + local_name + local_extra
    texts = _read_at(file, offset + _LOCAL.size, local_name + local_extra)
    extra = texts[local_name:]
    local_size, packed, _ = _wide(extra, local_extra, local_size, packed, 0)
    first = (
        b"PK\3\4",
        flags,
        method,
        crc,
        size,
        size,
        data[_ENTRY.size : _ENTRY.size + name_length],
    )
    if first != (
        signature,
        local_flags,
        local_method,
        local_crc,
        packed,
        local_size,
        texts[:local_name],
    ):
        raise ValueError(f"the zip describes {name} in two ways")
    return Member(name, begin, size, crc), offset, length


def _name(data, length, flags, max_name):
    # No flag but "the name is UTF-8": no encryption, no sizes behind the data, no patches.
    if len(data) != length or not 0 < length <= max_name or flags & ~_UTF8_NAME:
        raise ValueError("the zip has a member with a strange name or unknown features")
    if not data.isascii() or not data.decode("ascii").isprintable():
        raise ValueError(f"the zip has a member of the strange name {data!r}")
    return data.decode("ascii")


def _wide(extra, extra_length, *values):
    """`values` with those that are full replaced by the 64-bit numbers of the zip64 extra field."""
    if len(extra) != extra_length:
        raise ValueError("the zip's directory ends too early")
    wide = b""
    while extra:
        kind, length = struct.unpack_from("<HH", extra) if len(extra) >= 4 else (0, _FULL16)
        if len(extra) < 4 + length:
            raise ValueError("the zip has a damaged extra field")
        if kind == 1:
            wide += extra[4 : 4 + length]
        extra = extra[4 + length :]
    full = [i for i, value in enumerate(values) if value == _FULL32]
    if len(wide) < 8 * len(full):
        raise ValueError("the zip has a damaged zip64 field")
    values = list(values)
    for i, number in zip(full, struct.unpack_from(f"<{len(full)}Q", wide)):
        values[i] = number
    return values


def _read_at(file, offset, count):
    try:
        file.seek(offset)
        data = file.read(count)
    except (OSError, OverflowError):  # an offset that no file can have
        data = b""
    if len(data) != count:
        raise ValueError("the zip points beyond its end")
    return data


class MemberStream:
    """The bytes of one member, to be read once from front to back; then `finish` checks them."""

    def __init__(self, file, member: Member):
        file.seek(member.begin)
        self._file = file
        self._member = member
        self._left = member.size_bytes
        self._crc = 0

    def read(self, count: int) -> bytes:
        data = self._file.read(min(count, self._left))
        self._saw(data)
        return data

    def readinto(self, view) -> int:
        view = view[: self._left]
        count = self._file.readinto(view)
        self._saw(view[:count])
        return count

    def _saw(self, data):
        self._left -= len(data)
        self._crc = zlib.crc32(data, self._crc)

    def finish(self) -> None:
        """Check what has been read.

        Raises:
          ValueError: bytes are left, or they are not those that were written.
        """
        if self._left or self._crc != self._member.crc:
            raise ValueError(f"{self._member.name} is damaged: its checksum differs")
