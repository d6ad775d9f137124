"""Batches that somebody else hands over one by one: generators, iterators, datasets, PyDataset."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .data import as_array, check_rows, unpack_x_y_sample_weight
from .symbolic import map_structure
from .tensor import Tensor


def is_stream(x: Any) -> bool:
    """True for generators, iterators and datasets: whatever hands over batches by itself."""
    if isinstance(x, (np.ndarray, Tensor, list, tuple, dict, set, str, bytes)) or hasattr(x, "to_numpy"):
        return False
    return (
        isinstance(x, PyDataset)
        or hasattr(x, "__next__")
        or hasattr(x, "__iter__")
        or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
    )


class PyDataset:
    """Base of data that is handed over batch by batch: define `__getitem__(i)`, which returns batch i
    as x, (x, y) or (x, y, sample_weight), and `__len__` or, for data without end, `num_batches`.

    `workers`, `use_multiprocessing` and `max_queue_size` are accepted for compatibility: batches are
    fetched by the thread that trains.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch; None where there is no end."""
        if type(self).__len__ is PyDataset.__len__:
            raise NotImplementedError(f"{type(self).__name__} must define __len__() or num_batches")
        return len(self)

    def __len__(self) -> int:
        count = self.num_batches
        if count is None:
            raise TypeError(f"{type(self).__name__} has no end; pass steps_per_epoch")
        return count

    def on_epoch_begin(self) -> None:
        """Before every epoch."""

    def on_epoch_end(self) -> None:
        """After every epoch."""


class Stream:
    """Batches from a generator, an iterator, a PyDataset-like sequence or any iterable."""

    def __init__(self, source: Any, steps: int | None = None):
        self.source = source
        self.length = steps
        if steps is None and hasattr(source, "__len__"):
            self.length = source.num_batches if isinstance(source, PyDataset) else len(source)
        self._iterator: Iterator | None = None

    def _start(self) -> Iterator:
        source = self.source
        if hasattr(source, "__next__"):
            return source
        if isinstance(source, PyDataset):
            end = source.num_batches
            return (source[i] for i in (itertools.count() if end is None else range(end)))
        if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not hasattr(source, "as_numpy_iterator"):
            return (source[i] for i in range(len(source)))
        if hasattr(source, "as_numpy_iterator"):
            return iter(source.as_numpy_iterator())
        return iter(source)

    def batches(self, steps: int | None) -> Iterator[Any]:
        """The next `steps` batches, or all that one pass gives, in the form they were handed over."""
        limit = steps if steps is not None else self.length
        if self._iterator is None:
            self._iterator = self._start()
        count = 0
        while limit is None or count < limit:
            try:
                batch = next(self._iterator)
            except StopIteration:
                self._iterator = None
                if steps is None or (count == 0 and hasattr(self.source, "__next__")):
                    return
                self._iterator = self._start()
                if hasattr(self.source, "__next__"):
                    return
                continue
            count += 1
            yield _host_batch(batch)
        if steps is None:
            self._iterator = None

    def begin_epoch(self) -> None:
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()

    def end_epoch(self) -> None:
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()


def _host_batch(batch: Any) -> Any:
    """A batch that was handed over, as arrays of supported types in the form it came in."""
    if isinstance(batch, list):
        batch = tuple(batch)
    parts = unpack_x_y_sample_weight(batch)
    if parts[0] is None:
        raise ValueError("the data handed over a batch that is None, expected x, (x, y) or (x, y, sample_weight)")

    def convert(part: Any, what: str) -> Any:
        return map_structure(lambda v: None if v is None else as_array(v, what), part)

    arrays = tuple(convert(part, what) for part, what in zip(parts, ("x", "y", "sample_weight")))
    check_rows(arrays)
    return arrays[: len(batch)] if isinstance(batch, tuple) else arrays[0]


def grouped(batches: Iterator, size: int) -> Iterator[list]:
    """The batches that callbacks see as one. While one waits for the others, whoever hands them over
    may fill the same arrays again, so it is copied.
    """
    if size > 1:
        batches = (map_structure(lambda a: None if a is None else a.copy(), batch) for batch in batches)
    while group := list(itertools.islice(batches, size)):
        yield group


def warn_of_too_little_data(what: str) -> None:
    warnings.warn(
        f"the data ran out before the last step, and {what} ends there. Arrays and generators need as many "
        "batches as steps, in fit steps_per_epoch * epochs; arrays need no steps at all",
        stacklevel=4,
    )
