#!/usr/bin/env python3
"""Write python/fastnn/datasets/digits.npz from scikit-learn's copy of the UCI digits.

Needs scikit-learn, which nothing else here does; the file is kept in the repository. Not needed
again unless the layout changes: this script is the record of where the bytes come from.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parent.parent / "python/fastnn/datasets/digits.npz"

data = load_digits()
x, y = data.images.astype(np.uint8), data.target.astype(np.uint8)
assert x.shape == (1797, 8, 8) and (x == data.images).all() and x.max() == 16
np.savez_compressed(TARGET, x=x, y=y)
print(f"{TARGET}: {TARGET.stat().st_size} bytes")
