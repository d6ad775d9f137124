#!/usr/bin/env python3
"""Prove that code compiled for one instruction set cannot reach another:  check_symbols.py [BUILD]

The linker merges inline functions and template instances of one name from different objects and
keeps any one of them. An AVX-512 copy of `std::max<float>` may so end up in the code that runs on
an AVX2 machine. Hence every weak symbol of the objects of `fastnn_cpu_<isa>` must lie in
`fastnn::<isa>`, and such an object must run nothing when the module is loaded.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

WEAK = {"W", "V", "u"}  # of nm: weak function, weak object, unique (of templates and inline)
# Pointers to a symbol, the same in every object, hold no instructions.
HARMLESS = re.compile(r"DW\.ref\.")


def is_inside(mangled: str, namespace: str) -> bool:
    """Whether a mangled name (Itanium C++ ABI, 5.1) is declared in fastnn::<namespace>.

    Looks at the outermost name only: an instance of std::sort with one of our types is outside.
    """
    special = r"(?:G[VR]|T[VTISWH]|Th\w+?_|Tv\w+?_)?"  # guards, vtables, typeinfo, thunks
    prefix = rf"_Z{special}Z*N[rVKRO]*6fastnn{len(namespace)}{namespace}"
    return re.match(prefix, mangled) is not None


def find_objects(build: Path) -> dict[str, list[Path]]:
    """The objects of every CPU build: {isa: [path]}."""
    objects: dict[str, list[Path]] = {}
    for folder in sorted(build.glob("**/CMakeFiles/fastnn_cpu_*.dir")):
        isa = folder.name.removeprefix("fastnn_cpu_").removesuffix(".dir")
        objects.setdefault(isa, []).extend(sorted(folder.glob("**/*.o")))
    return objects


def violations(path: Path, isa: str) -> list[str]:
    """What is wrong with one object, a line each."""
    nm = ["nm", "--defined-only", "--format=posix", str(path)]
    lines = subprocess.run(nm, check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split()[:2] for line in lines]
    if not symbols:
        return ["no symbols: not an object with machine code (link-time optimisation?)"]
    found = []
    for name, kind in symbols:
        if kind in WEAK and not HARMLESS.match(name) and not is_inside(name, isa):
            found.append(f"{kind} {demangle(name)} is weak and outside fastnn::{isa}")
        if name.startswith(("_GLOBAL__sub_I", "_GLOBAL__I_")):
            found.append(f"{name} runs {isa} code when the module is loaded")
    return found


def demangle(name: str) -> str:
    return subprocess.run(["c++filt", name], check=True, capture_output=True, text=True).stdout.strip()


def main() -> int:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    objects = find_objects(build)
    n_objects = sum(map(len, objects.values()))
    if n_objects == 0:
        print(f"{build}: no objects of a target fastnn_cpu_<isa>: build first")
        return 2
    n_violations = 0
    for isa, paths in objects.items():
        for path in paths:
            for line in violations(path, isa):
                print(f"{path}: {line}")
                n_violations += 1
    print(f"{n_objects} objects of {', '.join(objects)}: {n_violations} violations")
    return int(n_violations > 0)


if __name__ == "__main__":
    sys.exit(main())
