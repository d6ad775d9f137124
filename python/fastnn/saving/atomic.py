"""Atomic files: whoever opens the path sees the old file or the whole new one, whenever the process
or the power dies.

Temporary file in the same folder -> flush -> fsync -> os.replace -> fsync of the folder (Pillai et
al., OSDI 2014, "All File Systems Are Not Created Equal").
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket

_SUFFIX = ".fnn-tmp"
_mine: set[str] = set()  # temporary files that this process is writing just now


@contextlib.contextmanager
def atomic_write(path):
    """`with atomic_write(path) as file:` gives a binary file that becomes `path` when the block
    ends without an error.

    With an error nothing is left behind. What a killed process left behind is removed by the next
    write to the same path.
    """
    path = os.path.realpath(os.fspath(path))  # a link stays a link: what it points to is replaced
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path}: there is a directory of that name")
    _remove_leftovers(folder, name)
    temporary = os.path.join(folder, f".{name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}")
    _mine.add(temporary)
    try:
        # "x": never through a file or link that someone else has put there.
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            with contextlib.suppress(OSError):  # a mode that cannot be kept is no reason to lose the file
                os.chmod(temporary, os.stat(path).st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        # A full disk has no name, and nobody knows the temporary file's: say which file was not written.
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary):
            raise OSError(error.errno, error.strerror, path) from error
        raise
    finally:
        _mine.discard(temporary)
    _sync_folder(folder)


def _sync_folder(folder):
    """Make the new name itself last; some file systems and Windows cannot, and then there is
    nothing to be done.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_leftovers(folder, name):
    pattern = re.compile(rf"\.{re.escape(name)}\.{re.escape(_host())}-(\d+)-[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
    try:
        entries = os.listdir(folder)
    except OSError:
        return  # the write itself will say what is wrong
    for entry in entries:
        match = pattern.fullmatch(entry)
        leftover = os.path.join(folder, entry)
        if match and leftover not in _mine and not _runs(int(match[1])):
            with contextlib.suppress(OSError):
                os.unlink(leftover)


def _runs(pid):
    if pid == os.getpid():
        # Not one of ours (see the caller): an earlier process of this number, as in containers.
        return False
    if os.name != "posix":
        return True  # there os.kill would end the process instead of asking after it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _host():
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())
