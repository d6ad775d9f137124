"""Fashion-MNIST: 70,000 pictures of 28x28 pixels, ten kinds of clothes, read from four IDX files.

Layout: as MNIST's. The files are not part of the package and nothing is downloaded; Debian and
Ubuntu have them as the package dataset-fashion-mnist.
Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
machine learning algorithms", arXiv:1708.07747, 2017.
"""

from __future__ import annotations

import os

from .digits import Split
from .mnist import load_folder

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_data(path: str | os.PathLike[str] | None = None) -> Split:
    """Load Fashion-MNIST as `(x_train, y_train), (x_test, y_test)`.

    x uint8 (60000, 28, 28) and (10000, 28, 28), 0 background to 255; y uint8 (60000,) and (10000,),
    named by CLASS_NAMES. The four IDX files are looked for in the folder `path`, or, without one,
    in `$FASTNN_DATA/fashion-mnist` and then /usr/share/datasets/fashion-mnist, where
    `apt-get install dataset-fashion-mnist` puts them.

    Raises FileNotFoundError where they are missing, ValueError where they are damaged.
    """
    hint = "On Debian and Ubuntu: apt-get install dataset-fashion-mnist"
    return load_folder("fashion-mnist", path, hint)
