"""Ctrl-C round a block that it does not cut: whose handler answers, when, and what is restored."""

import os
import signal
import threading

import numpy as np
import pytest

import fastnn as keras
from fastnn.guards import CtrlCWaits


def press():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(3):  # Python answers between two bytecodes
        pass


@pytest.fixture
def answers():
    """Ctrl-C answered by a handler that notes where it was called."""
    seen = []

    def handler(number, frame):
        assert number == signal.SIGINT and frame is not None
        seen.append("answered")

    before = signal.signal(signal.SIGINT, handler)
    yield seen
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def default():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_handler_answers_at_the_end(answers):
    handler = signal.getsignal(signal.SIGINT)
    with CtrlCWaits():
        press()
        assert answers == []
    assert answers == ["answered"] and signal.getsignal(signal.SIGINT) is handler


def test_the_block_is_finished_before_keyboard_interrupt(default):
    done = []

    def work():
        press()
        done.append(True)

    with pytest.raises(KeyboardInterrupt), CtrlCWaits():
        work()
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_press_is_answered_at_once(default):
    done = []

    def work():
        press()
        press()
        done.append(True)

    with pytest.raises(KeyboardInterrupt), CtrlCWaits():
        work()
    assert not done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nested_blocks(answers):
    handler = signal.getsignal(signal.SIGINT)
    with CtrlCWaits():
        with CtrlCWaits():
            press()
        assert answers == []
    assert answers == ["answered"] and signal.getsignal(signal.SIGINT) is handler


def test_an_error_inside_restores_the_handler(answers):
    handler = signal.getsignal(signal.SIGINT)

    def work():
        press()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), CtrlCWaits():
        work()
    assert answers == ["answered"] and signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("other", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_handler_is_left_alone(answers, other):
    signal.signal(signal.SIGINT, other)
    with CtrlCWaits():
        assert signal.getsignal(signal.SIGINT) is other
    assert signal.getsignal(signal.SIGINT) is other


def test_a_handler_set_inside_stays(answers):
    others = []
    other = lambda number, frame: others.append("other")  # noqa: E731
    with CtrlCWaits():
        signal.signal(signal.SIGINT, other)
        press()
    assert signal.getsignal(signal.SIGINT) is other and others == ["other"] and answers == []


def test_a_handler_that_sets_another(default):
    """The first Ctrl-C asks to stop, later ones are for Python: a common handler."""
    asked = []

    def stop(number, frame):
        asked.append("stop")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    with CtrlCWaits():
        press()
    assert asked == ["stop"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_touch_no_handler(answers):
    handler, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with CtrlCWaits():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [handler]


def test_an_update_is_whole_before_the_answer(default):
    """The interrupt comes in the constraint of the first of two weights; both have moved then."""

    class Pressing(keras.constraints.Constraint):
        def __call__(self, w):
            press()
            return w

    first, second = keras.Variable([1.0]), keras.Variable([1.0])
    first.constraint = Pressing()
    optimizer = keras.optimizers.SGD(0.5)
    with pytest.raises(KeyboardInterrupt):
        optimizer.apply([np.float32([1.0]), np.float32([1.0])], [first, second])
    assert first.tolist() == second.tolist() == [0.5] and int(optimizer.iterations) == 1
