"""MNIST: 70,000 handwritten digits of 28x28 pixels, read from its four IDX files.

Layout: train-images-idx3-ubyte and the like, gzipped or not, in one folder. The files are not part
of the package and nothing is downloaded: put them where `load_data` looks.
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .digits import Split
from .idx import read_idx

PARTS = ("train", "t10k")
SYSTEM_FOLDER = Path("/usr/share/datasets")
N_CLASSES = 10


def load_data(path: str | os.PathLike[str] | None = None) -> Split:
    """Load MNIST as `(x_train, y_train), (x_test, y_test)`.

    x uint8 (60000, 28, 28) and (10000, 28, 28), 0 paper to 255 ink; y uint8 (60000,) and (10000,).
    The four IDX files are looked for in the folder `path`, or, without one, in
    `$FASTNN_DATA/mnist` and then /usr/share/datasets/mnist.

    Raises FileNotFoundError where they are missing, ValueError where they are damaged.
    """
    hint = "Put the four IDX files of MNIST into one of these folders, or pass path=."
    return load_folder("mnist", path, hint)


def load_folder(name: str, path: str | os.PathLike[str] | None, hint: str) -> Split:
    """Load four IDX files named as MNIST's; `hint` ends the error about a missing one."""
    folder = _find_folder(name, path, hint)
    train, test = (_load_part(folder, part, hint) for part in PARTS)
    return train, test


def _find_folder(name: str, path: str | os.PathLike[str] | None, hint: str) -> Path:
    if path is not None:
        folders = [Path(path)]
    else:
        root = os.environ.get("FASTNN_DATA")
        folders = [Path(root) / name] if root else []
        folders.append(SYSTEM_FOLDER / name)
    for folder in folders:
        if folder.is_dir():
            return folder
    looked = ", ".join(map(str, folders))
    raise FileNotFoundError(f"{name}: no such folder: {looked}. {hint}")


def _load_part(folder: Path, part: str, hint: str) -> tuple[np.ndarray, np.ndarray]:
    x_path = _find_file(folder, f"{part}-images-idx3-ubyte", hint)
    y_path = _find_file(folder, f"{part}-labels-idx1-ubyte", hint)
    x, y = read_idx(x_path), read_idx(y_path)
    if x.dtype != np.uint8 or x.shape[1:] != (28, 28):
        raise ValueError(f"{x_path}: expected uint8 (n, 28, 28), found {x.dtype} {x.shape}")
    if y.dtype != np.uint8 or y.shape != x.shape[:1]:
        raise ValueError(
            f"{y_path}: expected uint8 ({len(x)},), a label for each image of {x_path.name}, found {y.dtype} {y.shape}"
        )
    if y.size and y.max() >= N_CLASSES:
        raise ValueError(f"{y_path}: expected labels 0 to {N_CLASSES - 1}, found {y.max()}")
    return x, y


def _find_file(folder: Path, name: str, hint: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"neither {name} nor {name}.gz in {folder}. {hint}")
