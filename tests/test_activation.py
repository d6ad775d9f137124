"""Activations as a pair: the derivative from the output belongs to the function; in place too."""

import numpy as np
import pytest

from fastnn import _core, activations, kernels, ops
from fastnn.autograd import gradients
from fastnn.reference.activation import FORMULAS
from fastnn.tensor import Tensor, from_numpy

NAMES = list(_core.activations)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_belongs_to_the_function(name):
    kind, reads = _core.activations[name]
    x = np.linspace(-4.03, 4.01, 1001)
    y = np.empty_like(x)
    kernels.activation_forward(from_numpy(x), from_numpy(y), kind, 0.3)
    np.testing.assert_allclose(y, FORMULAS[name][0](x, 0.3), rtol=1e-12, atol=1e-14)
    dy = np.cos(3 * x)
    want = dy * FORMULAS[name][1](x, 0.3)
    known = {
        "input": (from_numpy(x), None),
        "output": (None, from_numpy(y)),
        "nothing": (None, None),
    }[reads]
    kernels.activation_grad(*known, from_numpy(dy), from_numpy(dy), kind, 0.3)  # dx over dy
    # Derivatives read off y lose what y has lost: about one eps of 1 absolutely.
    np.testing.assert_allclose(dy, want, rtol=1e-11, atol=1e-14)


def test_a_missing_argument_is_named():
    x = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="activation_grad: this activation's derivative needs y"):
        kernels.activation_grad(x, None, x, x, _core.activations["tanh"][0], 0.0)
    with pytest.raises(ValueError, match="activation_grad: this activation's derivative needs x"):
        kernels.activation_grad(None, x, x, x, _core.activations["gelu"][0], 0.0)
    with pytest.raises(ValueError, match="kind is 999"):
        kernels.activation_forward(x, x, 999, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_nan_goes_through(name):
    if name in ("step", "leaky_relu", "elu", "selu"):
        x = np.array([np.nan], np.float32)
        y = np.empty_like(x)
        kernels.activation_forward(from_numpy(x), from_numpy(y), _core.activations[name][0], 0.3)
        assert name == "step" or np.isnan(y[0])
        return
    assert np.isnan(getattr(ops, name.removesuffix("_tanh"))(Tensor([np.nan])).item())


def test_names():
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    assert activations.serialize(activations.relu) == "relu"
    assert activations.deserialize("hard_swish") is activations.hard_silu
    with pytest.raises(ValueError, match=r"Unknown activation function 'rellu'.*'relu'"):
        activations.get("rellu")
    for name in NAMES:
        if name != "gelu_tanh":
            assert activations.get(name).fused[0] == name


def test_prelu_learns_its_slope():
    x, alpha = Tensor([[1.0, -2.0], [-3.0, -4.0]]), Tensor([0.5, 0.25])
    alpha.requires_grad = True
    y = ops.prelu(x, alpha)
    np.testing.assert_array_equal(y.numpy(), [[1.0, -0.5], [-1.5, -1.0]])
    (dalpha,) = gradients(ops.sum(y), [alpha])
    np.testing.assert_array_equal(dalpha.numpy(), [-3.0, -6.0])
    with pytest.raises(ValueError, match="prelu: alpha"):
        ops.prelu(x, Tensor([1.0, 2.0, 3.0]))


def test_leaky_relu_without_a_slope():
    """With alpha = 0 the sign of y says nothing: it is relu."""
    kind, _ = _core.activations["leaky_relu"]
    x, y, dx = (from_numpy(np.array(v, "float32")) for v in ([-2, -1, 0, 1], [9] * 4, [9] * 4))
    kernels.activation_forward(x, y, kind, 0.0)
    kernels.activation_grad(None, y, Tensor([1.0, 1.0, 1.0, 1.0]), dx, kind, 0.0)
    assert y.tolist() == [0, 0, 0, 1] and dx.tolist() == [0, 0, 0, 1]
