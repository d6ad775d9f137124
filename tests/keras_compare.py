"""Real Keras, on JAX, beside fastnn: one op on the same float32 arrays, forward and backward."""

import jax
import numpy as np

from fastnn import autograd, ops
from fastnn.tensor import Tensor, to_tensor
from keras_reference import keras


def compare(
    name,
    arrays,
    kwargs=None,
    tolerance=2e-6,
    gradient=True,
    listed=False,
    function=None,
    reference=None,
):
    """Runs ops.<name> and keras.ops.<name> on `arrays` and compares results and, for float inputs,
    the gradients of sum(w * result).

    tolerance: relative to the largest magnitude of each array compared; 2e-6 is 16 eps of float32,
    room for two different orders of the same few operations.
    """
    kwargs = kwargs or {}
    ours, theirs = function or getattr(ops, name), reference or getattr(keras.ops, name)
    tensors = [Tensor(a) for a in arrays]
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    for i in floats:
        tensors[i].requires_grad = gradient
    got = ours(list(tensors), **kwargs) if listed else ours(*tensors, **kwargs)

    def call(*values):
        r = theirs(list(values), **kwargs) if listed else theirs(*values, **kwargs)
        return r if isinstance(r, (tuple, list)) else (r,)

    want = call(*[jax.numpy.asarray(a) for a in arrays])
    got = got if isinstance(got, (tuple, list)) else (got,)
    assert len(got) == len(want)
    where = f"{name}{[a.shape for a in arrays]} {kwargs}"
    for g, w in zip(got, want):
        check(g.numpy(), np.asarray(w), tolerance, where)
    if not gradient or not floats:
        return
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(w.shape).astype("float32") for w in want]
    used = [k for k, g in enumerate(got) if autograd.needs_grad(g)]
    if not used:
        return
    total = None
    for k in used:
        term = ops.sum(ops.multiply(got[k], to_tensor(weights[k])))
        total = term if total is None else ops.add(total, term)
    found = autograd.gradients(total, [tensors[i] for i in floats])

    def loss(values):
        full = list(arrays)
        for i, v in zip(floats, values):
            full[i] = v
        results = call(*full)
        return sum((results[k] * weights[k]).sum() for k in used)

    expected = jax.grad(loss)([jax.numpy.asarray(arrays[i]) for i in floats])
    for f, e in zip(found, expected):
        check(
            np.zeros(e.shape, "float32") if f is None else f.numpy(),
            np.asarray(e),
            4 * tolerance,
            where + " gradient",
        )


def check(got, want, tolerance, where):
    assert got.shape == want.shape, where
    kinds = {"i": "iu", "u": "iu"}.get(want.dtype.kind, want.dtype.kind)
    assert got.dtype.kind in kinds, f"{where}: {got.dtype} instead of {want.dtype}"
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=where)
        return
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=where)
    scale = max(1.0, float(np.abs(want[finite]).max(initial=0)))
    np.testing.assert_allclose(got[finite] / scale, want[finite] / scale, rtol=0, atol=tolerance, err_msg=where)
