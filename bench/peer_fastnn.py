"""fastnn's side of the kernels' rows: a call through the gate into tensors that are there, or an op of a layer."""

from __future__ import annotations

import numpy as np
from catalogue import program_of

import fastnn
from fastnn import _core, ops
from fastnn.autograd import gradients, no_grad
from fastnn.tensor import from_numpy

team = 1
strict = False


def start(peer, threads):
    global team, strict
    team, strict = threads, peer == "fastnn-strict"
    _core.set_max_threads(threads)
    fastnn.config.set_matmul_precision("float32_strict" if strict else "float32")
    return f"fastnn {fastnn.__version__} ({_core.current_isa()})"


def tensors(values):
    return [from_numpy(v) if isinstance(v, np.ndarray) else v for v in values]


def find(family, row):
    if strict and family not in ("conv", "survey-conv"):
        return None  # nothing else differs
    if row.inputs is not None:
        return lambda a: layer(row, a)
    kernel = _core.kernels[row.kernel]

    def side(a):
        given = tensors(a.in_order)
        written = [t for t, (_, kind) in zip(given, kernel.params) if kind in ("Out", "InOut")]
        return lambda: kernel(*given), lambda _: written

    return side


def layer(row, a):
    """The last output of a recurrent layer, and the gradients of inputs and weights."""
    x, w, u, dy = tensors(a.in_order)
    function = getattr(ops, row.kernel)
    if row.call:
        for t in (x, w, u):
            t.requires_grad = True

        def call():
            y = function(x, w, u, return_sequences=False)[0]
            return y, *gradients(y, [x, w, u], dy)

        return call

    def forward():
        with no_grad():
            return function(x, w, u, return_sequences=False)[0]

    return forward


def cost(row):
    if row.inputs is not None:
        return {"flops": row.flops, "bytes": 0, "copy": 0}
    kernel, values = _core.kernels[row.kernel], row.arguments().in_order
    (call,) = program_of(kernel, values).profile(1)
    copy = max(_core.copy_bandwidth(team, int(call.bytes)) for _ in range(5))
    return {"flops": call.flops, "bytes": call.bytes, "copy": copy}
