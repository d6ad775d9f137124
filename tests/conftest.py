"""Real Keras runs on JAX, on the CPU, beside fastnn. Unwritten memory shows as NaN."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("FASTNN_POISON", "1")


@pytest.fixture(scope="session")
def cuda():
    """The name of device "cuda", which is the host simulator, or what FASTNN_CUDA names."""
    import cuda_build

    if "FASTNN_CUDA" not in os.environ:
        if cuda_build.GXX is None or cuda_build.fcntl is None:
            pytest.skip("the simulator of the CUDA kernels needs g++ on a POSIX system")
        os.environ["FASTNN_CUDA"] = str(cuda_build.simulator_library())
    return "cuda"
