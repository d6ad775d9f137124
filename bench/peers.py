"""Trains and runs the same models, and calls the same kernels, with fastnn and its peers, side by side.

python bench/peers.py [--threads N ...] [--only NAME ...] [--peers NAME ...] [--do WHAT ...]
                      [--policy NAME] [--rounds N] [--seconds S] [--noisy] [--out FILE]

Every peer has a process of its own. For each model all of them are started, warmed up, and then asked in
turn, round after round, while the others sleep; so each round compares them at the same moment of a
machine that may have other work. A ratio is fastnn's speed over the best peer's in the same round; the
table shows its median, least and greatest. --noisy keeps one core busy with another process. --policy
mixed_bfloat16 rounds the operands of products, everybody's: Keras' policy, PyTorch's autocast.

--only names models, kernels, or groups of them: standard (the default), more, all; survey-matmul and
survey-conv are products and convolutions of random sizes. A whole run is written to
bench/results/<machine>.md; a part of it only where --out says.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

import kernel_peers
from driver import Process, head, neighbour, processes, ratio_cells, ratios, result_file, table
from workloads import GROUPS, WORKLOADS

# fastnn-strict: with matmul_precision "float32_strict", where the default takes other sums.
PEERS = [
    "fastnn",
    "fastnn-strict",
    "torch",
    "torch-fused",
    "torch-channels-last",
    "torch-compile",
    "keras-jax",
    "keras-torch",
]
TITLES = {
    "train": "Training: samples a second",
    "predict": "`predict`: samples a second",
    "latency": "One sample at a time: calls a second",
    "facts": "First step after `compile` (ms) / peak memory of a process that trains and predicts (MB)",
    "kernels": "Kernels",
}


def peers_of(name, chosen, policy):
    of_images = ("fastnn-strict", "torch-channels-last")
    chosen = [p for p in chosen if p not in of_images or WORKLOADS[name].images]
    return ["fastnn", *(p for p in chosen if p != "fastnn-strict" or policy == "float32")]


def measure(name, peers, threads, arguments):
    """{do: {peer: [speed of each round]}} and {peer: facts} of one model."""
    speeds = {do: {} for do in arguments.do if do in ("train", "predict", "latency")}
    with processes("worker.py", peers, name, arguments.policy, threads=threads) as workers:
        facts = {w.peer: w.facts for w in workers}
        if len({f["weights"] for f in facts.values()}) > 1:
            raise SystemExit(f"{name} is not one model: weights { ({p: f['weights'] for p, f in facts.items()}) }")
        with neighbour(threads, arguments.noisy):
            for do in speeds:
                for w in workers:
                    w.ask("measure", what=do, seconds=arguments.seconds)  # warms up
                for _ in range(arguments.rounds):
                    for w in workers:
                        answer = w.ask("measure", what=do, seconds=arguments.seconds)
                        speeds[do].setdefault(w.peer, []).append(answer["per_s"])
    if "facts" in arguments.do:  # memory: in new processes, which have done nothing else
        for peer in peers:
            worker = Process("worker.py", peer, name, arguments.policy, threads=threads)
            facts[peer] |= worker.ask("memory")
            worker.stop()
    return speeds, facts


def show(speeds):
    for do, of_peers in speeds.items():
        medians = {p: round(statistics.median(s)) for p, s in of_peers.items()}
        r = ratios(of_peers)
        text = f"ratio {statistics.median(r):6.2f} ({min(r):.2f} to {max(r):.2f})" if r else ""
        print(f"  {do:8} {text}  {medians}", flush=True)


def model_tables(results, peers, arguments):
    """One table for each thing measured, for each group of models."""
    lines = []
    for group, members in GROUPS.items():
        names = [name for name in members if name in results]
        for do in arguments.do if names else ():
            if do == "kernels":
                continue
            lines += [f"### {TITLES[do]}{'' if group == 'standard' else ' (more models)'}", ""]
            rows = []
            for name in names:
                speeds, facts = results[name]
                if do == "facts":
                    cells = [
                        f"{facts[p]['first_step_ms']:,.0f} / {facts[p]['peak_mb']:,.0f}" if p in facts else ""
                        for p in peers
                    ]
                else:
                    cells = [f"{statistics.median(speeds[do][p]):,.0f}" if p in speeds[do] else "" for p in peers]
                    cells += ratio_cells(speeds[do])
                rows.append([WORKLOADS[name].about, *cells])
            ratio = [] if do == "facts" else ["ratio to the best peer", "least to greatest"]
            lines += table(["model", *peers, *ratio], rows)
    return lines


def measured_peaks(threads, before=(0, 0)):
    """(flops, bytes) a second; the greater of these and those measured before."""
    process = Process("peak.py", "fastnn", threads=threads)
    now = process.ask("flops"), process.ask("copy")
    process.stop()
    return tuple(map(max, now, before))


def chosen(only):
    """The models and the families of kernels that --only names; by default the first table and all kernels."""
    families = list(kernel_peers.FAMILIES)
    models = {name for o in only for name in (GROUPS.get(o) or (WORKLOADS if o == "all" else [o])) if name in WORKLOADS}
    usual = [f for f in families if f not in kernel_peers.SURVEYS]
    kernels = [f for f in families if f in only or (f in usual and {"all", "kernels"} & {*only})]
    if not only:
        return list(GROUPS["standard"]), usual
    return [name for name in WORKLOADS if name in models], kernels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*GROUPS, "kernels", "all", *WORKLOADS, *kernel_peers.FAMILIES]
    every = list(dict.fromkeys([*PEERS[1:], *kernel_peers.PEERS[1:]]))
    parser.add_argument("--threads", type=int, nargs="+", help="default: all cores, then one")
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME", help=", ".join(names))
    parser.add_argument("--peers", nargs="*", choices=every, metavar="NAME", help=f"{', '.join(every)}; "
                        "default: all but torch-compile, which takes minutes to start")  # fmt: skip
    parser.add_argument("--do", nargs="+", choices=TITLES, default=list(TITLES), metavar="WHAT", help=", ".join(TITLES))
    parser.add_argument("--policy", choices=["float32", "mixed_bfloat16"], default="float32", help="of the models")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round of a model; a kernel's takes a tenth")
    parser.add_argument("--noisy", action="store_true", help="keep one core busy with another process")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    whole = arguments == parser.parse_args(["--noisy"] if arguments.noisy else [])
    out = arguments.out or (result_file(arguments.noisy) if whole else None)
    models, families = chosen(arguments.only)
    peers = arguments.peers if arguments.peers is not None else [p for p in every if p != "torch-compile"]
    model_peers = [p for p in PEERS[1:] if p in peers]
    kernels_peers = ["fastnn", *(p for p in kernel_peers.PEERS[1:] if p in peers)]

    lines, versions, peaks = [], set(), {}
    for threads in dict.fromkeys(arguments.threads or [len(os.sched_getaffinity(0)), 1]):
        peaks[threads] = measured_peaks(threads)
        lines += [f"## {threads} thread{'s' * (threads > 1)}" + (", one core shared" if arguments.noisy else ""), ""]
        results = {}
        for name in models if set(arguments.do) - {"kernels"} else ():
            print(f"{name}, {threads} threads", flush=True)
            results[name] = measure(name, peers_of(name, model_peers, arguments.policy), threads, arguments)
            versions |= {f["version"] for f in results[name][1].values()}
            show(results[name][0])
        lines += model_tables(results, ["fastnn", *model_peers], arguments)
        if "kernels" in arguments.do and families:
            rows, seen = kernel_peers.measure(
                families, kernels_peers, threads, arguments.rounds, arguments.seconds / 10, arguments.noisy
            )
            versions |= seen
            peaks[threads] = measured_peaks(threads, peaks[threads])
            lines += [f"### {TITLES['kernels']}", "", *kernel_peers.tables(rows, kernels_peers, peaks[threads][0])]
    text = "\n".join([*head(versions, arguments.rounds, arguments.seconds, peaks), *lines])
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
        print(f"written to {out}\n")
    print(text)


if __name__ == "__main__":
    main()
