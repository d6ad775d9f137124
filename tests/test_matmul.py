"""Matrix products at the seams of their tiles: every form against float64, no write beside the result,
and the same bits for one thread and for several.
"""

import itertools

import numpy as np
import pytest

from fastnn import _core
from fastnn.tensor import from_numpy

EDGES = [0, 1, 2, 5, 6, 7, 8, 13, 15, 16, 17, 31, 33, 47, 64, 97]
rng = np.random.default_rng(0)
SHAPES = [s for s in itertools.product(EDGES, EDGES, [0, 1, 2, 7, 8, 16, 17, 33, 97]) if rng.random() < 0.02]
SHAPES += [(m, n, k) for m in (5, 25, 193) for n in (15, 129, 515) for k in (257, 600)]
SHAPES += [(m, 130, k) for m in (25, 26, 27, 28, 29, 31, 103) for k in (512, 1024)]
SHAPES += [(1, 1000, 3000), (3, 777, 4500), (1000, 1, 4500), (17, 1, 9000), (300, 10, 513), (600, 530, 1)]
GUARD = 64  # elements before and behind the result
FORMS = {
    "nn": lambda a, b: (a, b),
    "nt": lambda a, b: (a, b.swapaxes(-1, -2)),
    "tn": lambda a, b: (a.swapaxes(-1, -2), b),
}


@pytest.fixture(autouse=True)
def restore_settings():
    isa, threads = _core.current_isa(), _core.max_threads()
    yield
    _core.set_isa(isa)
    _core.set_max_threads(threads)


def guarded(shape, dtype):
    """A result inside a larger array filled with 777."""
    whole = np.full(int(np.prod(shape)) + 2 * GUARD, 777, dtype)
    return whole, whole[GUARD:-GUARD].reshape(shape)


def run(kernel, shape, dtype, *arguments):
    """The result on one and on three threads, which must be equal; nothing beside it is written."""
    results = []
    for threads in (1, 3):
        _core.set_max_threads(threads)
        whole, c = guarded(shape, dtype)
        kernel(
            *(from_numpy(x) if isinstance(x, np.ndarray) else x for x in arguments[0]), from_numpy(c), *arguments[1:]
        )
        assert (whole[:GUARD] == 777).all() and (whole[whole.size - GUARD :] == 777).all()
        results.append(c.copy())
    np.testing.assert_array_equal(*results)
    return results[0]


def check_product(a, b, c):
    """Within the rounding of blocks of 256 products: a few sqrt(k) eps of the sum of |products|."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[-1]
    bound = np.finfo(c.dtype).eps * (8 + 2 * np.sqrt(k)) * (np.abs(a) @ np.abs(b))
    assert (np.abs(c - a @ b) <= bound).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", _core.available_isas())
def test_products(isa, dtype, form):
    _core.set_isa(isa)
    kernel = _core.kernels[f"matmul_{form}"]
    for m, n, k in SHAPES:
        a = rng.standard_normal((k, m) if form == "tn" else (m, k)).astype(dtype)
        b = rng.standard_normal((n, k) if form == "nt" else (k, n)).astype(dtype)
        check_product(*FORMS[form](a, b), run(kernel, (m, n), dtype, (a, b)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_of_products(dtype, form):
    kernel = _core.kernels[f"batch_matmul_{form}"]
    for count, (m, n, k) in itertools.product([0, 1, 5], [(0, 2, 3), (7, 9, 11), (1, 33, 16), (130, 170, 190)]):
        a = rng.standard_normal((count, k, m) if form == "tn" else (count, m, k)).astype(dtype)
        b = rng.standard_normal((count, n, k) if form == "nt" else (count, k, n)).astype(dtype)
        check_product(*FORMS[form](a, b), run(kernel, (count, m, n), dtype, (a, b)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_rows(dtype):
    for m, n in [(0, 3), (3, 0), (1, 1), (255, 33), (256, 5), (257, 64), (70000, 3), (5000, 131)]:
        x = (rng.standard_normal((m, n)) + 3).astype(dtype)
        got = run(_core.kernels["sum_rows"], (n,), dtype, (x,))
        size = np.abs(x).sum(0, dtype=np.longdouble)
        assert (np.abs(got - x.sum(0, dtype=np.longdouble)) <= 16 * np.finfo(dtype).eps * size).all()
