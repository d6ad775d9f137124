"""What the drivers share: a process for every peer, asked in turn, and the table of what they say.

A worker reads a JSON line a command and answers with one; between commands it waits for input, and its
threads sleep. All workers of a comparison live at once and are asked one after the other, round after
round, so that each round compares them at the same moment of a machine that may have other work.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
# OpenMP's and OpenBLAS' threads go on spinning after their work, for 50 ms and more, on the cores that the next
# process is about to be timed on.
PAUSE_S = 0.2


def cores_for(threads):
    """The cores that every process of a comparison is kept on."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < threads:
        raise SystemExit(f"{threads} threads asked for, {len(available)} cores available")
    return set(available[:threads])


def environment_of(threads):
    """Nobody starts more threads than it was given."""
    settings = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}
    if threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return settings


class Process:
    """A worker; `ask` gives it the machine."""

    def __init__(self, script, *arguments, threads, settings=None):
        self.peer = arguments[0]
        cores = cores_for(threads)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  as long as the process
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, **environment_of(threads), **(settings or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        self.facts = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"{self.peer} ended:\n{self.errors.read()[-3000:]}")
        return json.loads(line)

    def ask(self, do, **arguments):
        time.sleep(PAUSE_S)
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def processes(script, peers, *arguments, threads, settings=None):
    """A worker for each of `peers`; all are ended at the end."""
    started = []
    try:
        for peer in peers:
            begin = time.perf_counter()
            started.append(Process(script, peer, *arguments, threads=threads, settings=settings))
            facts = started[-1].facts
            print(f"  {peer}: {facts['version']}, ready in {time.perf_counter() - begin:.1f} s", flush=True)
        yield started
    finally:
        for process in started:
            process.stop()


@contextlib.contextmanager
def neighbour(threads, wanted):
    """Another process that keeps the last of the cores busy."""
    if not wanted:
        yield
        return
    core = {max(cores_for(threads))}
    busy = subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, core)
    )
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def serve(answer, commands):
    """The worker's side: prints `answer`, then the answer of commands[do](**arguments) for each line."""
    while True:
        print(json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        arguments = json.loads(line)
        answer = commands[arguments.pop("do")](**arguments)


# --- what is said about a run --------------------------------------------------------------------


def ratios(speeds):
    """fastnn's speed over the best peer's, round by round; empty where it was alone."""
    theirs = [s for peer, s in speeds.items() if not peer.startswith("fastnn")]
    return [mine / max(round_) for mine, round_ in zip(speeds["fastnn"], zip(*theirs))] if theirs else []


def ratio_cells(speeds):
    """Median, and least to greatest, as cells of a table."""
    r = ratios(speeds)
    return [f"**{statistics.median(r):.2f}**", f"{min(r):.2f} to {max(r):.2f}"] if r else ["", ""]


def table(heads, rows):
    """Markdown: the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def machine():
    """The processor and how many cores of it we have. Virtual machines may call several generations by one
    name, so the family and the model's number belong to it.
    """
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        names = {"model name": "", "cpu family": " family ", "model": " model "}
        found = [(re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE), prefix) for key, prefix in names.items()]
        model = "".join(prefix + m.group(1) for m, prefix in found if m) or model
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def result_file(noisy):
    """results/amd-epyc-family-26-model-2-2-cores.md"""
    name = re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")
    return HERE / "results" / f"{name}{'-noisy' if noisy else ''}.md"


def commit():
    """The commit that is checked out, with a mark where files differ from it; "" outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def head(versions, rounds, seconds, peaks):
    """Of a results file: machine, versions, flags, and the peaks {threads: (flops, bytes)} in numbers a second."""
    lines = ["# fastnn beside its peers", ""]
    lines += [f"{machine()}; {platform.system()} {platform.release()}, Python {platform.python_version()}; "
              f"{datetime.date.today().isoformat()}, commit {commit() or 'unknown'}.", ""]  # fmt: skip
    lines += [", ".join(sorted(versions)) + ".", ""]
    lines += [f"`python {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`: {rounds} rounds of {seconds} s each.", ""]
    for threads, (flops, bandwidth) in peaks.items():
        flags = " ".join(f"{k}={v}" for k, v in environment_of(threads).items())
        lines += [f"{threads} thread{'s' * (threads > 1)} (`{flags}`): at most {flops / 1e9:.0f} GFLOP/s of float32 "
                  f"multiply-adds, {bandwidth / 1e9:.1f} GB/s of copying in memory.", ""]  # fmt: skip
    return lines
