"""Streams: the same names give the same numbers, and nobody else's generators are touched."""

import copy
import random
import subprocess
import sys

import numpy as np
import pytest

import fastnn
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


# --- random tensors ---------------------------------------------------------------------------------


def draw(seed=None):
    return np.asarray(fastnn.random.normal((4, 3), seed=seed))


def test_seeds_name_the_same_numbers_and_generators_move_on():
    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))
    generator, twin = fastnn.random.SeedGenerator(5), fastnn.random.SeedGenerator(5)
    first, second = draw(generator), draw(generator)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, draw(twin))
    generator.state = [5, 0]
    np.testing.assert_array_equal(first, draw(generator))
    fastnn.random.set_random_seed(1)
    first, weights = draw(), fastnn.random.numpy_generator().random(3)
    fastnn.random.set_random_seed(1)
    np.testing.assert_array_equal(first, draw())
    np.testing.assert_array_equal(weights, fastnn.random.numpy_generator().random(3))


def test_moments_and_ranges():
    # 200,000 numbers: the mean is off by 5 standard errors once in a million runs, and the seed is fixed.
    n = (200_000,)
    x = np.asarray(fastnn.random.normal(n, mean=2.0, stddev=3.0, dtype="float64", seed=1))
    assert abs(x.mean() - 2) < 5 * 3 / n[0] ** 0.5 and abs(x.std() - 3) < 0.03
    u = np.asarray(fastnn.random.uniform(n, -1, 3, seed=2))
    assert u.min() >= -1 and u.max() < 3 and abs(u.mean() - 1) < 5 * (4 / 12**0.5) / n[0] ** 0.5
    t = np.asarray(fastnn.random.truncated_normal(n, mean=1.0, stddev=2.0, dtype="float64", seed=6))
    # Between -2 and 2 the variance of a standard normal is 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737.
    assert np.abs(t - 1).max() <= 4 and abs(t.mean() - 1) < 0.02 and abs(t.var() / 4 - 0.7737) < 0.01
    s = np.asarray(fastnn.random.shuffle(np.arange(2000).reshape(1000, 2), seed=7))
    assert sorted(s[:, 0]) == list(range(0, 2000, 2)) and np.all(s[:, 1] == s[:, 0] + 1)
    assert abs(np.corrcoef(s[:, 0], np.arange(1000))[0, 1]) < 0.15
    k = np.asarray(fastnn.random.randint(n, 2, 7, seed=3))
    assert k.dtype == np.int32
    counts = np.bincount(k, minlength=7)[2:]
    assert counts.size == 5 and abs(counts / n[0] - 0.2).max() < 0.01
    p = np.array([[0.1, 0.2, 0.7]])
    c = np.asarray(fastnn.random.categorical(np.log(p), n[0], seed=4))
    assert c.shape == (1, n[0]) and abs(np.bincount(c[0], minlength=3) / n[0] - p[0]).max() < 0.01
    d = np.asarray(fastnn.random.dropout(np.ones(n, "float32"), 0.25, seed=5))
    assert set(np.unique(d)) == {0.0, np.float32(1 / 0.75)} and abs((d == 0).mean() - 0.25) < 0.01


def test_what_cannot_be_drawn_is_refused():
    for call in (
        lambda: fastnn.random.randint((2,), 3, 3),
        lambda: fastnn.random.categorical(np.ones(3, "float32"), 2),
        lambda: fastnn.random.normal((2,), dtype="int32"),
        lambda: fastnn.random.normal((2,), seed=-1),
    ):
        with pytest.raises(ValueError):
            call()


class Sampling(fastnn.layers.Layer):
    """The sampling step of a variational autoencoder."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = fastnn.random.SeedGenerator(7)

    def call(self, inputs):
        mean, log_var = inputs
        epsilon = fastnn.random.normal(mean.shape, seed=self.seed_generator)
        return mean + fastnn.ops.exp(0.5 * log_var) * epsilon


def test_a_sampling_layer_draws_anew_in_every_recorded_step(tmp_path):
    def make():
        fastnn.random.set_random_seed(0)
        x = fastnn.Input((3,))
        y = Sampling()([fastnn.layers.Dense(2)(x), fastnn.layers.Dense(2)(x)])
        return fastnn.Model(x, fastnn.layers.Dense(1)(y))

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 3)).astype("f"), rng.standard_normal((64, 1)).astype("f")
    weights = []
    for eager in (True, False):
        model = make()
        model.compile("sgd", "mse", run_eagerly=eager)
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(model.predict(x[:8], verbose=0), model.predict(x[:8], verbose=0))
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn", custom_objects={"Sampling": Sampling})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
