"""Times every kernel of the catalogue beside NumPy's way of computing the same, in one run.

python bench/kernels.py [--threads N] [--only NAME ...] [--json FILE]

Cases come from fastnn/reference: the same declaration that the tests check. Each row interleaves the
two sides and takes the best of several rounds; `ratio` is NumPy's time over fastnn's (above 1: fastnn
is faster). GFLOP/s and GB/s count what the catalogue says a call computes and touches.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import platform
import sys
import time
from pathlib import Path

import numpy as np

from fastnn import _core, reference
from fastnn.tensor import from_numpy

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from test_kernels import make_arguments

# OpenBLAS' threads go on spinning for some 0.05 s after a product, on the cores that the other side is
# about to be timed on; so each side begins when the other's threads sleep.
PAUSE_S = 0.1


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


def as_program(kernel, values):
    """The call as a recorded program, so that Python's share is not part of the time."""
    tensors = [from_numpy(v) if isinstance(v, np.ndarray) else v for v in values]
    program = _core.Program()
    program.begin()
    kernel(*tensors)
    program.end()
    return program


def size_text(sizes):
    return " ".join(f"{k}={'x'.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in sizes.items())


def measure(name, case, sizes, storage):
    kernel = _core.kernels[name]
    scalars = case.scalars_of_bench(sizes)
    values = make_arguments(case, kernel, sizes, scalars, storage)
    meaning = case.speed_of or case.function
    given = {p: v for v, (p, kind) in zip(values, kernel.params) if kind != "Out"}
    if "sizes" in inspect.signature(meaning).parameters:
        given["sizes"] = sizes
    try:
        inspect.signature(meaning).bind(**given)
    except TypeError:  # a function of NumPy's own, whose arguments have other names
        given = dict(zip(inspect.signature(meaning).parameters, given.values()))
    program = as_program(kernel, values)
    ours, theirs = best_of([program.run, lambda: meaning(**given)])
    timing = program.profile(1)[0]
    return {
        "kernel": name, "sizes": size_text(sizes), "dtype": storage, "fastnn_us": ours * 1e6,
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
    reference.load()
    print(f"{platform.processor() or platform.machine()}, {_core.current_isa()}, {_core.max_threads()} threads, "
          f"NumPy {np.__version__}, {arguments.dtype}\n")  # fmt: skip
    print(f"{'kernel':26} {'sizes':34} {'fastnn us':>10} {'NumPy us':>10} {'ratio':>7} {'GFLOP/s':>8} {'GB/s':>7}")
    rows = []
    for name in _core.kernels:
        case = reference.KERNELS.get(name)
        if case is None or (arguments.only and not any(o in name for o in arguments.only)):
            continue
        for sizes in case.bench:
            with np.errstate(all="ignore"):
                row = measure(name, case, sizes, arguments.dtype)
            rows.append(row)
            print(f"{name:26} {row['sizes'][:34]:34} {row['fastnn_us']:10.1f} {row['numpy_us']:10.1f} "
                  f"{row['ratio']:7.2f} {row['gflops']:8.1f} {row['gbytes']:7.1f}", flush=True)  # fmt: skip
    behind = [r for r in rows if r["ratio"] < 1]
    print(f"\n{len(rows)} rows, {len(behind)} behind NumPy" + (":" if behind else ""))
    for row in behind:
        print(f"  {row['kernel']} {row['sizes']}: {row['ratio']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
