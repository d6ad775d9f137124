"""`Callback`, the hooks that can be overridden, and `CallbackList`, which calls only those that
are.

Training runs whole epochs without Python unless a callback wants every batch;
`CallbackList.needs_batches` tells.
"""

from __future__ import annotations

import numpy as np

_HOOKS = (
    "on_epoch_begin",
    "on_epoch_end",
    *(
        f"on_{mode}{of}_{end}"
        for mode in ("train", "test", "predict")
        for of in ("", "_batch")
        for end in ("begin", "end")
    ),
)
# on_train_batch_* call these by default, so overriding one means overriding the other.
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class Callback:
    """Base class: override any of the hooks.

    Attributes:
      model: the model in training; `model.stop_training = True` ends training after this batch or
        epoch.
      params: dictionary with `verbose`, `epochs` and `steps`.

    `logs` holds the means so far: `loss`, metrics, and at the end of an epoch also `val_*`.
    """

    needs_every_batch = True  # False: the batch hooks alone are no reason to leave recorded epochs

    def __init__(self):
        self.params = None
        self._model = None

    @property
    def model(self):
        return self._model

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self._model = model

    def overrides(self, hook: str) -> bool:
        """Whether `hook` does anything here. A class whose hook is used only sometimes says so by
        overriding this.
        """
        return hook in vars(self) or getattr(type(self), hook, None) is not getattr(Callback, hook)

    def on_train_begin(self, logs=None):
        """Before the first epoch of `fit`."""

    def on_train_end(self, logs=None):
        """After the last epoch of `fit`; `logs` are those of that epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch and its validation."""

    def on_batch_begin(self, batch, logs=None):
        """The same as `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """The same as `on_train_batch_end`."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a training batch; batches count from 0 in every epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a training batch."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs=None):
        """Before `evaluate`, and before the validation of an epoch."""

    def on_test_end(self, logs=None):
        """After `evaluate`, and after the validation of an epoch."""

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of `evaluate` or of validation."""

    def on_predict_begin(self, logs=None):
        """Before `predict`."""

    def on_predict_end(self, logs=None):
        """After `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of `predict`; `logs["outputs"]` holds the predictions."""


class CallbackList(Callback):
    """Calls the hooks of several callbacks in order.

    Args:
      callbacks: a callback, or (nested) lists of them, or None.
      add_history: append a `History` unless there is one; it comes last, so that it sees what
        others add to the logs.
      model: handed to every callback.
      **params: `verbose`, `epochs`, `steps`, handed to every callback.

    Every hook returns the logs as the callbacks have left them.
    """

    def __init__(self, callbacks=None, add_history=False, model=None, **params):
        super().__init__()
        self.callbacks = list(_flat(callbacks))
        self.history = next((c for c in self.callbacks if _is_history(c)), None)
        if self.history is None and add_history:
            from fastnn.callbacks.logs import History

            self.history = History()
            self.callbacks.append(self.history)
        self.refresh()
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def refresh(self):
        """Find out anew who overrides what; needed only after hooks were assigned to callbacks by
        hand.
        """
        self._listeners = {
            hook: [c for c in self.callbacks if _overrides(c, hook) or _overrides(c, _OLD_NAMES.get(hook))]
            for hook in _HOOKS
        }

    def append(self, callback):
        """Add one more callback at the end."""
        self.callbacks.append(callback)
        if self.model is not None:
            callback.set_model(self.model)
        if self.params:
            callback.set_params(self.params)
        self.refresh()

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    @property
    def needs_batches(self) -> bool:
        """Whether any callback has a hook for every training batch."""
        return self._needs("train")

    @property
    def needs_test_batches(self) -> bool:
        """Whether any callback has a hook for every batch of evaluation."""
        return self._needs("test")

    @property
    def needs_predict_batches(self) -> bool:
        """Whether any callback has a hook for every batch of prediction."""
        return self._needs("predict")

    def _needs(self, mode):
        listeners = self._listeners[f"on_{mode}_batch_begin"] + self._listeners[f"on_{mode}_batch_end"]
        return any(getattr(c, "needs_every_batch", True) for c in listeners)

    def _call(self, hook, *index, logs):
        listeners = self._listeners[hook]
        if not listeners:
            return logs
        # One dictionary for all of them: what one adds (learning_rate), the next can read.
        logs = plain_logs(logs)
        for callback in listeners:
            getattr(callback, hook)(*index, logs)
        return logs

    def on_train_begin(self, logs=None):
        return self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs=None):
        return self._call("on_train_end", logs=logs)

    def on_epoch_begin(self, epoch, logs=None):
        return self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        return self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch, logs=None):
        return self._call("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        return self._call("on_train_batch_end", batch, logs=logs)

    def on_test_begin(self, logs=None):
        return self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs=None):
        return self._call("on_test_end", logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        return self._call("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch, logs=None):
        return self._call("on_test_batch_end", batch, logs=logs)

    def on_predict_begin(self, logs=None):
        return self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs=None):
        return self._call("on_predict_end", logs=logs)

    def on_predict_batch_begin(self, batch, logs=None):
        return self._call("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch, logs=None):
        return self._call("on_predict_batch_end", batch, logs=logs)


class LambdaCallback(Callback):
    """A callback from functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch,
    logs))`.

    Raises:
      ValueError: a keyword that is not the name of a hook.
    """

    def __init__(
        self,
        on_epoch_begin=None,
        on_epoch_end=None,
        on_train_begin=None,
        on_train_end=None,
        on_train_batch_begin=None,
        on_train_batch_end=None,
        **kwargs,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for hook, function in hooks.items():
            if not (hook.startswith("on_") and hasattr(Callback, hook)):
                raise ValueError(f"LambdaCallback knows no hook {hook!r}")
            if function is not None:
                setattr(self, hook, function)


def plain_logs(logs) -> dict:
    """A new dictionary with the scalars of `logs` as Python numbers, arrays and anything else as
    they are, in order of their names.
    """
    return {name: _plain(value) for name, value in sorted((logs or {}).items())}


def _plain(value):
    if isinstance(value, float | int):
        return value
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value


def _flat(callbacks):
    if callbacks is None:
        return
    if isinstance(callbacks, list | tuple):
        for item in callbacks:
            yield from _flat(item)
    elif isinstance(callbacks, type):
        raise ValueError(
            f"callbacks must be objects; received the class {callbacks.__name__}: write {callbacks.__name__}()"
        )
    elif not hasattr(callbacks, "set_model"):
        raise ValueError(
            f"callbacks must be Callback objects; received {callbacks!r} of type {type(callbacks).__name__}"
        )
    else:
        yield callbacks


def _overrides(callback, hook):
    if hook is None:
        return False
    # Callbacks that only look like one (another library's) are asked for everything they have.
    return callback.overrides(hook) if isinstance(callback, Callback) else hasattr(callback, hook)


def _is_history(callback):
    from fastnn.callbacks.logs import History

    return isinstance(callback, History)
