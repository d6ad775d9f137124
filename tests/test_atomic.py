"""Atomic files: the old one or the new one, never half of either, and nothing left behind."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from fastnn.saving import atomic
from fastnn.saving.atomic import atomic_write


def write(path, data):
    with atomic_write(path) as file:
        file.write(data)


def test_new_and_again(tmp_path):
    path = tmp_path / "file"
    for data in (b"first", b"second, longer", b""):
        write(path, data)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write(path, b"old")

    def fail():
        with atomic_write(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failing_system_calls(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    write(path, b"old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    assert str(caught.value).endswith(f": '{path}'")


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "missing" / "model.fnn"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, b"new")
    assert caught.value.filename == str(path) and ".fnn-tmp" not in str(caught.value)
    with pytest.raises(PermissionError) as caught, atomic_write(tmp_path / "model.fnn"):
        raise PermissionError(errno.EACCES, "not for you", "another file")
    assert caught.value.filename == "another file"


def test_order_of_system_calls(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def record(*arguments, name=name, original=original):
            target = arguments[0]
            kind = os.fstat(target).st_mode if name == "fsync" else 0
            calls.append("fsync folder" if stat.S_ISDIR(kind) else name)
            if name == "fsync" and not stat.S_ISDIR(kind):
                assert os.fstat(target).st_size == 3  # flushed before
            return original(*arguments)

        monkeypatch.setattr(os, name, record)
    write(tmp_path / "file", b"abc")
    assert calls == ["fsync", "replace", "fsync folder"]


def test_links_and_modes_stay(tmp_path):
    target = tmp_path / "deep" / "target"
    target.parent.mkdir()
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(target)
    write(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        write(tmp_path / "fresh", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def test_directories_and_missing_folders(tmp_path):
    with pytest.raises(IsADirectoryError, match="directory of that name"):
        write(tmp_path, b"x")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "file", b"x")


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = process.pid

    def leave(name, pid, host=None):
        leftover = tmp_path / f".{name}.{host or atomic._host()}-{pid}-0123abcd.fnn-tmp"
        leftover.write_bytes(b"half")
        return leftover

    gone = [leave("file", dead), leave("file", os.getpid())]
    kept = [leave("file", os.getppid()), leave("other", dead), leave("file", dead, "elsewhere")]
    with atomic_write(tmp_path / "file") as outer:
        outer.write(b"outer")
        write(tmp_path / "file", b"inner")  # one in progress here is not a leftover
    assert (tmp_path / "file").read_bytes() == b"outer"
    assert not any(path.exists() for path in gone) and all(path.exists() for path in kept)
