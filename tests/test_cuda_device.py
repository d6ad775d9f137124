"""Device "cuda" through the ordinary Python API: copies, errors, and an MLP that trains on it.

The GPU is the host simulator, see conftest.py; what it takes to be without one runs in processes of
their own, since a process loads one library.
"""

import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import cuda_build
import fastnn
from fastnn import DeviceError, _core, kernels
from fastnn.tensor import Tensor, empty

# What follows is also run by processes that get another library or another schedule.
TRAINING = '''
import numpy as np
import fastnn


def train(device, eager=False):
    """The weights and the History of an MLP after two epochs, the second one a replay."""
    with fastnn.device(device):
        fastnn.utils.set_random_seed(3)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((37, 11)).astype("float32")
        y = rng.integers(0, 5, 37)
        layers = fastnn.layers
        model = fastnn.Sequential([fastnn.Input((11,)), layers.Dense(10, "relu"), layers.Dense(5)])
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(fastnn.optimizers.Adam(0.01), loss, run_eagerly=eager)
        history = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history
        return model, model.get_weights(), history["loss"]
'''
exec(TRAINING)


def python(code, **environment):
    """What a new process prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=250, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- without a GPU --------------------------------------------------------------------------------

REFUSED = """
import numpy as np
import fastnn

from fastnn.tensor import Tensor, empty


def scope():
    with fastnn.device("cuda"):
        raise AssertionError("there is no GPU")


doors = [
    lambda: fastnn.config.set_device("cuda"),
    scope,
    lambda: Tensor([1.0], device="cuda"),
    lambda: Tensor([1.0]).to("cuda"),
    lambda: empty((3,), device="cuda"),
    lambda: fastnn.Variable([1.0], device="cuda"),
]
for door in doors * 2:  # at every one, every time the same
    try:
        door()
    except fastnn.DeviceError as error:
        print(error)
assert fastnn.config.device() == "cpu"
model = fastnn.Sequential([fastnn.layers.Dense(2)])
model.compile("sgd", "mse")
model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
assert np.array_equal(np.asarray(fastnn.ops.add(Tensor([1.0, 2.0]), 1.0)), [2, 3])
"""


def test_without_the_library(tmp_path):
    path = tmp_path / "libfastnn_cuda.so"
    said = python(REFUSED, FASTNN_CUDA=str(path)).splitlines()
    assert len(said) == 12 and len(set(said)) == 1
    assert said[0] == (f"device 'cuda' is not available: this build of fastnn has no CUDA kernels (no {path})")


def test_something_else_than_the_library(tmp_path):
    path = tmp_path / "libfastnn_cuda.so"
    path.write_text("not a library")
    first = python(REFUSED, FASTNN_CUDA=str(path)).splitlines()[0]
    assert first.startswith("device 'cuda' is not available: ") and str(path) in first
    first = python(REFUSED, FASTNN_CUDA=_core.__file__).splitlines()[0]
    assert first == f"device 'cuda' is not available: {_core.__file__} is not a fastnn CUDA library"


NO_DRIVER = """
#include "cuda/interface.h"

static const char* start() { return "no GPU can be used: the NVIDIA driver is missing"; }
static const fastnn::CudaBackend backend = {start};
extern "C" const fastnn::CudaBackend* fastnn_cuda_backend() { return &backend; }
"""


def test_a_library_without_a_driver(tmp_path):
    """As in a wheel with GPU kernels on a machine without a driver. (What the real library's start()
    says there is tested where nvcc is, in test_cuda_sim.py.)
    """
    if cuda_build.GXX is None:
        pytest.skip("needs g++")
    source, library = tmp_path / "no_driver.cpp", tmp_path / "libfastnn_cuda.so"
    source.write_text(NO_DRIVER)
    done = cuda_build.run(
        [cuda_build.GXX, "-std=c++20", f"-I{cuda_build.SOURCES}", "-shared", "-fPIC", source, "-o", library]
    )
    assert done.returncode == 0, done.stderr
    said = python(REFUSED, FASTNN_CUDA=str(library)).splitlines()
    assert len(said) == 12
    assert set(said) == {"device 'cuda' is not available: no GPU can be used: the NVIDIA driver is missing"}


def test_import_touches_no_cuda():
    loaded = python("import fastnn; print(open('/proc/self/maps').read())")
    assert not re.search(r"lib(fastnn_)?cuda", loaded)


# --- tensors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (7,), (3, 5, 2)])
def test_copies(cuda, shape, dtype):
    values = np.random.default_rng(1).integers(0, 2, shape).astype(dtype)
    x = Tensor(values, device=cuda)
    assert x.device == "cuda" and x.shape == shape and x.dtype == dtype
    assert np.array_equal(x.numpy(), values) and x.numpy().dtype == dtype
    assert np.array_equal(np.asarray(x.to("cpu")), values)
    assert x.to("cpu").to(cuda).device == "cuda"


def test_no_numpy_view_of_device_memory(cuda):
    x = Tensor([1.0, 2.0], device=cuda)
    with pytest.raises(BufferError):
        memoryview(x)
    with pytest.raises(ValueError, match="without a copy"):
        x.__array__(copy=False)
    assert np.array_equal(np.asarray(x), [1, 2])


def test_unwritten_memory_shows(cuda):
    assert np.isnan(empty((1000,), device=cuda).numpy()).all()


def test_description(cuda):
    Tensor(0.0, device=cuda)
    assert _core.cuda_description()


# --- errors ---------------------------------------------------------------------------------------


def test_two_devices_in_one_call(cuda):
    a, b = Tensor(np.ones((2, 3)), device=cuda), Tensor(np.ones((3, 2)))
    with pytest.raises(DeviceError, match="^matmul_nn: b is on cpu but a is on cuda$"):
        kernels.matmul_nn(a, b, empty((2, 2), "float64", cuda))
    with pytest.raises(DeviceError, match="is on cpu but"):
        fastnn.ops.matmul(a, b)


def test_kernel_without_a_cuda_body(cuda):
    names = [k.name for k in _core.kernels.values() if not k.on_cuda]
    if "lion" not in names:
        pytest.skip("every kernel has one")
    x = Tensor(np.ones(3), device=cuda)
    with pytest.raises(DeviceError, match="lion has no kernel for device 'cuda' yet"):
        kernels.lion(x, x, x, Tensor(np.float64(1), device=cuda), 0.9, 0.99)


def text_of(device, call):
    with pytest.raises(ValueError) as raised:
        call(device)
    return str(raised.value)


def bad_index(device):
    data, index = Tensor(np.ones((5, 3)), device=device), Tensor(np.int32([0, 9]), device=device)
    kernels.gather_rows(data, index, empty((2, 3), "float64", device))


def bad_label(device):
    y, label = Tensor(np.ones((2, 3)), device=device), Tensor(np.int32([0, -1]), device=device)
    loss, stats = empty((2,), "float64", device), empty((2, 2), "float64", device)
    kernels.sparse_crossentropy(y, label, loss, stats, True, 100)
    loss.numpy()


def bad_kind(device):
    x = Tensor(np.ones(3), device=device)
    kernels.activation_forward(x, empty((3,), "float64", device), 1000, 0.0)


@pytest.mark.parametrize("call", [bad_index, bad_label, bad_kind])
def test_faults_read_as_on_the_cpu(cuda, call):
    assert text_of(cuda, call) == text_of("cpu", call)
    # Reported once: the next call is in order.
    kernels.fill(empty((3,), device=cuda), 1.0)


def test_fault_in_a_replay(cuda):
    slot, data = Tensor(np.int32([0, 1]), device=cuda), Tensor(np.ones((5, 3)), device=cuda)
    out = empty((2, 3), "float64", cuda)
    program = _core.Program(cuda)
    program.begin()
    kernels.gather_rows(data, slot, out)
    program.end()
    program.run()
    with pytest.raises(ValueError, match="gather_rows: index is 7, expected 0 <= value < 5"):
        program.run_batches(None, [(np.int32([0, 1, 7, 1, 2, 3]), slot)], [], 0, 3, 60.0)
    order, rows = np.int32([3, 1]), np.zeros((2, 3))
    assert program.run_batches(None, [(order, slot)], [(rows, out)], 1, 1, 60.0) == 1  # nothing to do
    assert program.run_batches(None, [(order, slot)], [(rows, out)], 0, 1, 60.0) == 1
    assert (rows == 1).all()


def test_failed_launch_names_the_kernel(cuda):
    """An unknown schedule makes every launch of the simulator fail."""
    code = """
from fastnn import DeviceError, kernels
from fastnn.tensor import Tensor, empty
x = empty((3,), device="cuda")
try:
    kernels.fill(x, 1.0)
except DeviceError as error:
    print(error)
kernels.fill(empty((3,)), 1.0)
"""
    if "sim" not in os.path.basename(os.environ["FASTNN_CUDA"]):
        pytest.skip("not on the simulator")
    assert python(code, FASTNN_SIM_SCHEDULE="9").startswith("fill: FASTNN_SIM_SCHEDULE must be 0,")


# --- training -------------------------------------------------------------------------------------


def weights_hash(weights):
    return hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest()


@pytest.fixture(scope="module")
def trained(cuda):
    return train(cuda)  # noqa: F821


def test_training_as_on_the_cpu(trained):
    """Float32 rounding in other orders, 9 steps: weights of about 1 agree to 1e-5."""
    _, weights, loss = trained
    _, want, want_loss = train("cpu")  # noqa: F821
    for w, v in zip(weights, want, strict=True):
        np.testing.assert_allclose(w, v, rtol=0, atol=1e-5)
    np.testing.assert_allclose(loss, want_loss, rtol=1e-5)
    assert loss[-1] < loss[0]


def test_replay_is_eager_bit_for_bit(cuda, trained):
    _, weights, loss = trained
    _, eager, eager_loss = train(cuda, eager=True)  # noqa: F821
    assert weights_hash(weights) == weights_hash(eager) and loss == eager_loss


def test_predictions(trained):
    model, weights, _ = trained
    x = np.random.default_rng(5).standard_normal((6, 11)).astype("float32")
    with fastnn.device("cuda"):
        got = model.predict(x, verbose=0)
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    np.testing.assert_allclose(got, hidden @ weights[2] + weights[3], rtol=1e-5, atol=1e-5)


def test_any_schedule_gives_the_same_bits(cuda, trained):
    """Lanes, warps and blocks in another order: no kernel may depend on it."""
    code = TRAINING + "import hashlib\n" + (
        "_, weights, _ = train('cuda')\n"
        "print(hashlib.sha256(b''.join(w.tobytes() for w in weights)).hexdigest())\n"
    )  # fmt: skip
    want = weights_hash(trained[1])
    for schedule in "123":
        assert python(code, FASTNN_SIM_SCHEDULE=schedule).strip() == want
