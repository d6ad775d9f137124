#!/usr/bin/env python3
"""Write the type stubs of what has no Python source:  stubs.py [FOLDER]

python/fastnn/_core.pyi comes from the compiled module's own docstrings (pybind11-stubgen), and
python/fastnn/kernels.pyi from the catalogue, one function a kernel. Nothing in them is written by
hand; a test compares them with what this script writes.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fastnn import _core, kernels

PACKAGE = Path(__file__).parent.parent / "python" / "fastnn"
TYPES = {"In": "Array", "Out": "Array", "InOut": "Array", "int": "int", "float": "float", "bool": "bool"}
TYPES["ints"] = "Sequence[int]"


def core() -> str:
    """The stub of fastnn._core."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "fastnn._core", "-o", folder]
        subprocess.run(command, check=True, capture_output=True)
        text = (Path(folder) / "fastnn" / "_core.pyi").read_text()
    # The two tables: their types, without what happens to be in them.
    text = re.sub(r"^activations: dict = .*$", "activations: dict[str, tuple[int, str]]", text, flags=re.MULTILINE)
    text = re.sub(r"^kernels: dict\b.*$", "kernels: dict[str, Kernel]", text, flags=re.MULTILINE)
    # pybind11 offers the buffer protocol without a method that its docstrings could show.
    buffer = "    def __buffer__(self, flags: int, /) -> memoryview:\n        ...\n"
    return text.replace("    def assign_numpy", buffer + "    def assign_numpy", 1)


def signature(kernel: _core.Kernel) -> str:
    """(x: Array, b: Array | None, stride: int, /): kernels take their arguments by position."""
    absent = set(re.findall(r"(\w+):\w+\([^)]*\)\?", kernel.shapes))
    arguments = [f"{name}: {TYPES[kind]}{' | None' if name in absent else ''}" for name, kind in kernel.params]
    return "(" + ", ".join([*arguments, "/"]) + ")"


def catalogue() -> str:
    """The stub of fastnn.kernels."""
    head = f'"""{inspect.getdoc(kernels)}\n"""\n\nfrom collections.abc import Sequence\n\nfrom ._core import Array\n\n'
    bodies = []
    for name, kernel in _core.kernels.items():
        doc = "\n".join(f"    {line}".rstrip() for line in kernel.__doc__.splitlines())
        bodies.append(f'def {name}{signature(kernel)} -> None:\n    """{doc.lstrip()}\n    """\n')
    return head + "FAMILIES: list[str]\n\n" + "\n".join(bodies)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE
    for name, text in (("_core.pyi", core()), ("kernels.pyi", catalogue())):
        (folder / name).write_text(text)
        print(folder / name)


if __name__ == "__main__":
    main()
