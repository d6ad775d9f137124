"""Global settings, with Keras' names: floatx, epsilon, image_data_format; precision and the default device."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import changes

if TYPE_CHECKING:
    from .dtype_policies import DTypePolicy

_floatx = "float32"
_epsilon = 1e-7
_device = "cpu"
_dtype_policy: DTypePolicy | None = None


def backend() -> str:
    """What computes: always "fastnn"."""
    return "fastnn"


def floatx() -> str:
    """The default type of weights and computation: "float32" or "float64"."""
    return _floatx


def set_floatx(value: str) -> None:
    global _floatx
    if value not in ("float32", "float64"):
        raise ValueError(f"floatx is 'float32' or 'float64', got {value!r}")
    _floatx = value
    changes.note()


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given no `dtype`: what `set_dtype_policy` set, else that of `floatx`."""
    from .dtype_policies import DTypePolicy

    return _dtype_policy or DTypePolicy(_floatx)


def set_dtype_policy(policy: DTypePolicy | str | None) -> None:
    """Sets the policy of layers made from now on: "float32", "float64", "mixed_bfloat16"; None for that of floatx."""
    global _dtype_policy
    from .dtype_policies import get

    _dtype_policy = None if policy is None else get(policy)
    changes.note()


def epsilon() -> float:
    """The fuzz factor of losses and optimizers (1e-7)."""
    return _epsilon


def set_epsilon(value: float) -> None:
    global _epsilon
    _epsilon = float(value)
    changes.note()


def matmul_precision() -> str:
    """What float32 products may trade for speed: see `set_matmul_precision`."""
    from . import _core

    return _core.matmul_precision()


def set_matmul_precision(value: str) -> None:
    """Chooses how float32 products are computed, in matrix products, convolutions and recurrent layers.

    "float32" (the default) takes faster algorithms whose error is about that of plain sums: Winograd's
    for 3x3 convolutions with stride 1 (docs/performance.md has the errors). "float32_strict" makes and
    adds every product. "bfloat16" rounds the operands of sums of 16 products or more to bfloat16, 8 bits
    instead of 24, where the processor multiplies those faster (AVX512-BF16), and is "float32" elsewhere;
    the sums are float32 (docs/performance.md says which products are not worth it). It holds for all that is computed from now on, recorded steps too, on the CPU;
    float64 and other devices know no difference. For single layers there is the policy "mixed_bfloat16", which
    goes before what is set here.
    """
    from . import _core

    if not isinstance(value, str):
        raise ValueError(f"matmul_precision is 'float32', 'float32_strict' or 'bfloat16', got {value!r}")
    _core.set_matmul_precision(value)


def image_data_format() -> str:
    """Always "channels_last": kernels have one layout."""
    return "channels_last"


def set_image_data_format(value: str) -> None:
    if value != "channels_last":
        raise ValueError(f"only 'channels_last' is supported, got {value!r}")


def device() -> str:
    """Where new tensors go: "cpu" or "cuda"."""
    return _device


def set_device(value: str) -> None:
    """Makes `value` the default device. Raises DeviceError where there is no such device."""
    global _device
    from . import _core

    _core.Array((), "float32", value)
    _device = value
    changes.note()


@contextmanager
def device_scope(value: str):
    """`with device_scope("cuda"):` puts new tensors there."""
    before = _device
    set_device(value)
    try:
        yield
    finally:
        set_device(before)
