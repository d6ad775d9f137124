"""
fastnn's kernels: tensors, one function per kernel, recorded programs.
"""
from __future__ import annotations
import collections.abc
import numpy
import typing
__all__: list[str] = ['Array', 'CallTiming', 'DeviceError', 'Kernel', 'Profile', 'Program', 'activations', 'available_isas', 'copy_bandwidth', 'cuda_description', 'current_isa', 'is_recording', 'kernels', 'matmul_precision', 'max_threads', 'multiplies_bfloat16', 'peak_flops', 'round_products', 'set_isa', 'set_matmul_precision', 'set_max_threads', 'spoil']
class DeviceError(RuntimeError):
    pass
class Array:
    """
    Memory with a shape and a type.
    """
    @typing.overload
    def __init__(self, array: numpy.ndarray) -> None:
        ...
    @typing.overload
    def __init__(self, shape: collections.abc.Sequence, dtype: str = 'float32', device: str = 'cpu') -> None:
        ...
    @typing.overload
    def __init__(self, *, values: numpy.ndarray, device: str) -> None:
        """
        A copy of the values. In a recording it is a constant: replays read it as it is now.
        """
    @typing.overload
    def __init__(self, base: Array, shape: collections.abc.Sequence, offset: typing.SupportsInt | typing.SupportsIndex = 0) -> None:
        ...
    def __buffer__(self, flags: int, /) -> memoryview:
        ...
    def assign_numpy(self, values: numpy.ndarray) -> None:
        ...
    def mark_scratch(self) -> None:
        """
        What this memory holds is of no use when a step has ended, as gradients are not: a step
        that is broken off need not put it back.
        """
    def rebind(self, other: Array) -> None:
        """
        Moves this tensor, with its values, onto other's memory.
        """
    def to_numpy(self) -> numpy.ndarray:
        """
        A copy as a NumPy array.
        """
    @property
    def address(self) -> int:
        ...
    @property
    def device(self) -> str:
        ...
    @property
    def dtype(self) -> str:
        ...
    @property
    def nbytes(self) -> int:
        ...
    @property
    def ndim(self) -> int:
        ...
    @property
    def readonly(self) -> bool:
        ...
    @property
    def shape(self) -> tuple:
        ...
    @property
    def size(self) -> int:
        ...
class Kernel:
    """
    A kernel of the catalogue; call it with its arguments in order.
    """
    def __call__(self, *args) -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def on_cuda(self) -> bool:
        ...
    @property
    def params(self) -> list[tuple[str, str]]:
        ...
    @property
    def shapes(self) -> str:
        ...
    @property
    def signature(self) -> str:
        ...
class CallTiming:
    @property
    def bytes(self) -> float:
        ...
    @property
    def flops(self) -> float:
        ...
    @property
    def gbytes(self) -> float:
        ...
    @property
    def gflops(self) -> float:
        ...
    @property
    def kernel(self) -> str:
        ...
    @property
    def seconds(self) -> float:
        ...
    @property
    def shapes(self) -> str:
        ...
class Profile:
    """
    The calls of a step with their times; print it for a table.
    """
    def __getitem__(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> CallTiming:
        ...
    def __iter__(self) -> collections.abc.Iterator[CallTiming]:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        """
        One line a kernel: time, share of the step, GFLOP/s and percent of the most this machine
        does, GB/s and percent of the speed of copying.
        """
    @property
    def threads(self) -> int:
        ...
class Program:
    """
    The kernel calls of one step, recorded and replayed.
    """
    def __init__(self, device: str = 'cpu') -> None:
        ...
    def begin(self) -> None:
        ...
    def describe(self) -> str:
        """
        One line a kernel: number, | where it waits for the others, 1 where one thread makes it,
        name, shapes.
        """
    def end(self) -> None:
        ...
    def profile(self, rounds: typing.SupportsInt | typing.SupportsIndex = 10) -> Profile:
        """
        Runs the step kernel by kernel and times each. These are real steps: weights move.
        Print what comes back: a table with GFLOP/s, GB/s and percent of this machine's peaks.
        """
    def run(self) -> None:
        ...
    def run_batches(self, feeder: Program | None, inputs: collections.abc.Sequence[tuple[numpy.ndarray, Array]], outputs: collections.abc.Sequence[tuple[numpy.ndarray, Array]], begin: typing.SupportsInt | typing.SupportsIndex, end: typing.SupportsInt | typing.SupportsIndex, seconds: typing.SupportsFloat | typing.SupportsIndex) -> int:
        """
        Runs the step for batches [begin, end). Inputs and outputs are pairs of a NumPy array of
        rows, batch after batch, and the tensor that holds one batch. `feeder`, a program or None,
        runs between the copy of the inputs and the step.
        """
    def run_on(self, slot: Array, values: typing.Any, output: Array) -> typing.Any:
        """
        Runs the step on an array that is copied into its slot, and returns a copy of the
        output. None, and nothing is run, where the array has not the slot's shape and type.
        """
    @property
    def calls(self) -> int:
        ...
    @property
    def constants(self) -> int:
        ...
    @property
    def fingerprint(self) -> int:
        ...
    @property
    def pool_bytes(self) -> int:
        ...
    @property
    def spoiled(self) -> str:
        ...
    @property
    def threads(self) -> int:
        ...
def available_isas() -> list[str]:
    ...
def copy_bandwidth(threads: typing.SupportsInt | typing.SupportsIndex, bytes: typing.SupportsInt | typing.SupportsIndex) -> float:
    """
    Bytes read and written a second by a copy that touches so many, measured now.
    """
def cuda_description() -> str:
    ...
def current_isa() -> str:
    ...
def is_recording() -> bool:
    ...
def matmul_precision() -> str:
    ...
def max_threads() -> int:
    ...
def multiplies_bfloat16() -> bool:
    """
    Whether products of bfloat16 numbers are faster here than those of float32.
    """
def peak_flops(threads: typing.SupportsInt | typing.SupportsIndex) -> float:
    """
    float32 operations a second of multiply-adds on registers, measured now.
    """
def round_products(value: bool) -> bool:
    """
    Whether the calls that this thread makes from now on round the operands of their products to bfloat16; returns what was set before.
    """
def set_isa(name: str) -> None:
    ...
def set_matmul_precision(name: str) -> None:
    ...
def set_max_threads(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def spoil(reason: str) -> None:
    ...
activations: dict[str, tuple[int, str]]
kernels: dict[str, Kernel]
