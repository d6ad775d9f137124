"""Dropout and random numbers: the very bits of Philox, the distributions, masks that come again in
the backward pass and change from step to step, also in a replay.
"""

import numpy as np
import pytest

from fastnn import _core, autograd, kernels, ops
from fastnn.capture import Capture
from fastnn.reference.dropout import philox, units
from fastnn.tensor import Tensor, empty


def state(*numbers):
    return Tensor(np.array(numbers, "int32"))


def test_philox_known_answers():
    """Vectors of the Random123 distribution (kat_vectors, philox4x32-10)."""
    assert [hex(w) for w in philox([0, 0, 0, 0], 1, 10)[:, 0]] == [
        "0x6627e8d5",
        "0xe169c58d",
        "0xbc57ac4c",
        "0x9b00dbd8",
    ]


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 63, 64, 65, 1000])
def test_uniform_bits(isa, storage, n):
    before = _core.current_isa()
    _core.set_isa(isa)
    try:
        y = ops.random_uniform((n,), 0.0, 1.0, storage, state(5, -6, 7, 8))
        np.testing.assert_array_equal(y.numpy(), units([5, -6, 7, 8], n, storage) if n else [])
        z = ops.random_uniform((n,), -2.0, 3.0, storage, state(5, -6, 7, 8)).numpy()
        assert ((z >= -2) & (z <= 3)).all()
    finally:
        _core.set_isa(before)


@pytest.mark.parametrize("storage", ["float32", "float64"])
def test_normal_by_box_and_muller(storage):
    s = [1, 2, 3, 4]
    n, block = 640, 64 if storage == "float32" else 32
    u = units(s, n, storage).reshape(-1, 2, block // 2)
    radius, angle = np.sqrt(-2 * np.log(1 - u[:, 0])), 2 * np.pi * u[:, 1]
    want = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)
    got = ops.random_normal((n,), 0.0, 1.0, storage, state(*s)).numpy()
    # The angle is rounded to the storage type before cos and sin: up to 2 pi eps.
    np.testing.assert_allclose(got, want, atol=40 * np.finfo(storage).eps)


def test_moments():
    z = ops.random_normal((200_000,), 2.0, 3.0, "float32", state(1, 0, 0, 0)).numpy().astype("d")
    # Five standard errors.
    assert abs(z.mean() - 2) < 5 * 3 / np.sqrt(z.size)
    assert abs(z.std() - 3) < 5 * 3 / np.sqrt(2 * z.size)
    z = (z - 2) / 3
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / z.size) and abs((z**4).mean() - 3) < 5 * np.sqrt(96 / z.size)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_rate_and_scale(rate):
    y = ops.dropout(Tensor(np.ones(100_000, "f")), rate, state(3, 0, 0, 0)).numpy()
    kept = y != 0
    assert abs(kept.mean() - (1 - rate)) <= 5 * np.sqrt(rate * (1 - rate) / y.size)
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)


def test_rate_one_drops_everything():
    assert not ops.dropout(Tensor(np.ones(1000, "f")), 1.0, state(3, 0, 0, 0)).numpy().any()


def test_a_dropped_nan_is_gone():
    y = ops.dropout(Tensor(np.full(1000, np.nan, "f")), 0.5, state(1, 0, 0, 0)).numpy()
    assert set(np.isnan(y)) == {True, False} and (y[~np.isnan(y)] == 0).all()


def test_backward_draws_the_same_mask():
    x = Tensor(np.ones((50, 33), "f"))
    x.requires_grad = True
    y = ops.dropout(x, 0.3, state(9, 8, 7, 6))
    (dx,) = autograd.gradients(y, [x])
    np.testing.assert_array_equal(dx.numpy(), y.numpy())


def test_noise_shape_drops_whole_channels():
    x = Tensor(np.random.default_rng(0).standard_normal((4, 10, 7)).astype("f"))
    y = ops.dropout(x, 0.5, state(1, 2, 3, 4), noise_shape=(None, 1, None)).numpy()
    dropped = y == 0
    assert (dropped == dropped[:, :1]).all() and 0 < dropped.mean() < 1
    np.testing.assert_allclose(y[~dropped], 2 * x.numpy()[~dropped], rtol=1e-6)
    with pytest.raises(ValueError, match="noise_shape"):
        ops.dropout(x, 0.5, state(1, 2, 3, 4), noise_shape=(4, 2, 7))


def test_next_state_counts_past_32_bits():
    s = state(1, 2, -1, 0)
    assert ops.next_state(s).tolist() == [1, 2, -1, 0]
    assert s.tolist() == [1, 2, 0, 1]


def test_steps_draw_new_masks_and_replays_draw_those_of_eager_steps():
    results = []
    for eager in (True, False):
        x, y, seen = Tensor(np.ones(256, "f")), empty((256,)), []
        own = state(1, 2, 0, 0)

        def step(x=x, y=y, own=own):
            kernels.copy(ops.dropout(x, 0.5, ops.next_state(own)), y)

        capture = Capture(step, eager=eager)
        for _ in range(4):
            capture.run()
            seen.append(y.numpy().tobytes())
        assert eager or capture.program is not None
        assert len(set(seen)) == 4
        results.append(seen)
    assert results[0] == results[1]


def test_same_bits_for_any_thread_count():
    before, results = _core.max_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            s = state(1, 2, 3, 4)
            results.append(
                [
                    f((100_003,), 0.0, 1.0, t, s).numpy().tobytes()
                    for f in (ops.random_uniform, ops.random_normal)
                    for t in ("float32", "float64")
                ]
            )
    finally:
        _core.set_max_threads(before)
    assert all(r == results[0] for r in results)


def test_alpha_dropout_keeps_mean_and_variance():
    x = ops.random_normal((200_000,), 0.0, 1.0, "float32", state(1, 0, 0, 0))
    y = ops.alpha_dropout(x, 0.2, state(2, 0, 0, 0)).numpy().astype("d")
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.02


def test_gaussian_noise_and_dropout():
    x = Tensor(np.full(100_000, 2.0, "f"))
    noisy = ops.gaussian_noise(x, 0.5, state(1, 0, 0, 0)).numpy()
    assert abs(noisy.mean() - 2) < 0.02 and abs(noisy.std() - 0.5) < 0.02
    dropped = ops.gaussian_dropout(x, 0.2, state(1, 0, 0, 0)).numpy()
    assert abs(dropped.mean() - 2) < 0.02 and abs(dropped.std() - 1) < 0.02


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="rate"):
        ops.dropout(Tensor([1.0]), 1.5, state(1, 2, 3, 4))
    with pytest.raises(ValueError, match="state"):
        kernels.dropout(Tensor([1.0]), state(1, 2), empty((1,)), 0.5)
    with pytest.raises(ValueError, match="rate"):
        kernels.dropout(Tensor([1.0]), state(1, 2, 3, 4), empty((1,)), 2.0)
