"""Kernels of fastnn beside those of its peers: the part of bench/peers.py that measures them.

One process a peer, which makes the same arguments; results are compared once, then all are asked in turn,
round after round. fastnn's calls pass its gate, one by one, as PyTorch's pass its dispatcher: what a call
costs around the kernel counts for both.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np
from driver import neighbour, processes, ratio_cells, ratios, table
from kernel_rows import COMPUTE, FAMILIES, SURVEYS

__all__ = ["FAMILIES", "PEERS", "SURVEYS", "measure", "tables"]

PEERS = ["fastnn", "fastnn-strict", "torch", "torch-channels-last", "jax", "numpy"]
# glibc hands freed memory of large results back to the system, and clearing it anew can take longer than
# the kernel: everybody keeps it, so that kernels are compared and not page faults.
SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}


def check_same(row, peer, ours, theirs):
    """Raises where a peer computes something else."""
    for i in sorted(set(ours) & set(theirs)):
        a, b = ours[i], theirs[i]
        if a.shape != b.shape:
            raise SystemExit(f"{row.about}: result {i} is {b.shape} from {peer}, {a.shape} from fastnn")
        if row.random:  # as many are kept, and those that both keep are scaled alike
            kept = (a != 0) & (b != 0)
            if abs(float((a != 0).mean()) - float((b != 0).mean())) > 0.01:
                raise SystemExit(f"{row.about}: {peer} keeps another part of the inputs")
            a, b = a[kept], b[kept]
        scale = max(float(np.abs(a).max(initial=0)), 1e-30)
        error = float(np.abs(a.astype(np.float64) - b).max(initial=0)) / scale
        if not error <= row.tolerance:
            raise SystemExit(f"{row.about}: result {i} of {peer} differs from fastnn's by {error:.1e} of the largest")


def prepare(row, family, index, workers, folder):
    """The workers that have this row, ready to be timed, their results compared."""
    there, ours = [], None
    for w in workers:
        path = folder / f"{w.peer}.npz"
        if not w.ask("prepare", family=family, index=index, path=str(path))["there"]:
            continue
        there.append(w)
        with np.load(path) as results:
            theirs = dict(results)
        path.unlink()
        ours = theirs if ours is None else ours
        check_same(row, w.peer, ours, theirs)
    return there


def measure(families, peers, threads, rounds, seconds, noisy):
    """[(row, family, {peer: [calls a second of each round]}, cost)], versions."""
    done = []
    with (
        processes("kernel_worker.py", peers, threads=threads, settings=SETTINGS) as workers,
        neighbour(threads, noisy),
        tempfile.TemporaryDirectory() as folder,
    ):
        versions = {w.facts["version"] for w in workers}
        for family in families:
            for index, row in enumerate(FAMILIES[family]):
                there = prepare(row, family, index, workers, Path(folder))
                speeds = {w.peer: [] for w in there}
                for _ in range(rounds):
                    for w in there:
                        speeds[w.peer].append(1 / w.ask("measure", seconds=seconds)["s"])
                done.append((row, family, speeds, there[0].ask("cost")))
                r = ratios(speeds)
                times = {p: f"{1e6 / statistics.median(s):.4g}" for p, s in speeds.items()}
                print(f"  {row.about:52} {f'{statistics.median(r):6.2f}' if r else ''}  us {times}", flush=True)
    return done, versions


def of_peak(family, cost, speed, peak_flops):
    """Percent of what the machine does at most, of multiply-adds or of copying as many bytes."""
    if family in COMPUTE:
        return f"{100 * cost['flops'] * speed / peak_flops:.0f}"
    return f"{100 * cost['bytes'] * speed / cost['copy']:.0f}" if cost["copy"] else ""


def tables(done, peers, peak_flops):
    """A table a family."""
    lines = []
    for family in dict.fromkeys(family for _, family, _, _ in done):
        bound = "GFLOP/s at most" if family in COMPUTE else "copying as many bytes"
        lines += [f"#### {family}: microseconds a call; % of {bound}", ""]
        rows = []
        for row, of, speeds, cost in done:
            if of != family:
                continue
            median = {p: statistics.median(s) for p, s in speeds.items()}
            times = [f"{1e6 / median[p]:,.1f}" if p in median else "" for p in peers]
            rows.append([row.about, *times, of_peak(family, cost, median["fastnn"], peak_flops), *ratio_cells(speeds)])
        used = [True, *(any(r[i] for r in rows) for i in range(1, len(peers) + 1)), True, True, True]
        heads = ["call", *peers, "%", "ratio to the best peer", "least to greatest"]
        lines += table(
            *([c for c, u in zip(r, used) if u] for r in [heads]), [[c for c, u in zip(r, used) if u] for r in rows]
        )
    return lines
