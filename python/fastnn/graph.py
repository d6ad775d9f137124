"""The layer calls between the symbolic inputs and outputs of a functional model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import activations, ops
from .layers.base import Layer
from .layers.input import InputLayer
from .layers.pairs import pair
from .ops.promotion import whole_numbers
from .symbolic import KerasTensor, Node, call_symbolically, flatten, map_structure, order_nodes
from .tensor import Tensor, to_tensor


class Graph:
    """The layer calls between symbolic inputs and outputs, in an order that can be computed."""

    def __init__(self, inputs: Any, outputs: Any):
        for t in flatten([inputs, outputs]):
            if not isinstance(t, KerasTensor):
                raise ValueError(f"a model is made of symbolic tensors (keras.Input ...), got {type(t).__name__}")
        if any(not isinstance(getattr(t.node, "layer", None), InputLayer) for t in flatten(inputs)):
            inputs, outputs = _cut_out(inputs, outputs)
        self.inputs, self.outputs = inputs, outputs
        self.nodes = order_nodes(flatten(inputs), flatten(outputs))
        self.layers = _layers_by_depth(flatten(inputs), flatten(outputs), self.nodes)
        self._only_readers = _only_readers(self.nodes, flatten(outputs))

    def run(self, inputs: Any) -> Any:
        """Computes the outputs for tensors (or symbolic tensors) in the structure of the inputs."""
        values: dict[int, Any] = {}
        paired: set[int] = set()  # nodes that were computed with the one before
        for symbol, value in zip(flatten(self.inputs), _match(self.inputs, inputs)):
            values[id(symbol)] = as_input(symbol, value)
        look_up = lambda t: values[id(t)] if isinstance(t, KerasTensor) else t  # noqa: E731
        for node in self.nodes:
            if id(node) in paired:
                continue
            call, outputs = node.layer, node.outputs
            reader = self._only_readers.get(node)
            if reader is not None and (both := pair(node.layer, reader.layer)):
                call, outputs = both, reader.outputs
                paired.add(id(reader))
            args = map_structure(look_up, node.args)
            kwargs = map_structure(look_up, node.kwargs)
            results = call(*args, **kwargs)
            for symbol, value in zip(flatten(outputs), flatten(results)):
                values[id(symbol)] = value
        return map_structure(look_up, self.outputs)

    def bytes_of_row(self) -> int | None:
        """The most that a layer reads and writes for one row of a batch, of outputs and inputs. None where that
        is not known, or where rows are not by themselves: see `Layer.by_row`.
        """
        most = 0
        for node in self.nodes:
            found = _bytes_of_row(node)
            if found is None:
                return None
            most = max(most, found)
        return most


def _only_readers(nodes: list[Node], outputs: list) -> dict[Node, Node]:
    """By a node with one tensor in and out, the one node that reads what it makes, and nothing else."""
    readers: dict[int, list[Node | None]] = {}
    for node in nodes:
        for t in node.inputs:
            readers.setdefault(id(t), []).append(node)
    for t in outputs:
        readers.setdefault(id(t), []).append(None)
    alone = {id(n) for n in nodes if len(n.args) == 1 and not n.kwargs and isinstance(n.args[0], KerasTensor)}
    found = {}
    for node in nodes:
        made = flatten(node.outputs)
        who = readers.get(id(made[0]), []) if len(made) == 1 else []
        if id(node) in alone and len(who) == 1 and who[0] is not None and id(who[0]) in alone:
            found[node] = who[0]
    return found


def _bytes_of_row(node: Node) -> int | None:
    given = flatten([node.args, node.kwargs])
    # Rows meet in a constant with rows of its own, and in the statistics of a layer called with training=True.
    if any(t is True or isinstance(t, Tensor) for t in given):
        return None
    inner = getattr(node.layer, "_graph", None)
    if isinstance(inner, Graph):
        return inner.bytes_of_row()
    symbols = [t for t in [*given, *flatten(node.outputs)] if isinstance(t, KerasTensor)]
    # The last axis of a tensor of one axis, along which softmax goes, is that of the rows.
    known = all(len(t.shape) > 1 and None not in t.shape[1:] for t in symbols)
    if not known or not _is_by_row(node.layer):
        return None
    return sum(math.prod(t.shape[1:]) * np.dtype(t.dtype).itemsize for t in symbols)


def _is_by_row(layer: Layer) -> bool:
    """Whether the layer is, with its activation: one of `activations`, or a layer again. An operation that is
    passed as one may do anything.
    """
    activation = getattr(layer, "activation", None)
    if isinstance(activation, Layer):
        return layer.by_row and _is_by_row(activation)
    return layer.by_row and getattr(activation, "__module__", activations.__name__) == activations.__name__


def _cut_out(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The part of a graph from tensors inside of it on, with inputs of its own."""
    copies: dict[int, KerasTensor] = {}
    for t in flatten(inputs):
        own = isinstance(getattr(t.node, "layer", None), InputLayer)
        copies[id(t)] = t if own else InputLayer(batch_shape=t.shape, dtype=t.dtype, name=t.name).tensor
    look_up = lambda t: copies[id(t)] if isinstance(t, KerasTensor) else t  # noqa: E731
    for node in order_nodes(flatten(inputs), flatten(outputs)):
        results = map_structure(lambda t: KerasTensor(t.shape, t.dtype, t.name), node.outputs)
        copy = Node(node.layer, map_structure(look_up, node.args), map_structure(look_up, node.kwargs), results)
        for i, (old, new) in enumerate(zip(flatten(node.outputs), flatten(results))):
            new.node, new.index = copy, i
            copies.setdefault(id(old), new)
    return map_structure(look_up, inputs), map_structure(look_up, outputs)


def as_input(symbol: KerasTensor, value: Any, sizes: bool = True) -> Any:
    """`value` with the type of a model's input, and its rank where an axis of length 1 is the difference.

    Raises ValueError, naming the input, for another rank or, with `sizes`, other sizes.
    """
    if value is None:
        raise ValueError(f"input {symbol.name!r} is None, expected a tensor {symbol.shape}")
    if not hasattr(value, "shape"):
        given = f"a dict with {sorted(value)}" if isinstance(value, dict) else f"{len(value)} tensors"
        raise ValueError(f"input {symbol.name!r} is one tensor {symbol.shape}, got {given}")
    shape = tuple(value.shape)
    if len(shape) == len(symbol.shape) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    elif len(shape) + 1 == len(symbol.shape) and symbol.shape[-1] == 1:
        shape = (*shape, 1)
    if len(shape) != len(symbol.shape) or (sizes and not fits(shape, symbol.shape)):
        raise ValueError(f"input {symbol.name!r} has shape {symbol.shape}, got {tuple(value.shape)}")
    if isinstance(value, KerasTensor):
        return value if shape == value.shape else call_symbolically("reshape", value, _sizes(shape))
    y = value if shape == value.shape else ops.reshape(value, shape)
    y = whole_numbers(y) if symbol.dtype == "int32" else to_tensor(y, symbol.dtype)
    if y is not value and hasattr(value, "_keras_mask"):
        y.__dict__["_keras_mask"] = value._keras_mask
    return y


def _sizes(shape: tuple) -> list[int]:
    if sum(n is None for n in shape) > 1:
        raise ValueError(f"a symbolic input of shape {shape} cannot change its rank")
    return [-1 if n is None else n for n in shape]


def _match(wanted: Any, given: Any) -> list:
    """The leaves of `given` in the order of `wanted`: a dict by its keys, or by the inputs' names
    where the model has a list of them.
    """
    if isinstance(given, dict) or isinstance(wanted, dict):
        if not isinstance(given, dict):
            raise ValueError(f"the model's inputs are a dict with {sorted(wanted)}, got {type(given).__name__}")
        names = sorted(wanted) if isinstance(wanted, dict) else [t.name for t in flatten(wanted)]
        missing = [n for n in names if n not in given]
        if missing:
            raise ValueError(f"inputs {missing} are missing, got {sorted(given)}")
        return [leaf for n in names for leaf in flatten(given[n])]
    leaves = flatten(given)
    if len(leaves) != len(flatten(wanted)):
        raise ValueError(f"the model has {len(flatten(wanted))} inputs, got {len(leaves)}")
    return leaves


def _layers_by_depth(inputs: list, outputs: list, nodes: list[Node]) -> list[Layer]:
    # Keras' order, on which the order of weights depends: by distance from the outputs, then by
    # first visit on the way back from them.
    index: dict[int, int] = {}
    order: list[Node] = []
    finished: set[int] = set()
    stops = {id(t) for t in inputs}
    stack: list[tuple[Any, bool]] = [(t.node, False) for t in reversed(outputs)]
    while stack:
        node, ready = stack.pop()
        if id(node) in finished:
            continue
        index.setdefault(id(node.layer), len(index))
        if ready or all(id(t) in stops for t in flatten(node.outputs)):
            finished.add(id(node))
            order.append(node)
            continue
        stack.append((node, True))
        stack.extend((t.node, False) for t in reversed(node.inputs) if id(t.node) not in finished)
    depth_of_node: dict[int, int] = {}
    depth_of_layer: dict[int, int] = {}
    layers: dict[int, Layer] = {}
    for node in reversed(order):
        key = id(node.layer)
        layers[key] = node.layer
        depth = max(depth_of_node.get(id(node), 0), depth_of_layer.get(key, 0))
        depth_of_node[id(node)] = depth_of_layer[key] = depth
        if all(id(t) in stops for t in flatten(node.outputs)):
            continue
        for t in node.inputs:
            depth_of_node[id(t.node)] = max(depth + 1, depth_of_node.get(id(t.node), 0))
    for t in inputs:  # an input that no output needs
        layers.setdefault(id(t.node.layer), t.node.layer)
        depth_of_layer.setdefault(id(t.node.layer), 0)
        index.setdefault(id(t.node.layer), -1)
    return [layers[k] for k in sorted(layers, key=lambda k: (-depth_of_layer[k], index[k]))]


def fits(shape: tuple, wanted: tuple) -> bool:
    """Whether the sizes behind the batch axis are the wanted ones, None being any."""
    return len(shape) == len(wanted) and all(n is None or m is None or n == m for n, m in zip(shape[1:], wanted[1:]))
