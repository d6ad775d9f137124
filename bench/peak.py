"""What this machine does at most, for bench/peers.py: a process that measures it when asked."""

from __future__ import annotations

import sys

from driver import serve

from fastnn import _core

MEMORY_BYTES = 256 << 20  # beyond most caches


def main():
    threads = int(sys.argv[2])
    _core.set_max_threads(threads)
    serve(
        {"version": f"peak, {_core.current_isa()}"},
        {
            "flops": lambda: max(_core.peak_flops(threads) for _ in range(5)),
            "copy": lambda: max(_core.copy_bandwidth(threads, MEMORY_BYTES) for _ in range(3)),
        },
    )


if __name__ == "__main__":
    main()
