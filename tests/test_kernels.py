"""Every kernel of the catalogue, on every instruction set of this machine and both storage types,
against its NumPy meaning; and the same bits for any number of threads. The list comes from the
catalogue: a kernel without a case fails. Kernels with a CUDA body run on the host simulator too.
"""

import inspect
import math

import numpy as np
import pytest

import fastnn
from fastnn import _core, reference
from fastnn.tensor import Tensor, from_numpy

reference.load()

# Kernels whose meaning is stated by tests of their own, with the file that holds them.
TESTED_ELSEWHERE: dict[str, str] = {
    "random_uniform": "test_dropout.py",
    "random_normal": "test_dropout.py",
}


def make_arguments(case, kernel, sizes, scalars, storage, seed=0):
    """Arguments in order, as NumPy arrays and scalars; outputs filled with NaN (poison)."""
    rng = np.random.default_rng(seed)
    specs = reference.argument_specs(kernel, sizes, storage, scalars)
    values = []
    for name, kind in kernel.params:
        if name not in specs:
            values.append(scalars[name])
            continue
        if name in scalars and scalars[name] is None:
            values.append(None)
            continue
        shape, dtype = specs[name]
        if kind == "Out":
            poison = np.nan if dtype.startswith("float") else 85
            values.append(np.full(shape, poison).astype(dtype))
            continue
        draw = case.inputs.get(name)
        array = draw(rng, shape, sizes) if draw else rng.standard_normal(shape)
        values.append(np.ascontiguousarray(array, dtype=dtype).reshape(shape))
    return values


def run_kernel(kernel, values, device="cpu"):
    """The Out and InOut arguments after a call with copies of `values`."""

    def place(v):
        return from_numpy(v.copy()) if device == "cpu" else Tensor(v, device=device)

    tensors = [place(v) if isinstance(v, np.ndarray) else v for v in values]
    kernel(*tensors)
    written = [t for t, (_, kind) in zip(tensors, kernel.params) if kind in ("Out", "InOut")]
    return [t.numpy() for t in written if t is not None]


def expected(case, kernel, values, sizes):
    arguments = {}
    if "sizes" in inspect.signature(case.function).parameters:
        arguments["sizes"] = sizes  # for shapes of results that no input shows
    for v, (name, kind) in zip(values, kernel.params):
        if kind != "Out":
            floats = isinstance(v, np.ndarray) and v.dtype.kind == "f"
            arguments[name] = v.astype(np.float64) if floats else v
    result = case.function(**arguments)
    results = result if isinstance(result, tuple) else (result,)
    # An absent output is computed all the same, and not looked at.
    given = [v is not None for v, (_, kind) in zip(values, kernel.params) if kind in ("Out", "InOut")]
    return [r for r, wanted in zip(results, given, strict=True) if wanted]


def check(case, kernel, sizes, scalars, storage, device="cpu", eps=None):
    values = make_arguments(case, kernel, sizes, scalars, storage)
    with np.errstate(all="ignore"):
        want = expected(case, kernel, values, sizes)
    got = run_kernel(kernel, values, device)
    assert len(got) == len(want)
    eps = eps or np.finfo(storage).eps
    tolerance = case.tolerance(**sizes) if callable(case.tolerance) else case.tolerance
    for g, w in zip(got, want):
        if w is None:  # whatever the kernel leaves there
            continue
        w = np.asarray(w)
        assert g.shape == w.shape
        if case.exact or g.dtype.kind in "iub":
            np.testing.assert_array_equal(g, w.astype(g.dtype))
            continue
        if not g.size:
            continue
        finite = np.isfinite(w)
        np.testing.assert_array_equal(g[~finite], w[~finite].astype(g.dtype))
        scale = max(1.0, float(np.abs(w[finite]).max(initial=0.0)))
        error = np.abs(g[finite] - w[finite]).max(initial=0.0) / (scale * eps)
        assert error <= tolerance, f"error {error:.1f} eps, allowed {tolerance:.1f}, at {sizes} {scalars}"


@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("name", list(_core.kernels))
def test_meaning(name, isa, storage):
    if name in TESTED_ELSEWHERE:
        pytest.skip(f"tested in {TESTED_ELSEWHERE[name]}")
    assert name in reference.KERNELS, f"kernel {name} has no case in fastnn/reference/"
    case, kernel = reference.KERNELS[name], _core.kernels[name]
    before = _core.current_isa()
    _core.set_isa(isa)
    try:
        for sizes in case.sizes:
            for scalars in case.scalars:
                check(case, kernel, sizes, scalars, storage)
    finally:
        _core.set_isa(before)


@pytest.fixture
def strict():
    fastnn.config.set_matmul_precision("float32_strict")
    yield
    fastnn.config.set_matmul_precision("float32")


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("name", [n for n in _core.kernels if n.startswith(("conv", "dense", "matmul", "lstm"))])
def test_meaning_in_strict_precision(name, isa, strict):
    test_meaning(name, isa, "float32")


def test_strict_precision_makes_every_product():
    """Winograd's transforms add neighbours before they multiply: with 1e8 among small numbers they lose
    what plain sums with weights of 0 and 1 keep. A recorded step follows the setting as well.
    """
    layer = fastnn.layers.Conv2D(32, 3, padding="same", use_bias=False)
    model = fastnn.Sequential([fastnn.Input((32, 32, 32)), layer])
    centre = np.zeros((3, 3, 32, 32), "float32")
    centre[1, 1] = np.eye(32)
    layer.set_weights([centre])
    x = np.random.default_rng(0).choice(np.float32([1, 1e8]), (1, 32, 32, 32))
    for name, same in [("float32_strict", True), ("float32", False), ("float32_strict", True)]:
        fastnn.config.set_matmul_precision(name)
        try:
            assert fastnn.config.matmul_precision() == name
            assert (model.predict_on_batch(x) == x).all() == same
        finally:
            fastnn.config.set_matmul_precision("float32")


@pytest.mark.parametrize("name", ["tf32", "", None, 1, "float64"])
def test_unknown_precision(name):
    with pytest.raises(ValueError, match="matmul_precision is 'float32', 'float32_strict' or 'bfloat16', got"):
        fastnn.config.set_matmul_precision(name)


@pytest.mark.parametrize("name", list(_core.kernels))
def test_same_bits_for_any_thread_count(name):
    if name in TESTED_ELSEWHERE:
        pytest.skip(f"tested in {TESTED_ELSEWHERE[name]}")
    case, kernel = reference.KERNELS[name], _core.kernels[name]
    sizes = max(
        [*case.sizes, *case.bench],
        key=lambda s: math.prod(np.ravel([np.prod(v) for v in s.values() if not isinstance(v, str)])),
    )
    values = make_arguments(case, kernel, sizes, case.scalars_of_bench(sizes), "float32")
    before = _core.max_threads()
    try:
        results = []
        for threads in (1, 2, 3, 7):
            _core.set_max_threads(threads)
            results.append([r.tobytes() for r in run_kernel(kernel, values)])
    finally:
        _core.set_max_threads(before)
    assert all(r == results[0] for r in results)


# A thread of the simulator is a fiber: what the CPU does in a millisecond takes it a second.
MOST_SIMULATED = 20_000


def volume(sizes):
    return math.prod(np.prod(v, dtype=int) for v in sizes.values() if not isinstance(v, str))


@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize("name", [k.name for k in _core.kernels.values() if k.on_cuda])
def test_meaning_on_cuda(cuda, name, storage):
    assert name in reference.KERNELS, f"kernel {name} has no case in fastnn/reference/"
    case, kernel = reference.KERNELS[name], _core.kernels[name]
    sizes = [s for s in case.sizes if volume(s) <= MOST_SIMULATED]
    assert sizes
    for s in sizes:
        for scalars in case.scalars:
            check(case, kernel, s, scalars, storage, cuda)
