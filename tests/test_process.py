"""fastnn as a guest in somebody's process: Ctrl-C, fork, several threads, little memory, and nothing
of the process changed. What forks or sets limits runs in a process of its own.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn as keras
from fastnn import _core, ops
from test_copying import in_threads

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, fork and limits of POSIX")


def in_fresh_process(function, *arguments, threads=2, timeout=120):
    """Runs a function of this file where nothing has been computed yet; its standard output."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": str(threads),
    }
    environment.pop("FASTNN_POISON", None)
    call = f"import test_process; test_process.{function.__name__}(*{arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", call], env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def small():
    model = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def data(rows=256):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, 6)).astype("float32"), rng.standard_normal((rows, 1)).astype("float32")


# --- one core for two threads ---------------------------------------------------------------------


def prints_a_walk(one_core):
    if one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _core.set_max_threads(2 if one_core else 1)
    keras.utils.set_random_seed(0)
    L = keras.layers
    model = keras.Sequential(
        [
            L.Input((60, 16)),
            L.LSTM(128, return_sequences=True),
            L.GRU(128, return_sequences=True),
            L.GRU(128, return_sequences=True, reset_after=False),
            L.SimpleRNN(256),
        ]
    )
    x = np.random.default_rng(0).standard_normal((2, 60, 16)).astype("float32")
    print([np.asarray(model.predict_on_batch(x)).tobytes().hex() for _ in range(3)])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="sched_setaffinity of Linux")
def test_a_walk_that_does_not_wait_for_others_has_the_same_bits():
    """Members who share a core would wait for longer at every step than they work, so one of them goes on alone."""
    assert in_fresh_process(prints_a_walk, True) == in_fresh_process(prints_a_walk, False)


# --- Ctrl-C ---------------------------------------------------------------------------------------


class Counting(keras.Model):
    """Every step takes 1/1024 off every weight: what they are says how many steps were made. The
    weights are of two types, which an optimizer updates in two calls.
    """

    def __init__(self):
        super().__init__()
        self.a = keras.layers.Dense(1, kernel_initializer="zeros")
        self.b = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float64")

    def call(self, x):
        return ops.add(self.a(x), ops.cast(self.b(x), "float32"))

    def steps(self):
        counts = {-1024 * float(value) for w in self.get_weights() for value in w.flat}
        counts.add(float(self.optimizer.iterations.numpy()))
        return counts


def counting(eager):
    model = Counting()
    model.compile(keras.optimizers.SGD(1 / 1024), lambda y, p: p, run_eagerly=eager)
    model.fit(np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), batch_size=8, verbose=0)
    assert model.steps() == {1.0}
    return model


def endless(x, y):
    while True:
        yield x, y


LOOPS = {
    "fit": lambda m, x, y: m.fit(x, y, batch_size=8, epochs=10**6, verbose=0),
    "fit with callbacks": lambda m, x, y: m.fit(
        x,
        y,
        batch_size=8,
        epochs=10**6,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: None)],
    ),
    "fit from a generator": lambda m, x, y: m.fit(endless(x[:8], y[:8]), steps_per_epoch=10**6, verbose=0),
    "evaluate": lambda m, x, y: m.evaluate(endless(x[:8], y[:8]), steps=10**6, verbose=0),
    "evaluate arrays": lambda m, x, y: [m.evaluate(x, y, batch_size=1, verbose=0) for _ in range(10**6)],
    "predict": lambda m, x, y: [m.predict(x, batch_size=1, verbose=0) for _ in range(10**6)],
}


@pytest.fixture
def interruptible():
    # A suite that was started in the background of a shell ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Python loses a Ctrl-C that it answers inside a weakref's callback or a __del__. Ours have none; what
    # other tests left behind is not collected meanwhile.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    signal.signal(signal.SIGINT, before)


def interrupted(run, after):
    """Runs until Ctrl-C, `after` seconds from now; how long it took to answer."""
    sent, done = [], threading.Event()

    def send():
        time.sleep(after)
        # Python loses an interrupt that reaches a finalizer or another package's callback of the
        # garbage collector (JAX has one); a person would press the keys again.
        while not done.is_set() and len(sent) < 60:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
            done.wait(2)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run()
    answered = time.perf_counter()
    done.set()
    thread.join()
    return answered - sent[-1]


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_leaves_whole_steps(interruptible, capsys, loop, eager):
    model = counting(eager)
    x, y = np.ones((4096, 3), "float32"), np.ones((4096, 1), "float32")
    rng, answers = np.random.default_rng(1), []
    for _ in range(6):
        answers.append(interrupted(lambda: LOOPS[loop](model, x, y), 0.02 + 0.05 * rng.random()))
        assert len(model.steps()) == 1, model.steps()
    assert sorted(answers)[2] < 0.5  # 50 ms at most, on cores of one's own
    before = model.steps().pop()
    model.fit(x[:8], y[:8], batch_size=8, verbose=0)
    assert model.steps() == {before + 1}
    assert np.isfinite(model.predict(x[:8], verbose=0)).all()


def long_dense(layers):
    yield layers.Reshape((300,))
    for _ in range(3):
        yield layers.Dense(1024, activation="relu")
        yield layers.BatchNormalization()
        yield layers.Dropout(0.3)


def long_convolutions(layers):
    yield layers.UpSampling2D(2)
    yield layers.Conv2D(32, 3, activation="relu")  # Winograd's
    yield layers.DepthwiseConv2D(3)
    yield layers.Conv2D(64, 3, strides=2)
    yield layers.BatchNormalization()
    yield layers.Conv2DTranspose(8, 2, strides=2)
    yield layers.Flatten()


def long_recurrent(layers):
    yield layers.Reshape((100, 3))
    yield layers.LSTM(64, return_sequences=True)
    yield layers.GRU(64, return_sequences=True)
    yield layers.SimpleRNN(64)


@pytest.mark.parametrize("loop", ["fit", "train_on_batch"])
@pytest.mark.parametrize("hidden", [long_dense, long_convolutions, long_recurrent])
def test_a_long_step_that_was_broken_off_leaves_no_trace(interruptible, hidden, loop):
    """Ctrl-C whose handler lets go on: the step begins again, with the bits that it would have had."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1024, 10, 10, 3)).astype("f4"), rng.standard_normal((1024, 1)).astype("f4")

    def trained(interrupt):
        keras.utils.set_random_seed(0)
        layers = keras.layers
        model = keras.Sequential([layers.Input((10, 10, 3)), *hidden(layers), layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        received, done = [], threading.Event()
        signal.signal(signal.SIGINT, lambda *_: received.append(1))

        def send():
            while not done.wait(0.004):
                os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=send)
        if interrupt:
            thread.start()
        try:
            if loop == "fit":
                losses = model.fit(x, y, batch_size=256, epochs=3, verbose=0).history["loss"]
            else:
                losses = [model.train_on_batch(x, y)[0] for _ in range(6)]
        finally:
            done.set()
            if interrupt:
                thread.join()
        assert bool(received) == interrupt
        return losses, [w.tobytes() for w in model.get_weights()], int(model.optimizer.iterations)

    assert trained(True) == trained(False)


class LongSteps(keras.Model):
    """Counts its steps in its weights, after work that takes long enough to be broken off."""

    def __init__(self):
        super().__init__()
        self.dense = [keras.layers.Dense(2048, trainable=False) for _ in range(24)]
        self.count = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)

    def call(self, x):
        y = x
        for layer in self.dense:
            y = layer(y)
        return ops.add(self.count(x[:, :1]), ops.multiply(0.0, ops.clip(ops.mean(y, -1, keepdims=True), -1, 1)))

    def steps(self):
        return -1024 * float(self.count.kernel.numpy()[0, 0]), float(self.optimizer.iterations.numpy())


@pytest.mark.parametrize("loop", ["fit", "train_on_batch"])
def test_ctrl_c_leaves_whole_long_steps(interruptible, loop):
    model = LongSteps()
    model.compile(keras.optimizers.SGD(1 / 1024), lambda y, p: p)
    x, y = np.ones((256, 64), "float32"), np.ones((256, 1), "float32")
    model.train_on_batch(x, y)
    begin = time.perf_counter()
    model.train_on_batch(x, y)
    step = time.perf_counter() - begin
    run = (
        (lambda: model.fit(x, y, batch_size=256, epochs=10**6, verbose=0))
        if loop == "fit"
        else (lambda: [model.train_on_batch(x, y) for _ in range(10**6)])
    )
    answers = [interrupted(run, step * after) for after in (0.3, 0.5, 1.4, 1.7, 2.5)]
    counted, iterations = model.steps()
    assert counted == iterations
    assert min(answers) < step  # which is what it would take on average from the middle of one, and more
    model.train_on_batch(x, y)
    assert model.steps() == (iterations + 1, iterations + 1)


def test_ctrl_c_in_the_midst_of_a_kernel(interruptible):
    """One product that takes a second is not waited for."""
    model = keras.Sequential([keras.layers.Input((4096,)), keras.layers.Dense(4096, use_bias=False)])
    x = np.ones((6144, 4096), "float32")
    model.predict_on_batch(x)
    begin = time.perf_counter()
    wanted = model.predict_on_batch(x)
    step = time.perf_counter() - begin
    answers = [
        interrupted(lambda: [model.predict_on_batch(x) for _ in range(100)], step * after) for after in (0.3, 1.4)
    ]
    assert min(answers) < 0.3 * step
    np.testing.assert_array_equal(model.predict_on_batch(x), wanted)


def test_a_wakeup_descriptor_sees_one_ctrl_c(interruptible):
    model = LongSteps()
    model.compile(keras.optimizers.SGD(1 / 1024), lambda y, p: p)
    x, y = np.ones((256, 64), "float32"), np.ones((256, 1), "float32")
    model.train_on_batch(x, y)
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    received = []
    signal.signal(signal.SIGINT, lambda *_: received.append(1))
    before = signal.set_wakeup_fd(write)
    try:
        for after in (0.02, 0.04, 0.06):  # early in the first step, somewhere
            timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            for _ in range(2):
                model.train_on_batch(x, y)
            timer.join()
        assert len(received) == 3 and os.read(read, 100) == 3 * bytes([signal.SIGINT])
        assert signal.set_wakeup_fd(write) == write
    finally:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)


# --- fork -----------------------------------------------------------------------------------------


def child_of(parent):
    """The exit status of a forked child that runs `parent`'s work: 0, or 1 for any error."""
    child = os.fork()
    if child:
        return child
    try:
        parent()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def wait_for(children, seconds=60):
    deadline = time.monotonic() + seconds
    for child in children:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                for c in children:
                    os.kill(c, signal.SIGKILL)
                raise AssertionError("a forked child hangs")
            time.sleep(0.005)


def forked_children_compute():
    x, y = data(4096)
    wide = keras.Sequential([keras.layers.Dense(512), keras.layers.Dense(1)])  # worth several threads
    wide.compile("sgd", "mse")
    wide.fit(x, y, verbose=0, batch_size=1024)
    weights = wide.get_weights()
    wide.fit(x, y, verbose=0, batch_size=1024, shuffle=False)
    wanted = wide.predict(x, verbose=0)

    def work():
        wide.set_weights(weights)
        wide.fit(x, y, verbose=0, batch_size=1024, shuffle=False)
        np.testing.assert_array_equal(wide.predict(x, verbose=0), wanted)
        fresh = small()
        fresh.fit(x, y, verbose=0)

    for _ in range(5):
        children = [child_of(work) for _ in range(2)]
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(wide.predict(x, verbose=0), wanted)  # the parent goes on


def test_forked_children_compute():
    in_fresh_process(forked_children_compute)


def forks_while_a_thread_trains():
    x, y = data(512)
    trained, shared, stop = small(), small(), []
    shared.fit(x, y, verbose=0)

    def train():
        while not stop:
            trained.fit(x, y, epochs=3, verbose=0)
            shared.predict(x, verbose=0)
            np.asarray(ops.matmul(np.ones((50, 6), "float32"), x[:6]))

    thread = threading.Thread(target=train)
    thread.start()

    def work():
        shared.predict(x, verbose=0)
        trained.predict(x, verbose=0)
        shared.fit(x, y, verbose=0)

    try:
        for _ in range(40):
            child = child_of(work)
            deadline = time.monotonic() + 60
            while True:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
                    raise AssertionError("a forked child hangs")
                time.sleep(0.002)
            assert status == 0
    finally:
        stop.append(True)
        thread.join()


def test_forks_while_a_thread_trains():
    in_fresh_process(forks_while_a_thread_trains)


def predictions(rows):
    """In a worker process."""
    keras.utils.set_random_seed(1)
    model = small()
    x, y = data(rows)
    model.fit(x, y, verbose=0)
    return model.predict(x, verbose=0)


def workers(method):
    import multiprocessing

    wanted = predictions(64)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for got in pool.map(predictions, [64] * 4):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(method):
    in_fresh_process(workers, method)


# --- threads --------------------------------------------------------------------------------------


def test_eight_threads_predict_with_one_model():
    x, y = data()
    model = small()
    model.fit(x, y, verbose=0)
    wanted = [model.predict(x[: 10 * k + 3], batch_size=7 + k, verbose=0) for k in range(8)]
    model._captures.clear()  # the threads meet while programs are being recorded

    def check(k):
        for _ in range(10):
            np.testing.assert_array_equal(model.predict(x[: 10 * k + 3], batch_size=7 + k, verbose=0), wanted[k])

    in_threads([lambda k=k: check(k) for k in range(8)])


def test_eight_threads_train_eight_models():
    x, y = data(2048)

    def trained(seed):
        model = keras.Sequential(
            [
                keras.layers.Dense(128, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(seed)),
                keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed)),
            ]
        )
        model.compile("adam", "mse")
        model.fit(x, y, epochs=2, batch_size=256, shuffle=False, verbose=0)
        return model.get_weights()

    wanted = [trained(k) for k in range(8)]
    got = {}
    in_threads([lambda k=k: got.update({k: trained(k)}) for k in range(8)])
    for k in range(8):
        for a, b in zip(wanted[k], got[k]):
            np.testing.assert_array_equal(a, b)


def test_the_interpreter_is_free_while_kernels_run():
    a = np.ones((700, 700), "float32")
    ticks, stop = [], []

    def tick():
        while not stop:
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    t = ops.convert_to_tensor(a)
    begin = time.perf_counter()
    for _ in range(30):
        ops.matmul(t, t)
    end = time.perf_counter()
    stop.append(True)
    thread.join()
    assert sum(begin < t < end for t in ticks) > 5


# --- the state of the process ---------------------------------------------------------------------


def process_state():
    """Everything that a library could change for the others, by name."""
    import ctypes
    import ctypes.util
    import decimal
    import faulthandler
    import locale
    import logging
    import random
    import resource
    import warnings

    state = {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signal handlers": [signal.getsignal(s) for s in sorted(signal.valid_signals())],
        "NumPy's errors": np.geterr(),
        "NumPy's random numbers": repr(np.random.get_state()),
        "NumPy's printing": np.get_printoptions(),
        "random numbers": random.getstate(),
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [resource.getrlimit(i) for i in range(10)],
        "switch interval": (sys.getswitchinterval(), sys.getrecursionlimit()),
        "hooks": (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile(), threading.excepthook),
        "logging": (list(logging.root.handlers), logging.root.level),
        "decimal": repr(decimal.getcontext()).partition("flags")[0],
        "faulthandler": faulthandler.is_enabled(),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "umask": os.umask(0o22),
    }
    os.umask(state["umask"])
    if sys.platform == "linux":
        state["cores"] = os.sched_getaffinity(0)
        with open("/proc/self/status") as file:
            state["signals"] = [line for line in file if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
        # How floats round and whether denormals count: MXCSR without its sticky flags.
        environment = ctypes.create_string_buffer(256)
        ctypes.CDLL(ctypes.util.find_library("m")).fegetenv(environment)
        if os.uname().machine == "x86_64":
            state["MXCSR"] = int.from_bytes(environment.raw[28:32], "little") & 0xFFC0
    state["denormals"] = float(np.float32(1e-40) * np.float32(0.5))
    return state


USE = """
import numpy as np, random, sys, warnings
import test_process_state as t
before = t.process_state()
import fastnn as keras
imported = t.process_state()
from fastnn import ops
x = np.random.default_rng(0).standard_normal((2048, 6)).astype("float32")
y = x[:, :1] * 1e-38
state = t.process_state()
model = keras.Sequential([keras.layers.Dense(256, activation="relu"), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, y, epochs=2, batch_size=512, verbose=0)
model.evaluate(x, y, verbose=0)
model.predict(x, verbose=0)
try:
    model.fit(x[:, :2], y, verbose=0)
except ValueError:
    pass
after = t.process_state()
for name, a in before.items():
    for b, when in ((imported, "the import"), (after, "fit")):
        assert a == b[name], f"{when} changed {name}: {a} -> {b[name]}"
print("unchanged")
"""


def test_the_process_is_left_as_it_was(tmp_path):
    import inspect

    # `process_state` apart from this file, which imports fastnn.
    helper = "import os, signal, sys, threading\nimport numpy as np\n\n\n" + inspect.getsource(process_state)
    (tmp_path / "test_process_state.py").write_text(helper)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    environment["OMP_NUM_THREADS"] = "2"
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "unchanged\n", done.stderr[-1500:]


# --- little memory --------------------------------------------------------------------------------


def small_limits():
    """Fits under ever larger limits, each in a child: done, or MemoryError and done without a limit."""
    import resource

    x, y = np.ones((64, 1000), "float32"), np.ones((64, 1), "float32")
    refused = 0
    for megabytes in [*range(1, 40, 2), *range(40, 100, 12), 1000]:

        def work(megabytes=megabytes):
            keras.config.floatx()
            model = keras.Sequential([keras.layers.Dense(1000, activation="relu"), keras.layers.Dense(1)])
            model.compile("adam", "mse")
            with open("/proc/self/statm") as statm:
                pages = int(statm.read().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), -1))
            status = 0
            try:
                model.fit(x, y, verbose=0)
            except MemoryError as error:
                assert len(str(error)) > 15, repr(error)
                status = 7
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            model.fit(x, y, verbose=0)
            assert len(model.weights) == 4
            os._exit(status)

        status = os.waitstatus_to_exitcode(os.waitpid(child_of(work), 0)[1])
        assert status in (0, 7), (megabytes, status)
        refused += status == 7
    assert refused > 5 and status == 0, (refused, status)  # the last limit is none


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space")
def test_little_memory_is_an_error_and_the_model_goes_on():
    in_fresh_process(small_limits)
