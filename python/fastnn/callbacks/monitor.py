"""Callbacks that watch one number: which direction is better, what counts as an improvement, and
when to stop.
"""

from __future__ import annotations

import warnings

from fastnn.callbacks.base import Callback
from fastnn.progress import print_message

# Directions by name, for metrics that do not state their own: the metrics of Keras, and the usual
# short names.
_HIGHER = (
    *("acc", "accuracy", "auc", "precision", "recall", "f1_score", "fbeta_score", "r2_score"),
    *("cosine_similarity", "concordance_correlation", "pearson_correlation", "io_u", "iou"),
    *("precision_at_recall", "recall_at_precision"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity"),
)
_LOWER = (
    *("loss", "mse", "mae", "mape", "msle", "bce", "ce", "kld", "error", "crossentropy"),
    *("hinge", "poisson", "logcosh", "kl_divergence"),
)


class MonitorCallback(Callback):
    """Base of callbacks that compare `logs[monitor]` with the best value so far.

    Args:
      mode: `"min"`, `"max"` or `"auto"` (from the metric's own direction, else from its name).
      baseline: the first value to beat; None takes the first one that is seen.
      min_delta: smaller changes do not count.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'; received {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._higher = {"min": False, "max": True, "auto": None}[mode]

    def is_improvement(self, value, reference) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`; everything is better
        than None.
        """
        if self._higher is None:
            self._higher = self._higher_is_better()
        if reference is None:
            return True
        return value - self.min_delta > reference if self._higher else value + self.min_delta < reference

    def _higher_is_better(self) -> bool:
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        for metric in getattr(self.model, "metrics", None) or []:
            if getattr(metric, "name", None) == name and getattr(metric, "_direction", None):
                return metric._direction == "up"
        # A model of several outputs puts their names in front, a repeated metric a number behind:
        # "out_mean_io_u_1".
        name = name.rstrip("0123456789").rstrip("_") if name[-1:].isdigit() else name
        higher, lower = (
            any(name == word or name.endswith(f"_{word}") for word in words) for words in (_HIGHER, _LOWER)
        )
        if higher == lower:
            raise ValueError(
                f"{type(self).__name__} cannot tell whether {self.monitor!r} should rise or fall: "
                "pass mode='max' or mode='min'"
            )
        return higher


class EarlyStopping(MonitorCallback):
    """Stop when `monitor` has not improved for `patience` epochs.

    Args:
      monitor: key of the logs.
      min_delta: an improvement by less does not count.
      patience: epochs without improvement that are waited for.
      verbose: 1 prints what is done.
      mode: `"auto"`, `"min"` or `"max"`.
      baseline: patience runs on until this value is beaten, too.
      restore_best_weights: at the end, stopped early or not, go back to the weights of the best
        epoch.
      start_from_epoch: epochs before this one are not looked at.

    Attributes:
      stopped_epoch: the epoch (from 0) after which training was stopped, 0 if it was not.
      best_epoch: the epoch (from 0) of the best value.
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def on_epoch_end(self, epoch, logs=None):
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)  # there is something to restore even if nothing ever improves (NaN)
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.baseline is None or self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch):
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                print_message(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs):
        """`logs[monitor]`, or None with a warning that lists what there is."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}",
                stacklevel=2,
            )
        return value
