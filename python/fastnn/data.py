"""What `fit`, `evaluate` and `predict` accept as arrays: rows that C++ gathers by index, batch by
batch, into the slots that a recorded step reads. Batches that others hand over are in `streams.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core, config, kernels
from .random import numpy_generator
from .symbolic import flatten, map_structure
from .tensor import Tensor, empty, from_numpy, host_array


def as_array(value: Any, what: str) -> np.ndarray:
    """Anything with rows as a NumPy array of a supported type; floats become floatx."""
    if isinstance(value, Tensor):
        value = value.numpy()
    elif hasattr(value, "to_numpy"):  # pandas
        _check_columns(value, what)
        value = value.to_numpy()
    array = value if isinstance(value, np.ndarray) else _numpy(value)
    if array.dtype == object and array.ndim == 0:
        raise TypeError(f"{what} is {_kind_of(array.item())}, expected an array with one row per sample")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} holds {array.dtype}, expected numbers; convert text and ragged lists first")
    if array.ndim == 0:
        raise ValueError(f"{what} is a single value, expected an array with one row per sample")
    return host_array(array, config.floatx() if array.dtype.kind == "f" else None)


def _numpy(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError("a ragged list, whose rows differ in length, is no array: pad the rows first") from None


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _check_columns(frame: Any, what: str) -> None:
    """Names the columns of a DataFrame that hold no numbers."""
    if getattr(frame, "ndim", 0) == 2:
        kinds = {
            name: str(kind) for name, kind in dict(frame.dtypes).items() if getattr(kind, "kind", "f") not in "fiub"
        }
        if kinds:
            raise TypeError(f"{what} holds columns without numbers, {kinds}; convert or drop them first")


def whole_number(name: str, value: Any, least: int) -> Any:
    """`value` as an int; None stays None. Raises TypeError for another kind, ValueError for a smaller
    number.
    """
    if value is None:
        return None
    wrong = f"{name} is an integer, at least {least}; got {value!r}"
    if not hasattr(value, "__index__"):
        raise TypeError(wrong)
    number = value.__index__()
    if number < least:
        raise ValueError(wrong)
    return number


def batch_size_or_default(value: Any) -> int:
    """`batch_size` as an int; 32 for None."""
    return 32 if value is None else whole_number("batch_size", value, 1)


def where_not_finite(structure: Any) -> str:
    """Which of x, y and sample weights hold NaN or infinities, for the text of an error."""
    for what, part in zip(("x", "y", "sample_weight"), structure):
        for array in flatten(part):
            if array is not None and array.dtype.kind == "f":
                bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
                if bad.size:
                    return f"{what} holds NaN or infinities in {bad.size} of {len(array)} rows, first in row {bad[0]}"
    return ""


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """x, y and sample weights, None for what is not there, of the `data` that `train_step` gets: x,
    (x,), (x, y) or (x, y, sample_weight).
    """
    if not isinstance(data, (list, tuple)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"a batch is x, (x, y) or (x, y, sample_weight), got {len(data)} parts")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What `train_step` gets: (x, y, sample_weight) without what is None, and x alone unless it is a
    list.
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def class_weights_of(y: np.ndarray, class_weight: dict) -> np.ndarray:
    """One weight per sample from a dict class -> weight; y holds classes or one-hot rows."""
    wrong = ValueError(f"class_weight is a dict from classes 0, 1, ... to numbers, got {class_weight!r}")
    try:
        given = {k.__index__(): float(w) for k, w in class_weight.items()}
    except (AttributeError, TypeError, ValueError):
        raise wrong from None
    if min(given) < 0:
        raise wrong
    if y.ndim > 2 or (y.ndim == 2 and y.shape[-1] == 0):
        raise ValueError(f"class_weight needs classes or one-hot rows, y has shape {y.shape}")
    classes = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y)).astype(np.int64)
    if classes.size and int(classes.min()) < 0:
        raise ValueError(f"class_weight needs classes from 0 on, y holds {classes.min()}")
    size = max([int(classes.max(initial=0)), *given]) + 1
    table = np.ones(size, config.floatx())
    for key, weight in given.items():
        table[key] = weight
    return table[classes]


def check_rows(structure: tuple) -> int:
    """How many rows x, y and sample weights have. Raises ValueError where they differ."""
    rows = {len(a) for a in flatten(structure) if a is not None}
    if len(rows) != 1:
        shapes = {k: map_structure(lambda a: None if a is None else a.shape, v)
                  for k, v in zip(("x", "y", "sample_weight"), structure) if v is not None}  # fmt: skip
        raise ValueError(f"x, y and sample_weight must have the same number of rows, got shapes {shapes}")
    return rows.pop()


class Arrays:
    """x, y and sample weights with one row per sample."""

    _tensors: Any = None  # made when first asked for

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: dict | None = None):
        x = map_structure(lambda v: as_array(v, "x"), _listify(x))
        y = None if y is None else map_structure(lambda v: as_array(v, "y"), _listify(y))
        if class_weight:
            if y is None or not isinstance(y, np.ndarray):
                raise ValueError("class_weight needs targets of a single output")
            if sample_weight is not None:
                raise ValueError("class_weight and sample_weight cannot be given together: multiply them yourself")
            sample_weight = class_weights_of(y, class_weight)
        if sample_weight is not None:
            sample_weight = map_structure(
                lambda v: None if v is None else as_array(v, "sample_weight").astype(config.floatx()),
                _listify(sample_weight),
            )
        self.structure = (x, y, sample_weight)
        self.rows = check_rows(self.structure)

    def steps(self, batch: int) -> int:
        return -(-self.rows // batch)

    def order(self, shuffle: bool) -> np.ndarray:
        """The row numbers of one epoch."""
        if shuffle:
            return numpy_generator().permutation(self.rows).astype(np.int32)
        return np.arange(self.rows, dtype=np.int32)

    def batch(self, begin: int, end: int) -> Any:
        """Rows [begin, end) as `train_step` gets them."""
        return map_structure(lambda a: None if a is None else a[begin:end], pack_x_y_sample_weight(*self.structure))

    # No cached_property: up to Python 3.11 it has a lock, and a process forked while another thread holds that
    # would wait for it forever.
    @property
    def tensors(self) -> Any:
        """All rows, on the device, in the structure of `batch`; without a copy where the layout fits."""
        if self._tensors is None:
            packed = pack_x_y_sample_weight(*self.structure)
            self._tensors = map_structure(lambda a: None if a is None else _resident(a), packed)
        return self._tensors

    def part(self, begin: int, end: int) -> Arrays:
        """Rows [begin, end)."""
        other = object.__new__(Arrays)
        other.structure = map_structure(lambda a: None if a is None else a[begin:end], self.structure)
        other.rows = end - begin
        return other


class Slots:
    """Tensors of fixed place that batches are copied into: what a recorded step reads."""

    def __init__(self, structure: Any):
        self.structure = map_structure(
            lambda a: None if a is None else empty(a.shape, a.dtype.name, config.device()), structure
        )

    def fill(self, structure: Any) -> None:
        for slot, array in zip(flatten(self.structure), flatten(structure)):
            if slot is not None:
                slot.assign_numpy(np.ascontiguousarray(array))


class Feeder:
    """Brings the rows of arrays that `index` names into slots: a program, run before every step."""

    def __init__(self, source: Arrays, slots: Slots, first_rows: np.ndarray):
        self.slots = slots
        self.index = Tensor(first_rows)
        self.program = _core.Program(config.device())
        self.program.begin()
        try:
            for data, slot in zip(flatten(source.tensors), flatten(slots.structure)):
                if slot is not None:
                    kernels.gather_rows(data, self.index, slot)
        finally:
            self.program.end()

    def bring(self, rows: np.ndarray) -> None:
        self.index.assign_numpy(rows)
        self.program.run()


class Passes:
    """Batches of arrays, pass after pass, each in its own order.

    An epoch is a pass, or `limit` batches; in that case the next epoch goes on where this one
    stopped, and none goes over the end of a pass (as in Keras).
    """

    def __init__(self, source: Arrays, batch: int, shuffle: bool, limit: int | None = None):
        self.source, self.batch, self.shuffle, self.limit = source, batch, shuffle, limit
        self.length = source.steps(batch)  # batches in a pass
        self.steps = limit or self.length
        self._feeders: dict[int, Feeder] = {}  # by batch size
        self._order = np.zeros(0, np.int32)
        self._seen = self.length  # batches of this pass; it begins with the first epoch

    def begin_epoch(self, anew: bool = False) -> None:
        if anew or self.limit is None or not self.left:
            self._order, self._seen = self.source.order(self.shuffle), 0

    @property
    def left(self) -> int:
        """Batches that this pass still has."""
        return self.length - self._seen

    @property
    def next_size(self) -> int:
        """Rows of the next batch: fewer than others in the last of a pass."""
        return min(self.batch, self.source.rows - self._seen * self.batch)

    def next_rows(self, batches: int) -> np.ndarray:
        """The row numbers of the next batches, as many of one size as there are."""
        begin, size = self._seen * self.batch, self.next_size
        if size < self.batch:
            return self._order[begin:]
        return self._order[begin : begin + min(batches, (self.source.rows - begin) // size) * size]

    def next_batch(self) -> Any:
        """Arrays of the shapes and types of the next batch."""
        return self.source.batch(0, self.next_size)

    def feeder(self, slots: Slots) -> Feeder:
        """What brings the next batches into `slots`."""
        size = self.next_size
        if size not in self._feeders or self._feeders[size].slots is not slots:
            self._feeders[size] = Feeder(self.source, slots, self.next_rows(1))
        return self._feeders[size]

    def advance(self, batches: int) -> None:
        self._seen += batches


def _resident(array: np.ndarray) -> Tensor:
    if config.device() == "cpu":
        return from_numpy(np.ascontiguousarray(array))
    return Tensor(array)


def _listify(value: Any) -> Any:
    # A list of numbers or of rows is one array; a list of arrays is several inputs.
    if isinstance(value, (list, tuple)):
        if value and all(hasattr(v, "shape") or isinstance(v, (list, tuple, dict)) for v in value):
            arrays = [v for v in value if getattr(v, "ndim", 0) > 0 or isinstance(v, Tensor)]
            if len(arrays) == len(value):
                return list(value)
        return _numpy(value)
    return value
