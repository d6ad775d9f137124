"""Every kernel of the catalogue and NumPy's way of computing the same, as rows of pytest-benchmark: make bench-pytest.

A group is a row of `make bench`. What pytest-benchmark adds is its statistics, its comparison of stored
runs (--benchmark-save, --benchmark-compare) and its histograms.
"""

import catalogue
import numpy as np
import pytest

ROWS = catalogue.rows()


@pytest.mark.parametrize("side", ["fastnn", "numpy"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row).replace(" ", "-"))
def test_kernel(benchmark, row, side):
    program, numpy_call = catalogue.sides(row)
    benchmark.group = str(row)
    benchmark.extra_info["family"] = row.family()
    with np.errstate(all="ignore"):
        benchmark(program.run if side == "fastnn" else numpy_call)
