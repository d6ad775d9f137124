"""The kernel calls that fastnn and its peers are timed on, by family.

A row is a kernel of the catalogue with sizes and scalars; its arguments are those that the tests draw
(fastnn/reference), except for `given`: what has to fit other arguments, such as a softmax to be
differentiated. A layer is a row of several kernels, with `inputs` of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from catalogue import aligned, make_arguments  # which has loaded the cases

from fastnn import _core, reference

# Bound by arithmetic: the table says percent of the peak; for the others, of the speed of copying.
COMPUTE = ("matmul", "conv", "recurrent", "survey-matmul", "survey-conv")


@dataclass(frozen=True)
class Row:
    about: str
    kernel: str  # of the catalogue, or a layer
    sizes: dict
    scalars: dict = field(default_factory=dict)  # where not those of the kernel's bench
    given: dict[str, Callable] = field(default_factory=dict)  # argument -> f(the other arguments)
    call: str = ""  # the peers' function, where not called as the kernel
    inputs: dict[str, Callable] | None = None  # of a layer: argument -> f(rng)
    flops: float | None = None  # of a layer
    tolerance: float = 1e-4  # of the largest magnitude of a result
    random: bool = False  # where peers draw numbers of their own

    def arguments(self):
        """Every argument by name, `sizes` and, in order, the kernel's own as a list."""
        if self.inputs is not None:
            rng = np.random.default_rng(0)
            values = {name: aligned(draw(rng).astype(np.float32)) for name, draw in self.inputs.items()}
            return SimpleNamespace(**values, sizes=self.sizes, in_order=list(values.values()))
        case, kernel = reference.KERNELS[self.kernel], _core.kernels[self.kernel]
        scalars = {**case.scalars_of_bench(self.sizes), **self.scalars}
        values = make_arguments(case, kernel, self.sizes, scalars, "float32")
        named = SimpleNamespace(**dict(zip((p for p, _ in kernel.params), values)), sizes=self.sizes)
        for name, make in self.given.items():
            setattr(named, name, aligned(np.asarray(make(named), dtype=getattr(named, name).dtype)))
        named.in_order = [getattr(named, p) for p, _ in kernel.params]
        return named


# --- matmul, conv ---------------------------------------------------------------------------------


def gemm(m, k, n):
    label = f"{m} cubed" if m == k == n else f"{m}x{k}x{n}"
    return [
        Row(f"GEMM {form} {label}", f"matmul_{form}", sizes)
        # c (m, n) each time; what is summed over is the rows of both in the last form
        for form, sizes in [
            ("nn", dict(m=(m,), k=k, n=n)), ("nt", dict(m=(m,), k=k, n=n)), ("tn", dict(m=(k,), k=m, n=n))
        ]
    ]  # fmt: skip


GEMMS = [(s, s, s) for s in (256, 512, 1024, 2048, 64)]
GEMMS += [(32, 784, 128), (32, 512, 512), (4096, 64, 64), (1, 1024, 1024)]


def conv(about, n, size, c, k, window, stride=1, pad=0, dilation=1, g=1):
    """Its three passes; one dimension is a height of 1. c and k are of one of g groups."""
    (h, w), (r, s) = size, window
    dh, dw = (1, stride) if h == 1 else (stride, stride)
    eh, ew = (1, dilation) if h == 1 else (dilation, dilation)
    top, left = (0, pad) if h == 1 else (pad, pad)
    p, q = (h + 2 * top - (r - 1) * eh - 1) // dh + 1, (w + 2 * left - (s - 1) * ew - 1) // dw + 1
    sizes = dict(n=n, h=h, w=w, c=c, p=p, q=q, r=r, s=s, k=k, g=g)
    geometry = dict(stride_h=dh, stride_w=dw, pad_top=top, pad_left=left, dilation_h=eh, dilation_w=ew, g=g)
    return [
        Row(f"{about}, forward", "conv2d", sizes, dict(geometry, b=None, activation=0, alpha=0.0)),
        *([Row(f"{about}, input gradient", "conv2d_input_grad", sizes, geometry)] if c * g > 1 else []),
        Row(f"{about}, weight gradient", "conv2d_weight_grad", sizes, geometry),
    ]


CONVS = [
    *conv("conv 3x3 64->64 at 56x56, batch 8", 8, (56, 56), 64, 64, (3, 3), pad=1),
    *conv("conv 3x3 1->32 at 28x28, batch 32", 32, (28, 28), 1, 32, (3, 3)),
    *conv("conv 3x3 32->64 at 13x13, batch 32", 32, (13, 13), 32, 64, (3, 3)),
    *conv("conv 1x1 256->256 at 14x14, batch 32", 32, (14, 14), 256, 256, (1, 1)),
    *conv("conv 7x7/2 3->64 at 224x224, batch 8", 8, (224, 224), 3, 64, (7, 7), 2, 3),
    *conv("conv 3x3/2 64->128 at 56x56, batch 8", 8, (56, 56), 64, 128, (3, 3), 2, 1),
    *conv("conv1d 3 64->64 on 100 steps, batch 32", 32, (1, 100), 64, 64, (1, 3), pad=1),
    *conv("conv1d 64/4 1->16 on 4000 steps, batch 32", 32, (1, 4000), 1, 16, (1, 64), 4),
]

# --- shapes that nobody chose: a survey, for rows that fall behind their neighbours -----------------

SURVEY = 40


def log_uniform(rng, low, high):
    return round(low * (high / low) ** rng.random())


def survey_matmul():
    rng = np.random.default_rng(0)
    rows = []
    while len(rows) < SURVEY:
        m, k, n = (log_uniform(rng, 1, 4096) for _ in range(3))
        if 1e5 < m * k * n < 1e9:
            rows.append(rng.choice(gemm(m, k, n)))
    return rows


def survey_conv():
    """A third of them along one axis, some dilated, strided, by groups or depthwise."""
    rng = np.random.default_rng(0)
    rows = []
    while len(rows) < SURVEY:
        flat, n = rng.random() < 0.3, log_uniform(rng, 1, 128)
        size = (1, log_uniform(rng, 8, 4096)) if flat else (log_uniform(rng, 4, 128), log_uniform(rng, 4, 128))
        taps = int(rng.choice([1, 2, 3, 3, 3, 4, 5, 7]))
        c, k = (log_uniform(rng, 1, 512) for _ in range(2))
        g = 1
        if rng.random() < 0.2:
            g, c, k = (c, 1, 1) if rng.random() < 0.5 else (4, -(-c // 4), -(-k // 4))
        stride, dilation = int(rng.choice([1, 1, 1, 2, 3])), int(rng.choice([1, 1, 1, 1, 2]))
        reach = (taps - 1) * dilation
        pad = reach // 2 if rng.random() < 0.6 else 0
        work = n * size[0] * size[1] * c * k * g * taps ** (2 - flat) / stride ** (2 - flat)
        if not 1e6 < work < 1e9 or reach >= max(size) or (not flat and reach >= min(size)):
            continue
        about = (
            f"{taps}/{stride} {c}->{k}" + (f" x{g}" if g > 1 else "") + (f" dilated {dilation}" if dilation > 1 else "")
        )
        about = f"conv{'1d' if flat else ''} {about} at {size[1] if flat else 'x'.join(map(str, size))}, batch {n}"
        window = (1, taps) if flat else (taps, taps)
        rows.append(
            rng.choice(conv(about + f", pad {pad}" * (pad > 0), n, size, c, k, window, stride, pad, dilation, g))
        )
    return rows


# --- rows of memory --------------------------------------------------------------------------------


def bench_sizes(kernel, which=slice(None)):
    """The sizes of the kernel's rows in `make bench`."""
    return reference.KERNELS[kernel].bench[which]


def pooling():
    (sizes,) = bench_sizes("max_pool2d")
    return [
        Row("max pooling 2x2, forward", "max_pool2d", sizes),
        Row("max pooling 2x2, backward", "max_pool2d_grad", sizes, given=dict(arg=lambda a: a.arg % 4)),
        Row("average pooling 2x2, forward", "average_pool2d", sizes),
        Row("average pooling 2x2, backward", "average_pool2d_grad", sizes),
    ]


def row_stats(a):
    top = a.y.max(-1, keepdims=True)
    return np.concatenate([top, np.exp(a.y - top).sum(-1, keepdims=True)], -1)


def softmax():
    rows = []
    for sizes in bench_sizes("softmax"):
        about = f"{sizes['r'][0]}x{sizes['n']}"
        rows += [
            Row(f"softmax {about}, forward", "softmax", sizes),
            Row(
                f"softmax {about}, backward", "softmax_grad", sizes,
                given=dict(y=lambda a: reference.KERNELS["softmax"].function(a.y)),
            ),
            Row(f"softmax-cross-entropy {about}, forward", "sparse_crossentropy", sizes),
            Row(
                f"softmax-cross-entropy {about}, backward", "sparse_crossentropy_grad", sizes,
                given=dict(stats=row_stats),
            ),
        ]  # fmt: skip
    return rows


def activation():
    rows = []
    for name in ("relu", "tanh", "sigmoid", "gelu", "silu"):
        kind = dict(s=(1_000_000,), kind=_core.activations[name][0])
        rows += [
            Row(f"{name} of 1 M, forward", "activation_forward", kind),
            Row(
                f"{name} of 1 M, backward", "activation_grad", kind,
                given=dict(y=lambda a: reference.KERNELS["activation_forward"].function(a.x, a.kind, a.alpha)),
            ),
        ]  # fmt: skip
    return rows


EPSILON = 1e-3
BATCH_STATS = dict(
    mean=lambda a: a.x.mean(tuple(range(a.x.ndim - 1)), np.float64),
    inv_std=lambda a: (a.x.var(tuple(range(a.x.ndim - 1)), np.float64) + EPSILON) ** -0.5,
)
ROW_STATS = dict(mean=lambda a: a.x.mean(-1, np.float64), inv_std=lambda a: (a.x.var(-1, np.float64) + EPSILON) ** -0.5)


def norm():
    rows = []
    for sizes in bench_sizes("batch_norm"):
        about = f"batch norm {'x'.join(map(str, (*sizes['r'], sizes['c'])))}"
        rows += [
            Row(f"{about}, forward", "batch_norm", sizes),
            Row(f"{about}, backward", "batch_norm_grad", sizes, dict(mask=None), BATCH_STATS),
        ]
    for sizes in [*bench_sizes("layer_norm"), dict(r=(4096,), n=512)]:
        about = f"layer norm {sizes['r'][0]}x{sizes['n']}"
        rows += [
            Row(f"{about}, forward", "layer_norm", sizes, dict(epsilon=EPSILON, centered=True)),
            Row(f"{about}, backward", "layer_norm_grad", sizes, dict(centered=True), ROW_STATS),
        ]
    return rows


def dropout():
    (sizes,) = bench_sizes("dropout")
    return [
        Row("dropout of 1 M, forward", "dropout", sizes, dict(rate=0.5), random=True),
        Row("dropout of 1 M, backward", "dropout", sizes, dict(rate=0.5), call="dropout_grad", random=True),
    ]


def embedding():
    (sizes,) = bench_sizes("embedding")
    (rows,) = bench_sizes("gather_rows")
    return [
        Row("embedding 32x100 of 10000x64, forward", "embedding", sizes),
        Row("embedding 32x100 of 10000x64, backward", "embedding_grad", sizes),
        Row("gather of 128 shuffled rows of 60000x784", "gather_rows", rows),
        Row("gather of 32 shuffled rows of 60000x784", "gather_rows", {**rows, "b": 32}),
    ]


def reduce():
    shapes = [
        ("all of 1 M", dict(o=1, n=1_000_000, i=1)),
        ("rows 1000x1000", dict(o=1000, n=1000, i=1)),
        ("columns 4096x256", dict(o=1, n=4096, i=256)),
    ]
    return [
        Row(f"{kernel}, {about}", kernel, sizes)
        for kernel in ("sum", "mean", "max", "argmax")
        for about, sizes in shapes
    ]


# --- recurrent ------------------------------------------------------------------------------------


def normal(*shape, scale=1.0):
    return lambda rng: scale * rng.standard_normal(shape)


def recurrent(b, t, c, n):
    """Layers that give their last output: forward, and all gradients of it."""
    rows = []
    for layer, gates in (("lstm", 4), ("gru", 3), ("simple_rnn", 1)):
        inputs = dict(
            x=normal(b, t, c), w=normal(c, gates * n, scale=c**-0.5), u=normal(n, gates * n, scale=n**-0.5),
            dy=normal(b, n),
        )  # fmt: skip
        forward = 2.0 * b * t * gates * n * (c + n)
        about = f"{layer.replace('_', ' ')} {n}, T={t}, {c} features, batch {b}"
        rows += [
            Row(f"{about}, forward", layer, {}, inputs=inputs, flops=forward),
            Row(
                f"{about}, forward and backward", layer, {}, inputs=inputs, flops=3 * forward,
                call=f"{layer}_grad", tolerance=1e-3,
            ),
        ]  # fmt: skip
    return rows


def optimizer():
    return [Row("Adam of 10 M", "adam", dict(n=10_000_000)), Row("Adam of 100 k", "adam", dict(n=100_000))]


FAMILIES = {
    "matmul": [row for sizes in GEMMS for row in gemm(*sizes)],
    "conv": CONVS,
    "pooling": pooling(),
    "softmax": softmax(),
    "activation": activation(),
    "norm": norm(),
    "dropout": dropout(),
    "embedding": embedding(),
    "recurrent": recurrent(32, 100, 64, 128) + recurrent(64, 48, 8, 64),
    "reduce": reduce(),
    "optimizer": optimizer(),
}

# Only where they are asked for by name.
SURVEYS = {"survey-matmul": survey_matmul(), "survey-conv": survey_conv()}
FAMILIES |= SURVEYS
