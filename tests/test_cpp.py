"""csrc/cpu/simd.h, vecmath.h and gemm.h, and csrc/activations.h, one build per instruction set.

The checks are C++ programs in tests/cpp, which hold the references and the tolerances; here they
are compiled with the flags of the kernels and run wherever this machine can run them.
"""

import functools
import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
FLAGS = ["-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
FLAGS += ["-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]

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
CASES = [(program, isa) for program in ("test_gemm", "test_vecmath", "test_simd") for isa in BUILDS]
CASES += [("test_activations", isa) for isa in ("baseline", "avx2")]  # no intrinsics there

# What a program needs beside headers. At -O3 the engine would take a minute to compile.
SOURCES = {"test_gemm": ["-O1", "csrc/cpu/gemm.cpp", "csrc/cpu/team.cpp"]}

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the builds listed here are x86-64"),
]


@functools.cache
def cpu_flags():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()


def build_and_run(program, isa, folder):
    """Returns None where the machine cannot run the build, else (succeeded, what was printed)."""
    architecture, vector_bytes, needed = BUILDS[isa]
    binary = folder / f"{program}_{isa}"
    command = [COMPILER, *FLAGS, *architecture, f"-I{ROOT / 'csrc'}"]
    command += [f"-DFASTNN_ISA={isa}", f"-DFASTNN_VEC_BYTES={vector_bytes}"]
    command += [f"tests/cpp/{program}.cpp", *SOURCES.get(program, []), "-fopenmp", "-o", str(binary)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if built.returncode != 0:
        return False, built.stderr
    if not needed <= cpu_flags():
        return None
    ran = subprocess.run([str(binary)], capture_output=True, text=True)
    return ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All builds side by side: the compiler takes most of the time."""
    folder = tmp_path_factory.mktemp("cpp")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {case: pool.submit(build_and_run, *case, folder) for case in CASES}


@pytest.mark.parametrize("program, isa", CASES)
def test_program_passes(results, program, isa):
    result = results[program, isa].result()
    if result is None:
        pytest.skip(f"compiled, but this machine cannot run {isa}")
    succeeded, output = result
    assert succeeded, output
