"""Every differentiable op against central differences in float64. The list comes from the registry
of ops: one without a case fails.
"""

import gc

import numpy as np
import pytest

from fastnn import autograd, ops, reference
from fastnn.tensor import Tensor

reference.load()


def draw(arguments, rng):
    """Arguments with every T replaced by a float64 tensor, and the list of those tensors."""
    tensors = []

    def convert(value):
        if isinstance(value, reference.T):
            t = Tensor(value.draw(rng), "float64")
            if value.grad:
                t.requires_grad = True
                tensors.append(t)
            return t
        if isinstance(value, list) and any(isinstance(v, reference.T) for v in value):
            return [convert(v) for v in value]
        if isinstance(value, np.ndarray):
            return Tensor(value)
        return value

    return {k: convert(v) for k, v in arguments.items()}, tensors


def loss_of(result, weights):
    results = result if isinstance(result, (tuple, list)) else (result,)
    return sum(float((r.numpy() * w).sum()) for r, w in zip(results, weights))


def cases():
    return [pytest.param(c, id=f"{name}-{i}") for name, many in reference.OPS.items() for i, c in enumerate(many)]


@pytest.mark.parametrize("case", cases())
def test_gradient(case):
    rng = np.random.default_rng(7)
    function = getattr(ops, case.name)
    arguments, tensors = draw(case.arguments, rng)
    result = function(**arguments)
    results = result if isinstance(result, (tuple, list)) else (result,)
    weights = [rng.standard_normal(r.shape) for r in results]
    # d(sum of w * result): seeds every result of the op at once.
    total = None
    for r, w in zip(results, weights):
        if not autograd.needs_grad(r):
            continue
        term = ops.sum(ops.multiply(r, Tensor(w, "float64")))
        total = term if total is None else ops.add(total, term)
    got = autograd.gradients(total, tensors)
    h = 1e-6
    for t, g in zip(tensors, got):
        base = t.numpy()
        numeric = np.zeros_like(base)
        for i in np.ndindex(base.shape):
            sides = []
            for sign in (1, -1):
                moved = base.copy()
                moved[i] += sign * h
                t.assign_numpy(moved)
                with autograd.no_grad():
                    sides.append(loss_of(function(**arguments), weights))
            t.assign_numpy(base)
            numeric[i] = (sides[0] - sides[1]) / (2 * h)
        value = np.zeros_like(base) if g is None else g.numpy()
        scale = max(1.0, np.abs(numeric).max(initial=0.0))
        np.testing.assert_allclose(value / scale, numeric / scale, atol=case.tolerance, rtol=0)


def test_every_differentiable_op_has_a_case():
    """Ops that users call and those these are made of: each is met in the graph of some case."""
    rng = np.random.default_rng(7)
    met = set()
    for case in (c for many in reference.OPS.values() for c in many):
        arguments, _ = draw(case.arguments, rng)
        result = getattr(ops, case.name)(**arguments)
        pending = list(result) if isinstance(result, (tuple, list)) else [result]
        while pending:
            t = pending.pop()
            if isinstance(t, (tuple, list)):
                pending += t
            elif isinstance(t, Tensor) and t._node is not None:
                met.add(t._node[0].name)
                pending += t._node[0].inputs
    missing = sorted(set(autograd.OPS) - met - set(ops.NOT_DIFFERENTIABLE))
    assert not missing, f"ops without a gradient case in fastnn/reference/: {missing}"


@pytest.mark.parametrize("case", cases())
def test_what_an_op_keeps_goes_with_its_result(case):
    """At once: the memory of a step does not wait for the collector of cycles."""
    arguments, _ = draw(case.arguments, np.random.default_rng(7))
    function = getattr(ops, case.name)
    function(**arguments)
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        function(**arguments)
        assert gc.collect() == 0
    finally:
        if enabled:
            gc.enable()
