"""Compiles the CUDA kernels for the host simulator with g++; no GPU is needed.

Objects are kept in build/cuda_tests, named by a digest of their sources and flags, so a second run
compiles only what changed.
"""

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "csrc"
CUDA = SOURCES / "cuda"
TESTS = ROOT / "tests" / "cuda"
BUILD = ROOT / "build" / "cuda_tests"

# device.cu is what the simulator replaces.
KERNELS = sorted(p for p in CUDA.glob("*.cu") if p.name != "device.cu")
# What csrc/cuda includes of csrc.
SHARED = ("activations.h", "dtype.h", "geometry.h", "losses.h", "random.h", "tensor.h")
SIMULATOR = sorted((CUDA / "sim").glob("*.cpp"))
PROGRAMS = sorted(TESTS.glob("*.cpp"))
# -O1 compiles fastest; vectorized, the simulated products run twice as fast.
FLAGS = ["-std=c++20", "-O1", "-ftree-vectorize", "-fPIC", "-Wall", "-Wextra", "-Werror"]
SANITIZE = ["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
GXX, NVCC = shutil.which("g++"), shutil.which("nvcc")


def digest(*parts):
    return hashlib.sha256("\0".join(str(p) for p in parts).encode()).hexdigest()[:16]


def headers(folder):
    return "".join(p.read_text() for p in sorted(folder.rglob("*")) if p.suffix in (".h", ".cuh"))


def included(cuda, source):
    """Text of all that a source may include; only the library's door reads the catalogue."""
    own = "".join((SOURCES / name).read_text() for name in SHARED)
    catalogue = (SOURCES / "kernels.def").read_text() if source.name == "backend.cu" else ""
    return headers(cuda) + headers(TESTS) + own + catalogue


def run(command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900, **options)


def make(target, command):
    """Runs `command + [temporary]`, then renames: a stopped build leaves nothing half done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w") as lock:  # parallel test runs share the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            temporary = target.with_suffix(f".new{target.suffix}")
            done = run([*command, temporary])
            assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr[-5000:]}"
            target.with_suffix(".log").write_text(done.stderr + done.stdout)
            os.replace(temporary, target)
    return target


def compile_for_simulator(source, flags=(), cuda=CUDA):
    flags = [*FLAGS, *flags]
    key = digest(source.read_text(), included(cuda, source), flags)
    folders = [f"-I{cuda}", f"-I{SOURCES}"]
    command = [GXX, *flags, "-DFASTNN_CUDA_SIM", *folders, "-x", "c++", "-c", source, "-o"]
    return make(BUILD / f"{source.name}-{key}.o", command)


def compile_all(sources, flags=()):
    with ThreadPoolExecutor(2) as pool:
        # The slowest first, so that the last ones fill the gaps.
        order = sorted(sources, key=lambda p: p.name != "matmul.cu")
        return list(pool.map(lambda s: compile_for_simulator(s, flags), order))


def link(objects, flags=()):
    target = BUILD / f"tests-{digest(*sorted(o.name for o in objects), flags)}"
    return make(target, [GXX, *flags, *objects, "-o"])


def simulator_library():
    """The simulator as the library that FASTNN_CUDA=<path> names."""
    objects = compile_all([*KERNELS, *SIMULATOR])
    target = BUILD / f"libfastnn_cuda_sim-{digest(*sorted(o.name for o in objects))}.so"
    return make(target, [GXX, "-shared", "-Wl,--no-undefined", *objects, "-o"])
