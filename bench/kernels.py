"""Times every kernel of the catalogue beside NumPy's way of computing the same, in one run.

python bench/kernels.py [--threads N] [--only NAME ...] [--json FILE]

Cases come from fastnn/reference: the same declaration that the tests check. Each row interleaves the
two sides and takes the best of several rounds; `ratio` is NumPy's time over fastnn's (above 1: fastnn
is faster). A row that comes out behind is timed twice more, both sides: a virtual machine's cores may be
slow for half a second, which is as long as a row takes. GFLOP/s and GB/s count what the catalogue says a
call computes and touches.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from pathlib import Path

import catalogue
import numpy as np

from fastnn import _core

# OpenBLAS' threads go on spinning for some 0.05 s after a product, on the cores that the other side is
# about to be timed on; so each side begins when the other's threads sleep.
PAUSE_S = 0.1
AGAIN = 2


def best_of(functions, seconds=0.25, rounds=4):
    """The shortest time of each function over interleaved rounds."""
    best = [math.inf] * len(functions)
    counts = []
    for f in functions:
        f()
        begin = time.perf_counter()
        f()
        once = max(time.perf_counter() - begin, 1e-7)
        counts.append(max(1, min(1000, int(seconds / rounds / len(functions) / once))))
    for _ in range(rounds):
        for i, f in enumerate(functions):
            time.sleep(PAUSE_S)
            f()
            begin = time.perf_counter()
            for _ in range(counts[i]):
                f()
            best[i] = min(best[i], (time.perf_counter() - begin) / counts[i])
    return best


def measure(row, storage):
    program, numpy_call = catalogue.sides(row, storage)
    ours, theirs = best_of([program.run, numpy_call])
    for _ in range(AGAIN):
        if ours > theirs:
            ours, theirs = map(min, (ours, theirs), best_of([program.run, numpy_call]))
    timing = program.profile(1)[0]
    return {
        "kernel": row.kernel, "sizes": row.size_text(), "dtype": storage, "fastnn_us": ours * 1e6,
        "numpy_us": theirs * 1e6, "ratio": theirs / ours, "gflops": timing.flops / ours / 1e9,
        "gbytes": timing.bytes / ours / 1e9,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="*", default=[], help="kernels whose name contains one of these")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        _core.set_max_threads(arguments.threads)
    print(f"{platform.processor() or platform.machine()}, {_core.current_isa()}, {_core.max_threads()} threads, "
          f"NumPy {np.__version__}, {arguments.dtype}\n")  # fmt: skip
    print(f"{'kernel':26} {'sizes':34} {'fastnn us':>10} {'NumPy us':>10} {'ratio':>7} {'GFLOP/s':>8} {'GB/s':>7}")
    results = []
    for row in catalogue.rows():
        if arguments.only and not any(o in row.kernel for o in arguments.only):
            continue
        with np.errstate(all="ignore"):
            r = measure(row, arguments.dtype)
        results.append(r)
        print(f"{row.kernel:26} {r['sizes'][:34]:34} {r['fastnn_us']:10.1f} {r['numpy_us']:10.1f} "
              f"{r['ratio']:7.2f} {r['gflops']:8.1f} {r['gbytes']:7.1f}", flush=True)  # fmt: skip
    behind = [r for r in results if r["ratio"] < 1]
    print(f"\n{len(results)} rows, {len(behind)} behind NumPy" + (":" if behind else ""))
    for r in behind:
        print(f"  {r['kernel']} {r['sizes']}: {r['ratio']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
