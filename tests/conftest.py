"""Real Keras runs on JAX, on the CPU, beside fastnn. Unwritten memory shows as NaN."""

import ctypes
import gc
import os
import sys
import zlib
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("FASTNN_POISON", "1")


_COMPILED_BYTES = 700 << 20  # of programs that JAX may keep before they are dropped
_floor_bytes = [256 << 20]  # what is resident without them


def _resident_bytes():
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@pytest.fixture(autouse=True)
def _own_seed(request):
    """Weights that a test lets Keras or fastnn draw are the same in every run, whatever ran before it."""
    for module in ("keras", "fastnn"):
        if utils := getattr(sys.modules.get(module), "utils", None):
            utils.set_random_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def _little_memory():
    """Drops what JAX has compiled, which it keeps for ever: random configurations of layers come to
    gigabytes, and no test needs the programs of another. Only after so much growth, since others may.
    """
    yield
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "clear_caches"):
        return
    now = _resident_bytes()
    if now < _floor_bytes[0] + _COMPILED_BYTES:
        return
    jax.clear_caches()
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # freed memory goes back to the system
        libc.malloc_trim(0)
    _floor_bytes[0] = _resident_bytes()


@pytest.fixture(scope="session")
def cuda():
    """The name of device "cuda", which is the host simulator, or what FASTNN_CUDA names."""
    import cuda_build

    if "FASTNN_CUDA" not in os.environ:
        if cuda_build.GXX is None or cuda_build.fcntl is None:
            pytest.skip("the simulator of the CUDA kernels needs g++ on a POSIX system")
        os.environ["FASTNN_CUDA"] = str(cuda_build.simulator_library())
    return "cuda"
