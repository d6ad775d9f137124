"""Pooling and up-sampling in NumPy, window by window."""

import numpy as np

from . import T, kernel_case, op_case

SIZES = [
    dict({"dtype:x": "uint8"}, n=n, h=h, w=w, c=c, p=p, q=q)
    for n, h, w, c, p, q in [
        (1, 1, 1, 1, 1, 1),
        (2, 6, 7, 3, 3, 4),
        (1, 5, 9, 17, 5, 9),
        (3, 4, 4, 8, 2, 2),
        (2, 1, 19, 33, 1, 10),
        (1, 3, 2, 5, 6, 7),
        (0, 4, 4, 2, 2, 2),
        (2, 0, 4, 2, 2, 2),
        (2, 4, 4, 2, 0, 3),
        (2, 4, 4, 0, 2, 2),
    ]
]
SCALARS = [
    dict(pool_h=r, pool_w=s, stride_h=a, stride_w=b, pad_top=t, pad_left=u)
    for r, s, a, b, t, u in [
        (2, 2, 2, 2, 0, 0),
        (3, 3, 2, 2, 1, 1),
        (3, 2, 1, 1, 1, 0),
        (1, 1, 1, 1, 0, 0),
        (2, 3, 3, 5, 0, 1),
        (5, 16, 1, 2, 2, 7),
        (1, 2, 1, 2, 0, 0),
    ]
]
BENCH = [dict({"dtype:x": "uint8"}, n=32, h=28, w=28, c=32, p=14, q=14)]
WIDE = [dict(s, **{"dtype:x": "int32"}) for s in SIZES[:5]]
# Few different values, so that windows hold equals.
EQUALS = dict(x=lambda rng, shape, sizes: rng.integers(-3, 4, shape))
TAPS = dict(arg=lambda rng, shape, sizes: rng.integers(0, 9, shape))


def each_window(h, w, p, q, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left):
    """For every output (i, j): the inputs of its window, as two lists, and their places in it."""
    for i in range(p):
        for j in range(q):
            inside = [
                (a, b, r * pool_w + s)
                for r in range(pool_h)
                for s in range(pool_w)
                if 0 <= (a := i * stride_h - pad_top + r) < h and 0 <= (b := j * stride_w - pad_left + s) < w
            ]
            if inside:
                yield i, j, *map(np.array, zip(*inside))


@kernel_case(SIZES + WIDE, BENCH, SCALARS, inputs=EQUALS)
def max_pool2d(x, sizes, **geometry):
    n, h, w, c = x.shape
    y = np.full((n, sizes["p"], sizes["q"], c), -np.inf)
    arg = np.zeros(y.shape, int)
    for i, j, rows, cols, taps in each_window(h, w, *y.shape[1:3], **geometry):
        window = x[:, rows, cols]
        best = window.argmax(1)
        y[:, i, j] = np.take_along_axis(window, best[:, None], 1)[:, 0]
        arg[:, i, j] = taps[best]
    return y, arg


@kernel_case(SIZES + WIDE, BENCH, SCALARS, inputs=TAPS)
def max_pool2d_grad(arg, dy, sizes, **geometry):
    dx = np.zeros((sizes["n"], sizes["h"], sizes["w"], sizes["c"]))
    for i, j, rows, cols, taps in each_window(*dx.shape[1:3], *dy.shape[1:3], **geometry):
        dx[:, rows, cols] += np.where(arg[:, i, j, None] == taps[:, None], dy[:, i, j, None], 0)
    return dx


@kernel_case(SIZES, BENCH, SCALARS, tolerance=16)
def average_pool2d(x, sizes, **geometry):
    n, h, w, c = x.shape
    y = np.zeros((n, sizes["p"], sizes["q"], c))
    for i, j, rows, cols, _ in each_window(h, w, *y.shape[1:3], **geometry):
        y[:, i, j] = x[:, rows, cols].mean(1)
    return y


@kernel_case(SIZES, BENCH, SCALARS, tolerance=16)
def average_pool2d_grad(dy, sizes, **geometry):
    dx = np.zeros((sizes["n"], sizes["h"], sizes["w"], sizes["c"]))
    for i, j, rows, cols, _ in each_window(*dx.shape[1:3], *dy.shape[1:3], **geometry):
        dx[:, rows, cols] += dy[:, i, j, None] / len(rows)
    return dx


GLOBAL = [
    dict(n=n, l=length, c=c) for n, length, c in [(1, 1, 1), (2, 49, 33), (3, 300, 8), (1, 5, 65), (0, 3, 2), (2, 3, 0)]
]
GLOBAL_BENCH = [dict(n=32, l=49, c=512)]


# Sums of 128, then of these: 20 eps is ample for 300 terms.
@kernel_case([*GLOBAL, dict(n=2, l=0, c=3)], GLOBAL_BENCH, [{}, dict(mask=None)], tolerance=20)
def global_average_pool(x, mask):
    mask = np.ones(x.shape[:2], bool) if mask is None else mask
    return (x * mask[..., None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None]


@kernel_case(GLOBAL, GLOBAL_BENCH, [{}, dict(mask=None)])
def global_average_pool_grad(mask, dy, sizes):
    mask = np.ones((sizes["n"], sizes["l"]), bool) if mask is None else mask
    return mask[..., None] * (dy / np.maximum(mask.sum(1), 1)[:, None])[:, None]


@kernel_case(GLOBAL, GLOBAL_BENCH)
def global_max_pool(x):
    return x.max(1, initial=-np.inf)


@kernel_case(GLOBAL, GLOBAL_BENCH, inputs=dict(EQUALS, y=lambda rng, shape, sizes: np.full(shape, 3)))
def global_max_pool_grad(x, y, dy):
    best = x == y[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(best, (dy / best.sum(1))[:, None], 0)


IMAGES = [
    dict(n=n, h=h, w=w, c=c) for n, h, w, c in [(1, 1, 1, 1), (2, 3, 5, 3), (1, 4, 2, 17), (0, 2, 2, 2), (1, 2, 3, 0)]
]
FACTORS = [dict(size_h=a, size_w=b) for a, b in [(1, 1), (2, 2), (1, 3), (3, 2)]]


@kernel_case(IMAGES, [dict(n=8, h=28, w=28, c=64, size_h=2, size_w=2)], FACTORS, exact=True)
def upsample_nearest2d(x, size_h, size_w):
    return x.repeat(size_h, 1).repeat(size_w, 2)


@kernel_case(IMAGES, [dict(n=8, h=28, w=28, c=64, size_h=2, size_w=2)], FACTORS)
def upsample_nearest2d_grad(dy, size_h, size_w):
    n, p, q, c = dy.shape
    return dy.reshape(n, p // size_h, size_h, q // size_w, size_w, c).sum((2, 4))


def bilinear(size, out):
    """The matrix (out, size) that interpolates along one axis."""
    at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


RESIZES = [dict(s, p=p, q=q) for s in IMAGES for p, q in [(1, 1), (2, 6), (8, 5), (9, 10)]]
RESIZE_BENCH = [dict(n=8, h=28, w=28, c=64, p=56, q=56)]


@kernel_case(RESIZES, RESIZE_BENCH)
def resize_bilinear(x, sizes):
    rows, cols = bilinear(x.shape[1], sizes["p"]), bilinear(x.shape[2], sizes["q"])
    return np.einsum("ph,qw,nhwc->npqc", rows, cols, x, optimize=True)


@kernel_case(RESIZES, RESIZE_BENCH)
def resize_bilinear_grad(dy, sizes):
    rows, cols = bilinear(sizes["h"], dy.shape[1]), bilinear(sizes["w"], dy.shape[2])
    return np.einsum("ph,qw,npqc->nhwc", rows, cols, dy, optimize=True)


# --- ops -----------------------------------------------------------------------------------------

op_case("max_pool", inputs=T(2, 5, 6, 3), pool_size=2)
op_case("max_pool", inputs=T(2, 5, 6, 3), pool_size=(3, 2), strides=(1, 2), padding="same")
op_case("max_pool", inputs=T(2, 9, 3), pool_size=4, strides=2, padding="same")
op_case("max_pool", inputs=T(1, 20, 20, 1), pool_size=18, strides=1)
op_case("average_pool", inputs=T(2, 5, 6, 3), pool_size=(3, 2), strides=(1, 2), padding="same")
op_case("average_pool", inputs=T(2, 9, 3), pool_size=2)
op_case("max_pool", inputs=T(2, 4, 5, 3, 2), pool_size=(2, 3, 2), strides=(1, 2, 1), padding="same")
op_case("average_pool", inputs=T(2, 4, 5, 3, 2), pool_size=(2, 3, 2), strides=(1, 2, 1), padding="same")
op_case("global_max_pool", inputs=T(2, 2, 3, 2, 3))
op_case("global_average_pool", inputs=T(2, 3, 4, 5))
op_case("global_average_pool", inputs=T(2, 4, 3), mask=np.array([[1, 0, 1, 1], [0, 0, 1, 0]], bool))
op_case("global_max_pool", inputs=T(2, 3, 4, 5))
op_case("upsample", inputs=T(2, 3, 4), size=3)
op_case("upsample", inputs=T(2, 3, 2, 2), size=(1, 2))
op_case("upsample", inputs=T(2, 3, 2, 2), size=(2, 3), interpolation="bilinear")
