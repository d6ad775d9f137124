"""Schedules against Keras, which computes in float32 (6e-8 relative; its cosine 1e-7 of the start).

Restarts are the exception: Keras takes a float32 logarithm to find them.
"""

import jax
import numpy as np
import pytest

import registered
from fastnn import schedules
from keras_reference import keras

STEPS = [0, 1, 2, 7, 9, 10, 11, 15, 20, 21, 33, 50, 99, 100, 101, 250, 1000]
CASES = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PiecewiseConstantDecay", ([10, 20], [1.0, 0.5, 0.25]), {}),
    ("PiecewiseConstantDecay", ([10], [1, 2]), {}),
    ("PolynomialDecay", (0.1, 100), {}),
    ("PolynomialDecay", (0.1, 20), {"end_learning_rate": 0.01, "power": 2.0}),
    ("PolynomialDecay", (0.1, 20), {"end_learning_rate": 0.01, "power": 0.5, "cycle": True}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("CosineDecay", (0.1, 100), {}),
    ("CosineDecay", (0.1, 100), {"alpha": 0.2}),
    ("CosineDecay", (0.0, 100), {"warmup_target": 0.1, "warmup_steps": 10}),
    ("CosineDecay", (0.2, 100), {"warmup_target": 0.1, "warmup_steps": 50, "alpha": 0.1}),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 1.0}),
    ("CosineDecayRestarts", (0.1, 10), {"m_mul": 0.5, "alpha": 0.1}),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 1.5, "m_mul": 0.9}),
]


def test_every_registered_schedule_is_compared():
    assert {case[0] for case in CASES} == registered.classes("optimizers.schedules")


@pytest.mark.parametrize("name, arguments, keywords", CASES)
def test_rates_are_kerass(name, arguments, keywords):
    ours = getattr(schedules, name)(*arguments, **keywords)
    theirs = getattr(keras.optimizers.schedules, name)(*arguments, **keywords)
    for step in STEPS:
        rate = ours(step)
        assert type(rate) is float
        with jax.disable_jit():  # compiling each cosine anew would take seconds
            expected = float(theirs(step))
        np.testing.assert_allclose(rate, expected, rtol=2e-6, atol=2e-7, err_msg=str(step))


@pytest.mark.parametrize("t_mul", [2.0, 1.5, 3.0])
def test_restarts_begin_exactly(t_mul):
    schedule = schedules.CosineDecayRestarts(1.0, 4, t_mul=t_mul, m_mul=0.5)
    begin = 0.0
    for i in range(12):
        # At the first step of period i the rate is that of a fresh start.
        step = int(np.ceil(begin))
        p = (step - begin) / (4 * t_mul**i)
        expected = 0.5**i * 0.5 * (1 + np.cos(np.pi * p))
        assert schedule(step) == pytest.approx(expected, rel=1e-9)
        begin += 4 * t_mul**i


def test_steps_of_any_kind_of_integer():
    schedule = schedules.ExponentialDecay(0.1, 10, 0.5)
    assert schedule(np.int64(7)) == schedule(7) == schedule(np.array(7))


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.PolynomialDecay(0.1, -1),
        lambda: schedules.InverseTimeDecay(0.1, 0, 0.5),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
        lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]),
    ],
)
def test_errors(make):
    with pytest.raises(ValueError, match="must be"):
        make()
