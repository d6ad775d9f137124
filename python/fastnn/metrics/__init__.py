"""Metrics with Keras' names; see `base.Metric`."""

from __future__ import annotations

from .accuracy import *  # noqa: F403
from .base import METRICS, Mean, MeanMetricWrapper, Metric, Sum

get = METRICS.get
serialize = METRICS.serialize
deserialize = METRICS.deserialize
