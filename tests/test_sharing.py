"""Memory shared with others without a copy: NumPy, the buffer protocol and DLPack, both ways.

That memory is shared is seen by writing on one side and reading on the other.
"""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastnn
from fastnn import kernels
from fastnn.tensor import DTYPES, Tensor, empty, from_dlpack, from_numpy

KINDS = pytest.mark.parametrize("dtype", DTYPES)


def values(dtype, shape=(3, 4)):
    return (np.arange(12).reshape(shape) % 3).astype(dtype)


class Owner(np.ndarray):
    """An array whose end can be seen."""


def overwrite_freed_memory():
    return [np.full(1000, 9, "float32") for _ in range(50)]


# --- out of tensors ---------------------------------------------------------------------------------

OUT = {
    "asarray": np.asarray,
    "memoryview": lambda t: np.asarray(memoryview(t)),
    "np.from_dlpack": np.from_dlpack,
}


@KINDS
@pytest.mark.parametrize("way", OUT)
def test_numpy_sees_a_tensor(way, dtype):
    t = Tensor(values(dtype))
    seen = OUT[way](t)
    assert seen.dtype == dtype and seen.shape == (3, 4) and seen.flags.writeable
    np.testing.assert_array_equal(seen, values(dtype))
    seen[1, 1] = 0
    assert t.numpy()[1, 1] == 0
    kernels.fill(t, 1.0)
    assert (seen == 1).all()


@pytest.mark.parametrize("way", OUT)
def test_memory_outlives_its_tensor(way):
    t = Tensor(np.full(1000, 7, "float32"))
    seen = OUT[way](t)
    del t
    gc.collect()
    others = overwrite_freed_memory()
    mine = [Tensor(x) for x in others]
    assert (seen == 7).all() and len(mine) == 50


@pytest.mark.parametrize("way", OUT)
def test_a_moved_tensor_leaves_its_memory(way):
    """As an optimizer moves weights into its arena."""
    t = Tensor(np.full(1000, 7, "float32"))
    seen = OUT[way](t)
    t.rebind(empty((1000,)))
    kernels.fill(t, 1.0)
    assert (seen == 7).all()


def test_asarray_copies_if_it_is_told_to():
    t = Tensor([1.0, 2.0])
    copied = t.__array__(copy=True)
    copied[0] = 5
    assert t.tolist() == [1, 2]
    with pytest.raises(ValueError, match="without a copy"):
        t.__array__(dtype="float64", copy=False)


@KINDS
def test_jax_sees_a_tensor(dtype):
    with jax.enable_x64(True):
        t = Tensor(values(dtype))
        seen = jnp.from_dlpack(t)
        np.testing.assert_array_equal(seen, values(dtype))
        assert str(seen.dtype) == dtype
        del t
        gc.collect()
        others = [Tensor(values(dtype) * 0) for _ in range(50)]
        np.testing.assert_array_equal(seen, values(dtype))
        assert len(others) == 50


def test_jax_shares_a_tensors_memory():
    """A block begins on the 64 bytes that XLA asks for: the address is the same."""
    t = empty((1000,))
    assert jnp.from_dlpack(t).unsafe_buffer_pointer() == t.address


def test_views_and_scalars():
    t = Tensor(values("float32"))
    row = t[1]
    np.from_dlpack(row)[:] = 5
    assert t.numpy()[1].tolist() == [5, 5, 5, 5]
    assert np.from_dlpack(Tensor(3.0)).shape == ()
    assert np.from_dlpack(empty((0, 3))).shape == (0, 3)


def test_dlpack_arguments():
    t = Tensor([1.0])
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises((BufferError, RuntimeError)):
        t.__dlpack__(stream=1)


# --- into tensors -----------------------------------------------------------------------------------

IN = {"from_numpy": fastnn.from_numpy, "from_dlpack": fastnn.from_dlpack}


@KINDS
@pytest.mark.parametrize("way", IN)
def test_a_tensor_sees_numpy(way, dtype):
    array = values(dtype)
    t = IN[way](array)
    assert t.dtype == dtype and t.shape == (3, 4) and t.device == "cpu"
    assert t.address == array.ctypes.data and not t.readonly
    array[0, 0] = 1
    assert t.numpy()[0, 0] == 1
    kernels.fill(t, 0.0)
    assert not array.any()


def test_an_array_lives_as_long_as_tensors_over_it():
    array = np.full(1000, 7, "float32").view(Owner)
    alive = weakref.ref(array)
    t = from_numpy(array)
    del array
    part = t[500:]
    del t
    gc.collect()
    others = overwrite_freed_memory()
    assert alive() is not None and (part.numpy() == 7).all() and len(others) == 50
    del part
    gc.collect()
    assert alive() is None


def test_memory_from_dlpack_lives_as_long_as_tensors_over_it():
    array = np.full(1000, 7, "float32").view(Owner)
    alive = weakref.ref(array)
    t = from_dlpack(array)
    del array
    gc.collect()
    others = overwrite_freed_memory()
    assert (t.numpy() == 7).all() and len(others) == 50
    del t
    gc.collect()
    assert alive() is None


@KINDS
def test_a_tensor_sees_jax(dtype):
    with jax.enable_x64(True):
        source = jnp.asarray(values(dtype))
        t = from_dlpack(source, copy=False)
        assert t.dtype == dtype and t.address == source.unsafe_buffer_pointer()
        assert t.readonly  # arrays of JAX are constants
        del source
        gc.collect()
        others = [jnp.asarray(values(dtype) * 0) for _ in range(50)]
        np.testing.assert_array_equal(t.numpy(), values(dtype))
        assert len(others) == 50
    with pytest.raises(ValueError, match="read-only"):
        kernels.fill(t, 0.0)


def test_there_and_back():
    t = Tensor(values("float32"))
    assert from_dlpack(t).address == t.address
    assert from_numpy(np.asarray(t)).address == t.address
    assert from_dlpack(jnp.from_dlpack(t)).numpy().tolist() == t.tolist()


@pytest.mark.parametrize("way", IN)
def test_read_only_memory_is_not_written(way):
    array = values("float32")
    array.flags.writeable = False
    t = IN[way](array)
    assert t.readonly and not np.asarray(t).flags.writeable
    for write in (
        lambda: kernels.fill(t, 1.0),
        lambda: t.assign_numpy(values("float32")),
        lambda: kernels.fill(t[1], 1.0),
        lambda: fastnn.Tensor(values("float32")).rebind(t),
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()
    np.testing.assert_array_equal(array, values("float32"))


def misaligned():
    return np.zeros(49, "uint8")[1:].view("float32")


LAYOUTS = {
    "transposed": (lambda: values("float32").T, "contiguous"),
    "strided": (lambda: values("float32")[:, ::2], "contiguous"),
    "reversed": (lambda: values("float32")[::-1], "contiguous"),
    "broadcast": (lambda: np.broadcast_to(np.float32(1), (3, 4)), "contiguous"),
    "misaligned": (misaligned, "aligned"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_kernels_do_not_read(layout):
    make, words = LAYOUTS[layout]
    array = make()
    with pytest.raises(ValueError, match=words):
        from_numpy(array)
    with pytest.raises(ValueError, match=words):
        from_dlpack(array, copy=False)
    for copied in (from_dlpack(array), Tensor(array)):
        np.testing.assert_array_equal(copied.numpy(), array)
        assert not copied.readonly


def test_copy_is_a_copy():
    array = values("float32")
    t = from_dlpack(array, copy=True)
    kernels.fill(t, 9.0)
    np.testing.assert_array_equal(array, values("float32"))


@pytest.mark.parametrize("dtype", ["int64", "int8", "float16", "complex64", "uint32"])
@pytest.mark.parametrize("way", IN)
def test_types_that_tensors_do_not_have(way, dtype):
    with pytest.raises(ValueError, match=f"dtype '{dtype}', expected float32, float64, int32, uint8 or bool"):
        IN[way](np.zeros(3, dtype))


@pytest.mark.parametrize(
    "value",
    [[1.0, 2.0], 3.0, np.float32(1), None],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_array(value):
    with pytest.raises(TypeError, match="from_numpy: "):
        from_numpy(value)


@pytest.mark.parametrize("way", IN)
def test_masked_arrays(way):
    with pytest.raises(TypeError, match="without a value"):
        IN[way](np.ma.masked_array(values("float32"), values("float32") > 1))


def test_what_has_no_dlpack():
    with pytest.raises(TypeError, match="a list has no __dlpack__"):
        from_dlpack([1.0])


class Elsewhere:
    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, **kwargs):
        raise AssertionError("asked for memory that is on a GPU")


def test_memory_of_another_device():
    with pytest.raises(ValueError, match="expected memory of the CPU, got that of device type 2"):
        from_dlpack(Elsewhere())


def test_gradients_through_shared_memory():
    array = np.array([1.0, 2.0], "float32")
    t = from_numpy(array)
    t.requires_grad = True
    fastnn.ops.sum(t * t).backward()
    np.testing.assert_array_equal(t.grad.numpy(), [2, 4])
