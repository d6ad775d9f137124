"""Small real data sets: `digits` ships inside the package, the others are read from IDX files.

    (x_train, y_train), (x_test, y_test) = fastnn.datasets.digits.load_data()

Every `load_data` returns uint8 arrays: images (n, height, width) and labels (n,).
"""

from . import digits, fashion_mnist, mnist
from .idx import read_idx

__all__ = ["digits", "fashion_mnist", "mnist", "read_idx"]
