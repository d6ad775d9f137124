"""Streams: the same names give the same numbers, and nobody else's generators are touched."""

import copy
import random
import subprocess
import sys

import numpy as np
import pytest

from fastnn.random import (
    SeedGenerator,
    draw_seed,
    global_seed_generator,
    make_default_seed,
    numpy_generator,
    set_random_seed,
)

DRAW = (
    "from fastnn.random import *; set_random_seed(5); "
    "print(make_default_seed(), numpy_generator(None).random(), numpy_generator(7).random())"
)


def test_same_seed_same_numbers_in_every_process():
    set_random_seed(5)
    here = (make_default_seed(), numpy_generator(None).random(), numpy_generator(7).random())
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    there = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.split() == [str(x) for x in here]


def test_foreign_generators_are_untouched():
    before = random.getstate(), np.random.get_state()
    set_random_seed(3)
    make_default_seed()
    numpy_generator(None).random(10)
    SeedGenerator().next()
    assert random.getstate() == before[0]
    for now, then in zip(np.random.get_state(), before[1], strict=True):
        np.testing.assert_array_equal(now, then)
    # ... and do not matter.
    draws = []
    for seed in (1, 2):
        set_random_seed(9)
        np.random.seed(seed)
        random.seed(seed)
        draws.append(make_default_seed())
    assert draws[0] == draws[1]


def test_seed_generator_counts():
    seeds = SeedGenerator(4)
    names = [tuple(map(int, seeds.next())) for _ in range(3)]
    assert names == [(4, 0), (4, 1), (4, 2)]
    resumed = SeedGenerator(99)
    resumed.state = seeds.state
    np.testing.assert_array_equal(resumed.next(), [4, 3])
    twin = copy.deepcopy(seeds)
    np.testing.assert_array_equal(twin.next(), seeds.next())
    assert SeedGenerator.from_config(seeds.get_config()).seed == 4
    assert SeedGenerator().seed != SeedGenerator().seed


def test_draw_seed():
    np.testing.assert_array_equal(draw_seed(3), draw_seed(3))
    set_random_seed(8)
    np.testing.assert_array_equal(draw_seed(None), [8, 0])
    np.testing.assert_array_equal(draw_seed(None), [8, 1])
    assert global_seed_generator().counter == 2


def test_neighbouring_streams_are_independent():
    # Correlations of n = 100,000 independent pairs are below 5 / sqrt(n).
    a, b = numpy_generator(1).random(100_000), numpy_generator(2).random(100_000)
    c = numpy_generator(SeedGenerator(1)).random(100_000)
    np.testing.assert_array_equal(a, c)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(1e5)
    assert abs(np.corrcoef(a[1:], b[:-1])[0, 1]) < 5 / np.sqrt(1e5)


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True, 2**63, None])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        set_random_seed(seed)
