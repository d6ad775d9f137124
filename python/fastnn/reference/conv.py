"""Convolution in NumPy: a loop over the taps, each a product of channels."""

import math

import numpy as np

from . import T, kernel_case, op_case

# Those of csrc/activations.h that the cases below use, by their number there.
ACTIVATIONS = {
    0: lambda x: x,
    2: lambda x: 1 / (1 + np.exp(-x)),
    3: np.tanh,
    4: lambda x: np.maximum(x, 0),
}


def windows(size, out, tap, stride, pad, dilation):
    """Outputs that see the input with this tap, and the inputs they see."""
    at = np.arange(out) * stride - pad + tap * dilation
    inside = (at >= 0) & (at < size)
    return np.flatnonzero(inside), at[inside]


def each_tap(h, w, p, q, r, s, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w):
    """For every tap (i, j): outputs and inputs that meet there, as indices of arrays."""
    images = slice(None)
    for i in range(r):
        out_h, in_h = windows(h, p, i, stride_h, pad_top, dilation_h)
        for j in range(s):
            out_w, in_w = windows(w, q, j, stride_w, pad_left, dilation_w)
            if len(out_h) and len(out_w):
                yield i, j, (images, out_h[:, None], out_w), (images, in_h[:, None], in_w)


def split(x, g):
    return x.reshape(*x.shape[:-1], g, x.shape[-1] // g)


# n, h, w, c a group, output p, q, window r, s, k a group. Every combination with SCALARS must work:
# whatever a window sees outside the input is padding, however far away.
SIZES = [
    dict(n=n, h=h, w=w, c=c, p=p, q=q, r=r, s=s, k=k)
    for n, h, w, c, p, q, r, s, k in [
        (1, 1, 1, 1, 1, 1, 1, 1, 1),
        (2, 6, 7, 3, 6, 7, 3, 3, 5),
        (1, 9, 5, 17, 4, 3, 2, 3, 16),
        (3, 4, 4, 1, 5, 6, 5, 1, 33),
        (2, 1, 37, 4, 1, 35, 1, 3, 8),
        (1, 8, 8, 2, 8, 8, 1, 1, 2),
        (0, 4, 4, 2, 4, 4, 3, 3, 2),
        (2, 0, 4, 2, 2, 2, 3, 3, 2),
        (2, 4, 4, 2, 0, 3, 3, 3, 2),
        (2, 4, 4, 0, 2, 2, 3, 3, 2),
        (2, 4, 4, 2, 2, 2, 0, 3, 2),
        (1, 2, 3, 2, 9, 11, 4, 4, 3),
        (2, 7, 9, 19, 7, 9, 3, 3, 1),
        (1, 5, 6, 33, 5, 6, 3, 2, 3),
        (8, 15, 16, 17, 15, 16, 3, 3, 19),  # Winograd, where stride and dilation are 1
        (2, 6, 7, 10, 5, 6, 3, 2, 35),  # some columns beyond whole panels
        (1, 7, 8, 200, 6, 8, 2, 2, 3),  # more input channels than a tile takes
        (1, 4, 5, 1, 3, 4, 2, 3, 9),  # by groups: many outputs of one channel
    ]
] + [dict(n=1, h=1, w=1200, c=1, p=1, q=1100, r=1, s=101, k=2)]
SCALARS = [
    dict(stride_h=a, stride_w=b, pad_top=t, pad_left=u, dilation_h=d, dilation_w=e, g=g)
    for a, b, t, u, d, e, g in [
        (1, 1, 0, 0, 1, 1, 1),
        (1, 1, 1, 1, 1, 1, 1),
        (2, 3, 1, 0, 1, 1, 1),
        (1, 1, 2, 2, 2, 3, 1),
        (2, 2, 3, 2, 3, 2, 2),
        (4, 2, 0, 1, 2, 2, 1),
        (1, 1, 1, 1, 1, 1, 3),
        (2, 1, 1, 2, 1, 2, 9),
        (7, 5, 1, 1, 1, 1, 1),
    ]
]
FUSED = [dict(s, activation=kind, alpha=0.0) for s, kind in zip(SCALARS, [0, 4, 2, 3, 0, 4, 0, 4, 0])] + [
    dict(SCALARS[1], b=None, activation=0, alpha=0.0),
    dict(SCALARS[4], b=None, activation=4, alpha=0.0),
]
BENCH = [
    dict(n=8, h=56, w=56, c=64, p=56, q=56, r=3, s=3, k=64),
    dict(n=32, h=28, w=28, c=1, p=28, q=28, r=3, s=3, k=32),
    dict(n=32, h=13, w=13, c=32, p=13, q=13, r=3, s=3, k=64),
]


def tolerance(n, h, w, c, p, q, r, s, k, **_):
    # The longest sum: over a window forward, over the outputs for dw.
    return 4 * math.sqrt(max(r * s * max(c, k), n * p * q, 1)) + 4


@kernel_case(SIZES, BENCH, FUSED, tolerance=tolerance)
def conv2d(x, w, b, activation, alpha, sizes, g, **geometry):
    n, p, q, k = sizes["n"], sizes["p"], sizes["q"], sizes["k"]
    y = np.zeros((n, p, q, g, k)) + (0 if b is None else b.reshape(g, k))
    xg, wg = split(x, g), split(w, g)
    for i, j, out, seen in each_tap(*x.shape[1:3], p, q, *w.shape[:2], **geometry):
        y[out] += np.einsum("nhwgc,cgk->nhwgk", xg[seen], wg[i, j])
    return ACTIVATIONS[activation](y.reshape(n, p, q, g * k))


@kernel_case(SIZES, BENCH, SCALARS, tolerance=tolerance)
def conv2d_input_grad(dy, w, sizes, g, **geometry):
    n, h, width, c = sizes["n"], sizes["h"], sizes["w"], sizes["c"]
    dx = np.zeros((n, h, width, g, c))
    dyg, wg = split(dy, g), split(w, g)
    for i, j, out, seen in each_tap(h, width, *dy.shape[1:3], *w.shape[:2], **geometry):
        dx[seen] += np.einsum("nhwgk,cgk->nhwgc", dyg[out], wg[i, j])
    return dx.reshape(n, h, width, g * c)


@kernel_case(SIZES, BENCH, FUSED, tolerance=tolerance)
def conv2d_transpose(x, w, b, activation, alpha, sizes, g, **geometry):
    y = conv2d_input_grad(x, w, sizes, g, **geometry) + (0 if b is None else b)
    return ACTIVATIONS[activation](y)


@kernel_case(SIZES, BENCH, SCALARS, tolerance=tolerance)
def conv2d_weight_grad(x, dy, sizes, g, **geometry):
    r, s, c, k = sizes["r"], sizes["s"], sizes["c"], sizes["k"]
    dw = np.zeros((r, s, c, g, k))
    xg, dyg = split(x, g), split(dy, g)
    for i, j, out, seen in each_tap(*x.shape[1:3], *dy.shape[1:3], r, s, **geometry):
        dw[i, j] += np.einsum("nhwgc,nhwgk->cgk", xg[seen], dyg[out])
    return dw.reshape(r, s, c, g * k)


def marked(name):
    def activation(x):
        raise AssertionError("the kernel applies it")

    activation.fused = (name, 0.3)
    return activation


# --- ops -----------------------------------------------------------------------------------------

op_case("conv", inputs=T(2, 5, 6, 3), kernel=T(3, 2, 3, 4))
op_case("conv", inputs=T(2, 5, 6, 4), kernel=T(3, 3, 2, 6), strides=(2, 1), padding="same", bias=T(6))
op_case("conv", inputs=T(1, 7, 7, 2), kernel=T(2, 3, 2, 3), padding="same", dilation_rate=(2, 3))
op_case("conv", inputs=T(2, 9, 3), kernel=T(3, 3, 2), padding="causal", dilation_rate=2, bias=T(2))
op_case("conv", inputs=T(2, 9, 1), kernel=T(4, 1, 5), strides=3)
op_case("conv", inputs=T(2, 3, 3, 12), kernel=T(1, 1, 12, 5))
op_case("conv", inputs=T(1, 4, 4, 9), kernel=T(3, 3, 9, 2), padding="same")
op_case("depthwise_conv", inputs=T(2, 5, 4, 3), kernel=T(3, 3, 3, 1), padding="same", strides=2)
op_case("conv_pool", inputs=T(2, 7, 8, 3), kernel=T(3, 2, 3, 4), pool_size=2, bias=T(4))
op_case("conv_pool", inputs=T(2, 11, 4), kernel=T(3, 2, 4), pool_size=3, pool_strides=2, padding="causal")
op_case("conv_pool", inputs=T(2, 6, 7, 2), kernel=T(2, 2, 2, 3), pool_size=2, pooling="average", bias=T(3))
op_case("depthwise_conv", inputs=T(2, 5, 4, 3), kernel=T(2, 3, 3, 2), padding="same", bias=T(6))
op_case("depthwise_conv", inputs=T(2, 8, 9), kernel=T(3, 9, 3), dilation_rate=2)
op_case(
    "separable_conv",
    inputs=T(2, 5, 4, 3),
    depthwise_kernel=T(3, 2, 3, 2),
    pointwise_kernel=T(1, 1, 6, 4),
    bias=T(4),
)
op_case(
    "conv_transpose",
    inputs=T(2, 3, 4, 3),
    kernel=T(3, 3, 2, 3),
    strides=2,
    padding="same",
    bias=T(2),
)
op_case("conv", inputs=T(2, 4, 3, 4, 4), kernel=T(3, 2, 3, 2, 6), strides=(2, 1, 1), padding="same", bias=T(6))
op_case("conv_transpose", inputs=T(1, 3, 2, 9), kernel=T(2, 3, 4, 9), strides=(1, 3), output_padding=1)
op_case("conv_transpose", inputs=T(2, 5, 3), kernel=T(3, 4, 3), dilation_rate=2)
op_case("conv_transpose", inputs=T(2, 5, 8), kernel=T(5, 1, 8), strides=2)

# Activations that the kernel applies are recognised by the mark that those of ops/ bear.
for _name in ("tanh", "leaky_relu"):
    op_case("conv", inputs=T(2, 4, 5, 3), kernel=T(3, 3, 3, 2), bias=T(2), activation=marked(_name))
    op_case(
        "conv_transpose",
        inputs=T(2, 4, 5, 3),
        kernel=T(3, 3, 2, 3),
        bias=T(2),
        activation=marked(_name),
    )
