"""Moved elements in NumPy. Permutations of axes of unequal lengths: tests/test_move.py."""

import itertools

import numpy as np

from . import T, kernel_case, op_case

SIZES = [dict(s=s) for s in [(), (0,), (1,), (33,), (3, 5), (40009,)]]
TYPES = [{"s": (37,), "dtype:x": t} for t in ("int32", "uint8", "bool")]


@kernel_case(SIZES + TYPES, [dict(s=(1_000_000,))], exact=True, speed_of=np.copy)
def copy(x):
    return x


@kernel_case(
    [dict(s=s, x=x) for s, x in [
        ((3, 4), (4,)), ((3, 4), (3, 1)), ((3, 4), ()), ((), ()), ((0, 4), (4,)),
        ((2, 3, 4, 5), (3, 1, 5)),
        ((2, 3, 4, 5), (2, 1, 4, 1)), ((300, 70), (70,)), ((300, 70), (300, 1)), ((9,), (9,)),
    ]] + [{"s": (6, 7), "x": (7,), "dtype:x": "uint8"}],
    [dict(s=(4096, 256), x=(256,)), dict(s=(4096, 256), x=(4096, 1))],
    exact=True,
    speed_of=lambda x, sizes: np.broadcast_to(x, sizes["s"]).copy(),
)  # fmt: skip
def broadcast_copy(x, sizes):
    return np.broadcast_to(x, sizes["s"])


@kernel_case(
    [{"s": (n,) * 3, "t": (n,) * 3, "dtype:x": t} for n in (0, 1, 2, 7, 33) for t in ("float32", "float64", "uint8")],
    [dict(s=(100, 100, 100), t=(100, 100, 100))],
    scalars=[dict(axes=list(p)) for p in itertools.permutations(range(3))][::-1],
    exact=True,
    speed_of=lambda x, axes: np.ascontiguousarray(x.transpose(axes)),
)
def transpose(x, axes):
    return x.transpose(axes)


# --- gradients ------------------------------------------------------------------------------------

op_case("reshape", x=T(2, 6), newshape=(3, -1))
op_case("transpose", x=T(2, 3, 4))
op_case("transpose", x=T(2, 3, 4), axes=(1, 2, 0))
op_case("moveaxis", x=T(2, 3, 4), source=0, destination=-1)
op_case("broadcast_to", x=T(3, 1), shape=(2, 3, 4))
op_case("tile", x=T(2, 3), repeats=(2, 3))
op_case("repeat", x=T(2, 3), repeats=2, axis=1)
op_case("repeat", x=T(2, 3), repeats=[1, 0, 2], axis=1)
op_case("expand_dims", x=T(2, 3), axis=1)
op_case("squeeze", x=T(2, 1, 3))
for _k in (-1, 0, 2):
    op_case("tril", x=T(2, 3, 4), k=_k)
    op_case("triu", x=T(2, 3, 4), k=_k)
