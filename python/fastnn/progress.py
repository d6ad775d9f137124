"""Progress of `fit`, `evaluate` and `predict` on stderr: a bar on a terminal, one line per epoch
anywhere else.

    Epoch 1/5
    1875/1875 ━━━━━━━━━━━━━━━━━━━━ 2s 1ms/step - accuracy: 0.9012 - loss: 0.3245

Redrawn at most ten times a second; a log file gets `Epoch 1/5 - 1875/1875 - 2s - 1ms/step -
accuracy: ...`, once.
"""

from __future__ import annotations

import shutil
import sys
import time

_BAR_WIDTH = 20
_INTERVAL_S = 0.1


def print_message(text: str) -> None:
    """What a callback has to say; it goes where the progress goes."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Display of one run.

    Args:
      verbose: 0 nothing, 1 or `"auto"` a bar (lines where there is no terminal), 2 one line per
        epoch.
      stream: a text file; None is `sys.stderr` at the time of writing.
      clock: seconds, a function; for tests.

    Use: `start(epochs, steps)`; then for every epoch `update(step, logs)` as often as one likes and
      `end_epoch(logs)`.
    `evaluate` and `predict` are runs of one epoch and show no "Epoch 1/1".
    """

    def __init__(self, verbose="auto", stream=None, clock=time.perf_counter):
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; received {verbose!r}")
        self._stream = stream
        self._clock = clock
        self._bar = verbose in (1, "auto") and _redraws(self.stream)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = 1
        self.epoch = 0
        self.steps = None

    @property
    def stream(self):
        return sys.stderr if self._stream is None else self._stream

    def start(self, epochs: int = 1, steps: int | None = None, initial_epoch: int = 0) -> None:
        """Begin a run of `epochs` epochs of `steps` steps; None where the number of steps is not
        known yet.
        """
        self.epochs = epochs
        self.epoch = initial_epoch
        self.steps = steps
        self._begin_epoch()

    def _begin_epoch(self):
        self._step = 0
        self._width = 0  # of what stands on the terminal's last line
        self._titled = False
        self._began = self._clock()
        self._drawn = None
        self._first_step = None  # (step, time): it warms up, and would spoil the estimate

    @property
    def is_due(self) -> bool:
        """Whether `update` would draw just now. Cheap, so that nobody has to fetch logs for a bar
        that is not drawn.
        """
        return self._bar and (self._drawn is None or self._clock() - self._drawn >= _INTERVAL_S)

    def update(self, step: int, logs: dict | None = None) -> None:
        """`step` steps of this epoch are done, with these means so far."""
        self._step = step
        now = self._clock()
        if self._first_step is None and step > 0:
            self._first_step = step, now
        if self.is_due:
            self._draw(now, logs or {})

    def end_epoch(self, logs: dict | None = None) -> None:
        """The epoch (or the evaluation) is over: show its final line, and begin the next."""
        now = self._clock()
        self._step = self.steps = self.steps or self._step or None
        if self._bar:
            self._draw(now, logs or {}, final=True)
            self._write("\n")
        elif self.verbose:
            title = f"Epoch {self.epoch + 1}/{self.epochs} - " if self.epochs > 1 else ""
            parts = [
                self._count(),
                f"{now - self._began:.0f}s",
                self._per_step(now, final=True),
                *_metrics(logs or {}),
            ]
            self._write(title + " - ".join(filter(None, parts)) + "\n")
        self.epoch += 1
        self._begin_epoch()

    def interrupt(self) -> None:
        """Leave a half-drawn bar as it is and go to the next line; for errors and Ctrl-C."""
        if self._bar and self._width:
            self._write("\n")
            self._width = 0

    def _draw(self, now, logs, final=False):
        if not self._titled and self.epochs > 1:
            self._write(f"Epoch {self.epoch + 1}/{self.epochs}\n")
        self._titled = True
        done = self._step / self.steps if self.steps else None
        clock = f"{now - self._began:.0f}s"
        if done and not final:
            clock = _duration((now - self._began) / done * (1 - done))  # time to go
        bar = "" if done is None else " " + _bar(done, self.stream)
        line = f"{self._count()}{bar} {clock} {self._per_step(now, final)}".rstrip()
        line = " - ".join([line, *_metrics(logs)])
        # A line longer than the terminal would wrap, and could not be drawn over.
        columns = shutil.get_terminal_size().columns
        if not final and len(line) >= columns:
            line = line[: columns - 1]
        self._write("\r" + line + " " * (self._width - len(line)))
        self._width = len(line)
        self._drawn = now

    def _count(self):
        if not self.steps:
            return f"{self._step or 0:7d}/Unknown"
        return f"{self._step:{len(str(self.steps))}d}/{self.steps}"

    def _per_step(self, now, final):
        if not self._step:
            return ""
        since, steps = self._began, self._step
        if self._first_step is not None and self._step > self._first_step[0] and not final:
            since, steps = self._first_step[1], self._step - self._first_step[0]
        return _duration_per_step((now - since) / steps)

    def _write(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # a closed terminal must not end a training run
            self._bar, self.verbose = False, 0


class Progbar:
    """`keras.utils.Progbar`: the display of a loop of one's own.

    Args:
      target: how many steps there will be; None where that is not known.
      verbose: as for `Progress`.
      stateful_metrics: names of values that are shown as they are; of others, the mean over the steps.
      stateless_metrics: the other way round: only of these the mean is shown.
      width, interval, unit_name: of no consequence.

    Raises:
      ValueError: both lists of names.

    Use: `update(step, [("loss", loss)])` or `add(1, [("loss", loss)])`; a step equal to `target`, or
    `finalize=True`, ends the line.
    """

    def __init__(
        self, target, width=20, verbose=1, interval=0.05, stateful_metrics=None, stateless_metrics=None,
        unit_name="step",
    ):  # fmt: skip
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar takes stateful_metrics or stateless_metrics, not both")
        self.target = target
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._progress = Progress(verbose)
        self._progress.start(1, target)
        self._seen = 0
        self._sums = {}  # name -> [sum, steps]

    def update(self, current, values=None, finalize=None):
        """`current` steps are done. A value counts for the steps since the last update, one at least."""
        steps = max(current - self._seen, 1)
        for name, value in values or []:
            value = _number(value)
            if value is None:
                continue
            if not self._is_averaged(name):
                self._sums[name] = [value, 1]
            else:
                total = self._sums.setdefault(name, [0.0, 0])
                total[0] += value * steps
                total[1] += steps
        self._seen = current
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._progress.update(current, means)
        if current == self.target if finalize is None else finalize:
            self._progress.end_epoch(means)

    def _is_averaged(self, name):
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def add(self, n, values=None):
        """`n` more steps are done."""
        self.update(self._seen + n, values)


def _redraws(stream) -> bool:
    """Whether "\\r" takes the stream back to the beginning of its line: terminals, and "
    "notebooks."""
    try:
        return stream.isatty() or "ipykernel" in type(stream).__module__
    except (AttributeError, ValueError):
        return False


def _bar(done, stream):
    full = int(_BAR_WIDTH * min(done, 1.0))
    try:
        "━╌".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "=" * full + "." * (_BAR_WIDTH - full)
    return "━" * full + "╌" * (_BAR_WIDTH - full)


def _duration(seconds):
    seconds = int(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}" if seconds >= 60 else f"{seconds}s"


def _duration_per_step(seconds):
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _metrics(logs):
    for name, value in logs.items():
        value = _number(value)
        if value is not None:
            yield (f"{name}: {value:.4f}" if abs(value) > 1e-3 or value != value else f"{name}: {value:.4e}")


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):  # one value per class, say: their mean, as in Keras
        return _mean(value)


def _mean(value):
    import numpy as np

    try:
        return float(np.mean(value))
    except (TypeError, ValueError):
        return None
