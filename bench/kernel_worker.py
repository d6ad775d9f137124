"""One peer with the kernels' rows in a process of its own, for bench/kernel_peers.py:  kernel_worker.py PEER THREADS

A peer's module has a function for each kernel: of the row's arguments as NumPy arrays (`a.x`, scalars,
`a.sizes`), it makes what the peer needs and returns `(call, read)`. `call()` is timed: it computes and
is done when it returns. `read(result)` gives the results as NumPy arrays in the catalogue's layout and
order, None for what cannot be compared; `call` without `read` returns such arrays itself.
"""

from __future__ import annotations

import importlib
import sys
import time

import numpy as np
from driver import serve
from kernel_rows import FAMILIES

MODULES = {
    "fastnn": "peer_fastnn",
    "fastnn-strict": "peer_fastnn",
    "torch": "peer_torch",
    "torch-channels-last": "peer_torch",
    "jax": "peer_jax",
    "numpy": "peer_numpy",
}


def array(result):
    return None if result is None else np.asarray(result)


class Worker:
    """The commands of bench/kernel_peers.py."""

    def __init__(self, peer, threads):
        self.peer = peer
        self.module = importlib.import_module(MODULES[peer])
        self.version = self.module.start(peer, threads)
        self.call = None
        self.row = None

    def prepare(self, family, index, path):
        """Makes the row's arguments, calls once and writes the results to `path`; or says that there is no such row."""
        self.call = None
        self.row = row = FAMILIES[family][index]
        side = self.module.find(family, row)
        if side is None:
            return {"there": False}
        made = side(row.arguments())
        self.call, read = made if isinstance(made, tuple) else (made, lambda result: result)
        result = read(self.call())
        results = result if isinstance(result, (tuple, list)) else [result]
        np.savez(path, **{f"r{i}": array(r) for i, r in enumerate(results) if r is not None})
        return {"there": True}

    def measure(self, seconds):
        """Seconds a call: the mean over a round."""
        self.call()
        begin = time.perf_counter()
        self.call()
        once = max(time.perf_counter() - begin, 1e-7)
        count = max(1, int(seconds / once))
        begin = time.perf_counter()
        for _ in range(count):
            self.call()
        return {"s": (time.perf_counter() - begin) / count}

    def cost(self):
        """Operations and bytes of a call, as the catalogue counts them, and the speed of copying as many bytes."""
        return self.module.cost(self.row)


def main():
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    serve({"version": worker.version}, {"prepare": worker.prepare, "measure": worker.measure, "cost": worker.cost})


if __name__ == "__main__":
    main()
