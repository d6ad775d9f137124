"""Every metric against real Keras on random data: several updates, several kinds of weights, reset;
and a recorded update, replayed, against eager ones.

Keras adds in float32, fastnn in float64: results agree to 2e-5 of their size, more where Keras'
formula itself loses digits (noted at the case).
"""

import numpy as np
import pytest

import registered
from fastnn import _core, metrics
from fastnn.tensor import Tensor
from keras_reference import keras

BATCHES = (16, 5)  # few shapes: JAX compiles every one of them


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# Data: one batch (y_true, y_pred) of n samples.
def probabilities(*tail):
    return lambda rng, n: (rng.integers(0, 2, (n, *tail)), rng.random((n, *tail)))


def coarse(*tail):  # ties with one another and with thresholds such as 0.5
    return lambda rng, n: (rng.integers(0, 2, (n, *tail)), rng.integers(0, 5, (n, *tail)) / 4)


def logits(*tail):
    return lambda rng, n: (rng.integers(0, 2, (n, *tail)), 3 * rng.standard_normal((n, *tail)))


def numbers(*tail):
    def draw(rng, n):
        y = rng.standard_normal((n, *tail))
        return y, y + 0.5 * rng.standard_normal((n, *tail))

    return draw


def positives(*tail):
    return lambda rng, n: (rng.random((n, *tail)) + 0.1, rng.random((n, *tail)) + 0.1)


def one_hot(classes, *middle):
    def draw(rng, n):
        y = np.eye(classes)[rng.integers(0, classes, (n, *middle))]
        return y, softmax(rng.standard_normal((n, *middle, classes)))

    return draw


def sparse(classes, *middle, column=False):
    def draw(rng, n):
        y = rng.integers(0, classes, (n, *middle, 1) if column else (n, *middle))
        return y, softmax(rng.standard_normal((n, *middle, classes)))

    return draw


def classes(count, *middle, low=0):
    return lambda rng, n: (rng.integers(low, count, (n, *middle)), rng.integers(0, count, (n, *middle)))


def column_against_vector(rng, n):
    return rng.integers(0, 2, n), rng.random((n, 1))


def sorted_ids(rng, n):
    return rng.integers(0, 8, n), np.array([rng.permutation(8) for _ in range(n)])


def rare_positives(rng, n):
    y = (rng.random((n, 1)) < 0.15).astype(int)
    return y, np.clip(0.3 * y + rng.random((n, 1)) * 0.7, 0, 1)


# Weights: of a batch whose predictions have a given shape.
def per_sample(rng, shape):
    return rng.random(shape[0]) + 0.1


def per_sample_column(rng, shape):
    return rng.random((shape[0], 1)) + 0.1


def per_entry(rng, shape):
    return rng.random(shape) + 0.1


def one_for_all(rng, shape):
    return 0.7


def integers(rng, shape):
    return rng.integers(0, 4, shape[0])


def with_zeros(rng, shape):
    return rng.integers(0, 2, shape[0]).astype(float)


SAMPLE = (None, per_sample, with_zeros)
ENTRY = (*SAMPLE, per_entry, per_sample_column)

# (class, arguments, data, weights, tolerance)
CASES = []


def case(name, data, weights=SAMPLE, tolerance=2e-5, **arguments):
    for w in weights:
        CASES.append(pytest.param(name, arguments, data, w, tolerance, id=f"{name}-{len(CASES)}"))


for data in (classes(3), classes(4, 5)):
    case("Accuracy", data)
for data in (probabilities(1), probabilities(), probabilities(4), coarse(3), column_against_vector):
    case("BinaryAccuracy", data)
    case("BinaryAccuracy", data, threshold=0.3)
for data in (one_hot(4), one_hot(3, 5)):
    case("CategoricalAccuracy", data)
    case("TopKCategoricalAccuracy", data, k=2)
case("TopKCategoricalAccuracy", one_hot(9))
for data in (sparse(4), sparse(4, column=True), sparse(3, 5), sparse(3, 5, column=True)):
    case("SparseCategoricalAccuracy", data)
for data in (sparse(7), sparse(7, 4)):
    case("SparseTopKCategoricalAccuracy", data, k=3)
case("SparseTopKCategoricalAccuracy", sorted_ids, k=3, from_sorted_ids=True)
for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"):
    case(name, probabilities(1), (*ENTRY, one_for_all))
    case(name, coarse(3), ENTRY, thresholds=[0.25, 0.75, 0.5])
    case(name, probabilities(), thresholds=0.2)
    case(name, coarse(2), thresholds=[0.0, 0.5, 1.0])
    case(name, column_against_vector)
for name in ("Precision", "Recall"):
    case(name, probabilities(1), ENTRY)
    case(name, coarse(), thresholds=[0.7, 0.3])
    case(name, probabilities(6), top_k=2)
    case(name, coarse(6), (None, per_sample), top_k=3)
    case(name, probabilities(6), (None, per_sample), top_k=2, thresholds=0.6)
    case(name, probabilities(5), (None, per_sample), class_id=3)
    case(name, probabilities(5), (None,), class_id=-1, top_k=2)
    case(name, probabilities(2, 5), (None,), class_id=1)
for name, bound in (
    ("SensitivityAtSpecificity", "specificity"),
    ("SpecificityAtSensitivity", "sensitivity"),
    ("PrecisionAtRecall", "recall"),
    ("RecallAtPrecision", "precision"),
):
    for value in (0.0, 0.5, 0.8):
        case(name, probabilities(1), **{bound: value})
    case(name, logits(1), **{bound: 0.3})
    case(name, rare_positives, num_thresholds=1, **{bound: 0.4})
    case(name, rare_positives, num_thresholds=33, **{bound: 0.4})
    case(name, probabilities(3), (None,), class_id=1, **{bound: 0.4})
for curve in ("ROC", "PR", "PRGAIN"):
    for method in ("interpolation", "majoring", "minoring"):
        case("AUC", rare_positives, curve=curve, summation_method=method)
        case("AUC", coarse(1), (None, per_sample), curve=curve, summation_method=method, num_thresholds=5)
    case("AUC", logits(1), ENTRY, curve=curve, from_logits=True)
    case("AUC", logits(2), (None,), curve=curve)  # outside [0, 1]
    case("AUC", probabilities(), curve=curve, thresholds=[0.9, 0.2, 0.35])
    case("AUC", coarse(), curve=curve, thresholds=[0.25, 0.5, 0.75])
    case("AUC", probabilities(3), curve=curve, multi_label=True, num_thresholds=50)
    case("AUC", probabilities(3), (None,), curve=curve, multi_label=True, num_labels=3, thresholds=[0.1, 0.6])
    case("AUC", probabilities(3), (None, per_sample), curve=curve, multi_label=True, label_weights=[0.5, 0.2, 2.0])
    case("AUC", probabilities(3), (None, per_sample), curve=curve, label_weights=[0.5, 0.2, 2.0])
for average in (None, "micro", "macro", "weighted"):
    case("F1Score", one_hot(4), average=average)
    case("F1Score", probabilities(3), average=average, threshold=0.4)
    case("FBetaScore", coarse(3), average=average, beta=2.0)
    case("FBetaScore", probabilities(3), average=average, beta=0.5, threshold=0.7)
VECTOR = numbers()
for data in (numbers(1), VECTOR, numbers(4), numbers(3, 2)):
    for name in [
        "MeanSquaredError",
        "RootMeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "LogCoshError",
    ]:
        # A vector is one sample to these losses, in Keras too: weights need a second axis.
        case(name, data, SAMPLE if data is not VECTOR or name.startswith("Root") else (None,))
case("RootMeanSquaredError", numbers(3), (per_entry, per_sample_column, one_for_all))
for data in (positives(1), positives(4)):
    for name in ("MeanSquaredLogarithmicError", "KLDivergence", "Poisson"):
        case(name, data)
for axis in (-1, 1):
    case("CosineSimilarity", numbers(4, 3), axis=axis)
    case("PearsonCorrelation", numbers(4, 3), axis=axis)
    case("ConcordanceCorrelation", numbers(4, 3), axis=axis)
# Keras computes the variance in float32, from sums of squares.
for aggregation in (None, "uniform_average", "variance_weighted_average"):
    case("R2Score", numbers(3), (*SAMPLE, per_entry), 2e-4, class_aggregation=aggregation)
case("R2Score", numbers(1), tolerance=2e-4, num_regressors=2)
for name in ("Hinge", "SquaredHinge", "CategoricalHinge"):
    case(name, logits(3))
    case(name, one_hot(4))
for smoothing in (0, 0.2):
    case("BinaryCrossentropy", probabilities(3), label_smoothing=smoothing)
    case("BinaryCrossentropy", logits(1), from_logits=True, label_smoothing=smoothing)
    case("CategoricalCrossentropy", one_hot(4), label_smoothing=smoothing)
    case("CategoricalCrossentropy", one_hot(4, 2), from_logits=True, label_smoothing=smoothing)
case("SparseCategoricalCrossentropy", sparse(5))
case("SparseCategoricalCrossentropy", sparse(5, 3), from_logits=True)
case("SparseCategoricalCrossentropy", sparse(5), ignore_class=2)
WHOLE = (None, integers)
case("MeanIoU", classes(4), WHOLE, num_classes=4)
case("MeanIoU", classes(4, 3), (None,), num_classes=4)
case("MeanIoU", classes(6, low=-1), WHOLE, num_classes=4)
case("MeanIoU", classes(4), WHOLE, num_classes=4, ignore_class=1)
case("MeanIoU", classes(4), (None, per_sample), num_classes=4, dtype="float32")
case("MeanIoU", one_hot(4), (None,), num_classes=4, sparse_y_true=False, sparse_y_pred=False)
case("IoU", classes(5), WHOLE, num_classes=5, target_class_ids=[0, 3])
case("IoU", classes(3), WHOLE, num_classes=5, target_class_ids=[0, 4], ignore_class=0)
case("BinaryIoU", probabilities(), WHOLE)
case("BinaryIoU", coarse(), WHOLE, target_class_ids=[1], threshold=0.25)
case("OneHotIoU", one_hot(4), WHOLE, num_classes=4, target_class_ids=[0, 2])
case("OneHotMeanIoU", one_hot(4), WHOLE, num_classes=4)


def batches(data, weights, seed):
    rng = np.random.default_rng(seed)
    for n in BATCHES:
        y_true, y_pred = data(rng, n)
        y_true = y_true.astype("int32" if y_true.dtype.kind in "iu" else "float32")
        y_pred = y_pred.astype("int32" if y_pred.dtype.kind in "iu" else "float32")
        w = weights(rng, y_pred.shape) if weights else None
        yield y_true, y_pred, w.astype("int32" if w.dtype.kind in "iu" else "float32") if hasattr(w, "dtype") else w


def close(got, want, tolerance):
    want = np.asarray(want, np.float64)
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=tolerance, atol=tolerance)


def test_every_registered_metric_is_compared():
    reductions = {"Mean", "Sum"}  # of values, in test_reductions
    wrapper = {"MeanMetricWrapper"}  # what most of the others are
    assert {p.values[0] for p in CASES} | reductions | wrapper == registered.classes("metrics")


@pytest.mark.parametrize("name, arguments, data, weights, tolerance", CASES)
def test_against_keras(name, arguments, data, weights, tolerance):
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    results = []
    for y_true, y_pred, w in batches(data, weights, 0):
        ours.update_state(y_true, y_pred, sample_weight=w)
        theirs.update_state(y_true, y_pred, sample_weight=w)
        results.append(np.asarray(ours.result()))
        close(results[-1], theirs.result(), tolerance)
    ours.reset_state()
    for (y_true, y_pred, w), before in zip(batches(data, weights, 0), results):
        assert np.array_equal(ours(y_true, y_pred, sample_weight=w), before)


@pytest.mark.parametrize("name, arguments, data, weights, tolerance", CASES)
def test_recorded_update_equals_eager_ones(name, arguments, data, weights, tolerance):
    rng = np.random.default_rng(5)
    parts = [data(rng, 16) for _ in range(4)]
    kinds = ["int32" if a.dtype.kind in "iu" else "float32" for a in parts[0]]
    parts = [[np.ascontiguousarray(a, kind) for a, kind in zip(part, kinds)] for part in parts]
    w = weights(rng, parts[0][1].shape) if weights else None
    if w is not None:
        w = Tensor(np.asarray(w, np.float32 if np.asarray(w).dtype.kind == "f" else np.int32))
    eager, replayed = getattr(metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    slots = [Tensor(a) for a in parts[0]]
    for metric in (eager, replayed):  # state is made by the first update, outside of the recording
        metric.update_state(*slots, sample_weight=w)
    program = _core.Program("cpu")
    program.begin()
    replayed.update_state(*slots, sample_weight=w)
    program.end()
    assert program.spoiled == ""
    eager.update_state(*slots, sample_weight=w)
    for part in parts[1:]:
        for slot, a in zip(slots, part):
            slot.assign_numpy(a)
        eager.update_state(*slots, sample_weight=w)
        program.run()
    for a, b in zip(eager.variables, replayed.variables):
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize("shape", [(), (6,), (6, 1), (6, 3), (2, 3, 4)])
@pytest.mark.parametrize("weights", [None, one_for_all, per_sample, per_sample_column, per_entry])
def test_reductions(name, shape, weights):
    if weights not in (None, one_for_all) and not shape:
        weights = None
    rng = np.random.default_rng(1)
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for n in (1, 3, 2):  # sequences of other lengths in other batches
        values = rng.standard_normal((*shape[:1], *(n * s for s in shape[1:]))).astype("float32")
        if weights is per_sample_column and values.ndim == 3:
            w = rng.random(values.shape[:2]).astype("float32")
        else:
            w = weights(rng, values.shape) if weights else None
        w = np.float32(w) if w is not None else None
        ours.update_state(values, w)
        theirs.update_state(values, w)
        close(ours.result(), theirs.result(), 2e-6)
    ours.reset_state()
    assert ours.result() == 0


FUNCTIONS = [
    ("binary_accuracy", probabilities(3), {}),
    ("binary_accuracy", column_against_vector, dict(threshold=0.2)),
    ("categorical_accuracy", one_hot(4, 2), {}),
    ("sparse_categorical_accuracy", sparse(4, 2, column=True), {}),
    ("top_k_categorical_accuracy", one_hot(6), dict(k=2)),
    ("sparse_top_k_categorical_accuracy", sparse(6, column=True), dict(k=2)),
    ("mean_squared_error", numbers(3), {}),
    ("mean_absolute_error", numbers(3), {}),
    ("mean_absolute_percentage_error", numbers(3), {}),
    ("mean_squared_logarithmic_error", positives(3), {}),
    ("log_cosh", numbers(3), {}),
    ("huber", numbers(3), dict(delta=0.3)),
    ("hinge", logits(3), {}),
    ("squared_hinge", logits(3), {}),
    ("categorical_hinge", one_hot(3), {}),
    ("kl_divergence", positives(3), {}),
    ("poisson", positives(3), {}),
    ("binary_crossentropy", probabilities(3), {}),
    ("binary_focal_crossentropy", probabilities(3), {}),
    ("categorical_crossentropy", one_hot(3), {}),
    ("categorical_focal_crossentropy", one_hot(3), {}),
    ("sparse_categorical_crossentropy", sparse(3), {}),
    ("pearson_correlation", numbers(5), {}),
    ("concordance_correlation", numbers(5), {}),
]


@pytest.mark.parametrize("name, data, arguments", FUNCTIONS)
def test_functions(name, data, arguments):
    for y_true, y_pred, _ in batches(data, None, 3):
        got = getattr(metrics, name)(y_true, y_pred, **arguments)
        want = np.asarray(getattr(keras.metrics, name)(y_true, y_pred, **arguments))
        assert got.shape == want.shape
        close(got.numpy(), want, 2e-5)


def test_every_metric_of_keras_is_here():
    theirs = {n for n in dir(keras.metrics) if not n.startswith("_")} - {"deserialize", "get", "serialize"}
    assert theirs <= set(dir(metrics))


@pytest.mark.parametrize("name, arguments", sorted({p.values[0]: p.values[1] for p in CASES}.items()))
def test_config_is_that_of_keras_and_makes_an_equal_metric(name, arguments):
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    config = ours.get_config()
    for key, value in theirs.get_config().items():
        if key in ("name", "fn"):
            continue
        if key == "label_weights" and value is not None:
            value = np.asarray(value).tolist()
        assert config[key] == value or list(config[key]) == pytest.approx(list(value)), key
    again = metrics.deserialize(metrics.serialize(ours))
    assert type(again) is type(ours) and again.get_config() == config


@pytest.mark.parametrize("name", sorted({p.values[0] for p in CASES}))
def test_default_name_and_direction(name):
    arguments = next(p.values[1] for p in CASES if p.values[0] == name)
    keras.utils.clear_session()
    from fastnn.variables import clear_session

    clear_session()
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    assert ours.name == theirs.name
    assert ours._direction == getattr(theirs, "_direction", None)


def test_known_by_names_of_keras():
    for name in ("mse", "MAE", "mape", "msle", "bce", "auc", "precision", "BinaryAccuracy", "mean_io_u", "f1_score"):
        if name in ("mean_io_u",):
            with pytest.raises(ValueError, match="without arguments"):
                metrics.get(name)
        else:
            assert isinstance(metrics.get(name), metrics.Metric)


def test_top_k_takes_the_first_of_equals():
    # Two of four equal scores: the first two are chosen, as keras.ops.top_k does.
    metric = metrics.Precision(top_k=2)
    metric.update_state([[1, 0, 1, 1]], [[0.5, 0.5, 0.5, 0.5]])
    assert metric.result() == 0.5


def test_mask_hides_entries():
    y = np.array([[1, 0, 1], [0, 0, 1]])
    p = Tensor(np.array([[0.9, 0.9, 0.9], [0.1, 0.9, 0.9]], np.float32))
    p._keras_mask = Tensor(np.array([[True, True, False], [True, False, False]]))
    metric = metrics.BinaryAccuracy()
    metric.update_state(y, p)
    assert metric.result() == pytest.approx(2 / 3)
    metric.reset_state()
    metric.update_state(y, p, sample_weight=[1.0, 3.0])
    assert metric.result() == pytest.approx((1 + 3) / (1 + 1 + 3))


def test_sums_do_not_lose_small_numbers():
    # 2^24 + 1 is no float32: a running sum in float32 would stand still here.
    metric = metrics.Sum()
    metric.update_state(Tensor(np.float32(2**24)))
    for _ in range(10):
        metric.update_state(Tensor(np.float32(1)))
    assert metric.result() == 2**24 + 10


@pytest.mark.parametrize(
    "make, y_true, y_pred, words",
    [
        (lambda: metrics.AUC(), np.zeros((4, 2)), np.zeros((4, 3)), "same shape"),
        (lambda: metrics.Precision(class_id=5), np.zeros((4, 2)), np.zeros((4, 2)), "class_id 5"),
        (lambda: metrics.Precision(top_k=5), np.zeros((4, 2)), np.zeros((4, 2)), "top_k 5"),
        (lambda: metrics.F1Score(), np.zeros(4), np.zeros(4), "samples, classes"),
        (lambda: metrics.AUC(multi_label=True), np.zeros(4), np.zeros(4), "samples, labels"),
        (lambda: metrics.R2Score(), np.zeros(4), np.zeros(4), "samples, outputs"),
        (lambda: metrics.MeanIoU(3), np.zeros(4), np.zeros(5), "predictions"),
    ],
)
def test_wrong_shapes_are_named(make, y_true, y_pred, words):
    with pytest.raises(ValueError, match=words):
        make().update_state(y_true, y_pred)


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.Precision(thresholds=1.5),
        lambda: metrics.AUC(curve="XY"),
        lambda: metrics.AUC(summation_method="best"),
        lambda: metrics.AUC(num_thresholds=1),
        lambda: metrics.AUC(num_labels=2),
        lambda: metrics.F1Score(average="some"),
        lambda: metrics.FBetaScore(beta=1),
        lambda: metrics.RecallAtPrecision(1.2),
        lambda: metrics.IoU(2, [2]),
        lambda: metrics.R2Score(num_regressors=-1),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ValueError):
        make()


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="sample_weight"):
        metrics.AUC().update_state([0, 1, 1], [0.1, 0.2, 0.3], sample_weight=[1.0, 2.0])
