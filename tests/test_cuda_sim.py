"""Builds the CUDA kernels for the host simulator and runs tests/cuda.

Where nvcc is on the PATH, the same files are compiled for real GPUs too, which shows register
spills and what the library says on a machine without a driver.

FASTNN_SANITIZE=1 repeats everything under AddressSanitizer and UBSan (minutes instead of seconds).
"""

import os
import re
import shutil
import sys

import pytest

from cuda_build import (
    BUILD,
    CUDA,
    GXX,
    KERNELS,
    NVCC,
    PROGRAMS,
    SANITIZE,
    SIMULATOR,
    SOURCES,
    TESTS,
    compile_all,
    compile_for_simulator,
    digest,
    fcntl,
    included,
    link,
    make,
    run,
)

needs_gxx = pytest.mark.skipif(GXX is None or fcntl is None, reason="needs g++ on a POSIX system")
needs_nvcc = pytest.mark.skipif(NVCC is None or fcntl is None, reason="nvcc is not on the PATH, or no POSIX system")


def run_case(program, *cases, **environment):
    # Leaks: a lane that ends in an error is abandoned with what it holds, on purpose.
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **environment}
    return run([program, *cases], env=env)


def cases(source):
    return re.findall(r"^CASE\((\w+)\)", source.read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def objects():
    return compile_all([*KERNELS, *SIMULATOR, *PROGRAMS])


@pytest.fixture(scope="session")
def program(objects):
    return link(objects)


ALL_CASES = [pytest.param(c, id=f"{p.stem}-{c}") for p in PROGRAMS for c in cases(p)]


@needs_gxx
@pytest.mark.parametrize("case", ALL_CASES)
def test_case(program, case):
    done = run_case(program, case)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_gxx
def test_every_case_is_listed(program):
    """The list above is read from the sources; a case the program lacks would not run."""
    assert sorted(run([program, "--list"]).stdout.split()) == sorted(p.values[0] for p in ALL_CASES)
    assert run([program, "no_such_case"]).returncode == 1


@needs_gxx
@pytest.mark.parametrize("schedule", ["0", "1", "2", "3", "all"])
def test_schedule_from_the_environment(program, schedule):
    done = run_case(program, "device_interface", "capture_and_replay", FASTNN_SIM_SCHEDULE=schedule)
    assert done.returncode == 0, done.stdout


@needs_gxx
def test_unknown_schedule_is_an_error(program):
    done = run_case(program, "capture_and_replay", FASTNN_SIM_SCHEDULE="4")
    assert done.returncode == 1
    assert "FASTNN_SIM_SCHEDULE must be 0, 1, 2, 3 or all, not '4'" in done.stdout


@needs_gxx
def test_portable_context_switch():
    """Other processors than x86-64 switch fibers through ucontext."""
    flags = ["-DFASTNN_SIM_UCONTEXT"]
    sources = [*SIMULATOR, TESTS / "simulator.cpp", TESTS / "main.cpp"]
    portable = link(compile_all(sources, flags), flags)
    done = run_case(portable)
    assert done.returncode == 0, done.stdout + done.stderr


# Every barrier and every wait for a copy in the kernels, with a case that must notice its absence.
NOTICED_BY = {
    "gemm.cuh": ("matmul.cu", ["matmul_unaligned"]),
    "warp.cuh": ("softmax.cu", ["softmax_float"]),
    "reduce.cu": ("reduce.cu", ["sum_middle"]),
    "optimizer.cu": ("optimizer.cu", ["adam"]),
}
SYNC = re.compile(r"^ +(block_sync\(\);|cp_wait<.*>\(\);)")


def sync_lines():
    for path in sorted(CUDA.glob("*.cu*")):
        for number, line in enumerate(path.read_text().splitlines()):
            if SYNC.match(line):
                yield pytest.param(path.name, number, id=f"{path.name}-line{number + 1}")


@needs_gxx
@pytest.mark.parametrize("name, number", list(sync_lines()))
def test_no_barrier_can_be_dropped(objects, tmp_path, name, number):
    changed = tmp_path / "cuda"
    shutil.copytree(CUDA, changed)
    lines = (changed / name).read_text().splitlines()
    lines[number] = SYNC.sub("", lines[number])
    (changed / name).write_text("\n".join(lines) + "\n")
    source, noticed_by = NOTICED_BY[name]
    mutant = compile_for_simulator(changed / source, ["-O0"], changed)
    rest = [o for o in objects if not o.name.startswith(f"{source}-")]
    done = run_case(link([*rest, mutant]), *noticed_by)
    assert done.returncode == 1 and "FAIL" in done.stdout, done.stdout


@needs_gxx
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not os.environ.get("FASTNN_SANITIZE"), reason="FASTNN_SANITIZE=1 runs it")
def test_under_sanitizers():
    sources = [*KERNELS, *SIMULATOR, *PROGRAMS]
    sanitized = link(compile_all(sources, SANITIZE), SANITIZE)
    done = run_case(sanitized)
    assert done.returncode == 0, done.stdout + done.stderr


# --- The same files for real GPUs


def compile_for_gpu(source, arch):
    flags = ["-std=c++20", f"-arch={arch}", "-Xptxas", "-v", "-Werror", "all-warnings"]
    flags += ["-Xcompiler", "-fPIC,-fvisibility=hidden"]
    key = digest(source.read_text(), included(CUDA, source), flags)
    folders = [f"-I{CUDA}", f"-I{SOURCES}"]
    return make(BUILD / f"{source.name}-{arch}-{key}.o", [NVCC, *flags, *folders, "-c", source, "-o"])


def ptxas_report(target):
    """[(kernel, bytes of stack and spills)] out of ptxas -v."""
    text = target.with_suffix(".log").read_text()
    pattern = (
        r"Function properties for (\S+)\s+(\d+) bytes stack frame, "
        r"(\d+) bytes spill stores, (\d+) bytes spill loads"
    )
    return [(m[0], sum(map(int, m[1:]))) for m in re.findall(pattern, text)]


@needs_nvcc
@pytest.mark.parametrize("source", [p for p in KERNELS if p.stem != "backend"], ids=lambda p: p.stem)
def test_compiles_for_gpus_without_spills(source):
    report = ptxas_report(compile_for_gpu(source, "sm_80"))
    kernels = [(name, spilled) for name, spilled in report if "_kernel" in name]
    assert kernels, "no kernel was compiled"
    assert [name for name, spilled in kernels if spilled] == []


@needs_nvcc
def test_gemm_for_hopper():
    report = ptxas_report(compile_for_gpu(CUDA / "matmul.cu", "sm_90a"))
    gemms = [(name, spilled) for name, spilled in report if "gemm_kernel" in name]
    assert len(gemms) >= 20 and not any(spilled for _, spilled in gemms)


@needs_nvcc
def test_device_says_what_is_missing(tmp_path):
    """With or without a GPU: a count, or text that helps; never a crash."""
    source = tmp_path / "count.cpp"
    source.write_text(
        '#include <cstdio>\n#include "device.h"\n'
        "int main() {\n"
        "  const auto found = fastnn::cuda::device_count();\n"
        '  std::printf("%d %s\\n", found.count, found.error.c_str());\n'
        "  try {\n    fastnn::cuda::device_use(found.count);\n"
        '  } catch (const fastnn::DeviceError& e) {\n    std::printf("%s\\n", e.what());\n  }\n}\n'
    )
    library = compile_for_gpu(CUDA / "device.cu", "sm_80")
    target = tmp_path / "count"
    done = run([NVCC, "-std=c++20", f"-I{CUDA}", source, library, "-o", target])
    assert done.returncode == 0, done.stderr
    assert "libcuda" not in run(["ldd", target]).stdout, "must load without CUDA libraries"
    done = run([target])
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    count, _, error = first.partition(" ")
    if count == "0":
        assert re.search("driver|GPU", error) and "no GPU can be used: " + error == second
    else:
        assert error == "" and "does not exist" in second


@needs_nvcc
def test_library_says_what_is_missing(tmp_path):
    """The real library behind the Python API: it loads without a driver, and the CPU works on."""
    library = tmp_path / "libfastnn_cuda.so"
    objects = [compile_for_gpu(p, "sm_80") for p in [*KERNELS, CUDA / "device.cu"]]
    done = run([NVCC, "-shared", "-Xlinker", "--no-undefined", *objects, "-o", library])
    assert done.returncode == 0, done.stderr
    code = (
        "import fastnn\n"
        "try:\n    fastnn.config.set_device('cuda')\n    print('a GPU')\n"
        "except fastnn.DeviceError as error:\n    print(error)\n"
        "with fastnn.device('cpu'):\n    print(fastnn.ops.add([1.0], 2.0).tolist())\n"
    )
    done = run([sys.executable, "-c", code], env={**os.environ, "FASTNN_CUDA": str(library)})
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert last == "[3.0]"
    if first != "a GPU":
        assert re.match("device 'cuda' is not available: no GPU can be used: .*(driver|GPU)", first)
