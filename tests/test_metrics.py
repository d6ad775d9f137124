"""Metrics as objects: what belongs to their state, and what they refuse."""

import numpy as np
import pytest

import fastnn as keras


class Own(keras.metrics.Metric):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.total = self.add_variable(name="total")


def test_variables_and_metrics_that_are_attributes_are_state():
    metric = Own()
    metric.more = {"a": [keras.Variable(1.0)], "b": keras.Variable(2.0)}
    metric.inner = Own()
    metric.inner.inner = [Own(), Own()]
    metric.more = metric.more  # once only
    assert len(metric.variables) == 1 + 2 + 3
    metric.inner.total.assign(3.0)
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0] * 6


@pytest.mark.parametrize("thresholds", [[None], [-1, 0.5], [0.5, 2], []])
def test_thresholds_lie_between_0_and_1(thresholds):
    with pytest.raises(ValueError, match="thresholds lie between 0 and 1"):
        keras.metrics.FalsePositives(thresholds=thresholds)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def test_one_class_is_warned_of(name):
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        getattr(keras.losses, name)(np.ones((3, 1), "float32"), np.ones((3, 1), "float32"))


def test_counts_behind_a_rate():
    y, p = np.array([1, 1, 0, 0, 1]), np.array([0.9, 0.2, 0.8, 0.1, 0.6])
    m = keras.metrics.Precision(thresholds=[0.5, 0.85])
    m.update_state(y, p)
    for name, want in dict(
        true_positives=[2, 1], false_positives=[1, 0], true_negatives=[1, 2], false_negatives=[1, 2]
    ).items():
        np.testing.assert_array_equal(getattr(m, name), want)
    m.reset_state()
    np.testing.assert_array_equal(m.true_positives, [0, 0])
