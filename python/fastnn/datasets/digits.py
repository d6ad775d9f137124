"""1,797 handwritten digits of 8x8 pixels, inside the package (`digits.npz`, 50 KB, no download).

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, doi:10.24432/C50P49 (the test part: 13 writers), licensed CC BY 4.0.
Layout: `x` uint8 (1797, 8, 8), the number of inked pixels (0..16) in each 4x4 block of a 32x32
bitmap; `y` uint8 (1797,), the digit. Written by scripts/pack_digits.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_data(test_fraction: float = 0.25) -> Split:
    """Load the digits as `(x_train, y_train), (x_test, y_test)`.

    x uint8 (n, 8, 8) with values 0..16 (divide by 16 to scale to 0..1), y uint8 (n,).

    The split is the same on every machine and holds no random numbers: of each class's examples, in
    the order of the file, every 1/test_fraction-th is held out. So each class, and each writer
    (whose digits lie next to each other in the file), gives the same share to both parts.

    Raises ValueError unless 0 <= test_fraction < 1.
    """
    if not _is_fraction(test_fraction):
        raise ValueError(f"test_fraction: expected a number in [0, 1), received {test_fraction!r}")
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    held_out = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        of_class = np.flatnonzero(y == digit)
        held_out[of_class] = _every(test_fraction, len(of_class))
    return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])


def _is_fraction(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(0 <= value < 1)


def _every(fraction: float, n: int) -> np.ndarray:
    """n flags, True at evenly spaced places: Bresenham's line of slope `fraction`."""
    # The half centres the places; the last bits of k * fraction must not decide, hence the nudge.
    height = np.floor(np.arange(n + 1) * fraction + 0.5 + 1e-9)
    return np.diff(height) > 0
