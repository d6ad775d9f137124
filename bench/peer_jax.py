"""JAX's side of the kernels' rows: compiled functions, waited for. A backward pass is the compiled `jax.vjp` of the
forward one, given what that leaves for it.
"""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def start(peer, threads):
    return f"JAX {jax.__version__}"  # its threads follow the cores that the process is kept on


def find(family, row):
    return getattr(sys.modules[__name__], row.call or row.kernel, None)


def compiled(function, *arguments):
    """A call of the compiled function that waits for its results."""
    function = jax.jit(function)
    arguments = [jnp.asarray(v) for v in arguments]
    return lambda: jax.block_until_ready(function(*arguments))


def compiled_gradient(forward, inputs, dy):
    """The gradients of all inputs, from what the forward pass left."""
    _, vjp = jax.jit(lambda *xs: jax.vjp(forward, *xs))(*(jnp.asarray(v) for v in inputs))
    apply, dy = jax.jit(lambda vjp, dy: vjp(dy)), jnp.asarray(dy)
    return lambda: jax.block_until_ready(apply(vjp, dy))


# --- matmul, conv ---------------------------------------------------------------------------------


def matmul_nn(a):
    return compiled(jnp.matmul, a.a, a.b)


def matmul_nt(a):
    return compiled(lambda x, y: x @ y.T, a.a, a.b)


def matmul_tn(a):
    return compiled(lambda x, y: x.T @ y, a.a, a.b)


def _convolution(a):
    h, w, p, q, r, s = (a.sizes[name] for name in "hwpqrs")
    pads = [
        (before, (outputs - 1) * stride + (taps - 1) * dilation + 1 - size - before)
        for size, outputs, taps, stride, before, dilation in [
            (h, p, r, a.stride_h, a.pad_top, a.dilation_h), (w, q, s, a.stride_w, a.pad_left, a.dilation_w)
        ]
    ]  # fmt: skip
    how = dict(
        window_strides=(a.stride_h, a.stride_w), padding=pads, rhs_dilation=(a.dilation_h, a.dilation_w),
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=a.g,
    )  # fmt: skip
    return lambda x, w: lax.conv_general_dilated(x, w, **how)


def conv2d(a):
    return compiled(_convolution(a), a.x, a.w)


def conv2d_input_grad(a):
    convolution, x = _convolution(a), jax.ShapeDtypeStruct(a.dx.shape, a.dx.dtype)
    return compiled(lambda w, dy: jax.linear_transpose(lambda x: convolution(x, w), x)(dy)[0], a.w, a.dy)


def conv2d_weight_grad(a):
    convolution, w = _convolution(a), jax.ShapeDtypeStruct(a.dw.shape, a.dw.dtype)
    return compiled(lambda x, dy: jax.linear_transpose(lambda w: convolution(x, w), w)(dy)[0], a.x, a.dy)


# --- pooling --------------------------------------------------------------------------------------


def _windows(a, start, function):
    shape, strides = (1, a.pool_h, a.pool_w, 1), (1, a.stride_h, a.stride_w, 1)
    return lambda x: lax.reduce_window(x, start, function, shape, strides, "VALID")


def _average(a):
    return lambda x: _windows(a, 0.0, lax.add)(x) / (a.pool_h * a.pool_w)


def max_pool2d(a):
    return compiled(_windows(a, -np.inf, lax.max), a.x)


def max_pool2d_grad(a):
    """Of an image that is largest where `arg` says; for windows that do not overlap."""
    n, p, q, c = a.arg.shape
    arg = a.arg.astype(int)
    x = np.zeros(a.dx.shape, np.float32)
    i, j, k, m = np.ogrid[:n, :p, :q, :c]
    x[i, j * a.stride_h + arg // a.pool_w, k * a.stride_w + arg % a.pool_w, m] = 1
    return compiled_gradient(_windows(a, -np.inf, lax.max), [x], a.dy)


def average_pool2d(a):
    return compiled(_average(a), a.x)


def average_pool2d_grad(a):
    return compiled_gradient(_average(a), [np.zeros(a.dx.shape, np.float32)], a.dy)


# --- softmax, activation, norm ----------------------------------------------------------------------


def softmax(a):
    return compiled(jax.nn.softmax, a.x)


def softmax_grad(a):
    return compiled_gradient(jax.nn.softmax, [np.log(a.y)], a.dy)


def _crossentropy(label):
    return lambda y: -jnp.take_along_axis(jax.nn.log_softmax(y), label[:, None], -1)[:, 0]


def sparse_crossentropy(a):
    return compiled(lambda y, label: _crossentropy(label)(y), a.y, a.label)


def sparse_crossentropy_grad(a):
    return compiled_gradient(_crossentropy(jnp.asarray(a.label)), [a.y], a.dloss)


def _activation(a):
    from fastnn import _core

    name = next(name for name, (kind, _) in _core.activations.items() if kind == a.kind)
    return (lambda x: jax.nn.gelu(x, approximate=False)) if name == "gelu" else getattr(jax.nn, name)


def activation_forward(a):
    return compiled(_activation(a), a.x)


def activation_grad(a):
    return compiled_gradient(_activation(a), [a.x], a.dy)


def _normalized(x, axes, epsilon):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    inv_std = lax.rsqrt(variance + epsilon)
    return (x - mean) * inv_std, mean, inv_std


def batch_norm(a):
    axes, momentum = tuple(range(a.x.ndim - 1)), a.momentum

    def forward(x, gamma, beta, moving):
        y, mean, inv_std = _normalized(x, axes, a.epsilon)
        mean = mean.reshape(-1)
        return y * gamma + beta, mean, inv_std.reshape(-1), momentum * moving + (1 - momentum) * mean

    return compiled(forward, a.x, a.gamma, a.beta, a.moving_mean)


def batch_norm_grad(a):
    axes = tuple(range(a.x.ndim - 1))
    forward = lambda x, gamma, beta: _normalized(x, axes, 1e-3)[0] * gamma + beta  # noqa: E731
    return compiled_gradient(forward, [a.x, a.gamma, np.zeros_like(a.gamma)], a.dy)


def layer_norm(a):
    def forward(x, gamma, beta):
        y, mean, inv_std = _normalized(x, -1, a.epsilon)
        return y * gamma + beta, mean[:, 0], inv_std[:, 0]

    return compiled(forward, a.x, a.gamma, a.beta)


def layer_norm_grad(a):
    forward = lambda x, gamma, beta: _normalized(x, -1, 1e-3)[0] * gamma + beta  # noqa: E731
    return compiled_gradient(forward, [a.x, a.gamma, np.zeros_like(a.gamma)], a.dy)


# --- dropout, embedding, reduce, optimizer ------------------------------------------------------------


def dropout(a):
    key, keep = jax.random.key(0), 1 - a.rate
    return compiled(lambda key, x: jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0), key, a.x)


def dropout_grad(a):
    keep = 1 - a.rate
    kept = jax.random.bernoulli(jax.random.key(0), keep, a.x.shape)
    return compiled(lambda kept, dy: jnp.where(kept, dy / keep, 0), kept, a.x)


def embedding(a):
    return compiled(lambda table, index: jnp.take(table, index, 0), a.table, a.index)


def embedding_grad(a):
    rows = a.sizes["v"]
    return compiled(lambda index, dy: jnp.zeros((rows, dy.shape[-1])).at[index].add(dy), a.index, a.dy)


def gather_rows(a):
    return compiled(lambda data, index: jnp.take(data, index, 0), a.data, a.index)


def sum(a):
    return compiled(lambda x: x.sum(1), a.x)


def mean(a):
    return compiled(lambda x: x.mean(1), a.x)


def max(a):
    return compiled(lambda x: x.max(1), a.x)


def argmax(a):
    return compiled(lambda x: x.argmax(1), a.x)


def adam(a):
    lr, t, b1, b2, epsilon = float(a.lr), int(a.t), a.beta_1, a.beta_2, a.epsilon
    rate = lr * (1 - b2**t) ** 0.5 / (1 - b1**t)

    def step(p, m, v, g):
        m, v = m + (g - m) * (1 - b1), v + (g * g - v) * (1 - b2)
        return p - rate * m / (jnp.sqrt(v) + epsilon), m, v

    step = jax.jit(step, donate_argnums=(0, 1, 2))
    state, g = [jnp.array(v) for v in (a.p, a.m, a.v)], jnp.asarray(a.g)

    def call():
        state[:] = jax.block_until_ready(step(*state, g))
        return state

    return call


# --- recurrent ------------------------------------------------------------------------------------


def _lstm_step(state, z, u):
    h, c = state
    i, f, g, o = jnp.split(z + h @ u, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru_step(state, x, u):
    (h,) = state
    xz, xr, xh = jnp.split(x, 3, -1)
    hz, hr, hh = jnp.split(h @ u, 3, -1)
    z, r = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
    return (z * h + (1 - z) * jnp.tanh(xh + r * hh),)


def _rnn_step(state, z, u):
    return (jnp.tanh(z + state[0] @ u),)


def _layer(step, states):
    """One product for the inputs of all steps, then a scan."""

    def forward(x, w, u):
        zeros = jnp.zeros((x.shape[0], u.shape[0]))
        z = jnp.swapaxes(x @ w, 0, 1)
        final, _ = lax.scan(lambda state, z: (step(state, z, u), None), (zeros,) * states, z)
        return final[0]

    return forward


def _both(forward, a):
    def run(x, w, u, dy):
        y, vjp = jax.vjp(forward, x, w, u)
        return y, *vjp(dy)

    return compiled(run, a.x, a.w, a.u, a.dy)


def lstm(a):
    return compiled(_layer(_lstm_step, 2), a.x, a.w, a.u)


def lstm_grad(a):
    return _both(_layer(_lstm_step, 2), a)


def gru(a):
    return compiled(_layer(_gru_step, 1), a.x, a.w, a.u)


def gru_grad(a):
    return _both(_layer(_gru_step, 1), a)


def simple_rnn(a):
    return compiled(_layer(_rnn_step, 1), a.x, a.w, a.u)


def simple_rnn_grad(a):
    return _both(_layer(_rnn_step, 1), a)
