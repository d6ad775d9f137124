"""Convolutions of random shapes: the same bits for any number of threads. And strides beyond any image."""

import numpy as np
import pytest

import fastnn
from fastnn import _core
from fastnn.tensor import from_numpy

WORK = 2e7  # multiply-adds at most


def draw(rng):
    """Sizes and geometry of a convolution: along one or two axes, dilated, strided, by groups or depthwise."""
    while True:
        n, size, taps = int(rng.integers(1, 9)), int(rng.integers(6, 40)), int(rng.integers(1, 6))
        c, k = (int(np.exp(rng.uniform(0, 6.2))) for _ in range(2))
        g = int(rng.choice([1, 1, 1, 4]))
        c, k = -(-c // g), -(-k // g)
        if rng.random() < 0.1:
            g, c, k = c, 1, int(rng.choice([1, 2, 9]))
        flat, stride, dilation = rng.random() < 0.3, int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2]))
        pad = int(rng.integers(0, taps))
        h, r, top = (1, 1, 0) if flat else (size, taps, pad)
        reach = (taps - 1) * dilation
        p = 1 if flat else (size + 2 * pad - reach - 1) // stride + 1
        q = (size + 2 * pad - reach - 1) // stride + 1
        if q > 0 and n * p * q * c * k * g * r * taps < WORK:
            shapes = (n, h, size, g * c), (r, taps, c, g * k), (n, p, q, g * k)
            return shapes, (1 if flat else stride, stride, top, pad, 1 if flat else dilation, dilation, g)


# Images one pixel wide with few filters: cut for seven members, the last line sees a single pixel.
NARROW = [(((1, h, 1, 6000), (2, 1, 6000, 8), (1, h, 1, 8)), (1, 1, 0, 0, 1, 1, 1)) for h in (5, 7)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("seed", [*range(100), *NARROW], ids=lambda s: str(s) if isinstance(s, int) else f"{s[0][0]}")
def test_threads_do_not_change_bits(seed, precision):
    rng = np.random.default_rng(seed if isinstance(seed, int) else 0)
    shapes, geometry = draw(rng) if isinstance(seed, int) else seed
    x, w, y = (from_numpy(rng.standard_normal(s).astype(np.float32)) for s in shapes)
    dx, dw, out = (from_numpy(np.empty(s, np.float32)) for s in shapes)
    before = _core.max_threads()
    results = []
    fastnn.config.set_matmul_precision(precision)
    try:
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            _core.kernels["conv2d"](x, w, None, out, *geometry, 0, 0.0)
            _core.kernels["conv2d_input_grad"](y, w, dx, *geometry)
            _core.kernels["conv2d_weight_grad"](x, y, dw, *geometry)
            results.append([t.numpy().tobytes() for t in (out, dx, dw)])
    finally:
        _core.set_max_threads(before)
        fastnn.config.set_matmul_precision("float32")
    assert all(r == results[0] for r in results), (shapes, geometry)


def test_strides_beyond_the_image_take_no_time():
    """A loop over a stride of 10^9 would."""
    dy, w = from_numpy(np.ones((1, 1, 1, 4), np.float32)), from_numpy(np.ones((2, 2, 3, 4), np.float32))
    dx = from_numpy(np.empty((1, 5, 6, 3), np.float32))
    _core.kernels["conv2d_input_grad"](dy, w, dx, 10**9, 10**9, 1, 0, 1, 1, 1)
    expected = np.zeros((5, 6, 3))
    expected[0, :2] = 4
    np.testing.assert_array_equal(dx.numpy()[0], expected)
