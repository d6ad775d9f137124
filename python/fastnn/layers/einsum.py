"""A dense layer over any axes, which an equation names."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .. import activations, constraints, initializers, ops, regularizers
from .base import LAYERS, InputSpec, Layer
from .dense import known_size

# "ab,bc->ac", with "..." before or behind the letters of x and y.
_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class _Shapes(NamedTuple):
    kernel: tuple
    bias: tuple | None
    output: tuple
    input_axes: list  # of the kernel
    output_axes: list


@LAYERS.register()
class EinsumDense(Layer):
    """y = activation(einsum(equation, x, W) + b).

    Equations: "ab,bc->ac", with "..." before, or behind, the letters of x and of y for axes that stay as
    they are. A letter of W has its size from y or from x: "abc,cde->abde" takes x (batch, time, in) to
    (batch, time, *heads, size*).

    Args:
      output_shape: sizes of y without the batch axis and without the axes of "..."; None where x says it.
      bias_axes: letters of y along which b differs; no b unless given.

    Raises ValueError for an equation of another form, letters that come from nowhere and sizes that
    contradict each other.
    """

    casts_integers = True

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.equation = equation
        self.output_shape = (output_shape,) if output_shape is None or isinstance(output_shape, int) else output_shape
        self.output_shape = tuple(self.output_shape)
        self.bias_axes = bias_axes or None
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: tuple) -> None:
        shapes = self._shapes(input_shape)
        for n in (*shapes.kernel, *(shapes.bias or ())):
            known_size(n, "every axis that the kernel or bias has", self)
        self.kernel = self.add_weight(
            shapes.kernel, initializers.for_axes(self.kernel_initializer, shapes.input_axes, shapes.output_axes),
            name="kernel", regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if shapes.bias is not None:
            self.bias = self.add_weight(
                shapes.bias, self.bias_initializer, name="bias",
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=len(input_shape))
        self.built = True

    def call(self, inputs: Any) -> Any:
        y = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(y if self.bias is None else ops.add(y, self.bias))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self._shapes(input_shape).output

    def _shapes(self, input_shape: tuple) -> _Shapes:
        found = _EQUATION.fullmatch(str(self.equation).replace(" ", ""))
        parts = [part or "" for part in found.groups()] if found is not None else [""] * 7
        before, x, behind, w, y_before, y, y_behind = parts
        if not w or (before, behind) != (y_before, y_behind) or (before and behind):
            raise self._wrong("has the form 'ab,bc->ac', with '...' before or behind the letters of both x and y")
        rest = len(input_shape) - len(x)
        if rest < 0 or (rest and not (before or behind)):
            raise self._wrong(f"does not fit an input of shape {tuple(input_shape)}")
        start = rest if before else 0
        sizes_in = dict(zip(x, input_shape[start:]))
        held = input_shape[:rest] if before else input_shape[len(x) :]
        # The batch axis is not in output_shape; it is the first letter unless "..." has it.
        given = self.output_shape if before and rest else (input_shape[0], *self.output_shape)
        if len(given) != len(y):
            raise self._wrong(f"gives y {len(y)} named axes, output_shape={self.output_shape} has another number")
        sizes_out = {}
        for letter, n in zip(y, given):
            known = sizes_in.get(letter)
            if letter not in x and letter not in w:
                raise self._wrong(f"has {letter!r} in y, but neither in x nor in W")
            if letter in x and None not in (n, known) and n != known:
                raise self._wrong(f"gives {letter!r} the size {known} in x and {n} in y")
            sizes_out[letter] = known if n is None else n
        for letter in w:
            if letter not in x and letter not in y:
                raise self._wrong(f"has {letter!r} in W, but neither in x nor in y")
        sizes = {**sizes_in, **sizes_out}
        named = tuple(sizes_out[c] for c in y)
        return _Shapes(
            kernel=tuple(sizes[c] for c in w),
            bias=self._bias_shape(y, sizes_out, 0 if before else rest),
            output=(*held, *named) if before else (*named, *held),
            input_axes=[i for i, c in enumerate(w) if c not in y],
            output_axes=[i for i, c in enumerate(w) if c in y],
        )

    def _bias_shape(self, y: str, sizes: dict, behind: int) -> tuple | None:
        """Sizes from the first letter of the bias on, 1 along what it does not differ in."""
        if self.bias_axes is None:
            return None
        for letter in self.bias_axes:
            if letter not in y:
                raise self._wrong(f"has no {letter!r} in y, which bias_axes={self.bias_axes!r} names")
        first = min(map(y.index, self.bias_axes))
        return (*(sizes[c] if c in self.bias_axes else 1 for c in y[first:]), *(1,) * behind)

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"layer {self.name!r}: equation {self.equation!r} {what}")
