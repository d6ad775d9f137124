"""Tensor: memory with a shape and a type, and the Python operators over it.

Arrays are C-contiguous; a reshape or a range of the leading axis shares memory, everything else
copies. Arithmetic lives in `fastnn.ops`; the operators here only call it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, config

if TYPE_CHECKING:
    from .autograd import Node

_NUMPY_KINDS = {
    "float16": "float32",
    "int8": "int32",
    "int16": "int32",
    "int64": "int32",
    "uint16": "int32",
    "uint32": "int32",
    "uint64": "int32",
}
_DLPACK_CPU = 1  # kDLCPU
_MASKED = "a masked array has entries without a value: give them one with .filled(value)"
DTYPES = ("float32", "float64", "int32", "uint8", "bool")
_NATIVE = {np.dtype(name): name for name in DTYPES}


def dtype_name(dtype: Any) -> str:
    """The name of a supported type: "float32" for np.float32, np.dtype("f4"), "float32", float."""
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    if dtype is float:
        return config.floatx()
    name = "int32" if dtype is int else np.dtype(dtype).name
    name = _NUMPY_KINDS.get(name, name)
    if name not in DTYPES:
        raise TypeError(f"dtype {name} is not supported, expected one of {', '.join(DTYPES)}")
    return name


def host_array(value: Any, dtype: str | None = None) -> np.ndarray:
    """`value` as a C-contiguous NumPy array of a supported type.

    int64 becomes int32 (values are checked), float64 that came from Python numbers becomes
    `config.floatx()`. Raises TypeError for what is not numeric, ValueError for ragged lists, for
    integers that int32 cannot hold and for masked entries.
    """
    known = _NATIVE.get(value.dtype) if type(value) is np.ndarray else None
    if known is not None and dtype in (None, known) and value.flags.c_contiguous and value.flags.aligned:
        return value
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if not isinstance(value, (np.ndarray, np.generic)) and array.dtype == np.float64 and dtype is None:
        dtype = config.floatx() if not hasattr(value, "__array__") else None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected numbers, got an array of dtype {array.dtype}")
    if type(array) is not np.ndarray and np.any(getattr(array, "mask", False)):
        raise ValueError(_MASKED)
    target = dtype_name(dtype if dtype is not None else array.dtype)
    if target == "int32" and array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size:
        low, high = int(array.min()), int(array.max())
        if low < -(2**31) or high >= 2**31:
            raise ValueError(f"integers from {low} to {high} do not fit in int32")
    plain = np.ascontiguousarray(array, dtype=target).reshape(array.shape)
    return plain if plain.flags.aligned else plain.copy()


class Tensor(_core.Array):
    """An n-dimensional array of one type on one device.

    `Tensor(value, dtype=None, device=None)` copies anything NumPy can read. Attributes: `shape`,
    `dtype`, `device`, `ndim`, `size`, `nbytes`; `requires_grad` marks a leaf whose gradient
    `backward()` accumulates in `grad`.
    """

    requires_grad = False
    grad: Tensor | None = None
    _node: tuple[Node, int] | None = None  # the call that produced this tensor, and which of its results it is
    __array_priority__ = 100  # np.ndarray + Tensor is Tensor.__radd__

    def __init__(self, value: Any, dtype: Any = None, device: str | None = None):
        if isinstance(value, _core.Array):
            value = value.to_numpy()
        super().__init__(values=host_array(value, dtype), device=device or config.device())

    # --- to and from Python --------------------------------------------------------------------
    def numpy(self) -> np.ndarray:
        """A copy of the values as a NumPy array. `np.asarray(t)` shares memory on the CPU."""
        return self.to_numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.device != "cpu":
            if copy is False:
                raise ValueError("a tensor on the GPU cannot be seen by NumPy without a copy")
            array = self.to_numpy()
        else:
            array = np.array(memoryview(self), copy=True) if copy else np.asarray(memoryview(self))
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"a {self.dtype} tensor cannot become {dtype} without a copy")
            array = array.astype(dtype)
        return array

    def __dlpack__(self, **kwargs: Any) -> Any:
        return np.asarray(self).__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.device != "cpu":
            raise BufferError("DLPack export of a tensor on the GPU is not supported yet")
        return (_DLPACK_CPU, 0)

    def item(self) -> float | int | bool:
        """The value of a tensor with one element."""
        if self.size != 1:
            raise ValueError(f"only a tensor with one element has a single value, this one is {self.shape}")
        return self.to_numpy().reshape(()).item()

    def tolist(self) -> Any:
        return self.to_numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __index__(self) -> int:
        if self.dtype != "int32" or self.ndim:
            raise TypeError("only an integer scalar tensor can be used as an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a scalar tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        if _core.is_recording():
            return f"<Tensor {self.shape} {self.dtype}>"
        values = np.array2string(self.to_numpy(), separator=", ", threshold=100)
        place = "" if self.device == "cpu" else f", device={self.device}"
        return f"Tensor({values}, shape={self.shape}, dtype={self.dtype}{place})"

    def __hash__(self) -> int:
        return id(self)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        # For pickle and copy: values and attributes, but neither gradients nor where they came from.
        state = {k: v for k, v in vars(self).items() if k not in ("_node", "grad")}
        return _restored, (type(self), self.to_numpy(), self.device), state

    if TYPE_CHECKING:  # what operators.py gives them

        def _unary(self) -> Tensor: ...
        def _binary(self, other: Any) -> Tensor: ...

        __neg__ = __abs__ = __pos__ = __invert__ = _unary
        __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _binary
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary
        __eq__ = __ne__ = _binary  # type: ignore[assignment]
        __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = _binary

        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...

    # --- gradients -----------------------------------------------------------------------------
    def backward(self, gradient: Any = None) -> None:
        """Adds d self / d leaf to `grad` of every leaf with `requires_grad`."""
        from .autograd import backward

        backward(self, gradient)

    def detach(self) -> Tensor:
        """The same memory, cut off from the graph that produced it."""
        return view(self, self.shape)

    def to(self, device: str) -> Tensor:
        """A copy on another device, or this tensor if it is there already."""
        return self if self.device == device else Tensor(self.to_numpy(), device=device)


def _blank(kind: type[Tensor] = Tensor) -> Tensor:
    return kind.__new__(kind)


def _restored(kind: type[Tensor], values: np.ndarray, device: str) -> Tensor:
    t = _blank(kind)
    _core.Array.__init__(t, values.shape, values.dtype.name, device)
    t.assign_numpy(values)
    return t


def empty(shape: Any, dtype: str | None = None, device: str | None = None, like: Tensor | None = None) -> Tensor:
    """An uninitialised tensor; type and device of `like` unless given."""
    t = _blank()
    _core.Array.__init__(
        t,
        tuple(shape),
        dtype or (like.dtype if like is not None else config.floatx()),
        device or (like.device if like is not None else config.device()),
    )
    return t


def view(x: Tensor, shape: Any, offset: int = 0) -> Tensor:
    """Another shape over x's memory, starting at its element `offset`. Not recorded for gradients."""
    t = _blank()
    _core.Array.__init__(t, x, tuple(shape), offset)
    return t


def _is_masked(array: Any) -> bool:
    ma = sys.modules.get("numpy.ma")  # asking NumPy for it imports it, which takes as long as a small model's first fit
    return ma is not None and isinstance(array, ma.MaskedArray)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the CPU over an array's memory, without a copy: each sees what the other writes.

    The array is kept until the last tensor over it goes. Over read-only memory (a memory map, a
    constant of JAX) the tensor can be read only. What kernels cannot read as it lies is a ValueError:
    elements that are not C-contiguous, not aligned, of another byte order or of a type that tensors
    do not have. `Tensor(array)` copies and converts those.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; Tensor(...) copies anything")
    if _is_masked(array):
        raise TypeError(_MASKED)
    t = _blank()
    _core.Array.__init__(t, array)
    return t


def from_dlpack(x: Any, *, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's CPU tensor (PyTorch, JAX, NumPy, ...), by DLPack.

    Args:
      x: an object with `__dlpack__` and `__dlpack_device__`. It may be deleted before the tensor.
      copy: False shares memory or raises ValueError, True copies, None copies only what kernels
        cannot read as it lies: what is not C-contiguous or not aligned.

    As with `from_numpy`, types that tensors do not have are a ValueError, and memory that its owner
    says is read-only, or of which it says nothing, can be read only.
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: a {type(x).__name__} has no __dlpack__ and __dlpack_device__")
    if _is_masked(x):  # whose capsule says nothing about the mask
        raise TypeError(_MASKED)
    kind, _ = x.__dlpack_device__()
    if kind != _DLPACK_CPU:
        raise ValueError(f"from_dlpack: expected memory of the CPU, got that of device type {int(kind)}; copy it there")
    array = np.from_dlpack(x)
    if copy or (copy is None and not (array.flags.c_contiguous and array.flags.aligned)):
        array = array.copy()
    return from_numpy(array)


def to_tensor(value: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """`value` itself if it is a Tensor (of that type), else a new tensor with its values."""
    if isinstance(value, Tensor):
        if dtype is None or value.dtype == dtype_name(dtype):
            return value
        from .ops import cast

        return cast(value, dtype)
    return Tensor(value, dtype, device)


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)
