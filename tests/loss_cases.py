"""Configurations of every registered loss, with targets and predictions that suit it: compared with
Keras in `test_losses.py`, replayed in `test_replay.py`.
"""

import numpy as np


def positive(rng, shape):
    return rng.uniform(0.05, 0.95, shape).astype("f")


def normal(rng, shape):
    return rng.standard_normal(shape).astype("f")


def distribution(rng, shape):
    p = rng.uniform(0.05, 1, shape)
    return (p / p.sum(-1, keepdims=True)).astype("f")


def bits(rng, shape):
    return rng.integers(0, 2, shape).astype("f")


def one_hot(rng, shape):
    return np.eye(shape[-1], dtype="f")[rng.integers(0, shape[-1], shape[:-1])]


# (class, arguments, how targets are drawn, how predictions are); None: integer labels.
CASES = [
    ("MeanSquaredError", {}, normal, normal),
    ("MeanAbsoluteError", {}, normal, normal),
    ("MeanAbsolutePercentageError", {}, normal, normal),
    ("MeanSquaredLogarithmicError", {}, positive, normal),
    ("Huber", {}, normal, normal),
    ("Huber", dict(delta=0.3), normal, normal),
    ("LogCosh", {}, normal, normal),
    ("Hinge", {}, bits, normal),
    ("Hinge", {}, lambda r, s: 2 * bits(r, s) - 1, normal),
    ("SquaredHinge", {}, bits, normal),
    ("CategoricalHinge", {}, one_hot, normal),
    ("CosineSimilarity", {}, normal, normal),
    ("CosineSimilarity", dict(axis=1), normal, normal),
    ("KLDivergence", {}, distribution, distribution),
    ("Poisson", {}, positive, positive),
    ("BinaryCrossentropy", {}, bits, positive),
    ("BinaryCrossentropy", dict(from_logits=True), bits, normal),
    ("BinaryCrossentropy", dict(label_smoothing=0.2), bits, positive),
    ("BinaryCrossentropy", dict(from_logits=True, label_smoothing=0.1, axis=1), bits, normal),
    ("BinaryFocalCrossentropy", {}, bits, positive),
    (
        "BinaryFocalCrossentropy",
        dict(apply_class_balancing=True, alpha=0.4, gamma=3.0),
        bits,
        positive,
    ),
    ("BinaryFocalCrossentropy", dict(from_logits=True, label_smoothing=0.1), bits, normal),
    ("CategoricalCrossentropy", {}, one_hot, positive),
    ("CategoricalCrossentropy", dict(from_logits=True), one_hot, normal),
    ("CategoricalCrossentropy", dict(label_smoothing=0.1), distribution, distribution),
    ("CategoricalCrossentropy", dict(label_smoothing=0.1, from_logits=True), one_hot, normal),
    ("CategoricalFocalCrossentropy", {}, one_hot, positive),
    (
        "CategoricalFocalCrossentropy",
        dict(from_logits=True, gamma=1.5, label_smoothing=0.1),
        one_hot,
        normal,
    ),
    ("SparseCategoricalCrossentropy", {}, None, positive),
    ("SparseCategoricalCrossentropy", dict(from_logits=True), None, normal),
    ("SparseCategoricalCrossentropy", dict(ignore_class=1), None, positive),
    ("SparseCategoricalCrossentropy", dict(ignore_class=0, from_logits=True), None, normal),
    ("CategoricalGeneralizedCrossEntropy", {}, None, distribution),
    ("CategoricalGeneralizedCrossEntropy", dict(q=0.8), None, positive),
    ("Dice", {}, bits, positive),
    ("Dice", dict(axis=(1,)), bits, positive),
    ("Tversky", dict(alpha=0.3, beta=0.7), bits, positive),
]


def draw(rng, target, prediction, shape):
    y = prediction(rng, shape)
    t = rng.integers(0, shape[-1], shape[:-1]).astype("i4") if target is None else target(rng, shape)
    return t, y
