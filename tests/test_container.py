"""The `.fnn` file: what goes in comes out; damage, attacks and kills are errors or the old file."""

import io
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastnn.saving import Container, open_container, safetensors, write_container
from fastnn.saving.container import CONFIG, METADATA, OPTIMIZER, WEIGHTS

CONFIG_EXAMPLE = {"class_name": "Sequential", "config": {"layers": [1, 2.5, None, "é"]}}


def weights(value=1.0, n=6):
    return {"a/kernel": np.full((n, 2), value, np.float32), "a/bias": np.full(3, value)}


def write(path, value=1.0, **keywords):
    state = {"m": np.full(4, value, np.float32)}
    write_container(path, weights=weights(value), optimizer=state, config=CONFIG_EXAMPLE, **keywords)


def load(path):
    with open_container(path) as container:
        return container.config, container.read_weights(), container.read_optimizer()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.fnn"
    write(path)
    return path


def test_round_trip(path):
    with open_container(path) as container:
        assert container.metadata == {"format": "fastnn", "format_version": 1}
        assert container.config == CONFIG_EXAMPLE
        assert container.weights["a/kernel"] == safetensors.Entry("F32", (6, 2), 24, 72)
        for name, value in weights().items():
            got = container.read_weights()[name]
            assert got.dtype == value.dtype
            np.testing.assert_array_equal(got, value)
        np.testing.assert_array_equal(container.read_optimizer()["m"], np.ones(4))


def test_weights_alone(tmp_path):
    path = tmp_path / "m.weights.fnn"
    write_container(path, weights=weights(), metadata={"made_by": "me"})
    with open_container(path) as container:
        assert container.config is None and container.optimizer is None
        assert container.read_optimizer() is None
        assert container.metadata["made_by"] == "me"
        assert set(container.read_weights()) == set(weights())


def test_any_zip_program_and_the_reference_package_can_read_it(path):
    import safetensors.numpy as reference

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [METADATA, CONFIG, WEIGHTS, OPTIMIZER]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert json.loads(archive.read(CONFIG)) == CONFIG_EXAMPLE
        np.testing.assert_array_equal(reference.load(archive.read(WEIGHTS))["a/bias"], np.ones(3))


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_empty_weights(tmp_path):
    write_container(tmp_path / "m", weights={})
    assert load(tmp_path / "m") == (None, {}, None)


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"weights": {"w": np.zeros(2, complex)}}, "dtype complex128"),
        ({"weights": {}, "config": {"f": print}}, "config.json cannot be written"),
        ({"weights": {}, "config": {"x": float("nan")}}, "config.json cannot be written"),
        ({"weights": {}, "metadata": {"format": "x"}}, "must not set format"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(path, keywords, message):
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        write_container(path, **keywords)
    assert path.read_bytes() == before and os.listdir(path.parent) == ["model.fnn"]


# --- damage ---------------------------------------------------------------------------------------


def load_bytes(data):
    container = Container(io.BytesIO(data), "m.fnn")
    return container.config, container.read_weights(), container.read_optimizer()


def test_truncation_at_every_byte(path):
    data = path.read_bytes()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="m.fnn cannot be read"):
            load_bytes(data[:length])


@pytest.mark.parametrize("wide", [False, True])
def test_a_flip_of_any_bit_is_seen_or_does_not_matter(tmp_path, monkeypatch, wide):
    if wide:  # the records of files from 2 GiB on; here from 100 bytes on
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    write(tmp_path / "m")
    data = bytearray((tmp_path / "m").read_bytes())
    assert (b"PK\6\6" in data) == wide
    expected = repr(load_bytes(bytes(data)))
    seen = 0
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        try:  # a date, say, does not matter: nothing that was read may differ
            assert repr(load_bytes(bytes(data))) == expected
        except ValueError:
            seen += 1
        data[bit // 8] ^= 1 << bit % 8
    assert seen > 6 * len(data)


def test_bytes_around_the_file(path):
    data = path.read_bytes()
    for changed in (data + b"\0", data + data[-22:], b"", b"PK", b"\0" * 200, b"not a zip" * 50):
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="model.fnn"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(path.parent / "absent")


# --- attacks --------------------------------------------------------------------------------------


def archive(path, members, compression=zipfile.ZIP_STORED):
    """A zip of any members: (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def parts(**changes):
    stream = io.BytesIO()
    safetensors.write(stream, weights())
    members = {METADATA: b'{"format": "fastnn", "format_version": 1}', WEIGHTS: stream.getvalue()}
    members |= {key: value for key, value in changes.items() if key not in members}
    return list((members | changes).items())


def info(name, mode=0o644, kind=stat.S_IFREG):
    made = zipfile.ZipInfo(name)
    made.external_attr = (kind | mode) << 16
    return made


def test_zips_of_other_programs(path, tmp_path):
    # Python's zipfile with other dates and extra fields, as a program that repacks would write.
    again = tmp_path / "again.fnn"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(again, "w") as new:
        for item in reversed(old.infolist()):
            repacked = zipfile.ZipInfo(item.filename, (2024, 2, 29, 1, 2, 4))
            repacked.extra = b"UT\5\0\3\1\2\3\4"
            new.writestr(repacked, old.read(item))
    assert repr(load(again)) == repr(load(path))


def test_the_hand_made_twin_is_read(tmp_path):
    assert set(load(archive(tmp_path / "m", parts()))[1]) == set(weights())


@pytest.mark.parametrize(
    "members, message",
    [
        ([], "no metadata.json, weights"),
        (parts()[:1], "no weights.safetensors"),
        (parts()[1:], "no metadata.json"),
        ([*parts(), ("../evil", b"x")], "does not belong"),
        ([*parts(), ("/etc/passwd", b"x")], "does not belong"),
        ([*parts(), (info("folder/", kind=stat.S_IFDIR), b"")], "folder"),
        ([*parts(), ("confıg.json", b"{}")], "strange name"),
        ([*parts(), *parts()[:1]], "twice"),
        ([*parts(), ("a", b""), ("b", b""), ("c", b"")], "5 members"),
        ([*parts()[:1], (info(WEIGHTS, kind=stat.S_IFLNK), b"/etc/passwd")], "link"),
        (parts(**{METADATA: b"[]"}), "begin with"),
        (parts(**{METADATA: b"{}"}), "format is None"),
        (parts(**{METADATA: b'{"format": "fastnn"}'}), "format_version is None"),
        (parts(**{METADATA: b'{"format": "fastnn", "format_version": true}'}), "is True"),
        (parts(**{METADATA: b'{"format": "fastnn", "format_version": 0}'}), "is 0"),
        (parts(**{METADATA: b'{"format": "fastnn", "format_version": 2}'}), "upgrade"),
        (parts(**{METADATA: b'{"format": "fastnn", "format": "x"}'}), "twice"),
        (parts(**{CONFIG: b"{"}), "not the JSON"),
        (parts(**{CONFIG: b'{"a":' * 10_000 + b"1" + b"}" * 10_000}), "nested too deeply"),
        (parts(**{CONFIG: b'{"a":[' + b"[]," * 300_000 + b"1]}"}), "brackets"),
        (parts(**{CONFIG: b'{"a": NaN}'}), "NaN"),
        (parts(**{WEIGHTS: b""}), "too few"),
        (parts(**{WEIGHTS: b"\xff" * 64}), "header's length"),
        (parts(**{OPTIMIZER: b"\0" * 8}), "header's length"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_attacks(tmp_path, members, message):
    with pytest.raises(ValueError, match=message):
        load(archive(tmp_path / "m", members))


def test_compression_is_refused_before_it_is_undone(tmp_path):
    bomb = parts(**{WEIGHTS: b"\0" * (64 << 20)})
    path = archive(tmp_path / "m", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(ValueError, match="compressed"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_claimed_sizes_are_checked_before_memory_is_taken(path):
    # Both sizes of the weights in the zip's directory say 3 GiB.
    data = bytearray(path.read_bytes())
    place = data.rindex(WEIGHTS.encode()) - 46
    assert data[place : place + 4] == b"PK\1\2"
    data[place + 20 : place + 28] = (3 << 30).to_bytes(4, "little") * 2
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ValueError, match="two ways"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


AUDIT = """
import sys
import numpy  # what fastnn itself needs is there when a file is opened
from fastnn import initializers
from fastnn.serialization import deserialize_object
from fastnn.saving import open_container

path = sys.argv[1]
events = []
def hook(event, arguments):
    watched = ("exec", "compile", "import", "subprocess.", "os.", "socket.", "marshal.", "pickle.",
               "ctypes.", "code.", "shutil.", "urllib.", "open")
    if event.startswith(watched):
        events.append((event, repr(arguments)))
sys.addaudithook(hook)
with open_container(path) as container:
    config, weights = container.config, container.read_weights()
    made = deserialize_object(config)
    container.read_optimizer()
seen = list(events)
assert type(made["layers"][0]) is initializers.Constant and weights
assert len(seen) == 1 and seen[0][0] == "open" and path in seen[0][1], [e[0] for e in seen]
eval("1")
assert len(events) > len(seen)  # the hook does see what it is there for
print("quiet")
"""


def test_loading_opens_the_file_and_does_nothing_else(tmp_path):
    path = tmp_path / "m.fnn"
    constant = {"module": "keras.initializers", "class_name": "Constant", "config": {"value": 2}}
    state = {"m": np.ones(3)}
    write_container(path, weights=weights(), optimizer=state, config={"layers": [constant]})
    environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", AUDIT, str(path)], env=environment, capture_output=True, text=True)
    assert result.stdout == "quiet\n", result.stderr[-500:]


# --- kills ----------------------------------------------------------------------------------------


def in_fresh_process(function, folder):
    """Run a function of this file, which forks, where no other test has started threads."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    call = f"import pathlib, test_container as t; t.{function.__name__}(pathlib.Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", call], env=environment, check=True, timeout=120)


def save_until_killed(path):
    value = load(path)[1]["a/bias"][0]
    while True:
        value += 1
        write_container(path, weights=weights(value, 20_000), optimizer={"m": np.full(9, value)})


def kills(folder):
    path = folder / "model.fnn"
    write(path, 0.0)
    rng = random.Random(1)
    values, interrupted = set(), 0
    for _ in range(40):
        child = os.fork()
        if child == 0:
            save_until_killed(path)
        time.sleep(0.002 + 0.03 * rng.random())
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL  # it did not end by an error
        interrupted += len(os.listdir(folder)) > 1
        _, loaded, state = load(path)
        arrays = (*loaded.values(), *state.values())
        saved = {float(value) for array in arrays for value in array.flat}
        assert len(saved) == 1  # weights and optimizer of one and the same save
        values |= saved
    assert len(values) > 5 and interrupted > 0  # kills did come in the middle of saving
    write(path, 1.0)
    assert os.listdir(folder) == ["model.fnn"]


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    in_fresh_process(kills, tmp_path)


def full_disk(folder):
    import resource

    path = folder / "model.fnn"
    write(path, 0.0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    failures = 0
    for limit in range(0, 9600, 300):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write_container(path, weights=weights(1.0, 1000))
            expected = 1.0
        except OSError:
            failures += 1
            expected = 0.0
        assert os.listdir(folder) == ["model.fnn"]
        assert load(path)[1]["a/bias"][0] == expected
    assert failures > 20 and expected == 1.0


def test_a_full_disk_leaves_the_old_file(tmp_path):
    in_fresh_process(full_disk, tmp_path)
