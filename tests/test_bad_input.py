"""Odd arguments into every kernel, op, function and layer: a clear exception or a result, never a
crash, a hang or an error from inside.

What there is to call is found by looking, so that a new op is covered without being named here. The
same file runs in the sanitizer job (`make sanitize`), where a read or write outside an array ends
the process. FASTNN_FUZZ=100 tries a hundred times as much.
"""

import contextlib
import importlib
import inspect
import os
import re
import signal
import threading
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import fastnn
import odd_values
from fastnn import _core, ops, reference
from fastnn.tensor import Tensor, from_numpy
from test_kernels import make_arguments

reference.load()

EFFORT = float(os.environ.get("FASTNN_FUZZ", "1"))
REFUSALS = (ValueError, TypeError, IndexError, OverflowError, MemoryError, NotImplementedError, _core.DeviceError)
# The words of somebody who did not expect this: pybind11's, C++'s, the interpreter's.
FROM_INSIDE = re.compile(
    r"typing\.|incompatible (function|constructor) arguments|std::|bad_alloc|unpack|'\w+' object (has no|is not|cannot)"
    r"|not supported between|positional argument|unsupported operand|bad operand|list index|tuple index"
)
SECONDS = 20  # for one call, on a busy machine; none takes a tenth of a second


def tries(count):
    return settings(
        max_examples=max(1, int(count * EFFORT)),
        derandomize=EFFORT <= 1,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module", autouse=True)
def little_memory():
    """Sizes that memory cannot hold are refused, not tried: 3 GB more than now. (The sanitizer
    reserves more addresses than there is memory, and is told a limit by ASAN_OPTIONS.)
    """
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    if "ASAN_OPTIONS" not in os.environ:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (3 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def watched():
    """A call that hangs fails. (The signal comes when a kernel has returned.)"""

    def too_long(*_):
        raise AssertionError(f"a call took more than {SECONDS} seconds")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refuses_or_computes(function, *args, **kwargs):
    """Calls; the result's values are looked at, an error's words too."""
    with watched():
        try:
            result = function(*args, **kwargs)
            for leaf in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(leaf, Tensor):
                    leaf.numpy()
        except REFUSALS as error:
            text = str(error)
            assert len(text) > 3 and not FROM_INSIDE.search(text), repr(error)


# --- kernels: one argument of a good call is spoiled ----------------------------------------------


def spoil(value, how, rng):
    """A wrong stand-in for one argument of a kernel call."""
    if not isinstance(value, np.ndarray):
        return {"type": "text", "none": None, "negative": -3, "huge": 2**62, "extreme": -(2**63), "nan": np.nan}.get(
            how, [1, 2, 3] if how == "list" else value
        )
    shape = value.shape
    if how == "rank" or not shape:
        shape = (*shape, 2) if rng.integers(2) or not shape else shape[1:]
    elif how == "size":
        axis = rng.integers(len(shape))
        shape = tuple(int(rng.choice([0, 1, n + 1, 2 * n])) if i == axis else n for i, n in enumerate(shape))
    elif how == "empty":
        shape = (0,) * len(shape)
    elif how == "dtype":
        other = rng.choice([d for d in ("float32", "float64", "int32", "uint8", "bool") if d != value.dtype.name])
        return np.zeros(shape, other)
    elif how == "extreme":
        low, high = (-(2**31), 2**31 - 1) if value.dtype == np.int32 else (-np.inf, np.nan)
        return np.full(shape, rng.choice([low, high])).astype(value.dtype)
    elif how == "truth":  # of bytes other than 0 and 1
        return np.full(shape, 255, "uint8").view("bool") if value.dtype == bool else value
    elif how == "none":
        return None
    elif how == "type":
        return [1.0, 2.0]
    elif how == "readonly":
        value = value.copy()
        value.flags.writeable = False
        return value
    return np.zeros(shape, value.dtype)


WAYS = [
    "rank", "size", "empty", "dtype", "extreme", "none", "type", "readonly", "negative", "huge", "list", "nan", "truth",
]  # fmt: skip


@pytest.mark.parametrize("name", list(_core.kernels))
def test_kernel_refuses_or_computes(name):
    kernel, case = _core.kernels[name], reference.KERNELS.get(name)
    if case is None:
        pytest.skip("its arguments are made by a test file of its own")
    rng = np.random.default_rng(1)
    sizes = [s for s in case.sizes if all(np.prod(v) < 3000 for v in s.values() if not isinstance(v, str))]
    for trial in range(int(40 * EFFORT)):
        values = make_arguments(
            case, kernel, sizes[trial % len(sizes)], case.scalars[trial % len(case.scalars)], "float32"
        )
        for _ in range(1 + trial % 2):
            victim = int(rng.integers(len(values)))
            values[victim] = spoil(values[victim], WAYS[int(rng.integers(len(WAYS)))], rng)
        refuses_or_computes(kernel, *[from_numpy(v) if isinstance(v, np.ndarray) else v for v in values])


def test_wrong_number_of_arguments():
    for kernel in _core.kernels.values():
        with pytest.raises(TypeError, match="takes"):
            kernel(*[None] * (len(kernel.params) + 1))


# --- ops and other functions: found by looking ----------------------------------------------------


def functions_of(*modules):
    """The public functions that these modules define, or take from one another, by "module.name"."""
    homes = (*[m.__name__ for m in modules], "fastnn.tensor")
    found = {}
    for module in modules:
        for name in dir(module):
            value = getattr(module, name)
            if name.startswith("_") or not inspect.isfunction(value) or not value.__module__.startswith(homes):
                continue
            found.setdefault(id(value), (f"{module.__name__.removeprefix('fastnn.')}.{name}", value))
    return dict(sorted(found.values()))


NOT_NUMERIC = {  # they steer the process, or ask and wait
    "losses.get", "losses.serialize", "losses.deserialize", "activations.get", "activations.serialize",
    "activations.deserialize", "metrics.get", "metrics.serialize", "metrics.deserialize", "utils.get_file",
    "utils.clear_session", "utils.set_random_seed", "utils.plot_model", "utils.optional_import",
}  # fmt: skip
FUNCTIONS = {
    name: f
    for name, f in functions_of(
        ops, *(importlib.import_module(f"fastnn.{m}") for m in ("activations", "losses", "metrics", "random", "utils"))
    ).items()
    if name not in NOT_NUMERIC
}


def parameters_of(function):
    return [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]


def test_ops_are_found():
    assert len([n for n in FUNCTIONS if n.startswith("ops.")]) > 150


@pytest.mark.parametrize("name", FUNCTIONS)
@tries(20)
@given(data=st.data())
def test_function_refuses_or_computes(name, data):
    args, kwargs = [], {}
    for p in parameters_of(FUNCTIONS[name]):
        if p.kind is p.VAR_POSITIONAL:
            args += data.draw(st.lists(odd_values.arrays(), max_size=3))
        elif p.default is p.empty:
            args.append(data.draw(odd_values.anything()))
        elif not data.draw(st.integers(0, 2)):
            # Something like the default, or anything at all.
            kwargs[p.name] = data.draw(st.one_of(odd_values.structure(), odd_values.anything()))
    refuses_or_computes(FUNCTIONS[name], *args, **kwargs)


# The cases of the gradient checks are good calls, which get further than chance does.


def point(value, rng):
    if isinstance(value, reference.T):
        return value.draw(rng).astype("float32")
    if isinstance(value, (list, tuple)):
        return type(value)(point(v, rng) for v in value)
    return value


@pytest.mark.parametrize("name", reference.OPS)
@tries(25)
@given(data=st.data())
def test_op_with_one_argument_spoiled(name, data):
    case = data.draw(st.sampled_from(reference.OPS[name]))
    arguments = {k: point(v, np.random.default_rng(3)) for k, v in case.arguments.items()}
    function = getattr(ops, name, None) or FUNCTIONS[name]
    accepted = [p.name for p in parameters_of(function) if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    victim = data.draw(st.sampled_from(sorted({*arguments, *accepted})))
    before = arguments.get(victim)
    if isinstance(before, np.ndarray) and data.draw(st.booleans()):
        shape = list(before.shape)  # nearly the right one
        if shape and data.draw(st.booleans()):
            shape[data.draw(st.integers(0, len(shape) - 1))] = data.draw(st.sampled_from([0, 1, 2, 3, 7]))
        arguments[victim] = data.draw(odd_values.arrays(tuple(shape)))
    else:
        arguments[victim] = data.draw(st.one_of(odd_values.structure(), odd_values.anything()))
    refuses_or_computes(function, **arguments)


# --- layers and fit -------------------------------------------------------------------------------


LAYERS = {
    name: c
    for name, c in vars(fastnn.layers).items()
    if inspect.isclass(c) and issubclass(c, fastnn.layers.Layer) and c is not fastnn.layers.Layer
}


@pytest.mark.parametrize("name", LAYERS)
@tries(12)
@given(data=st.data())
def test_layer_refuses_or_computes(name, data):
    """Odd arguments for the constructor, then odd inputs."""
    required, given = [], {}
    for p in parameters_of(LAYERS[name].__init__)[1:]:
        if p.kind is p.VAR_POSITIONAL:
            continue
        if p.default is p.empty:
            required.append(data.draw(st.one_of(st.integers(1, 4), odd_values.structure())))
        elif not data.draw(st.integers(0, 5)):
            given[p.name] = data.draw(odd_values.structure())
    inputs = data.draw(odd_values.anything())

    def make_and_call():
        return LAYERS[name](*required, **given)(inputs)

    refuses_or_computes(make_and_call)


@tries(100)
@given(x=odd_values.anything(), y=odd_values.anything(), same=st.booleans())
def test_fit_refuses_or_trains(x, y, same):
    model = fastnn.Sequential([fastnn.layers.Dense(2)])
    model.compile("sgd", "mse", on_nan="ignore")

    def fit():
        model.fit(x, x if same else y, verbose=0)
        model.evaluate(x, x if same else y, verbose=0)
        return model.predict(x, verbose=0)

    refuses_or_computes(fit)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(2**31, 2**31), (2**62, 4), (2**62, 2**62, 0), (2**63, 0), (-1, 3), (2**40,), (2**64,)]
)
def test_sizes_that_wrap(shape):
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        _core.Array(shape, "float32", "cpu")


def test_what_kernels_cannot_read_is_refused():
    raw = np.zeros(17, "uint8")
    for array, words in [
        (np.arange(4, dtype=">f4"), "order"),
        (raw[1:].view("float32"), "aligned"),
        (np.zeros((4, 2), "float32").T, "contiguous"),
        (np.zeros(2, "complex64"), "dtype"),
    ]:
        with pytest.raises(ValueError, match=words):
            from_numpy(array)
    with pytest.raises(ValueError, match="order"):
        Tensor(np.zeros(4, "float32")).assign_numpy(np.arange(4, dtype=">f4"))


def test_odd_layouts_keep_their_values():
    for layout in ("fortran", "reversed", "strided", "broadcast", "misaligned", "readonly", "memmap", "subclass"):
        for kind in ("float32", ">f4", "int16", ">i8", "bool", "float16"):
            array = odd_values.laid_out(odd_values.filled((3, 4), kind, 1), layout)
            np.testing.assert_array_equal(Tensor(array).numpy(), np.asarray(array))


def test_objects_whose_constructor_did_not_run():
    for cls in (_core.Array, _core.Kernel, _core.Program, _core.CallTiming, Tensor):
        bare = cls.__new__(cls)
        for name in dir(bare):
            if not name.startswith("__"):
                with contextlib.suppress(ValueError, TypeError, RuntimeError):
                    value = getattr(bare, name)
                    if callable(value):
                        value()
    for bare in (_core.Kernel.__new__(_core.Kernel), _core.Program.__new__(_core.Program)):
        with pytest.raises(ValueError, match="never initialised"):
            bare.name if isinstance(bare, _core.Kernel) else bare.run()


def test_memory_that_numpy_looks_at_stays():
    """An optimizer moves the weights; whoever looked at them before still looks at valid memory."""
    t = Tensor(np.ones(1000, "float32"))
    seen, viewed = np.asarray(t), memoryview(t)
    t.rebind(from_numpy(np.zeros(1000, "float32")))
    others = [Tensor(np.full(1000, 7, "float32")) for _ in range(20)]
    assert seen[0] == viewed[999] == 1 and t.numpy()[0] == 1
    del others


def test_moves_onto_what_cannot_be_written(tmp_path):
    np.ones(1000, "float32").tofile(tmp_path / "a")
    t = Tensor(np.zeros(1000, "float32"))
    with pytest.raises(ValueError, match="read-only"):
        t.rebind(from_numpy(np.memmap(tmp_path / "a", "float32", "r")))
    with pytest.raises(ValueError, match="never initialised"):
        Tensor(np.float32(1)).rebind(Tensor.__new__(Tensor))


def test_programs_out_of_order():
    program = _core.Program()
    program.begin()
    for call in (program.run, program.describe, program.profile):
        with pytest.raises(RuntimeError, match="still being recorded"):
            call()
    ops.add(np.ones(3, "float32"), 1.0)
    program.end()
    program.run()
    with pytest.raises(RuntimeError, match="recorded already"):
        program.begin()
    order, slot = np.zeros(4, "int32"), np.zeros(2, "int32")
    slot.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        program.run_batches(None, [(order, from_numpy(slot))], [], 0, 2, 0.1)
    slot = Tensor(np.zeros(2, "int32"))
    for rows, end, words in [(order, 3, "fewer"), (order[::2], 1, "contiguous"), (order.astype("f"), 1, "types")]:
        with pytest.raises(ValueError, match=words):
            program.run_batches(None, [(rows, slot)], [], 0, end, 0.1)
    order.flags.writeable = False
    with pytest.raises(ValueError, match="contiguous"):
        program.run_batches(None, [], [(order, slot)], 0, 2, 0.1)
    with pytest.raises(ValueError, match="never initialised"):
        program.run_batches(None, [(order, Tensor.__new__(Tensor))], [], 0, 2, 0.1)

    def forget():
        forgotten = _core.Program()
        forgotten.begin()
        del forgotten
        still.append(_core.is_recording())
        ops.add(np.ones(3, "float32"), 1.0)

    still = []
    thread = threading.Thread(target=forget)
    thread.start()
    thread.join()
    assert still == [True]


def test_long_graphs_are_freed_and_followed():
    """Ends of chains longer than any stack."""
    x = fastnn.Variable(np.ones(3, "float32"))
    y = x
    for _ in range(50_000):
        y = y + 1.0
    ops.sum(y).backward()
    assert x.grad.numpy().tolist() == [1, 1, 1]
    del y
