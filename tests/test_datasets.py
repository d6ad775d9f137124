"""The bundled digits, the IDX reader, and the two data sets that are read from IDX files.

All arithmetic is on integers, so every comparison is exact.
"""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from fastnn.datasets import digits, fashion_mnist, mnist, read_idx

# Examples of each class, as the repository's description of the test part states them.
DIGITS_PER_CLASS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def idx(array, code=0x08):
    """The bytes of an IDX file, written independently of the reader."""
    sizes = b"".join(struct.pack(">I", n) for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def write_set(folder, n_train=20, n_test=10, pack=lambda data: data, suffix=""):
    """Four small files in MNIST's layout; returns the arrays."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for part, n in (("train", n_train), ("t10k", n_test)):
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        y = rng.integers(0, 10, n, dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(x)))
        (folder / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(y)))
        parts.append((x, y))
    return parts


def assert_same(loaded, expected):
    for (x, y), (x_expected, y_expected) in zip(loaded, expected, strict=True):
        np.testing.assert_array_equal(x, x_expected)
        np.testing.assert_array_equal(y, y_expected)
        assert x.dtype == y.dtype == np.uint8


# --- digits -------------------------------------------------------------------------------------


def test_digits_are_the_published_ones():
    (x, y), (x_none, y_none) = digits.load_data(test_fraction=0)
    assert x.shape == (1797, 8, 8) and x.dtype == np.uint8 and (x.min(), x.max()) == (0, 16)
    assert y.shape == (1797,) and y.dtype == np.uint8
    assert x_none.shape == (0, 8, 8) and y_none.shape == (0,)
    assert np.bincount(y).tolist() == DIGITS_PER_CLASS
    # The first image, as printed in many tutorials: a zero.
    assert x[0, 1].tolist() == [0, 0, 13, 15, 10, 15, 5, 0] and y[0] == 0
    assert hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest() == (
        "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    )


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 1 / 3, 0.5, 0.75, np.float32(0.2)])
def test_digits_split_is_stratified_and_complete(fraction):
    (x, y), _ = digits.load_data(0)
    (x_train, y_train), (x_test, y_test) = digits.load_data(fraction)
    held_out = np.bincount(y_test, minlength=10)
    assert np.all(np.abs(held_out - fraction * np.array(DIGITS_PER_CLASS)) <= 1)
    assert np.array_equal(held_out + np.bincount(y_train, minlength=10), DIGITS_PER_CLASS)

    def rows(x, y):
        return sorted(image.tobytes() + bytes([label]) for image, label in zip(x, y, strict=True))

    assert sorted(rows(x_train, y_train) + rows(x_test, y_test)) == rows(x, y)


def test_digits_default_is_a_quarter_and_repeats():
    (x_train, _), (x_test, y_test) = digits.load_data()
    assert (len(x_train), len(x_test)) == (1346, 451)
    # The held-out quarter is part of every published accuracy: it must never move.
    assert hashlib.sha256(x_test.tobytes() + y_test.tobytes()).hexdigest() == (
        "c56041ab90bed1448d5f4df97d7113ba744b2987df16b11847f7902f008816a4"
    )
    x_train[:] = 0  # a caller's own copy
    assert digits.load_data()[0][0].any()


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, float("nan"), "0.25", None])
def test_digits_bad_fraction(fraction):
    with pytest.raises(ValueError, match=r"test_fraction: expected .*\[0, 1\), received"):
        digits.load_data(fraction)


# --- the IDX reader -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, dtype",
    [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3), (0, 4)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_round_trip(tmp_path, code, dtype, shape, pack):
    array = (np.arange(np.prod(shape)) - 2).astype(dtype).reshape(shape)
    path = tmp_path / "file"
    path.write_bytes(pack(idx(array, code)))
    result = read_idx(path)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.dtype(dtype).newbyteorder("=") and result.dtype.isnative
    assert result.flags.writeable and result.flags.c_contiguous


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "cut off in the header: expected 4 bytes, found 0"),
        (GOOD[:3], "cut off in the header: expected 4 bytes, found 3"),
        (GOOD[:9], "cut off in the header: expected 8 bytes, found 5"),
        (GOOD[:-1], r"shape \(2, 3\) needs 6 bytes of data, found only 5"),
        (GOOD + b"\0", r"shape \(2, 3\) needs 6 bytes of data, found more"),
        (b"\1" + GOOD[1:], "not an IDX file.*found 01 00 08"),
        (b"\0\0\x0a\1" + GOOD[4:], "not an IDX file.*found 00 00 0a"),
        (b"PK\3\4" + GOOD, "not an IDX file"),
        (bytes([0, 0, 8, 0]), "expected 1 to 32 dimensions, the header says 0"),
        (bytes([0, 0, 8, 33]) + bytes(4 * 33), "the header says 33"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "bytes, over 4294967296"),
        (bytes([0, 0, 14, 1]) + b"\x7f\xff\xff\xff", "bytes, over 4294967296"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_malformed(tmp_path, data, message, pack):
    path = tmp_path / "bad-idx"
    path.write_bytes(pack(data))
    with pytest.raises(ValueError, match=f"bad-idx: .*{message}"):
        read_idx(path)


def damage(data, at, mask=0xFF):
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(GOOD)[:-3],  # its checksum is cut off
        gzip.compress(GOOD)[:12],
        b"\x1f\x8b",
        damage(gzip.compress(GOOD), 2),  # unknown method
        damage(gzip.compress(GOOD), -8),  # wrong checksum
        damage(gzip.compress(GOOD), 10),  # bad deflate stream
    ],
    ids=["no-trailer", "cut", "magic-only", "method", "checksum", "deflate"],
)
def test_idx_damaged_gzip(tmp_path, damaged):
    path = tmp_path / "bad.gz"
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"bad\.gz: "):
        read_idx(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_every_flipped_header_byte_is_an_error(tmp_path, pack):
    path = tmp_path / "flipped"
    for at in range(12):
        path.write_bytes(pack(damage(GOOD, at, 0x40)))
        with pytest.raises(ValueError, match="flipped: "):
            read_idx(path)


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


# --- MNIST and Fashion-MNIST --------------------------------------------------------------------

SETS = pytest.mark.parametrize(
    "module, name", [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")], ids=["mnist", "fashion"]
)


@SETS
@pytest.mark.parametrize("pack, suffix", [(bytes, ""), (gzip.compress, ".gz")])
def test_folder_by_argument(tmp_path, module, name, pack, suffix):
    expected = write_set(tmp_path, pack=pack, suffix=suffix)
    assert_same(module.load_data(path=tmp_path), expected)
    assert_same(module.load_data(str(tmp_path)), expected)


@SETS
def test_folder_by_environment(tmp_path, monkeypatch, module, name):
    expected = write_set(tmp_path / name)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert_same(module.load_data(), expected)


@SETS
def test_argument_goes_before_environment(tmp_path, monkeypatch, module, name):
    write_set(tmp_path / name, n_train=3)
    expected = write_set(tmp_path / "mine", n_train=7)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert_same(module.load_data(tmp_path / "mine"), expected)


@pytest.fixture
def no_system_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    return tmp_path / "system"


def test_system_folder(no_system_folder):
    expected = write_set(no_system_folder / "fashion-mnist")
    assert_same(fashion_mnist.load_data(), expected)


def test_missing_fashion_mnist_says_what_to_type(no_system_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist.load_data()
    assert "apt-get install dataset-fashion-mnist" in str(caught.value)
    for folder in (tmp_path / "data", no_system_folder):
        assert str(folder / "fashion-mnist") in str(caught.value)


def test_missing_mnist_says_where_it_looked(no_system_folder):
    with pytest.raises(FileNotFoundError, match=f"{no_system_folder}/mnist.*pass path="):
        mnist.load_data()


def test_one_missing_file(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    message = "t10k-labels-idx1-ubyte.gz in .*apt-get install dataset-fashion-mnist"
    with pytest.raises(FileNotFoundError, match=message):
        fashion_mnist.load_data(tmp_path)


@pytest.mark.parametrize(
    "file, array, code, message",
    [
        ("train-images-idx3", np.zeros((20, 28, 27), "u1"), 8, r"\(n, 28, 28\), found uint8 \(20"),
        ("train-images-idx3", np.zeros((20, 784), "u1"), 8, r"found uint8 \(20, 784"),
        ("train-images-idx3", np.zeros((20, 28, 28), "i1"), 9, "found int8"),
        ("train-images-idx3", np.zeros((19, 28, 28), "u1"), 8, r"\(19,\), a label for each image"),
        ("t10k-labels-idx1", np.zeros(11, "u1"), 8, r"\(10,\), a label for each image"),
        ("t10k-labels-idx1", np.zeros((10, 1), "u1"), 8, r"found uint8 \(10, 1\)"),
        ("t10k-labels-idx1", np.full(10, 10, "u1"), 8, "expected labels 0 to 9, found 10"),
    ],
)
def test_files_that_do_not_fit(tmp_path, file, array, code, message):
    write_set(tmp_path)
    (tmp_path / f"{file}-ubyte").write_bytes(idx(array, code))
    with pytest.raises(ValueError, match=f"ubyte: .*{message}"):
        mnist.load_data(tmp_path)


def test_debian_fashion_mnist():
    if not (mnist.SYSTEM_FOLDER / "fashion-mnist").is_dir():
        pytest.skip("needs the Debian package dataset-fashion-mnist")
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * len(fashion_mnist.CLASS_NAMES)
    assert np.bincount(y_test).tolist() == [1000] * len(fashion_mnist.CLASS_NAMES)
