"""Tensors that Python made without running their constructor are refused, not read."""

import gc
import weakref

import numpy as np
import pytest

from fastnn import kernels, ops
from fastnn.tensor import Tensor
from fastnn.variables import Variable

USES = {
    "shape": lambda t: t.shape,
    "dtype": lambda t: t.dtype,
    "size": lambda t: t.size,
    "repr": repr,
    "numpy": lambda t: t.numpy(),
    "asarray": np.asarray,
    "assign": lambda t: t.assign_numpy(np.zeros((), "float32")),
    "rebind": lambda t: Tensor(1.0).rebind(t),
    "op": lambda t: ops.exp(t),
    "kernel": lambda t: kernels.copy(t, Tensor(1.0)),
}


@pytest.mark.parametrize("use", USES)
def test_a_tensor_without_memory_is_refused(use):
    with pytest.raises((ValueError, BufferError)):
        USES[use](Tensor.__new__(Tensor))


@pytest.mark.parametrize("kind", [Tensor, Variable])
def test_tensors_in_a_circle_are_collected(kind):
    """Python's collector must see each attribute once: one seen twice looks as if others needed it."""
    t = kind(np.ones(3, "float32"))
    t.mine = [t]
    seen = weakref.ref(t)
    assert len([r for r in gc.get_referents(t) if isinstance(r, dict)]) <= 1
    del t
    gc.collect()
    assert seen() is None
