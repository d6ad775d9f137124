"""InputSpec: what a layer accepts, and the error that says so."""

from __future__ import annotations

from typing import Any


class InputSpec:
    """What a layer accepts: a shape (None where open), or rank and sizes of some axes."""

    def __init__(
        self,
        dtype: Any = None,
        shape: tuple | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ):
        self.dtype, self.shape = dtype, None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {**dict(enumerate(shape or ())), **(axes or {})}

    def check(self, layer: Any, shape: tuple) -> None:
        """Raises ValueError naming the layer, what it got and what it expects."""
        problem = None
        if self.ndim is not None and len(shape) != self.ndim:
            problem = f"{self.ndim} dimensions"
        elif self.min_ndim is not None and len(shape) < self.min_ndim:
            problem = f"at least {self.min_ndim} dimensions"
        elif self.max_ndim is not None and len(shape) > self.max_ndim:
            problem = f"at most {self.max_ndim} dimensions"
        else:
            for axis, size in self.axes.items():
                if size is not None and shape[axis] is not None and shape[axis] != size:
                    problem = f"size {size} on axis {axis}"
        if problem:
            raise ValueError(f"layer {layer.name!r} expects an input with {problem}, got shape {tuple(shape)}")
