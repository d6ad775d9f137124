"""PyTorch's side of the kernels' rows: eager calls without gradients, into given memory where there is such a
call. Backward passes are the very functions that autograd calls, without its graph; layers go through autograd.
"""

from __future__ import annotations

import sys

import torch
from torch.nn import functional

aten = torch.ops.aten
last = False  # images in channels_last
IMAGES = ("conv", "pooling", "survey-conv")


def start(peer, threads):
    global last
    last = peer == "torch-channels-last"
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return f"PyTorch {torch.__version__}"


def find(family, row):
    if last and family not in IMAGES:
        return None
    return getattr(sys.modules[__name__], row.call or row.kernel, None)


def tensor(a):
    return torch.from_numpy(a)


# --- matmul ---------------------------------------------------------------------------------------


def matmul_nn(a):
    x, y, out = tensor(a.a), tensor(a.b), tensor(a.c)
    return lambda: torch.mm(x, y, out=out)


def matmul_nt(a):
    x, y, out = tensor(a.a), tensor(a.b).t(), tensor(a.c)
    return lambda: torch.mm(x, y, out=out)


def matmul_tn(a):
    x, y, out = tensor(a.a).t(), tensor(a.b), tensor(a.c)
    return lambda: torch.mm(x, y, out=out)


# --- images ---------------------------------------------------------------------------------------


def image(a):
    """(n, h, w, c) as PyTorch's (n, c, h, w), in its memory format."""
    t = tensor(a).permute(0, 3, 1, 2)
    return t if last else t.contiguous()


def to_numpy(t):
    return t.permute(0, 2, 3, 1).numpy()


def window(a):
    """(r, s, c, k) as (k, c, r, s)."""
    t = tensor(a).permute(3, 2, 0, 1)
    return t.contiguous(memory_format=torch.channels_last) if last else t.contiguous()


def lines(a, t):
    """In one dimension without the height of 1."""
    return t.squeeze(2) if a.sizes["h"] == 1 and not last else t


def geometry(a):
    """Strides, padding, dilation."""
    pairs = [a.stride_h, a.stride_w], [a.pad_top, a.pad_left], [a.dilation_h, a.dilation_w]
    return [pair[1:] for pair in pairs] if a.sizes["h"] == 1 and not last else pairs


def from_lines(a, t):
    return t.unsqueeze(2) if t.ndim == 3 else t


def conv2d(a):
    x, w, (stride, pad, dilation) = lines(a, image(a.x)), lines(a, window(a.w)), geometry(a)
    convolution = functional.conv1d if x.ndim == 3 else functional.conv2d
    return lambda: convolution(x, w, None, stride, pad, dilation, a.g), lambda y: to_numpy(from_lines(a, y))


def _conv_gradient(a, x, w, dy, wanted):
    x, w, dy, (stride, pad, dilation) = lines(a, x), lines(a, w), lines(a, dy), geometry(a)
    mask, zeros = [wanted == 0, wanted == 1, False], [0] * len(stride)
    return lambda: aten.convolution_backward(dy, x, w, None, stride, pad, dilation, False, zeros, a.g, mask)[wanted]


def conv2d_input_grad(a):
    n, h, w, c = a.dx.shape
    x = torch.empty((n, c, h, w), memory_format=torch.channels_last if last else torch.contiguous_format)
    call = _conv_gradient(a, x, window(a.w), image(a.dy), 0)
    return call, lambda dx: to_numpy(from_lines(a, dx))


def conv2d_weight_grad(a):
    r, s, c, k = a.dw.shape
    w = torch.empty((k, c, r, s), memory_format=torch.channels_last if last else torch.contiguous_format)
    call = _conv_gradient(a, image(a.x), w, image(a.dy), 1)
    return call, lambda dw: from_lines(a, dw).permute(2, 3, 1, 0).numpy()


def _pool(a):
    return [a.pool_h, a.pool_w], [a.stride_h, a.stride_w], [a.pad_top, a.pad_left]


def max_pool2d(a):
    x, pool = image(a.x), _pool(a)
    return lambda: aten.max_pool2d_with_indices(x, *pool), lambda y: [to_numpy(y[0])]


def max_pool2d_grad(a):
    """For windows that do not overlap."""
    arg, dy, w = image(a.arg).long(), image(a.dy), a.sizes["w"]
    rows = torch.arange(arg.shape[2])[:, None] * a.stride_h + arg // a.pool_w
    columns = torch.arange(arg.shape[3]) * a.stride_w + arg % a.pool_w
    indices = (rows * w + columns).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    x, pool = image(a.dx), _pool(a)
    call = lambda: aten.max_pool2d_with_indices_backward(dy, x, *pool, [1, 1], False, indices)  # noqa: E731
    return call, to_numpy


def average_pool2d(a):
    x, pool = image(a.x), _pool(a)
    return lambda: aten.avg_pool2d(x, *pool, False, False), to_numpy


def average_pool2d_grad(a):
    dy, x, pool = image(a.dy), image(a.dx), _pool(a)
    return lambda: aten.avg_pool2d_backward(dy, x, *pool, False, False, None), to_numpy


# --- softmax, activation ----------------------------------------------------------------------------


def softmax(a):
    x, y = tensor(a.x), tensor(a.y)
    return lambda: aten._softmax.out(x, -1, False, out=y)


def softmax_grad(a):
    y, dy, dx = tensor(a.y), tensor(a.dy), tensor(a.dx)
    return lambda: aten._softmax_backward_data.out(dy, y, -1, torch.float32, grad_input=dx)


def sparse_crossentropy(a):
    y, label = tensor(a.y), tensor(a.label).long()
    return lambda: functional.cross_entropy(y, label, reduction="none")


def sparse_crossentropy_grad(a):
    y, label, dloss = tensor(a.y), tensor(a.label).long(), tensor(a.dloss)
    log_p = torch.log_softmax(y, -1)
    _, weight = aten.nll_loss_forward(log_p, label, None, 0, -100)

    def call():
        d_log_p = aten.nll_loss_backward(dloss, log_p, label, None, 0, -100, weight)
        return aten._log_softmax_backward_data(d_log_p, log_p, -1, torch.float32)

    return call


def _activation(a):
    from fastnn import _core

    return next(name for name, (kind, _) in _core.activations.items() if kind == a.kind)


def activation_forward(a):
    function, x, y = getattr(aten, _activation(a)).out, tensor(a.x), tensor(a.y)
    return lambda: function(x, out=y)


def activation_grad(a):
    x, y, dy, dx = (tensor(v) for v in (a.x, a.y, a.dy, a.dx))
    name = _activation(a)
    if name == "relu":
        return lambda: aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx)
    function, saved = getattr(aten, f"{name}_backward").grad_input, y if name in ("tanh", "sigmoid") else x
    return lambda: function(dy, saved, grad_input=dx)


# --- norm -----------------------------------------------------------------------------------------


def _channels_second(a):
    t = tensor(a)
    return t.permute(0, 3, 1, 2).contiguous() if t.ndim == 4 else t


def _channels_last(t):
    return (t.permute(0, 2, 3, 1) if t.ndim == 4 else t).numpy()


def batch_norm(a):
    x, y = _channels_second(a.x), _channels_second(a.y)
    gamma, beta, mean, variance = (tensor(v) for v in (a.gamma, a.beta, a.moving_mean, a.moving_variance))
    saved = tensor(a.mean), tensor(a.inv_std)
    momentum, epsilon = 1 - a.momentum, a.epsilon

    def call():
        aten.native_batch_norm.out(
            x, gamma, beta, mean, variance, True, momentum, epsilon, out=y, save_mean=saved[0], save_invstd=saved[1]
        )
        return y

    # The moving variance is the unbiased one here.
    return call, lambda y: [_channels_last(y), *(s.numpy() for s in saved), mean.numpy()]


def batch_norm_grad(a):
    x, dy, gamma, mean, inv_std = (
        _channels_second(a.x),
        _channels_second(a.dy),
        *map(tensor, (a.gamma, a.mean, a.inv_std)),
    )
    call = lambda: aten.native_batch_norm_backward(  # noqa: E731
        dy, x, gamma, None, None, mean, inv_std, True, 1e-3, [True, True, True]
    )
    return call, lambda d: [_channels_last(d[0]), d[1].numpy(), d[2].numpy()]


def layer_norm(a):
    x, gamma, beta = map(tensor, (a.x, a.gamma, a.beta))
    n, epsilon = [x.shape[-1]], a.epsilon
    return lambda: aten.native_layer_norm(x, n, gamma, beta, epsilon), lambda r: [r[0], r[1][:, 0], r[2][:, 0]]


def layer_norm_grad(a):
    x, dy, gamma, beta = *map(tensor, (a.x, a.dy, a.gamma)), tensor(a.gamma)
    mean, inv_std, n = tensor(a.mean)[:, None], tensor(a.inv_std)[:, None], [x.shape[-1]]
    return lambda: aten.native_layer_norm_backward(dy, x, n, mean, inv_std, gamma, beta, [True, True, True])


# --- dropout, embedding, reduce, optimizer ------------------------------------------------------------


def dropout(a):
    x, rate = tensor(a.x), a.rate
    return lambda: aten.native_dropout(x, rate, True), lambda r: r[0]


def dropout_grad(a):
    dy, scale = tensor(a.x), 1 / (1 - a.rate)
    _, mask = aten.native_dropout(dy, a.rate, True)
    return lambda: aten.native_dropout_backward(dy, mask, scale)


def embedding(a):
    index, table = tensor(a.index).long(), tensor(a.table)
    return lambda: functional.embedding(index, table)


def embedding_grad(a):
    index, dy, rows = tensor(a.index).long(), tensor(a.dy), a.sizes["v"]
    return lambda: aten.embedding_dense_backward(dy, index, rows, -1, False)


def gather_rows(a):
    data, index, y = tensor(a.data), tensor(a.index).long(), tensor(a.y)
    return lambda: torch.index_select(data, 0, index, out=y)


def _reduction(a, function, *arguments):
    """A contiguous row, matrix rows or columns."""
    x, y = tensor(a.x), tensor(a.y)
    return lambda: function(x, *arguments, out=y)


def sum(a):
    return _reduction(a, torch.sum, 1)


def mean(a):
    return _reduction(a, torch.mean, 1)


def max(a):
    return _reduction(a, torch.amax, 1)


def argmax(a):
    x, y = tensor(a.x), tensor(a.y).long()
    return lambda: torch.argmax(x, 1, out=y)


def adam(a):
    p = tensor(a.p).requires_grad_()
    p.grad = tensor(a.g)
    optimizer = torch.optim.Adam([p], lr=float(a.lr), betas=(a.beta_1, a.beta_2), eps=a.epsilon, fused=True)
    m, v = tensor(a.m), tensor(a.v)
    optimizer.state[p] = {"step": torch.tensor(float(a.t) - 1), "exp_avg": m, "exp_avg_sq": v}
    return optimizer.step, lambda _: [p.detach(), m, v]


# --- recurrent ------------------------------------------------------------------------------------

ORDER = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "simple_rnn": [0]}  # where PyTorch's gates are in Keras' order


def _gates(w, order):
    """Blocks of rows or columns along the last axis, in another order."""
    blocks = torch.chunk(w, len(order), -1)
    return torch.cat([blocks[i] for i in order], -1)


def _layer(kind, order, with_gradient, a):
    x, w, u, dy = (tensor(v) for v in (a.x, a.w, a.u, a.dy))
    module = kind(w.shape[0], u.shape[0], bias=False, batch_first=True)
    module.weight_ih_l0.copy_(_gates(w, order).t())
    module.weight_hh_l0.copy_(_gates(u, order).t())
    module.requires_grad_(with_gradient)

    def forward():
        return module(x)[0][:, -1]

    if not with_gradient:
        return forward
    back = [order.index(i) for i in range(len(order))]
    x.requires_grad_()

    def both():
        with torch.enable_grad():
            y = forward()
            return y.detach(), *torch.autograd.grad(y, [x, module.weight_ih_l0, module.weight_hh_l0], dy)

    def read(result):
        y, dx, dw, du = result
        return [y, dx, _gates(dw.t(), back), _gates(du.t(), back)]

    return both, read


def lstm(a):
    return _layer(torch.nn.LSTM, ORDER["lstm"], False, a)


def lstm_grad(a):
    return _layer(torch.nn.LSTM, ORDER["lstm"], True, a)


def gru(a):
    return _layer(torch.nn.GRU, ORDER["gru"], False, a)


def gru_grad(a):
    return _layer(torch.nn.GRU, ORDER["gru"], True, a)


def simple_rnn(a):
    return _layer(torch.nn.RNN, ORDER["simple_rnn"], False, a)


def simple_rnn_grad(a):
    return _layer(torch.nn.RNN, ORDER["simple_rnn"], True, a)
