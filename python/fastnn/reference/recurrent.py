"""Recurrent layers in NumPy: plain loops over time."""

import math

import numpy as np

from .. import _core
from . import T, kernel_case, op_case


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _normal(x):
    return 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))


# name: (value, derivative from what the kernels keep, whether they keep the argument)
_ACTIVATIONS = {
    "linear": (lambda x: x, lambda y: np.ones_like(y), False),
    "tanh": (np.tanh, lambda y: 1 - y * y, False),
    "sigmoid": (_sigmoid, lambda y: y * (1 - y), False),
    "relu": (lambda x: np.maximum(x, 0), lambda y: (y > 0) * 1.0, False),
    "hard_sigmoid": (
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda y: ((y > 0) & (y < 1)) / 6,
        False,
    ),
    "gelu": (
        lambda x: x * _normal(x),
        lambda x: _normal(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        True,
    ),
}
_BY_KIND = {_core.activations[name][0]: formulas for name, formulas in _ACTIVATIONS.items()}


def _act(kind, x):
    """(value, kept)"""
    value, _, keeps_input = _BY_KIND[kind]
    y = value(x)
    return y, (x if keeps_input else y)


def _act_back(kind, kept):
    """(value, slope) of what was kept."""
    value, slope, keeps_input = _BY_KIND[kind]
    return (value(kept) if keeps_input else kept), slope(kept)


def _act_at(kind, x):
    """(value, slope) at x."""
    value, slope, keeps_input = _BY_KIND[kind]
    y = value(x)
    return y, slope(x if keeps_input else y)


def _seen(h, drop, gates):
    """The state as each gate sees it."""
    if drop is None:
        return [h] * gates
    return [h * drop[min(g, len(drop) - 1)] for g in range(gates)]


def _steps(z, mask, reverse):
    """(step of the walk, place in x, rows that are not masked) in the order of the walk."""
    t = z.shape[1]
    for s in range(t):
        at = t - 1 - s if reverse else s
        yield s, at, (np.ones(len(z), bool) if mask is None else mask[:, at])[:, None]


def _projected(x, w, bias, z):
    """What z holds when the walk begins."""
    return z.copy() if x is None else x @ w + (0 if bias is None else bias)


def _zeros(x, like):
    return np.zeros_like(like) if x is None else x.copy()


def _case(**kwargs):
    return {"alpha": 0.0, "keep": True, **kwargs}


TANH, SIGMOID, RELU, GELU, HARD, LINEAR = (
    _core.activations[a][0] for a in ("tanh", "sigmoid", "relu", "gelu", "hard_sigmoid", "linear")
)
# The last two are cut by units; 16 and 33 are a panel and a bit more than two.
_SHAPES = [
    (3, 4, 5),
    (1, 1, 1),
    (2, 3, 16),
    (17, 5, 33),
    (0, 3, 4),
    (3, 0, 4),
    (2, 3, 0),
    (9, 7, 24),
    (33, 2, 130),
    (2, 3, 128),
    (1, 3, 256),
]
SIZES = [dict(b=b, t=t, n=n, p=1, q=1, d=1 + (b * n) % 7) for b, t, n in _SHAPES]
# The input is multiplied by the walk, by a product of its own (a large kernel), and is empty.
SIZES += [dict(b=17, t=3, n=20, p=1, q=1, d=40), dict(b=9, t=2, n=96, p=1, q=1, d=1100)]
SIZES += [dict(b=9, t=3, n=8, p=1, q=1, d=0)]
BENCH = [dict(b=32, t=100, n=128, p=1, q=1, d=64)]
_MASK = dict(mask=lambda rng, shape, sizes: rng.random(shape) < 0.7)
_NO_INPUT = dict(x=None, w=None, bias=None)
_ABSENT = dict(h0=None, mask=None, drop=None)
_SCALARS = [
    dict(activation=TANH, reverse=False, **_ABSENT),
    dict(activation=GELU, reverse=True),
    dict(activation=RELU, reverse=False, drop=None),
]
_GATED = [
    dict(activation=TANH, recurrent_activation=SIGMOID, recurrent_alpha=0.0, reverse=False, **_ABSENT),
    dict(activation=GELU, recurrent_activation=HARD, recurrent_alpha=0.0, reverse=True),
    dict(
        activation=HARD,
        recurrent_activation=GELU,
        recurrent_alpha=0.0,
        reverse=False,
        mask=None,
        h0=None,
    ),
]


def _tolerance(b, t, n, p, q, d):
    # A chain of t products of n terms; with relu and random U of size 1 the state itself grows.
    return 40 * math.sqrt(max(n, d, 1)) * max(t, 1)


def _scaled(rng, shape, sizes):
    """A recurrent kernel under which states neither grow nor vanish."""
    return 0.5 * rng.standard_normal(shape) / math.sqrt(max(1, shape[0]))


_INPUTS = dict(u=_scaled, w=_scaled, **_MASK)


@kernel_case(
    SIZES,
    BENCH,
    [
        _case(**s)
        for s in [
            *_SCALARS,
            {**_SCALARS[0], **_NO_INPUT},
            {**_SCALARS[1], "bias": None},
            {**_SCALARS[1], "keep": False},
        ]
    ],
    _INPUTS,
    _tolerance,
)
def simple_rnn(x, w, bias, z, u, h0, mask, drop, activation, alpha, reverse, keep):
    z, hs = _projected(x, w, bias, z), np.zeros_like(z)
    h = _zeros(h0, np.zeros((len(z), u.shape[0])))
    for s, at, live in _steps(z, mask, reverse):
        new, kept = _act(activation, z[:, at] + _seen(h, drop, 1)[0] @ u)
        z[:, at] = np.where(live, kept, z[:, at])
        h = hs[:, s] = np.where(live, new, h)
    return z if keep else None, hs, h


@kernel_case(
    SIZES,
    BENCH,
    [_case(**s) for s in [*_SCALARS, {**_SCALARS[0], "dy": None}]],
    _INPUTS,
    _tolerance,
)
def simple_rnn_grad(z, u, h, h0, mask, drop, dy, dhn, activation, alpha, reverse):
    dh, dz, hp = dhn.copy(), np.zeros_like(z), np.zeros((1, *h.shape))
    for s, at, live in reversed(list(_steps(z, mask, reverse))):
        before = h[:, s - 1] if s else _zeros(h0, dhn)
        hp[0, :, at] = _seen(before, drop, 1)[0]
        if dy is not None:
            dh = dh + dy[:, s]
        dz[:, at] = np.where(live, dh * _act_back(activation, z[:, at])[1], 0)
        pulled = dz[:, at] @ u.T * (1 if drop is None else drop[0])
        dh = np.where(live, pulled, dh)
    return dz, hp, dh


# One scale for all gates, or one each.
_LSTM_SIZES = SIZES + [dict(b=9, t=3, n=20, p=4, q=4, d=5), dict(b=2, t=3, n=96, p=4, q=4, d=3)]


@kernel_case(
    _LSTM_SIZES,
    BENCH,
    [
        _case(**s)
        for s in [
            *_GATED[1:],
            {**_GATED[0], "c0": None},
            {**_GATED[0], **_NO_INPUT},
            {**_GATED[1], "bias": None},
            {**_GATED[0], "keep": False},
            {**_GATED[1], **_NO_INPUT, "keep": False},
        ]
    ],
    _INPUTS,
    _tolerance,
)
def lstm(x, w, bias, z, u, h0, c0, mask, drop, activation, alpha, recurrent_activation, recurrent_alpha, reverse, keep):
    n = u.shape[0]
    z, hs, cs = _projected(x, w, bias, z), np.zeros((*z.shape[:2], n)), np.zeros((*z.shape[:2], n))
    h, c = _zeros(h0, np.zeros((len(z), n))), _zeros(c0, np.zeros((len(z), n)))
    kinds = [recurrent_activation, recurrent_activation, activation, recurrent_activation]
    for s, at, live in _steps(z, mask, reverse):
        value = []
        for g, seen in enumerate(_seen(h, drop, 4)):
            columns = slice(g * n, (g + 1) * n)
            v, kept = _act(kinds[g], z[:, at, columns] + seen @ u[:, columns])
            z[:, at, columns] = np.where(live, kept, z[:, at, columns])
            value.append(v)
        i, f, g, o = value
        new = f * c + i * g
        h = hs[:, s] = np.where(live, o * _act(activation, new)[0], h)
        c = cs[:, s] = np.where(live, new, c)
    return (z, hs, cs, h, c) if keep else (None, hs, None, h, c)


# A scale for each gate is the business of the ops' gradient checks: p depends on drop.
@kernel_case(
    SIZES,
    BENCH,
    [_case(**s) for s in [*_GATED[1:], {**_GATED[0], "c0": None, "dy": None}]],
    _INPUTS,
    _tolerance,
)
def lstm_grad(
    z,
    u,
    h,
    c,
    h0,
    c0,
    mask,
    drop,
    dy,
    dhn,
    dcn,
    activation,
    alpha,
    recurrent_activation,
    recurrent_alpha,
    reverse,
):
    n = u.shape[0]
    dh, dc, dz = dhn.copy(), dcn.copy(), np.zeros_like(z)
    hp = np.zeros((1 if drop is None else len(drop), *h.shape))
    kinds = [recurrent_activation, recurrent_activation, activation, recurrent_activation]
    gate = lambda a, g: a[..., g * n : (g + 1) * n]  # noqa: E731
    for s, at, live in reversed(list(_steps(z, mask, reverse))):
        h_before, c_before = (h[:, s - 1], c[:, s - 1]) if s else (_zeros(h0, dhn), _zeros(c0, dcn))
        hp[:, :, at] = _seen(h_before, drop, 4)[: len(hp)]
        if dy is not None:
            dh = dh + dy[:, s]
        (i, di), (f, df), (g, dg), (o, do) = (_act_back(k, gate(z[:, at], j)) for j, k in enumerate(kinds))
        value, slope = _act_at(activation, c[:, s])
        d = dc + dh * o * slope
        now = np.concatenate([d * g * di, d * c_before * df, d * i * dg, dh * value * do], axis=-1)
        dz[:, at] = np.where(live, now, 0)
        pulled = sum(
            gate(dz[:, at], j) @ gate(u, j).T * (1 if drop is None else drop[min(j, len(drop) - 1)]) for j in range(4)
        )
        dh, dc = np.where(live, pulled, dh), np.where(live, d * f, dc)
    return dz, hp, dh, dc


_GRU = [
    _case(**s, **r)
    for s, r in [
        (_GATED[0], dict(reset_after=True)),
        (_GATED[0], dict(reset_after=False, recurrent_bias=None, bias=None)),
        (_GATED[1], dict(reset_after=True, **_NO_INPUT)),
        (_GATED[1], dict(reset_after=False, recurrent_bias=None)),
        (_GATED[2], dict(reset_after=True, recurrent_bias=None, **_NO_INPUT)),
        (_GATED[1], dict(reset_after=True, keep=False)),
        (_GATED[1], dict(reset_after=False, recurrent_bias=None, keep=False)),
    ]
]
_GRU_SIZES = SIZES + [dict(b=9, t=3, n=20, p=3, q=3, d=5), dict(b=2, t=3, n=128, p=3, q=3, d=3)]


@kernel_case(_GRU_SIZES, BENCH, _GRU, _INPUTS, _tolerance)
def gru(
    x,
    w,
    bias,
    z,
    u,
    recurrent_bias,
    h0,
    mask,
    drop,
    activation,
    alpha,
    recurrent_activation,
    recurrent_alpha,
    reset_after,
    reverse,
    keep,
):
    n = u.shape[0]
    z, hs, ss = _projected(x, w, bias, z), np.zeros((*z.shape[:2], n)), np.zeros((*z.shape[:2], n))
    h = _zeros(h0, np.zeros((len(z), n)))
    b = np.zeros(3 * n) if recurrent_bias is None else recurrent_bias
    gate = lambda a, g: a[..., g * n : (g + 1) * n]  # noqa: E731
    for s, at, live in _steps(z, mask, reverse):
        seen = _seen(h, drop, 3)
        update, kept_z = _act(recurrent_activation, gate(z[:, at], 0) + seen[0] @ gate(u, 0) + gate(b, 0))
        reset, kept_r = _act(recurrent_activation, gate(z[:, at], 1) + seen[1] @ gate(u, 1) + gate(b, 1))
        if reset_after:
            side = seen[2] @ gate(u, 2) + gate(b, 2)
            candidate, kept_h = _act(activation, gate(z[:, at], 2) + reset * side)
        else:
            side = reset * seen[2]
            candidate, kept_h = _act(activation, gate(z[:, at], 2) + side @ gate(u, 2))
        z[:, at] = np.where(live, np.concatenate([kept_z, kept_r, kept_h], -1), z[:, at])
        ss[:, s] = np.where(live, side, 0)
        h = hs[:, s] = np.where(live, update * h + (1 - update) * candidate, h)
    return (z, hs, ss, h) if keep else (None, hs, None, h)


def _gru_grad(z, u, h, s, h0, mask, drop, dy, dhn, activation, recurrent_activation, reset_after, reverse):
    n = u.shape[0]
    dh, dz, ds = dhn.copy(), np.zeros_like(z), np.zeros_like(z)
    planes = 1 if drop is None else len(drop)
    hp = np.zeros((planes if reset_after else max(2, planes), *h.shape))
    gate = lambda a, g: a[..., g * n : (g + 1) * n]  # noqa: E731
    scale = lambda g: 1 if drop is None else drop[min(g, planes - 1)]  # noqa: E731
    for k, at, live in reversed(list(_steps(z, mask, reverse))):
        before = h[:, k - 1] if k else _zeros(h0, dhn)
        hp[:, :, at] = _seen(before, drop, len(hp))
        if not reset_after:
            hp[-1, :, at] = s[:, k]
        if dy is not None:
            dh = dh + dy[:, k]
        (update, d_update), (reset, d_reset) = (_act_back(recurrent_activation, gate(z[:, at], g)) for g in (0, 1))
        candidate, d_candidate = _act_back(activation, gate(z[:, at], 2))
        d0 = np.where(live, dh * (before - candidate) * d_update, 0)
        d2 = np.where(live, dh * (1 - update) * d_candidate, 0)
        carried = dh * update
        if reset_after:
            d1, side = d2 * s[:, k] * d_reset, d2 * reset
            carried = carried + side @ gate(u, 2).T * scale(2)
        else:
            back = d2 @ gate(u, 2).T * scale(2)
            d1, side = np.where(live, back * before * d_reset, 0), d2
            carried = carried + back * reset
        carried = carried + d0 @ gate(u, 0).T * scale(0) + d1 @ gate(u, 1).T * scale(1)
        dz[:, at] = np.concatenate([d0, d1, d2], -1)
        ds[:, at] = np.concatenate([d0, d1, side], -1)
        dh = np.where(live, carried, dh)
    return dz, ds, hp, dh


def _with_reset_after(cases):
    inputs = ("x", "w", "bias", "recurrent_bias")
    return [{k: v for k, v in c.items() if k not in inputs} for c in cases if c["reset_after"]]


@kernel_case(SIZES, BENCH, _with_reset_after(_GRU), _INPUTS, _tolerance)
def gru_grad(
    z,
    u,
    h,
    s,
    h0,
    mask,
    drop,
    dy,
    dhn,
    activation,
    alpha,
    recurrent_activation,
    recurrent_alpha,
    reset_after,
    reverse,
):
    return _gru_grad(z, u, h, s, h0, mask, drop, dy, dhn, activation, recurrent_activation, reset_after, reverse)


def _planes(p, gates):
    return [max(0, g - (gates - p)) for g in range(gates)]


_GATES = [
    dict(p=p, m=m, k=k, n=n)
    for p in (1, 2, 4)
    for m, k, n in [((3, 2), 5, 8), ((1,), 1, 4), ((0,), 3, 4), ((7, 9), 40, 132)]
]


def _long(p, m, k, n):
    return 4 * math.sqrt(max(k, n, math.prod(m), 1)) + 4


@kernel_case(_GATES, [dict(p=4, m=(32, 100), k=128, n=512)], [dict(gates=4)], tolerance=_long)
def gates_nn(x, w, b, gates):
    ws, bs = np.split(w, gates, -1), np.split(b, gates)
    return np.concatenate([x[p] @ ws[g] + bs[g] for g, p in enumerate(_planes(len(x), gates))], -1)


@kernel_case([s for s in _GATES if s["p"] == 1], tolerance=_long, scalars=[dict(gates=4)])
def gates_nt(dz, w, gates):
    return (dz @ w.T)[None]


@kernel_case(_GATES, [dict(p=4, m=(32, 100), k=128, n=512)], [dict(gates=4)], tolerance=_long)
def gates_tn(x, dz, gates):
    ds = np.split(dz.reshape(-1, dz.shape[-1]), gates, -1)
    xs = x.reshape(len(x), -1, x.shape[-1])
    return np.concatenate([xs[p].T @ ds[g] for g, p in enumerate(_planes(len(x), gates))], -1)


@kernel_case(
    [dict(b=b, t=t, n=n) for b, t, n in [(3, 4, 5), (1, 1, 1), (0, 2, 3), (2, 0, 3), (2, 70, 17)]],
    [dict(b=32, t=100, n=128)],
    [dict(reverse=False), dict(reverse=True)],
    _MASK,
    exact=True,
)
def zero_masked(x, mask, reverse):
    return np.where((mask[:, ::-1] if reverse else mask)[..., None], x, 0)


# --- gradients of the ops -------------------------------------------------------------------------

_SOME = np.array([[True, False, True, True], [False, True, True, False]])
_LATE = np.array([[False, False, True, True], [True, True, False, True]])


def _scales(rows, size, planes, seed):
    return np.random.default_rng(seed).choice([0.0, 1.25, 2.0], (planes, rows, size))


def _op_cases(name, gates, bias, **fixed):
    x, w, u, h = T(2, 4, 3), T(3, gates * 5), T(5, gates * 5), T(2, 5)
    states = dict(h0=h, c0=T(2, 5)) if name == "lstm" else dict(h0=h)
    act = dict(recurrent_activation="gelu") if gates > 1 else {}
    common = dict(x=x, kernel=w, recurrent_kernel=u)
    op_case(name, 1e-5, **common, **fixed, bias=bias, **states, mask=_SOME)
    op_case(name, 1e-5, **common, **fixed, bias=bias)
    op_case(
        name,
        1e-5,
        **common,
        **fixed,
        **states,
        mask=_LATE,
        go_backwards=True,
        return_sequences=False,
    )
    # gelu is not bounded: a smaller U keeps the state so.
    small = dict(common, recurrent_kernel=T(5, gates * 5, low=-0.4, high=0.4))
    op_case(
        name,
        1e-5,
        **small,
        **fixed,
        bias=bias,
        **states,
        activation="softsign",
        **act,
        go_backwards=True,
        input_dropout=_scales(2, 3, 1, 0),
        recurrent_dropout=_scales(2, 5, 1, 1),
    )
    if gates > 1:
        op_case(
            name,
            1e-5,
            **common,
            **fixed,
            bias=bias,
            **states,
            mask=_SOME,
            input_dropout=_scales(2, 3, gates, 2),
            recurrent_dropout=_scales(2, 5, gates, 3),
        )


_op_cases("simple_rnn", 1, T(5))
_op_cases("lstm", 4, T(20))
_op_cases("gru", 3, T(2, 15))
_op_cases("gru", 3, T(15), reset_after=False)
op_case("zero_masked_steps", x=T(2, 4, 3), mask=_SOME, go_backwards=True)
