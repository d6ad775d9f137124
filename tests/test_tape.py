"""GradientTape and backward(): gradients of gradients are refused, never silently None, and what is
no gradient of a gradient works as in TensorFlow.
"""

import threading

import numpy as np
import pytest

from fastnn import GradientTape, no_grad, ops
from fastnn.tensor import Tensor
from fastnn.variables import Variable

REFUSED = pytest.raises(NotImplementedError, match="second-order gradients are not supported.*stop_gradient")


@pytest.fixture
def x():
    return Variable([1.0, 2.0])


def cube(x):
    return ops.sum(x * x * x)


@pytest.mark.parametrize("of", [lambda g: g, lambda g: ops.sum(g * g)], ids=["itself", "function"])
def test_tape_inside_a_tape(x, of):
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = cube(x)
        z = of(inner.gradient(y, x))
    with REFUSED:
        outer.gradient(z, x)


def test_gradient_penalty(x):
    with GradientTape() as outer:
        y = cube(x)
        with GradientTape() as inner:
            inner_y = cube(x)
        (g,) = inner.gradient(inner_y, [x])
        loss = y + ops.sum(ops.square(g))
    with REFUSED:
        outer.gradient(loss, [x])


def test_persistent_tape_differentiates_its_own_gradient(x):
    with GradientTape(persistent=True) as tape:
        g = tape.gradient(cube(x), x)
        z = ops.sum(g)
    with REFUSED:
        tape.gradient(z, x)


def test_backward_through_a_gradient(x):
    with GradientTape():
        with GradientTape() as inner:
            y = cube(x)
        z = ops.sum(inner.gradient(y, x))
    with REFUSED:
        z.backward()


def test_tape_over_backward(x):
    with GradientTape() as tape:
        cube(x).backward()
        z = ops.sum(x.grad)
    with REFUSED:
        tape.gradient(z, x)


def test_backward_of_a_gradient_says_that_nothing_leads_to_it(x):
    with GradientTape() as tape:
        y = cube(x)
    with pytest.raises(ValueError, match="a gradient that was computed outside of a GradientTape is a constant"):
        ops.sum(tape.gradient(y, x)).backward()


# --- what is none ---------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [ops.stop_gradient, lambda g: g.detach(), lambda g: Tensor(g.numpy()), ops.sign])
def test_gradients_as_constants(x, constant):
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = cube(x)
        g = constant(inner.gradient(y, x))
        z = ops.sum(x * g)
    np.testing.assert_array_equal(outer.gradient(z, x).numpy(), g.numpy())


def test_gradients_outside_of_tapes_are_constants(x):
    """As in an attack by a normalised gradient step: one tape after the other."""
    with GradientTape() as tape:
        y = cube(x)
    g = tape.gradient(y, x)
    assert g._node is None
    with GradientTape() as tape:
        z = ops.sum(x * g)
    np.testing.assert_array_equal(tape.gradient(z, x).numpy(), [3, 12])


def test_gradient_inside_its_own_tape_is_a_constant(x):
    with GradientTape() as tape:
        g = tape.gradient(cube(x), x)
        assert g._node is None
    with GradientTape() as tape:
        with no_grad(), GradientTape() as inner:
            y = cube(x)
        with no_grad():
            g = inner.gradient(y, x)
    assert g._node is None


def test_the_seed_stays_a_constant(x):
    seed = Tensor([1.0, 1.0])
    with GradientTape():
        with GradientTape() as inner:
            y = x + 0.0
        g = inner.gradient(y, x, output_gradients=seed)
    assert g._node is not None and seed._node is None


def test_unconnected_is_none(x):
    other = Variable(1.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = cube(x)
        assert inner.gradient(y, [other]) == [None]
        z = cube(x)
    g, none = outer.gradient(z, [x, other])
    assert none is None and g is not None


def test_tapes_of_other_threads_do_not_matter(x):
    found = []

    def work():
        with GradientTape() as tape:
            y = cube(x)
        found.append(tape.gradient(y, x))

    with GradientTape():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found[0]._node is None


def test_a_tape_cannot_be_entered_twice():
    with GradientTape() as tape, pytest.raises(ValueError, match="recording already"), tape:
        pass
    with tape:
        pass


def test_an_error_inside_ends_the_tape(x):
    with pytest.raises(ZeroDivisionError), GradientTape():
        raise ZeroDivisionError
    with GradientTape() as tape:
        y = cube(x)
    assert tape.gradient(y, x)._node is None
