"""Callbacks: code that runs at fixed points of `fit`, `evaluate` and `predict`. Names and defaults
are Keras'.
"""

from fastnn.callbacks.averages import SwapEMAWeights
from fastnn.callbacks.base import Callback, CallbackList, LambdaCallback
from fastnn.callbacks.checkpoint import BackupAndRestore, ModelCheckpoint
from fastnn.callbacks.logs import CSVLogger, History, TerminateOnNaN
from fastnn.callbacks.monitor import EarlyStopping, MonitorCallback
from fastnn.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
]
