"""Learning-rate schedules: `schedule(step)` -> float, step = number of optimizer updates done, from
0.

All arithmetic is in double precision. Cosine schedules: Loshchilov & Hutter 2017, "SGDR", section
3.
"""

from __future__ import annotations

import math

from fastnn.configurable import Configurable
from fastnn.serialization import Family

_family = Family("learning rate schedule", "keras.optimizers.schedules")
get, serialize, deserialize = _family.get, _family.serialize, _family.deserialize


class LearningRateSchedule(Configurable):
    """Base class: `schedule(step)` returns the learning rate."""

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


@_family.register()
class ExponentialDecay(LearningRateSchedule):
    """initial decay_rate^(step / decay_steps); `staircase` rounds the exponent down."""

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        decay_rate,
        staircase=False,
        name="ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step):
        p = float(step) / self.decay_steps
        return float(self.initial_learning_rate * self.decay_rate ** (math.floor(p) if self.staircase else p))


@_family.register()
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] for the first i with step <= boundaries[i], the last value after all of them."""

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"there must be one more value than boundaries; received {len(boundaries)} "
                f"boundaries and {len(values)} values"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step):
        passed = sum(float(step) > boundary for boundary in self.boundaries)
        return float(self.values[passed])


@_family.register()
class PolynomialDecay(LearningRateSchedule):
    """(initial - end) (1 - step / decay_steps)^power + end; `cycle` stretches decay_steps to its
    next multiple.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step):
        step, decay_steps = float(step), self.decay_steps
        if self.cycle:
            decay_steps *= max(1, math.ceil(step / decay_steps))
        p = min(step / decay_steps, 1.0)
        return float(
            (self.initial_learning_rate - self.end_learning_rate) * (1 - p) ** self.power + self.end_learning_rate
        )


@_family.register()
class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + decay_rate step / decay_steps); `staircase` rounds the fraction down."""

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        decay_rate,
        staircase=False,
        name="InverseTimeDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step):
        p = float(step) / self.decay_steps
        return float(self.initial_learning_rate / (1 + self.decay_rate * (math.floor(p) if self.staircase else p)))


@_family.register()
class CosineDecay(LearningRateSchedule):
    """Half a cosine from initial_learning_rate down to alpha times it, over decay_steps.

    With `warmup_target` the rate first rises linearly from initial_learning_rate to the target over
    `warmup_steps`, and the cosine starts from the target.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step, start = float(step), self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return float(start + (self.warmup_target - start) * step / self.warmup_steps)
            step, start = step - self.warmup_steps, self.warmup_target
        cosine = 0.5 * (1 + math.cos(math.pi * min(step / self.decay_steps, 1.0)))
        return float(start * ((1 - self.alpha) * cosine + self.alpha))


@_family.register()
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after another: the i-th lasts first_decay_steps t_mul^i and starts at
    initial m_mul^i.
    """

    def __init__(
        self,
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step):
        p = float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            restarts = math.floor(p)
            p -= restarts
        else:  # restart i begins at (t^i - 1) / (t - 1)
            t = self.t_mul
            restarts = math.floor(math.log(1 + p * (t - 1)) / math.log(t))
            begin = (t**restarts - 1) / (t - 1)
            # The logarithm's rounding can land one restart off exactly at a boundary.
            if p >= begin + t**restarts:
                begin, restarts = begin + t**restarts, restarts + 1
            elif p < begin:
                restarts -= 1
                begin -= t**restarts
            p = (p - begin) / t**restarts
        cosine = 0.5 * self.m_mul**restarts * (1 + math.cos(math.pi * p))
        return float(self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha))


def _positive(name, value):
    if not value > 0:
        raise ValueError(f"{name} must be positive; received {value!r}")
    return value
