"""Convolutions in one and two dimensions: plain, grouped, depthwise, separable and transposed, alone or with the
pooling behind them; in three, plain and grouped.

Inputs are (batch, *spatial, channels); one dimension is two with a height of 1, three are a sum over depth of
two. Besides Keras' arguments there are `bias` and `activation`, which the kernel applies while the result is still
in registers: what the layers call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _core, geometry, kernels
from ..autograd import grad_to, is_differentiated, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .elementwise import add, cast
from .move import reshape
from .pooling import average_pool, max_pool, max_windows, windows_of
from .promotion import converted
from .slice import pad, strided_slice

__all__ = ["conv", "conv_pool", "conv_transpose", "depthwise_conv", "separable_conv"]

_LINEAR = (_core.activations["linear"][0], 0.0, "nothing")


class _Windows(NamedTuple):
    """How windows slide, for both axes."""

    strides: tuple[int, int]
    pads: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def arguments(self) -> tuple[int, ...]:
        return (*self.strides, *self.pads, *self.dilation, self.groups)


def _image(x: Tensor) -> Tensor:
    """(n, l, c) as (n, 1, l, c)."""
    return x if x.ndim == 4 else view(x, (x.shape[0], 1, *x.shape[1:]))


def _weights(W: Tensor, depthwise: bool) -> Tensor:
    """(s, c, k) as (1, s, c, k); depthwise (r, s, c, m) as (r, s, 1, c m)."""
    *spatial, c, k = W.shape
    shape = (1,) * (2 - len(spatial)) + tuple(spatial)
    return view(W, (*shape, 1, c * k) if depthwise else (*shape, c, k))


def _pre_activation(y: Tensor, dy: Tensor, fused: tuple) -> Tensor:
    kind, alpha, reads = fused
    if kind == _LINEAR[0]:
        return dy
    dz = empty(y.shape, like=y)
    kernels.activation_grad(None, y if reads == "output" else None, dy, dz, kind, alpha)
    return dz


def _gradients(x: Tensor, W: Tensor, b: Tensor | None, dz: Tensor, db_of: Tensor, windows: _Windows, depthwise: bool):
    """Those of x, W and b: dz is that of W * x, and db_of sums to the bias' over all but the last axis."""
    X, V, DZ, geo = _image(x), _weights(W, depthwise), _image(dz), windows.arguments()
    return (
        grad_to(x, lambda dx: kernels.conv2d_input_grad(DZ, V, _image(dx), *geo)),
        grad_to(W, lambda dW: kernels.conv2d_weight_grad(X, DZ, _weights(dW, depthwise), *geo)),
        None if b is None else grad_to(b, kernels.sum_rows, db_of),
    )


@op
def _conv(
    x: Tensor,
    W: Tensor,
    b: Tensor | None,
    size: tuple,
    windows: _Windows,
    depthwise: bool,
    fused: tuple,
):
    """y = act(b + W * x).   x (n, *spatial, gc), W (*window, c, gk), b (gk) -> y (n, *size, gk)"""
    V = _weights(W, depthwise)
    y = empty((x.shape[0], *size, V.shape[3]), like=x)
    kernels.conv2d(_image(x), V, b, _image(y), *windows.arguments(), *fused[:2])

    def backward(dy):
        dz = _pre_activation(y, dy, fused)
        return _gradients(x, W, b, dz, dz, windows, depthwise)

    return y, backward


@op
def _conv_max_pool(
    x: Tensor,
    W: Tensor,
    b: Tensor | None,
    size: tuple,
    windows: _Windows,
    fused: tuple,
    pooled: tuple,
    pools: tuple,
):
    """y = the largest of each window of act(b + W * x), of which nothing is kept but where those were: the gradient
    of the others is 0, and act' is a function of y.
    """
    z = empty((x.shape[0], *size, W.shape[-1]), like=x)
    kernels.conv2d(_image(x), _weights(W, False), b, _image(z), *windows.arguments(), *fused[:2])
    y, arg = max_windows(z, pooled, pools, is_differentiated((x, W, b)))
    shape = z.shape

    def backward(dy):
        dz_of_largest = _pre_activation(y, dy, fused)
        dz = empty(shape, like=y)
        kernels.max_pool2d_grad(_image(arg), _image(dz_of_largest), _image(dz), *pools)
        return _gradients(x, W, b, dz, dz_of_largest, windows, False)

    return y, backward


@op
def _conv_transpose(x: Tensor, W: Tensor, b: Tensor | None, size: tuple, windows: _Windows, fused: tuple):
    """As dy to dx in `_conv`.   x (n, *spatial, k), W (*window, c, k), b (c) -> y (n, *size, c)"""
    X, V, geo = _image(x), _weights(W, False), windows.arguments()
    y = empty((x.shape[0], *size, V.shape[2]), like=x)
    kernels.conv2d_transpose(X, V, b, _image(y), *geo, *fused[:2])

    def backward(dy):
        dz = _pre_activation(y, dy, fused)
        DZ = _image(dz)
        return (
            grad_to(x, lambda dx: kernels.conv2d(DZ, V, None, _image(dx), *geo, *_LINEAR[:2])),
            grad_to(W, lambda dW: kernels.conv2d_weight_grad(DZ, X, _weights(dW, False), *geo)),
            None if b is None else grad_to(b, kernels.sum_rows, dz),
        )

    return y, backward


# --- arguments -----------------------------------------------------------------------------------


def _operands(
    name: str, inputs: Any, kernel: Any, data_format: str | None, most: int = 2
) -> tuple[Tensor, Tensor, int]:
    """Inputs and kernel as tensors of the kernel's type, and the number of spatial axes."""
    geometry.check_channels_last(data_format)
    W = to_tensor(kernel)
    if not W.dtype.startswith("float"):
        raise TypeError(f"{name}: kernel is {W.dtype}, expected float32 or float64")
    x = to_tensor(inputs)
    if x.dtype != W.dtype:
        x = cast(x, W.dtype) if needs_grad(x) else converted(x, W.dtype)
    if not 3 <= x.ndim <= most + 2:
        many = "one or two" if most == 2 else "one to three"
        raise ValueError(f"{name}: inputs are (batch, *spatial, channels) with {many} spatial axes, got {x.shape}")
    if W.ndim != x.ndim:
        raise ValueError(f"{name}: a kernel {W.shape} does not fit inputs {x.shape}, expected {x.ndim} axes")
    return x, W, x.ndim - 2


def _check_channels(name: str, x: Tensor, W: Tensor) -> int:
    """How many groups of channels there are."""
    c, k = W.shape[-2:]
    if not c or x.shape[-1] % c or not x.shape[-1]:
        raise ValueError(
            f"{name}: the {x.shape[-1]} channels of inputs {x.shape} are no multiple of the {c} of kernel {W.shape}"
        )
    groups = x.shape[-1] // c
    if k % groups:
        raise ValueError(f"{name}: {k} filters of kernel {W.shape} cannot be shared among {groups} groups of channels")
    return groups


def _fused(activation: Callable | None) -> tuple[tuple, Callable | None]:
    """What the kernel does of the activation, and what is left to do after it."""
    if activation is None:
        return _LINEAR, None
    fused = getattr(activation, "fused", None)
    if fused is not None:
        kind, reads = _core.activations[fused[0]]
        if reads != "input":
            return (kind, fused[1], reads), None
    return _LINEAR, activation


def _check_bias(name: str, bias: Any, channels: int, W: Tensor) -> Tensor | None:
    if bias is None:
        return None
    b = to_tensor(bias)
    if b.shape != (channels,) or b.dtype != W.dtype:
        raise ValueError(f"{name}: bias is {b.dtype} {b.shape}, expected {W.dtype} ({channels},)")
    return b


def _two(values: tuple[int, ...], filler: int) -> tuple[int, int]:
    return (filler, values[0]) if len(values) == 1 else (values[0], values[1])


def _sliding(
    name: str, x: Tensor, W: Tensor, strides: Any, padding: str, dilation_rate: Any, groups: int
) -> tuple[tuple, _Windows]:
    """Sizes of the result, and how the windows slide."""
    rank = x.ndim - 2
    strides = geometry.sizes(strides, rank, "strides")
    dilation = geometry.sizes(dilation_rate, rank, "dilation_rate")
    padding = geometry.check_padding(padding, causal=rank == 1)
    taps, spatial = W.shape[:rank], x.shape[1:-1]
    try:
        size = geometry.output_sizes(spatial, taps, strides, padding, dilation)
    except ValueError as error:
        raise ValueError(f"{name}: inputs {x.shape}, kernel {W.shape}: {error}") from None
    pads = geometry.pads_before(spatial, taps, strides, padding, dilation)
    return size, _Windows(_two(strides, 1), _two(pads, 0), _two(dilation, 1), groups)


def _convolve(
    name: str, x: Tensor, W: Tensor, strides: Any, padding: str, dilation_rate: Any, bias: Any, activation: Any,
    depthwise: bool,
) -> Tensor:  # fmt: skip
    groups = x.shape[-1] if depthwise else x.shape[-1] // W.shape[-2]
    size, windows = _sliding(name, x, W, strides, padding, dilation_rate, groups)
    fused, rest = _fused(activation)
    b = _check_bias(name, bias, W.shape[-1] * (W.shape[-2] if depthwise else 1), W)
    y = _conv(x, W, b, size, windows, depthwise, fused)
    return y if rest is None else rest(y)


def _convolve_volumes(
    x: Tensor, W: Tensor, strides: Any, padding: str, dilation_rate: Any, bias: Any, activation: Callable | None
) -> Tensor:
    """In three dimensions: the sum over the depth t of the kernel of convolutions of slices with W[t]."""
    strides = geometry.sizes(strides, 3, "strides")
    dilation = geometry.sizes(dilation_rate, 3, "dilation_rate")
    padding = geometry.check_padding(padding)
    n, depth, h, w, c = x.shape
    try:
        size = geometry.output_sizes(x.shape[1:-1], W.shape[:3], strides, padding, dilation)
    except ValueError as error:
        raise ValueError(f"conv: inputs {x.shape}, kernel {W.shape}: {error}") from None
    slices, taps = size[0] or 0, W.shape[0]
    before = geometry.pad_before(depth, taps, strides[0], padding, dilation[0])
    reached = (slices - 1) * strides[0] + geometry.extent(taps, dilation[0])
    x = pad(x, ((0, 0), (before, max(0, reached - depth - before)), (0, 0), (0, 0), (0, 0)))
    y = None
    for t in range(taps):
        seen = strided_slice(x, (0, t * dilation[0], 0, 0, 0), (n, slices, h, w, c), (1, strides[0], 1, 1, 1))
        seen = reshape(seen, (n * slices, h, w, c))
        V = reshape(strided_slice(W, (t, 0, 0, 0, 0), (1, *W.shape[1:]), (1,) * 5), W.shape[1:])
        last = t == taps - 1
        part = conv(seen, V, strides[1:], padding, None, dilation[1:], bias if last else None)
        y = part if y is None else add(y, part)
    y = reshape(y, (n, *size, W.shape[-1]))
    return y if activation is None else activation(y)


# --- Keras' names --------------------------------------------------------------------------------


def conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1, bias: Any = None,
    activation: Callable | None = None,
) -> Tensor:  # fmt: skip
    """y[p, k] = activation(b[k] + sum over t, c of x[p stride - pad + t dilation, c] W[t, c, k]).

    inputs (batch, *spatial, g c), kernel (*window, c, g k) -> (batch, *outputs, g k): with fewer
    channels in the kernel than in the inputs, g groups of channels are convolved apart. padding:
    "valid", "same" or, in one dimension, "causal". Raises ValueError if nothing fits together.
    """
    x, W, rank = _operands("conv", inputs, kernel, data_format, most=3)
    _check_channels("conv", x, W)
    if rank == 3:
        return _convolve_volumes(x, W, strides, padding, dilation_rate, bias, activation)
    return _convolve("conv", x, W, strides, padding, dilation_rate, bias, activation, False)


def conv_pool(
    inputs: Any, kernel: Any, pool_size: Any, pool_strides: Any = None, pool_padding: str = "valid",
    pooling: str = "max", strides: Any = 1, padding: str = "valid", dilation_rate: Any = 1, bias: Any = None,
    activation: Callable | None = None,
) -> Tensor:  # fmt: skip
    """max_pool(conv(inputs, kernel, ..., bias, activation), pool_size, pool_strides, pool_padding), or the mean
    with `pooling="average"`, at less than the price of both, in one or two dimensions.

    inputs (batch, *spatial, g c), kernel (*window, c, g k) -> (batch, *pooled, g k). With an activation that the
    kernel applies (or none), outputs that fill no window of the pooling are not computed, and where the largest are
    taken the others are not kept for the gradient. Raises ValueError if nothing fits together.
    """
    if pooling not in ("max", "average"):
        raise ValueError(f"conv_pool: pooling is 'max' or 'average', got {pooling!r}")
    x, W, rank = _operands("conv_pool", inputs, kernel, None)
    groups = _check_channels("conv_pool", x, W)
    size, windows = _sliding("conv_pool", x, W, strides, padding, dilation_rate, groups)
    pooled, pools = windows_of("conv_pool", (x.shape[0], *size, W.shape[-1]), pool_size, pool_strides, pool_padding)
    fused, rest = _fused(activation)
    # An activation that comes afterwards may look at all outputs.
    if geometry.check_padding(pool_padding) == "valid" and rest is None:
        reached = [(p - 1) * step + taps for p, step, taps in zip(pooled, pools[4 - rank : 4], pools[2 - rank : 2])]
        size = tuple(map(min, size, reached))
    b = _check_bias("conv_pool", bias, W.shape[-1], W)
    if pooling == "max" and rest is None:
        return _conv_max_pool(x, W, b, size, windows, fused, pooled, pools)
    y = _conv(x, W, b, size, windows, False, fused)
    pool = max_pool if pooling == "max" else average_pool
    return pool(y if rest is None else rest(y), pool_size, pool_strides, pool_padding)


def depthwise_conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1, bias: Any = None,
    activation: Callable | None = None,
) -> Tensor:  # fmt: skip
    """Every channel by itself.

    inputs (batch, *spatial, c), kernel (*window, c, m) -> (batch, *outputs, c m).
    Result channel c m + j is channel c convolved with kernel[..., c, j].
    """
    x, W, rank = _operands("depthwise_conv", inputs, kernel, data_format)
    if W.shape[-2] != x.shape[-1]:
        raise ValueError(f"depthwise_conv: kernel {W.shape} is for {W.shape[-2]} channels, inputs are {x.shape}")
    return _convolve("depthwise_conv", x, W, strides, padding, dilation_rate, bias, activation, True)


def separable_conv(
    inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = 1,
    padding: str = "valid", data_format: str | None = None, dilation_rate: Any = 1,
    bias: Any = None, activation: Callable | None = None,
) -> Tensor:  # fmt: skip
    """A depthwise convolution, then one with windows of 1: channels are mixed apart from space."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, bias=bias, activation=activation)


def conv_transpose(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Any = 1, bias: Any = None,
    activation: Callable | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `conv` with respect to its inputs, as a layer that enlarges.

    inputs (batch, *spatial, k), kernel (*window, c, k) -> (batch, *outputs, c), with size * stride
    outputs along an axis for "same" and (size - 1) stride + max(window, stride) for "valid", unless
    output_padding says how many more than the fewest.
    """
    x, W, rank = _operands("conv_transpose", inputs, kernel, data_format)
    if W.shape[-1] != x.shape[-1]:
        raise ValueError(f"conv_transpose: kernel {W.shape} is for {W.shape[-1]} channels, inputs are {x.shape}")
    strides = geometry.sizes(strides, rank, "strides")
    dilation = geometry.sizes(dilation_rate, rank, "dilation_rate")
    padding = geometry.check_padding(padding)
    taps = W.shape[:rank]
    size = geometry.transposed_sizes(x.shape[1:-1], taps, strides, padding, output_padding, dilation)
    pads = geometry.transposed_crops(taps, strides, padding, output_padding, dilation)
    windows = _Windows(_two(strides, 1), _two(pads, 0), _two(dilation, 1), 1)
    fused, rest = _fused(activation)
    y = _conv_transpose(x, W, _check_bias("conv_transpose", bias, W.shape[-2], W), size, windows, fused)
    return y if rest is None else rest(y)
