"""Symbolic tensors of the functional API, and small tools over nested structures.

A KerasTensor is a shape and a type with a history: the Node of the layer call that makes it. A
model is what lies between its inputs and its outputs. Ops and Python's operators on KerasTensors are
layer calls too, see `layers/op.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .explain import clear
from .variables import unique_name


def flatten(structure: Any) -> list:
    """The leaves of nested lists, tuples and dicts, dicts in sorted order of keys."""
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flatten(item)]
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    return [structure]


def alike(structure: Any, items: Any) -> Any:
    """A list or tuple of the same kind with other items; a named tuple takes them one by one."""
    return type(structure)(*items) if hasattr(structure, "_fields") else type(structure)(items)


def map_structure(function: Callable, structure: Any) -> Any:
    """The same structure with function(leaf) for every leaf, called in the order of `flatten`."""
    if isinstance(structure, (list, tuple)):
        return alike(structure, [map_structure(function, item) for item in structure])
    if isinstance(structure, dict):
        made = {key: map_structure(function, structure[key]) for key in sorted(structure)}
        return {key: made[key] for key in structure}
    return function(structure)


def any_symbolic(structure: Any) -> bool:
    if isinstance(structure, KerasTensor):
        return True
    if isinstance(structure, (list, tuple)):
        return any(any_symbolic(item) for item in structure)
    if isinstance(structure, dict):
        return any(any_symbolic(item) for item in structure.values())
    return False


class Node:
    """One call of a layer on symbolic tensors."""

    def __init__(self, layer: Any, args: tuple, kwargs: dict, outputs: Any):
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs

    @property
    def inputs(self) -> list[KerasTensor]:
        return [t for t in flatten([self.args, self.kwargs]) if isinstance(t, KerasTensor)]

    @property
    def inputs_structure(self) -> Any:
        return self.args[0]


class KerasTensor:
    """A tensor that a model will compute: shape (None where open), type, and where it comes from."""

    __array_priority__ = 100

    def __init__(self, shape: tuple, dtype: str = "float32", name: str | None = None):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or unique_name("keras_tensor")
        self.node: Node | None = None
        self.index = 0

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __getitem__(self, key: Any) -> Any:
        from .layers.op import plain_key

        return call_symbolically("get_item", self, plain_key(key))

    def __iter__(self) -> Any:
        raise TypeError("a symbolic tensor cannot be iterated over; use ops.unstack, or index it")

    def __bool__(self) -> bool:
        raise TypeError("a symbolic tensor has no value; write the condition in a layer's call()")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a symbolic tensor has no values; use it as the input of a layer")


_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "matmul": "matmul",
    "pow": "power", "floordiv": "floor_divide", "mod": "mod",
    "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}  # fmt: skip
# == stays identity: symbolic tensors are looked for in lists.
_COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_UNARY = {"neg": "negative", "abs": "absolute", "invert": "logical_not"}

_QUESTIONS = {"shape": lambda x: x.shape, "ndim": lambda x: x.ndim}  # answered without a node

OPERATIONS: dict[str, Callable] = {}  # every op by name: what the file of a model may call


def operation(name: str, function: Callable) -> Callable:
    """`function`, except that a call on symbolic tensors becomes a node of the graph."""
    if name in _QUESTIONS:
        return functools.wraps(function)(lambda x: (_QUESTIONS[name] if isinstance(x, KerasTensor) else function)(x))
    OPERATIONS[name] = function = clear(function, name)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            kind = type(a)
            if kind is KerasTensor or ((kind is list or kind is tuple) and any_symbolic(a)):
                return call_symbolically(name, *args, **kwargs)
        if kwargs and any_symbolic(kwargs):
            return call_symbolically(name, *args, **kwargs)
        return function(*args, **kwargs)

    return call


def call_symbolically(name: str, *args: Any, **kwargs: Any) -> Any:
    """Notes a call of the op `name` in the graph; its symbolic results."""
    from .layers.op import Operation

    return Operation(name)(*args, **kwargs)


def _operator(name: str, reflected: bool = False) -> Callable:
    def method(self: KerasTensor, other: Any) -> Any:
        return call_symbolically(name, other, self) if reflected else call_symbolically(name, self, other)

    return method


for _symbol, _name in _OPERATORS.items():
    setattr(KerasTensor, f"__{_symbol}__", _operator(_name))
    setattr(KerasTensor, f"__r{_symbol}__", _operator(_name, reflected=True))
for _symbol, _name in _COMPARISONS.items():
    setattr(KerasTensor, f"__{_symbol}__", _operator(_name))
for _symbol, _name in _UNARY.items():
    setattr(
        KerasTensor, f"__{_symbol}__", functools.partialmethod(lambda self, name: call_symbolically(name, self), _name)
    )


def record_call(layer: Any, args: tuple, kwargs: dict, outputs: Any) -> Any:
    """Notes the call in the graph and gives its outputs their history."""
    node = Node(layer, args, kwargs, outputs)
    layer._inbound.append(node)
    for i, t in enumerate(flatten(outputs)):
        t.node, t.index = node, i
    return outputs


def order_nodes(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> list[Node]:
    """The nodes between inputs and outputs, each after those it needs.

    Raises ValueError where an output depends on a tensor that is not an input.
    """
    known = {id(t) for t in inputs}
    ordered: list[Node] = []
    done: set[int] = set()
    stack: list[tuple[KerasTensor, bool]] = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        if id(tensor) in known:
            continue
        node = tensor.node
        if node is None or not node.inputs:
            raise ValueError(f"{tensor!r} is needed for the outputs but is not among the inputs")
        if id(node) in done:
            continue
        if ready:
            done.add(id(node))
            ordered.append(node)
            continue
        stack.append((tensor, True))
        stack.extend((t, False) for t in reversed(node.inputs))
    return ordered
