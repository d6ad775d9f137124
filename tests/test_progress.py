"""The progress display, with a clock that stands still unless it is moved."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from fastnn.progress import Progbar, Progress, print_message


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def screen(self):
        """The lines as they end up on a terminal."""
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for part in line.split("\r"):
                shown = part + shown[len(part) :]
            lines.append(shown.rstrip())
        return lines


@pytest.fixture
def clock():
    return Clock()


def run(progress, clock, epochs=2, steps=4, seconds=1.0):
    progress.start(epochs, steps)
    for _ in range(epochs):
        for step in range(1, steps + 1):
            clock.now += seconds
            progress.update(step, {"accuracy": 0.5 + step / 100, "loss": 1 / step})
        progress.end_epoch({"accuracy": 0.9, "loss": 0.25, "val_loss": 1e-4})


def test_bar_on_a_terminal(clock):
    stream = Terminal()
    run(Progress("auto", stream, clock), clock)
    bar = "━" * 20
    metrics = "accuracy: 0.9000 - loss: 0.2500 - val_loss: 1.0000e-04"
    assert stream.screen() == [
        "Epoch 1/2",
        f"4/4 {bar} 4s 1s/step - {metrics}",
        "Epoch 2/2",
        f"4/4 {bar} 4s 1s/step - {metrics}",
        "",
    ]
    assert "\r2/4 ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌ 2s 1s/step - accuracy: 0.5200 - loss: 0.5000" in stream.getvalue()


def test_the_final_line_is_kerass(clock):
    # Only the words: Keras colours its bar.
    from keras_reference import keras

    printed = []
    bar = keras.utils.Progbar(target=1875, stateful_metrics=["accuracy", "loss"])
    from keras.src.utils import io_utils

    original, io_utils.print_msg = io_utils.print_msg, lambda text, **_: printed.append(text)
    try:
        bar._start -= 2.3
        bar.update(1875, [("accuracy", 0.9), ("loss", 0.0003)])
    finally:
        io_utils.print_msg = original
    theirs = re.sub(r"\x1b\[\d+m|[\b\r]", "", printed[-1])
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 1875)
    clock.now += 2.3
    progress.update(1875)
    progress.end_epoch({"accuracy": 0.9, "loss": 0.0003})
    assert stream.screen()[-2] == theirs.rstrip()


def test_one_line_per_epoch_anywhere_else(clock):
    for verbose, stream in ((1, io.StringIO()), ("auto", io.StringIO()), (2, Terminal())):
        run(Progress(verbose, stream, clock), clock, seconds=0.002)
        metrics = "accuracy: 0.9000 - loss: 0.2500 - val_loss: 1.0000e-04"
        assert stream.getvalue().split("\n") == [
            f"Epoch 1/2 - 4/4 - 0s - 2ms/step - {metrics}",
            f"Epoch 2/2 - 4/4 - 0s - 2ms/step - {metrics}",
            "",
        ]


def test_silence(clock):
    stream = Terminal()
    run(Progress(0, stream, clock), clock)
    assert stream.getvalue() == ""


def test_one_epoch_has_no_title(clock):
    stream = io.StringIO()
    progress = Progress(2, stream, clock)
    progress.start(1, 3)
    progress.update(3)
    progress.end_epoch({"loss": 0.5})
    assert stream.getvalue() == "3/3 - 0s - 0us/step - loss: 0.5000\n"


def test_at_most_ten_times_a_second(clock):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 100_000)
    drawn = 0
    for step in range(1, 100_001):
        clock.now += 1e-5
        drawn += progress.is_due
        progress.update(step)
    assert drawn == stream.getvalue().count("\r") <= 11
    progress.end_epoch()
    assert stream.screen()[0].startswith("100000/100000 ━")


def test_unknown_number_of_steps(clock):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(2, None)
    clock.now += 1
    progress.update(7, {"loss": 1.0})
    assert stream.screen()[-1] == "      7/Unknown 1s 143ms/step - loss: 1.0000"
    progress.end_epoch({"loss": 1.0})
    assert stream.screen()[1].startswith("7/7 ━")
    clock.now += 1
    progress.update(1)
    assert stream.screen()[-1].startswith("1/7 ━")


@pytest.mark.parametrize("seconds, shown", [(0.5, "49s"), (5, "8:15"), (50, "1:22:30")])
def test_time_to_go(clock, seconds, shown):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 100)
    clock.now += seconds
    progress.update(1)
    assert f" {shown} " in stream.screen()[-1] + " "


def test_the_first_step_does_not_spoil_the_estimate(clock):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 100)
    clock.now += 10
    progress.update(1)
    clock.now += 1
    progress.update(11)
    assert "100ms/step" in stream.screen()[-1]


def test_narrow_terminals_and_plain_encodings(monkeypatch, clock):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    stream.encoding = "ascii"
    progress = Progress(1, stream, clock)
    progress.start(1, 2)
    progress.update(1, {"a_long_name_of_a_metric": 1.0})
    line = stream.getvalue().split("\r")[-1]
    assert len(line) == 39 and line.startswith("1/2 ==========..........")


def test_values_that_are_not_numbers(clock):
    stream = io.StringIO()
    progress = Progress(2, stream, clock)
    progress.start(1, 1)
    logs = {"nan": float("nan"), "classes": [0.5, 1.0], "text": "x", "negative": -0.5}
    progress.end_epoch(logs)
    assert stream.getvalue().endswith("- nan: nan - classes: 0.7500 - negative: -0.5000\n")


def test_interrupt_goes_to_the_next_line(clock):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 2)
    progress.interrupt()
    assert stream.getvalue() == ""
    progress.update(1)
    progress.interrupt()
    assert stream.getvalue().endswith("\n")


def test_a_closed_terminal_does_not_end_training(clock):
    stream = Terminal()
    progress = Progress(1, stream, clock)
    progress.start(1, 2)
    stream.close()
    progress.update(1)
    progress.end_epoch()


def test_bad_verbose():
    for verbose in (3, -1, "loud", None):
        with pytest.raises(ValueError, match="verbose must be"):
            Progress(verbose)


SCRIPT = """
from fastnn.progress import Progbar, Progress, print_message
progress = Progress()
progress.start(1, 2)
progress.update(2)
progress.end_epoch({"loss": 0.5})
print_message("said")
"""


def environment():
    return {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONUTF8": "1"}


def test_stderr_of_a_pipe_and_of_a_real_terminal():
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == ""
    assert re.fullmatch(r"2/2 - 0s - \d+us/step - loss: 0.5000\nsaid\n", result.stderr)
    main, terminal = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment(), stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(main, 4096):
            shown += part
    except OSError:
        pass  # how a terminal says that its last writer is gone
    os.close(main)
    assert process.wait() == 0
    assert b"\r2/2 " + "━".encode() * 20 in shown and shown.endswith(b"loss: 0.5000\r\nsaid\r\n")


def test_messages_go_to_stderr(capsys):
    print_message("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_bar_for_own_loops(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Progbar(4, stateful_metrics=["lr"])
    bar.update(1, [("loss", 4.0), ("lr", 0.5)])
    bar.update(3, [("loss", 1.0), ("lr", 0.25)])  # counts for two steps
    bar.add(1, [("loss", [1.0, 3.0])])  # one per class: their mean
    (line, end) = screen.screen()
    assert line.startswith("4/4") and line.endswith("loss: 2.0000 - lr: 0.2500") and end == ""
    Progbar(2, verbose=0).update(2, [("loss", 1.0)])
    lines = Progbar(None, verbose=2, stateless_metrics=["loss"])
    lines.add(1, [("loss", 1.0)])
    lines.update(2, [("loss", 3.0)], finalize=True)
    assert "loss: 2.0000" in screen.screen()[-2]
    with pytest.raises(ValueError, match="not both"):
        Progbar(2, stateful_metrics=[], stateless_metrics=[])
