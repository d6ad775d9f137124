"""Optimizers with Keras' names and formulas: `optimizers.Adam(1e-3)`, `optimizers.get("sgd")`."""

from .. import schedules
from .base import Optimizer, deserialize, get, serialize
from .classes import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AveragedMomentumSGD,
    Ftrl,
    Lion,
    Nadam,
    RMSprop,
)
