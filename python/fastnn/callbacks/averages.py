"""SwapEMAWeights: the moving averages of the weights in their place, while a model is looked at."""

from __future__ import annotations

from fastnn import kernels
from fastnn.callbacks.base import Callback
from fastnn.tensor import empty


class SwapEMAWeights(Callback):
    """Put the averages of an optimizer with `use_ema=True` in the weights' place for evaluation,
    prediction and, with `swap_on_epoch`, from the end of an epoch to the beginning of the next, so
    that a checkpoint holds them.

    Raises:
      ValueError: the optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self):
        optimizer = self.model.optimizer
        if optimizer is None or not optimizer.use_ema:
            raise ValueError("SwapEMAWeights needs an optimizer with use_ema=True")
        return optimizer.averages() if optimizer.built else []

    def _swap(self, swapped):
        if self._swapped == swapped:
            return
        for weights, averages in self._pairs():
            kept = empty(weights.shape, like=weights)
            kernels.copy(weights, kept)
            kernels.copy(averages, weights)
            kernels.copy(kept, averages)
        self._swapped = swapped

    def on_epoch_begin(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch, logs=None):
        if not self.swap_on_epoch:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1:  # the end of fit copies the averages into the weights
            for weights, averages in self._pairs():
                kernels.copy(weights, averages)

    def on_test_begin(self, logs=None):
        self._swap(True)

    def on_test_end(self, logs=None):
        self._swap(False)

    def on_predict_begin(self, logs=None):
        self._swap(True)

    def on_predict_end(self, logs=None):
        self._swap(False)
