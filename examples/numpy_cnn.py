"""The demo's network written in plain NumPy, to compare training speed with.

Convolutions are one matrix product over unfolded windows, the usual way to make NumPy fast; forward,
backward and Adam in about a hundred lines.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Conv:
    """3x3 convolution with zero padding, then relu: x (n,h,w,c) -> (n,h,w,k)."""

    def __init__(self, c, k, rng):
        self.W = (rng.standard_normal((9 * c, k)) * np.sqrt(2 / (9 * c))).astype(np.float32)
        self.b = np.zeros(k, np.float32)

    def forward(self, x):
        n, h, w, c = self.shape = x.shape
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = sliding_window_view(padded, (3, 3), axis=(1, 2))  # (n,h,w,c,3,3)
        self.rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * h * w, 9 * c)
        self.y = np.maximum(self.rows @ self.W + self.b, 0).reshape(n, h, w, -1)
        return self.y

    def backward(self, dy, need_dx=True):
        n, h, w, c = self.shape
        dz = (dy * (self.y > 0)).reshape(n * h * w, -1)
        self.grads = [self.rows.T @ dz, dz.sum(0)]
        if not need_dx:
            return None
        taps = (dz @ self.W.T).reshape(n, h, w, 3, 3, c)
        dx = np.zeros((n, h + 2, w + 2, c), np.float32)
        for r in range(3):
            for s in range(3):
                dx[:, r : r + h, s : s + w] += taps[:, :, :, r, s]
        return dx[:, 1:-1, 1:-1]

    @property
    def weights(self):
        return [self.W, self.b]


class MaxPool:
    """2x2 windows, stride 2."""

    def forward(self, x):
        n, h, w, c = self.shape = x.shape
        h2, w2 = h // 2, w // 2
        tiles = x[:, : h2 * 2, : w2 * 2].reshape(n, h2, 2, w2, 2, c)
        y = tiles.max((2, 4))
        self.mask = tiles == y[:, :, None, :, None]
        return y

    def backward(self, dy):
        n, h, w, c = self.shape
        dx = np.zeros(self.shape, np.float32)
        tiles = self.mask * dy[:, :, None, :, None]
        dx[:, : h // 2 * 2, : w // 2 * 2] = tiles.reshape(n, h // 2 * 2, w // 2 * 2, c)
        return dx

    weights, grads = [], []


class Dense:
    """y = x W + b, with relu if asked."""

    def __init__(self, c, k, rng, relu):
        self.W = (rng.standard_normal((c, k)) * np.sqrt(2 / c)).astype(np.float32)
        self.b = np.zeros(k, np.float32)
        self.relu = relu

    def forward(self, x):
        self.x = x
        self.y = x @ self.W + self.b
        if self.relu:
            np.maximum(self.y, 0, out=self.y)
        return self.y

    def backward(self, dy):
        if self.relu:
            dy = dy * (self.y > 0)
        self.grads = [self.x.T @ dy, dy.sum(0)]
        return dy @ self.W.T

    @property
    def weights(self):
        return [self.W, self.b]


class Network:
    """conv 32, pool, conv 64, pool, dense 128, dense `classes`, trained with Adam."""

    def __init__(self, side, classes=10, seed=0):
        rng = np.random.default_rng(seed)
        flat = (side // 4) ** 2 * 64
        self.conv = [Conv(1, 32, rng), MaxPool(), Conv(32, 64, rng), MaxPool()]
        self.dense = [Dense(flat, 128, rng, True), Dense(128, classes, rng, False)]
        self.slots = [[np.zeros_like(w), np.zeros_like(w)] for layer in self.layers for w in layer.weights]
        self.t = 0

    @property
    def layers(self):
        return self.conv + self.dense

    def step(self, x, y):
        for layer in self.conv:
            x = layer.forward(x)
        shape = x.shape
        x = x.reshape(len(x), -1)
        for layer in self.dense:
            x = layer.forward(x)
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        d = p / len(y)
        for layer in reversed(self.dense):
            d = layer.backward(d)
        d = d.reshape(shape)
        for layer in reversed(self.conv[1:]):
            d = layer.backward(d)
        self.conv[0].backward(d, need_dx=False)
        self._adam()
        return loss

    def _adam(self, rate=1e-3, b1=0.9, b2=0.999, eps=1e-7):
        self.t += 1
        scale = rate * np.sqrt(1 - b2**self.t) / (1 - b1**self.t)
        pairs = [(w, g) for layer in self.layers for w, g in zip(layer.weights, layer.grads)]
        for (w, g), (m, v) in zip(pairs, self.slots):
            m += (g - m) * (1 - b1)
            v += (g * g - v) * (1 - b2)
            w -= scale * m / (np.sqrt(v) + eps)


def images_per_second(x, y, batch, seconds=2.0):
    """Training throughput, after two warm-up steps."""
    network = Network(x.shape[1])
    starts = range(0, max(len(x) - batch, 1), batch)
    done, begin = -2, time.perf_counter()
    while True:
        for start in starts:
            network.step(x[start : start + batch], y[start : start + batch])
            done += 1
            if done == 0:
                begin = time.perf_counter()
            if done > 0 and time.perf_counter() - begin > seconds:
                return done * batch / (time.perf_counter() - begin)
