#!/usr/bin/env python3
"""Check a wheel and its import against their budgets:  check_wheel.py WHEEL

Size and content are read from the file. The import is timed in the interpreter that runs this
script, where the wheel is installed: it must cost little on top of NumPy and print nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

MAX_SIZE_BYTES = 3_000_000
MAX_IMPORT_MS = 30.0
REQUIRED = ("fastnn/__init__.py", "fastnn/py.typed", "fastnn/datasets/digits.npz")

# The thread's own processor time, not the clock's: other programs, and the threads that NumPy's
# BLAS starts, do not count.
TIMER = """
import time, numpy
start = time.thread_time()
import fastnn
print(1e3 * (time.thread_time() - start))
"""


def content_errors(wheel: Path) -> list[str]:
    """What a wheel lacks, or holds too much of."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    errors = [f"lacks {name}" for name in REQUIRED if name not in names]
    if not any(name.startswith("fastnn/_core.") and name.endswith(".so") for name in names):
        errors.append("lacks the native module fastnn/_core.*.so")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        errors.append("lacks LICENSE")
    strangers = [n for n in names if not n.startswith("fastnn/") and ".dist-info/" not in n]
    errors += [f"holds {name}, which is outside the package" for name in strangers]
    return errors


def import_ms(runs: int = 9) -> float:
    """The median time of `import fastnn` after `import numpy`, each run in a fresh process."""
    run(TIMER)  # the first fills the file cache
    return statistics.median(float(run(TIMER)) for _ in range(runs))


def import_output() -> str:
    """Whatever `import fastnn` prints, to either stream, with every warning on."""
    return run("import fastnn", "-W", "always")


def imported_modules() -> set[str]:
    """The top-level modules that `import fastnn` brings in on top of NumPy."""
    code = (
        "import sys, numpy\nbefore = set(sys.modules)\nimport fastnn\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    return set(run(code).split())


def run(code: str, *options: str) -> str:
    # -I: neither the current folder nor PYTHONPATH may shadow what is installed.
    command = [sys.executable, "-I", *options, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{done.stdout}")
    return done.stdout


def main() -> int:
    wheel = Path(sys.argv[1])
    errors = content_errors(wheel)
    size_bytes = wheel.stat().st_size
    if size_bytes > MAX_SIZE_BYTES:
        errors.append(f"has {size_bytes} bytes, over {MAX_SIZE_BYTES}")
    median_ms = import_ms()
    if median_ms > MAX_IMPORT_MS:
        errors.append(f"takes {median_ms:.1f} ms to import on top of NumPy, over {MAX_IMPORT_MS}")
    if output := import_output():
        errors.append(f"prints on import: {output!r}")
    print(f"{wheel.name}: {size_bytes / 1e6:.2f} MB, import {median_ms:.1f} ms on top of NumPy")
    for error in errors:
        print(f"{wheel.name}: {error}")
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
