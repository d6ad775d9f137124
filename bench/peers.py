"""Trains and runs the same models with fastnn and its peers, side by side, and writes the table.

python bench/peers.py [--threads N ...] [--only NAME ...] [--peers NAME ...] [--do train predict latency]
                      [--rounds N] [--seconds S] [--noisy] [--out FILE]

Every peer has a process of its own. For each workload all of them are started, warmed up, and then
asked in turn, round after round, while the others sleep; so each round compares them at the same moment
of a machine that may have other work. A ratio is fastnn's speed over the best peer's in the same round;
the table shows its median, least and greatest. --noisy keeps one core busy with another process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workloads import WORKLOADS

HERE = Path(__file__).parent
PEERS = ["fastnn", "torch", "torch-fused", "torch-channels-last", "torch-compile", "keras-jax", "keras-torch"]
IMAGES = ("cnn", "autoencoder")
TITLES = {
    "train": "Training: samples a second",
    "predict": "`predict`: samples a second",
    "latency": "One sample at a time: calls a second",
}


class Process:
    """A worker; `ask` gives it the machine."""

    def __init__(self, peer, workload, threads, cores):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        self.peer = peer
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), peer, workload, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        self.facts = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.peer} ended: {self.process.stderr.read()[-2000:]}")
        return json.loads(line)

    def ask(self, do, seconds):
        self.process.stdin.write(json.dumps({"do": do, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


@contextlib.contextmanager
def neighbour(cores, wanted):
    """Another process that keeps the last core busy."""
    if not wanted:
        yield
        return
    core = {max(cores)}
    busy = subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, core)
    )
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def measure(name, peers, threads, arguments):
    """{do: {peer: [speed of each round]}} and {peer: facts} of one workload."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < threads:
        raise SystemExit(f"{threads} threads asked for, {len(available)} cores available")
    cores = set(available[:threads])
    processes, speeds, facts = [], {do: {} for do in arguments.do}, {}
    try:
        for peer in peers:
            begin = time.perf_counter()
            process = Process(peer, name, threads, cores)
            processes.append(process)
            facts[peer] = process.facts
            print(f"  {peer}: {process.facts['version']}, ready in {time.perf_counter() - begin:.1f} s", flush=True)
        with neighbour(cores, arguments.noisy):
            for do in arguments.do:
                for process in processes:
                    process.ask(do, arguments.seconds)  # warms up and finds the size of a round
                for _ in range(arguments.rounds):
                    for process in processes:
                        answer = process.ask(do, arguments.seconds)
                        speeds[do].setdefault(process.peer, []).append(answer["per_s"])
                        facts[process.peer]["peak_mb"] = answer["peak_mb"]
    finally:
        for process in processes:
            process.stop()
    return speeds, facts


def ratios(speeds):
    """fastnn over the best peer, round by round."""
    ours, *theirs = (speeds[p] for p in sorted(speeds, key=lambda p: p != "fastnn"))
    return [mine / max(round_) for mine, round_ in zip(ours, zip(*theirs))]


def machine():
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return model


def table(do, results, peers):
    lines = [f"### {TITLES[do]}", ""]
    lines += ["| workload | " + " | ".join(peers) + " | ratio to the best peer | least to greatest |"]
    lines += ["| --- |" + " ---: |" * (len(peers) + 2)]
    for name, (speeds, _) in results.items():
        cells = [f"{statistics.median(speeds[do][p]):,.0f}" if p in speeds[do] else "" for p in peers]
        r = ratios(speeds[do]) if len(speeds[do]) > 1 else [float("nan")]
        cells += [f"**{statistics.median(r):.2f}**", f"{min(r):.2f} to {max(r):.2f}"]
        lines.append(f"| {WORKLOADS[name].about} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def facts_table(results, peers):
    """The first step after `compile`, and the most memory that a process took."""
    lines = ["### First step after `compile` (ms), and peak memory of the process (MB)", ""]
    lines += ["| workload | " + " | ".join(peers) + " |", "| --- |" + " ---: |" * len(peers)]
    for name, (_, facts) in results.items():
        cells = [
            f"{facts[p]['first_step_ms']:,.0f} / {facts[p].get('peak_mb', 0):,.0f}" if p in facts else "" for p in peers
        ]
        lines.append(f"| {WORKLOADS[name].about} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="*", default=[len(os.sched_getaffinity(0)), 1])
    parser.add_argument("--only", nargs="*", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--peers", nargs="*", choices=PEERS[1:], default=[p for p in PEERS[1:] if p != "torch-compile"])
    parser.add_argument("--do", nargs="*", choices=TITLES, default=list(TITLES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--noisy", action="store_true", help="keep one core busy with another process")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    text, versions = [], set()
    for threads in dict.fromkeys(arguments.threads):
        results = {}
        for name in arguments.only:
            print(f"{name}, {threads} threads", flush=True)
            peers = ["fastnn", *(p for p in arguments.peers if p != "torch-channels-last" or name in IMAGES)]
            results[name] = speeds, facts = measure(name, peers, threads, arguments)
            versions |= {f["version"] for f in facts.values()}
            for do in arguments.do:
                r = ratios(speeds[do])
                medians = {p: round(statistics.median(s)) for p, s in speeds[do].items()}
                print(
                    f"  {do:8} ratio {statistics.median(r):6.2f} ({min(r):.2f} to {max(r):.2f})  {medians}", flush=True
                )
        peers = ["fastnn", *arguments.peers]
        text += [f"## {threads} thread{'s' * (threads > 1)}" + (", one core shared" if arguments.noisy else ""), ""]
        for do in arguments.do:
            text += table(do, results, peers)
        text += facts_table(results, peers)
    head = [f"{machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}; " + ", ".join(sorted(versions)), ""]  # fmt: skip
    head += [f"`python bench/peers.py {' '.join(sys.argv[1:])}`: {arguments.rounds} rounds of {arguments.seconds} s each.", ""]  # fmt: skip
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(["# fastnn beside its peers", "", *head, *text]))
    print("\n".join(text))


if __name__ == "__main__":
    main()
