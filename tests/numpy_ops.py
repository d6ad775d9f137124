"""NumPy under the names of `fastnn.ops`: what is written with ops can be tested by itself."""

import sys
import types

import numpy as np
import pytest


@pytest.fixture
def numpy_ops(monkeypatch):
    """`from fastnn import ops` gives NumPy within the test."""
    import fastnn

    ops = types.SimpleNamespace(
        absolute=np.absolute, clip=np.clip, eye=np.eye, matmul=np.matmul, maximum=np.maximum,
        sqrt=np.sqrt, square=np.square, sum=np.sum, transpose=np.transpose,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "fastnn.ops", ops)
    monkeypatch.setattr(fastnn, "ops", ops, raising=False)
    return ops
