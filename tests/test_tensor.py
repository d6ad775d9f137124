"""Tensors that Python made without running their constructor are refused, not read."""

import numpy as np
import pytest

from fastnn import kernels, ops
from fastnn.tensor import Tensor

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
