"""Initial values: bounds and moments against Keras' formulas, streams, orthogonality, errors.

The random numbers are our own, so values are compared with Keras through their statistics: the
standard deviation of n samples is known to 1 / sqrt(2 n), and 5 of these never fail by chance.
"""

import numpy as np
import pytest

import registered
from fastnn import initializers
from fastnn.random import SeedGenerator, set_random_seed
from keras_reference import keras

SHAPE = (300, 200)
N = 60_000
FIVE_SIGMA = 5 / np.sqrt(2 * N)
SCALED = [f"{n}{kind}" for n in ("Glorot", "He", "Lecun") for kind in ("Uniform", "Normal")]


RANDOM = [*SCALED, "RandomNormal", "RandomUniform", "TruncatedNormal"]
CONSTANT = ["Zeros", "Ones", "Constant", "Identity"]


def test_every_registered_initializer_is_compared():
    with_tests_of_their_own = {"VarianceScaling", "Orthogonal"}
    assert {*RANDOM, *CONSTANT} | with_tests_of_their_own == registered.classes("initializers")


@pytest.mark.parametrize("name", RANDOM)
def test_distributions_are_kerass(name):
    ours = getattr(initializers, name)(seed=3)(SHAPE)
    theirs = np.asarray(getattr(keras.initializers, name)(seed=3)(SHAPE))
    assert ours.dtype == np.float32 and ours.shape == SHAPE
    stddev = theirs.std()
    assert abs(ours.mean()) < 5 * stddev / np.sqrt(N)
    assert abs(ours.std() / stddev - 1) < 2 * FIVE_SIGMA  # both are samples
    for quantile in (0.01, 0.1, 0.25, 0.75, 0.9, 0.99):
        # The density at the 1 % quantile makes its estimate up to 4 times less certain.
        difference = np.quantile(ours, quantile) - np.quantile(theirs, quantile)
        assert abs(difference) < 20 * stddev / np.sqrt(N)
    if name != "RandomNormal":  # the others are bounded
        np.testing.assert_allclose(np.abs(ours).max(), np.abs(theirs).max(), rtol=0.01)


@pytest.mark.parametrize(
    "name, formula",
    [
        ("GlorotUniform", lambda i, o: np.sqrt(6 / (i + o))),
        ("HeUniform", lambda i, o: np.sqrt(6 / i)),
        ("LecunUniform", lambda i, o: np.sqrt(3 / i)),
        ("GlorotNormal", lambda i, o: 2 * np.sqrt(2 / (i + o)) / 0.87962566103423978),
        ("HeNormal", lambda i, o: 2 * np.sqrt(2 / i) / 0.87962566103423978),
        ("LecunNormal", lambda i, o: 2 * np.sqrt(1 / i) / 0.87962566103423978),
    ],
)
@pytest.mark.parametrize("shape, fans", [((64, 32), (64, 32)), ((5, 3, 8, 16), (120, 240))])
def test_bounds_follow_the_papers(name, formula, shape, fans):
    values = getattr(initializers, name)(seed=1)(shape)
    limit = formula(*fans)
    # One rounding of the limit to float32; and some of 2000 samples come within 3 % of it.
    assert 0.9 * limit < np.abs(values).max() <= limit * (1 + 2**-23)


@pytest.mark.parametrize("shape", [(), (7,), (7, 3), (5, 7, 3), (2, 5, 7, 3)])
def test_fans_are_kerass(shape):
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.compute_fans(shape) == compute_fans(shape)
    if len(shape) > 2:
        axes = {"input_axes": [0, 1], "output_axes": [2]}
        assert initializers.compute_fans(shape, **axes) == compute_fans(shape, **axes)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling_has_the_variance_it_says(mode, distribution):
    values = initializers.VarianceScaling(3.0, mode, distribution, seed=5)(SHAPE)
    n = {"fan_in": 300, "fan_out": 200, "fan_avg": 250}[mode]
    assert abs(values.std() / np.sqrt(3.0 / n) - 1) < FIVE_SIGMA


def test_truncation_is_at_two_standard_deviations():
    values = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=2)(SHAPE)
    assert 0 <= values.min() < 0.01 and 1.99 < values.max() <= 2.0


def test_uniform_excludes_its_upper_end():
    # In float16 one of 2000 values would round up to the limit.
    values = initializers.RandomUniform(0.0, 1.0, seed=1)((100_000,), "float32")
    assert values.min() >= 0 and values.max() < 1


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_constants_are_kerass(name, dtype):
    arguments = {"Constant": {"value": 3}, "Identity": {"gain": 2}}.get(name, {})
    ours = getattr(initializers, name)(**arguments)((4, 3), dtype)
    theirs = np.asarray(getattr(keras.initializers, name)(**arguments)((4, 3), dtype="float32"))
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs.astype(dtype))


@pytest.mark.parametrize("shape", [(20, 20), (30, 10), (10, 30), (3, 3, 4, 8), (2, 2, 2, 30)])
def test_orthogonal(shape):
    q = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64")
    matrix = q.reshape(-1, shape[-1])
    rows, columns = matrix.shape
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    # n eps of float64, n = 30, times the gain squared
    np.testing.assert_allclose(gram, 4 * np.eye(min(rows, columns)), atol=1e-13)
    assert q.shape == shape and q.flags.c_contiguous


def test_orthogonal_is_uniform_over_rotations_and_reflections():
    # Without the correction of signs the diagonal of Q would be negative every time.
    seeds = SeedGenerator(1)
    corners = np.array([initializers.Orthogonal(seed=seeds)((4, 4))[0, 0] for _ in range(400)])
    assert abs((corners > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(400)


@pytest.mark.parametrize("name", [*RANDOM, "Orthogonal"])
def test_seeds(name):
    make = getattr(initializers, name)
    seeded = make(seed=5)
    np.testing.assert_array_equal(seeded((4, 3)), seeded((4, 3)))
    np.testing.assert_array_equal(seeded((4, 3)), make(seed=5)((4, 3)))
    assert not np.array_equal(seeded((4, 3)), make(seed=6)((4, 3)))
    unseeded = make()
    np.testing.assert_array_equal(unseeded((4, 3)), unseeded((4, 3)))  # documented so by Keras
    assert not np.array_equal(unseeded((4, 3)), make()((4, 3)))
    assert not np.array_equal(unseeded((4, 3)), unseeded.clone()((4, 3)))
    moving = make(seed=SeedGenerator(5))
    first = moving((4, 3))
    np.testing.assert_array_equal(first, seeded((4, 3)))
    assert not np.array_equal(first, moving((4, 3)))


def test_global_seed():
    draws = []
    for _ in range(2):
        set_random_seed(11)
        draws.append([initializers.GlorotUniform()((3, 3)), initializers.GlorotUniform()((3, 3))])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0][0], draws[0][1])


def test_types():
    assert initializers.HeNormal(1)((3,), "float64").dtype == np.float64
    half = initializers.HeNormal(1)((3, 3), np.float16)
    np.testing.assert_array_equal(half, initializers.HeNormal(1)((3, 3)).astype(np.float16))
    assert initializers.GlorotUniform(1)(5).shape == (5,)
    assert initializers.GlorotUniform(1)((0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: initializers.VarianceScaling(scale=0), "scale must be positive"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode must be"),
        (lambda: initializers.VarianceScaling(distribution="gauss"), "distribution must be"),
        (lambda: initializers.GlorotUniform(seed=-1), "seed must be"),
        (lambda: initializers.GlorotUniform(seed=1.5), "seed must be"),
        (lambda: initializers.GlorotUniform(seed=True), "seed must be"),
        (lambda: initializers.Orthogonal()((3,)), "two dimensions or more"),
        (lambda: initializers.Identity()((3,)), "matrices only"),
        (lambda: initializers.Zeros()((3, -1)), "negative"),
        (lambda: initializers.Zeros()("ab"), "tuple of integers"),
        (lambda: initializers.Zeros()((3, None)), "tuple of integers"),
        (lambda: initializers.Zeros()((3,), "float33"), "no dtype"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
