"""The quick gate: fails where a kernel is clearly slower than NumPy. Under two minutes.

python bench/gate.py [--threads N]

The rows are the first bench sizes that the catalogue's cases declare, of every kernel (`make bench` has
all sizes). It runs once with one thread and once with all of them, each in a process of its own. A
machine that is shared makes times longer, never shorter; so each side counts with its shortest of many
short windows, the sides take turns, and a row that is behind is measured again, for longer each time,
before it counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from itertools import groupby

from driver import environment_of

# fastnn at this part of NumPy's speed has lost. With all threads there is more that can be in the way.
CLEAR_LOSS, CLEAR_LOSS_TOGETHER = 0.67, 0.5
FAR_AHEAD = 4  # in a single call: no more to be seen
WINDOW_S, WINDOWS, ROUNDS, LONG_S = 1e-3, 4, 2, 0.05
AGAIN = 4  # times, each with twice the rounds of the one before
PAUSE_S = 0.06  # until OpenBLAS' threads sleep


class Timed:
    """The shortest time of a call so far."""

    def __init__(self, call):
        self.call = call
        self.best = self.window(1)
        if self.best < LONG_S:  # else the first call is as good as any
            self.best = self.window(1)
        self.count = max(1, min(1000, int(WINDOW_S / self.best)))

    def window(self, count):
        begin = time.perf_counter()
        for _ in range(count):
            self.call()
        return max((time.perf_counter() - begin) / count, 1e-8)

    def measure(self):
        end = time.perf_counter() + WINDOWS * WINDOW_S
        while True:
            self.best = min(self.best, self.window(self.count))
            if time.perf_counter() >= end:
                return


class Pair:
    """A row's two sides."""

    def __init__(self, row):
        import catalogue

        program, numpy_call = catalogue.sides(row)
        self.row, self.ours, self.theirs = row, Timed(program.run), Timed(numpy_call)

    def ratio(self):
        return self.theirs.best / self.ours.best


def measure(pairs, rounds):
    """All of fastnn's, then all of NumPy's, round after round."""
    for _ in range(rounds):
        for side in ("ours", "theirs"):
            time.sleep(PAUSE_S)
            for pair in pairs:
                getattr(pair, side).measure()


def run(threads, least):
    """The rows that are behind, [(row, ratio)], of how many."""
    import catalogue
    import numpy as np

    from fastnn import _core

    _core.set_max_threads(threads)
    lost, rows = [], catalogue.rows(first=True)
    with np.errstate(all="ignore"):
        for _, family in groupby(rows, catalogue.Row.family):
            pairs = [pair for pair in map(Pair, family) if pair.ratio() < FAR_AHEAD]
            measure(pairs, ROUNDS)
            behind = [p for p in pairs if p.ratio() < least]
            for attempt in range(AGAIN):
                if not behind:
                    break
                measure(behind, ROUNDS * 2 ** (attempt + 1))
                behind = [p for p in behind if p.ratio() < least]
            lost += [(p.row, p.ratio()) for p in behind]
    return lost, len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="measure with so many, in this process")
    threads = parser.parse_args().threads
    if threads is None:
        failed = 0
        for threads in dict.fromkeys([1, len(os.sched_getaffinity(0))]):
            command = [sys.executable, __file__, "--threads", str(threads)]
            failed |= subprocess.run(command, env={**os.environ, **environment_of(threads)}, check=False).returncode
        sys.exit(failed)
    begin, least = time.perf_counter(), CLEAR_LOSS if threads == 1 else CLEAR_LOSS_TOGETHER
    lost, count = run(threads, least)
    print(f"gate: {count} kernels with {threads} thread{'s' * (threads > 1)} in {time.perf_counter() - begin:.0f} s, "
          f"{len(lost)} at less than {least} of NumPy's speed")  # fmt: skip
    for row, ratio in lost:
        print(f"  {row}: {ratio:.2f}")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
