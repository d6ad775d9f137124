"""csrc/cpu/simd.h, csrc/cpu/vecmath.h and csrc/activations.h, one build per instruction set.

The checks are C++ programs in tests/cpp, which hold the references and the tolerances; here they
are compiled with the flags of the kernels and run wherever this machine can run them.
"""

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
FLAGS = (
    "-std=c++20 -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off -fvisibility=hidden "
    "-Wall -Wextra -Werror"
).split()

# name: architecture, bytes in a vector, what /proc/cpuinfo must list to run it. "wide" is AVX-512's
# shape, 16 floats in a vector, on an AVX2 machine.
V3 = {"avx2", "fma", "bmi2", "f16c"}
BUILDS = {
    "baseline": (["-march=x86-64"], 16, set()),
    "avx2": (["-march=x86-64-v3"], 32, V3),
    "wide": (["-march=x86-64-v3", "-Wno-psabi"], 64, V3),
    "avx512": (
        ["-march=x86-64-v4", "-mprefer-vector-width=512"],
        64,
        {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"},
    ),
}
PROGRAMS = ["test_simd", "test_vecmath", "test_activations"]

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64"), reason="the builds listed here are x86-64"
    ),
]


@functools.cache
def cpu_flags():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()


@pytest.mark.parametrize("isa", BUILDS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_program_passes(program, isa, tmp_path):
    architecture, vector_bytes, needed = BUILDS[isa]
    binary = tmp_path / program
    command = [COMPILER, *FLAGS, *architecture, f"-I{ROOT / 'csrc'}"]
    command += [f"-DFASTNN_ISA={isa}", f"-DFASTNN_VEC_BYTES={vector_bytes}"]
    command += [str(ROOT / "tests" / "cpp" / f"{program}.cpp"), "-o", str(binary)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    if not needed <= cpu_flags():
        pytest.skip(f"compiled, but this machine cannot run {isa}")
    ran = subprocess.run([str(binary)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
