"""Optimizers: the same weights as real Keras after many steps, the same bits replayed as eager, and
the arena underneath.
"""

import jax
import numpy as np
import pytest

import registered
from fastnn import _core, autograd, kernels, ops, optimizers
from fastnn.capture import Capture
from fastnn.tensor import Tensor
from keras_reference import keras

STEPS = 25


class Weight(Tensor):
    """What an optimizer needs to know of a variable."""

    requires_grad = True

    def __init__(self, value, name, dtype="float32"):
        super().__init__(value, dtype)
        self.name = self.path = name


def weights_of(rng, dtype="float32", shapes=((3, 5), (7,), (2, 3, 4), ())):
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


def gradients_of(rng, values):
    return [np.asarray(rng.standard_normal(v.shape) * rng.choice([0.1, 1, 3]), v.dtype) for v in values]


SCHEDULE = ("ExponentialDecay", dict(initial_learning_rate=0.05, decay_steps=7, decay_rate=0.5))
CASES = [
    ("SGD", {}),
    ("SGD", dict(momentum=0.9)),
    ("SGD", dict(momentum=0.5, nesterov=True, weight_decay=0.1)),
    ("RMSprop", {}),
    ("RMSprop", dict(momentum=0.4, rho=0.8)),
    ("RMSprop", dict(centered=True, epsilon=1e-3)),
    ("RMSprop", dict(centered=True, momentum=0.3, weight_decay=0.01)),
    ("Adam", {}),
    ("Adam", dict(beta_1=0.5, beta_2=0.9, epsilon=1e-3)),
    ("Adam", dict(amsgrad=True)),
    ("Adam", dict(weight_decay=0.3)),
    ("AdamW", {}),
    ("AdamW", dict(amsgrad=True, weight_decay=0.2)),
    ("Adagrad", {}),
    ("Adagrad", dict(initial_accumulator_value=0.5, epsilon=1e-2)),
    ("Adadelta", {}),
    ("Adadelta", dict(rho=0.5, epsilon=1e-3)),
    ("Adamax", {}),
    ("Adamax", dict(beta_1=0.7, weight_decay=0.1)),
    ("Nadam", {}),
    ("Nadam", dict(beta_1=0.8, epsilon=1e-4)),
    ("Lion", {}),
    ("Lion", dict(beta_1=0.5, weight_decay=0.1)),
    ("Ftrl", {}),
    ("Ftrl", dict(l1_regularization_strength=0.01, l2_regularization_strength=0.1, beta=0.2)),
    ("Ftrl", dict(learning_rate_power=-0.3, l2_shrinkage_regularization_strength=0.1)),
]
COMMON = [
    dict(clipnorm=0.7),
    dict(clipvalue=0.5),
    dict(global_clipnorm=1.0),
    dict(loss_scale_factor=8.0),
    dict(use_ema=True, ema_momentum=0.8),
    dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=5),
    dict(gradient_accumulation_steps=3),
    dict(gradient_accumulation_steps=4, use_ema=True, global_clipnorm=2.0),
    dict(learning_rate="schedule"),
    dict(learning_rate=0.3),
    dict(weight_decay=0.05, clipnorm=1.0),
]


def pair(name, arguments):
    arguments = dict(arguments)
    theirs = dict(arguments)
    if arguments.get("learning_rate") == "schedule":
        theirs["learning_rate"] = getattr(keras.optimizers.schedules, SCHEDULE[0])(**SCHEDULE[1])
        arguments["learning_rate"] = getattr(optimizers.schedules, SCHEDULE[0])(**SCHEDULE[1])
    return getattr(optimizers, name)(**arguments), getattr(keras.optimizers, name)(**theirs)


def compare(name, arguments, seed, new_rate=None):
    """25 steps of both; Keras' as one compiled function, or it would take minutes."""
    rng = np.random.default_rng(seed)
    values = weights_of(rng)
    ours, theirs = pair(name, arguments)
    mine = [Weight(v, f"layer_{i}/w{i}") for i, v in enumerate(values)]
    others = [keras.Variable(v, name=f"w{i}") for i, v in enumerate(values)]
    theirs.build(others)
    apply = jax.jit(theirs.stateless_apply)
    state, trained = [v.value for v in theirs.variables], [v.value for v in others]
    for step in range(STEPS):
        grads = gradients_of(rng, values)
        if new_rate and step == 10:
            ours.learning_rate = new_rate
            state[1] = jax.numpy.float32(new_rate)
        ours.apply_gradients(zip([Tensor(g) for g in grads], mine))
        trained, state = apply(state, grads, trained)
    for variable, value in zip([*theirs.variables, *others], [*state, *trained]):
        variable.assign(value)
    assert_same(mine, others)
    assert int(ours.iterations) == int(theirs.iterations)
    return ours, theirs, mine, others


def assert_same(mine, others):
    # Keras computes in float32 throughout, we take corrections and rates in float64: 25 steps of
    # rounding each, at weights of magnitude up to a few.
    for m, o in zip(mine, others):
        np.testing.assert_allclose(m.numpy(), np.asarray(o), rtol=2e-4, atol=2e-5)


def test_every_registered_optimizer_is_compared():
    ours_alone = {"AveragedMomentumSGD"}
    assert {name for name, _ in CASES} | ours_alone == registered.classes("optimizers")


@pytest.mark.parametrize("name,arguments", CASES, ids=lambda v: str(v))
def test_same_weights_as_keras(name, arguments):
    ours, theirs, _, _ = compare(name, arguments, 0)
    assert [tuple(v.shape) for v in theirs.variables] == [v.shape for v in ours.variables]
    names = [v.name for v in theirs.variables]
    assert all(
        a.endswith(b.rsplit("_", 1)[-1]) for a, b in zip((v.name for v in ours.variables), names) if "variable" not in b
    )


@pytest.mark.parametrize("arguments", COMMON, ids=lambda v: str(v))
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_common_arguments_as_keras(name, arguments):
    ours, theirs, mine, others = compare(name, arguments, 3)
    if arguments.get("use_ema"):
        ours.finalize_variable_values(mine)
        theirs.finalize_variable_values(others)
        assert_same(mine, others)


def test_learning_rate_can_be_set_between_steps():
    compare("Adam", dict(learning_rate=0.1), 5, new_rate=0.002)


def test_exclude_from_weight_decay_as_keras():
    rng = np.random.default_rng(0)
    values = weights_of(rng)
    ours, theirs = optimizers.AdamW(weight_decay=0.5), keras.optimizers.AdamW(weight_decay=0.5)
    mine = [Weight(v, f"w{i}") for i, v in enumerate(values)]
    others = [keras.Variable(v, name=f"w{i}") for i, v in enumerate(values)]
    ours.exclude_from_weight_decay(var_names=["w1"], var_list=[mine[0]])
    theirs.exclude_from_weight_decay(var_names=["w1"], var_list=[others[0]])
    for _ in range(6):
        grads = gradients_of(rng, values)
        ours.apply_gradients(zip([Tensor(g) for g in grads], mine))
        theirs.apply_gradients(zip(grads, others))
    assert_same(mine, others)


def test_a_variable_without_gradient_stays_as_it_is():
    rng = np.random.default_rng(0)
    values = weights_of(rng)
    arguments = dict(global_clipnorm=1.0, weight_decay=0.1)
    ours, theirs = optimizers.Adam(**arguments), keras.optimizers.Adam(**arguments)
    mine = [Weight(v, f"w{i}") for i, v in enumerate(values)]
    others = [keras.Variable(v, name=f"w{i}") for i, v in enumerate(values)]
    for step in range(6):
        grads = gradients_of(rng, values)
        gone = step % 2
        with pytest.warns(UserWarning, match="no gradients for"):
            ours.apply_gradients([(None if i == gone else Tensor(g), m) for i, (g, m) in enumerate(zip(grads, mine))])
        with pytest.warns(UserWarning, match="Gradients do not exist"):
            theirs.apply_gradients([(None if i == gone else g, o) for i, (g, o) in enumerate(zip(grads, others))])
    assert_same(mine, others)


def test_averaged_momentum():
    w = Weight([1.0, 2.0], "w", "float64")
    optimizer = optimizers.AveragedMomentumSGD(0.1, momentum=0.5)
    v, want = np.zeros(2), np.array([1.0, 2.0])
    for step in range(5):
        g = np.array([step, -1.0])
        v = 0.5 * v + 0.5 * g
        want = want - 0.1 * v
        optimizer.apply_gradients([(Tensor(g), w)])
    np.testing.assert_allclose(w.numpy(), want, rtol=1e-15)


# --- arena and recording ------------------------------------------------------------------------


def training_step(optimizer, mine, x, y):
    """A least-squares step whose gradients are written into the optimizer's slots."""

    def step():
        loss = ops.mean(ops.pointwise_loss(y, ops.add(ops.multiply(x, mine[0]), mine[1]), "squared_error"))
        grads = autograd.gradients(loss, mine, slots=optimizer.gradient_slots)
        optimizer.apply_gradients(zip(grads, mine))

    return step


@pytest.mark.parametrize(
    "name,arguments",
    [
        *((n, a) for n, a in CASES if n != "Ftrl"),
        ("Ftrl", {}),
        ("Adam", dict(learning_rate="schedule")),
        ("SGD", dict(clipnorm=0.1)),
        ("SGD", dict(global_clipnorm=0.1)),
        ("SGD", dict(clipvalue=0.1)),
        ("SGD", dict(use_ema=True, ema_overwrite_frequency=3)),
        ("SGD", dict(loss_scale_factor=2.0)),
    ],
    ids=lambda v: str(v),
)
def test_replayed_steps_equal_eager_steps(name, arguments):
    if arguments.get("learning_rate") == "schedule":
        arguments = dict(learning_rate=optimizers.schedules.ExponentialDecay(0.05, 3, 0.5))
    results = []
    for eager in (True, False):
        rng = np.random.default_rng(1)
        mine = [Weight(rng.standard_normal((4, 6)), "a"), Weight(rng.standard_normal(6), "b")]
        x, y = (
            Tensor(rng.standard_normal((4, 6)).astype("f")),
            Tensor(rng.standard_normal((4, 6)).astype("f")),
        )
        optimizer = getattr(optimizers, name)(**arguments)
        optimizer.build(mine)
        capture = Capture(training_step(optimizer, mine, x, y), eager=eager)
        for step in range(10):
            if step == 5 and "learning_rate" not in arguments:
                optimizer.learning_rate = 0.5
            capture.run()
        assert eager or capture.program is not None
        results.append([w.numpy().tobytes() for w in mine] + [int(optimizer.iterations)])
    assert results[0] == results[1]


def test_variables_live_in_one_aligned_arena():
    rng = np.random.default_rng(0)
    values = weights_of(rng)
    mine = [Weight(v, f"w{i}") for i, v in enumerate(values)]
    optimizer = optimizers.SGD()
    optimizer.build(mine)
    assert all(w.address % 64 == 0 for w in mine)
    assert all(np.array_equal(w.numpy(), v) for w, v in zip(mine, values))
    assert [s.shape for s in optimizer.gradient_slots] == [v.shape for v in values]
    span = max(w.address + w.nbytes for w in mine) - min(w.address for w in mine)
    assert span <= sum(-(-w.nbytes // 64) * 64 for w in mine)


def test_one_update_kernel_for_any_number_of_variables():
    rng = np.random.default_rng(0)
    mine = [Weight(rng.standard_normal((4, 6)), "a"), Weight(rng.standard_normal(6), "b")]
    x, y = Tensor(np.ones((4, 6), "f")), Tensor(np.ones((4, 6), "f"))
    optimizer = optimizers.Adam()
    optimizer.build(mine)
    capture = Capture(training_step(optimizer, mine, x, y))
    capture.run()
    calls = capture.program.describe()
    assert calls.count("adam") == 1 and calls.count("increment") == 1


def test_variables_of_two_types():
    mine = [Weight(np.ones(3), "a"), Weight(np.ones((2, 2)), "b", "float64")]
    optimizer = optimizers.SGD(0.5)
    optimizer.apply_gradients([(Tensor(np.ones(3, "f")), mine[0]), (Tensor(np.ones((2, 2))), mine[1])])
    np.testing.assert_array_equal(mine[0].numpy(), np.full(3, 0.5, "f"))
    np.testing.assert_array_equal(mine[1].numpy(), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match="one type"):
        optimizers.SGD(global_clipnorm=1.0).build(mine)


def test_a_second_optimizer_takes_over_and_back():
    w = Weight(np.ones(4), "w")
    first, second = optimizers.SGD(0.5), optimizers.SGD(0.25)
    g = Tensor(np.ones(4, "f"))
    for optimizer in (first, second, first):
        optimizer.apply_gradients([(g, w)])
    np.testing.assert_allclose(w.numpy(), np.full(4, -0.25))


def test_state_round_trip():
    rng = np.random.default_rng(2)
    for name, arguments in CASES:
        values = weights_of(rng)
        grads = [gradients_of(rng, values) for _ in range(4)]
        runs = []
        for restore in (False, True):
            mine = [Weight(v, f"w{i}") for i, v in enumerate(values)]
            optimizer = getattr(optimizers, name)(**arguments)
            for g in grads[:2]:
                optimizer.apply_gradients(zip(map(Tensor, g), mine))
            if restore:
                saved = optimizer.get_weights()
                optimizer = getattr(optimizers, name).from_config(optimizer.get_config())
                optimizer.build(mine)
                optimizer.set_weights(saved)
            for g in grads[2:]:
                optimizer.apply_gradients(zip(map(Tensor, g), mine))
            runs.append([w.numpy().tobytes() for w in mine])
        assert runs[0] == runs[1], name


def test_configs_are_those_of_keras():
    for name, arguments in CASES:
        ours, theirs = (
            getattr(optimizers, name)(**arguments).get_config(),
            getattr(keras.optimizers, name)(**arguments).get_config(),
        )
        assert set(ours) == set(theirs), name
        for key in set(ours) - {"name"}:
            assert ours[key] == pytest.approx(theirs[key]), (name, key)
        keras.optimizers.get({"class_name": name, "config": ours})
        optimizers.get({"class_name": name, "config": theirs})
    for text in ("adam", "sgd", "rmsprop", "Adam", "RMSprop", "SGD", "adamw", "nadam"):
        assert type(optimizers.get(text)).__name__.lower() == text.lower()


def test_schedule_beyond_its_table():
    schedule = optimizers.schedules.ExponentialDecay(1.0, 1000, 0.5)
    optimizer = optimizers.SGD(schedule)
    w = Weight(np.zeros(2), "w")
    optimizer.build([w])
    assert optimizer.cover() == 4096
    for step in (0, 3000, 10_000, 50):
        optimizer.iterations.assign(step)
        assert optimizer.cover() >= 2048
        kernels.schedule_rate(
            optimizer._rate._table,
            optimizer.iterations,
            optimizer._rate._first,
            optimizer._rate.value,
        )
        assert float(optimizer._rate.value) == schedule(step)


@pytest.mark.parametrize(
    "make,error,message",
    [
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of"),
        (lambda: optimizers.SGD("fast"), ValueError, "learning_rate must be a number"),
        (lambda: optimizers.SGD(momentum=1.5), ValueError, "momentum must be between"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), ValueError, "2 or more"),
        (lambda: optimizers.SGD().apply([Tensor([1.0])]), ValueError, "build"),
        (lambda: optimizers.SGD().build([Weight([1], "w", "int32")]), TypeError, "float variables"),
        (
            lambda: optimizers.SGD().apply_gradients([(Tensor([1.0, 2.0]), Weight([1.0], "w"))]),
            ValueError,
            "gradient of w",
        ),
        (
            lambda: optimizers.SGD().apply_gradients([(None, Weight([1.0], "w"))]),
            ValueError,
            "no gradients",
        ),
        (lambda: optimizers.get("adma"), ValueError, "adam"),
    ],
)
def test_mistakes_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_unknown_variable():
    optimizer = optimizers.SGD()
    optimizer.build([Weight([1.0], "w")])
    with pytest.raises(ValueError, match="unknown variable v"):
        optimizer.apply_gradients([(Tensor([1.0]), Weight([1.0], "v"))])


def test_clip_norm_refuses_offsets_that_do_not_cut():
    for offsets in ([0, 9], [3, 2], [-1, 2]):
        with pytest.raises(ValueError, match="offsets"):
            kernels.clip_norm(Tensor(np.ones(4, "f")), Tensor(offsets, "int32"), 1.0)
    assert _core.kernels["clip_norm"].name == "clip_norm"
