"""A model of the same architecture with fresh weights, perhaps with other layers in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .layers.input import InputLayer
from .layers.op import Operation
from .models import Model, Sequential
from .symbolic import KerasTensor, flatten, map_structure


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
) -> Model:
    """A model of the same architecture with fresh weights; compiled in the same way, if at all.

    Args:
      input_tensors: symbolic tensors to start from, in the structure of `model.input`.
      clone_function: layer -> the layer that stands for it; a copy unless given.
      call_function: (layer, *args, **kwargs) -> outputs, instead of `layer(*args, **kwargs)`; for a
        functional model.
      recursive: apply both functions inside of nested models, too.

    Raises ValueError for arguments that the kind of model has no use for.
    """
    new: Model
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("clone_model: call_function is for functional models, got a Sequential")
        new = _clone_chain(model, input_tensors, clone_function, recursive)
    elif model._graph is not None:
        new = _clone_graph(model, input_tensors, clone_function, call_function, recursive)
    else:
        if input_tensors is not None or clone_function is not None or call_function is not None:
            raise ValueError("clone_model: a subclassed model can only be copied as a whole")
        new = type(model).from_config(model.get_config())
    compiled = model.get_compile_config()
    if compiled is not None:
        new.compile_from_config(compiled)
    return new


def _copy(layer: Any, clone_function: Callable | None, call_function: Callable | None, recursive: bool) -> Any:
    if recursive and isinstance(layer, Model) and (isinstance(layer, Sequential) or layer._graph is not None):
        inner = None if isinstance(layer, Sequential) else call_function
        return clone_model(layer, None, clone_function, inner, recursive=True)
    if clone_function is None or isinstance(layer, Operation):
        return type(layer).from_config(layer.get_config())
    return clone_function(layer)


def _input_layer(t: KerasTensor) -> Any:
    assert t.node is not None  # a graph begins at InputLayers
    return t.node.layer


def _start(model: Model, input_tensors: Any) -> list[KerasTensor]:
    """A symbolic input for each input of the model."""
    given = flatten(input_tensors)
    if len(given) != len(model.inputs) or (isinstance(input_tensors, dict) != isinstance(model.input, dict)):
        raise ValueError(f"clone_model: input_tensors must have the structure of model.input, {model.input}")
    for t in given:
        if not isinstance(t, KerasTensor):
            raise ValueError(f"clone_model: input_tensors are symbolic (keras.Input ...), got {type(t).__name__}")
    return given


def _clone_chain(model: Sequential, input_tensors: Any, clone_function: Any, recursive: bool) -> Sequential:
    new = Sequential(name=model.name, trainable=model.trainable)
    if input_tensors is not None:
        start = flatten(input_tensors)
        if len(start) != 1 or not isinstance(start[0], KerasTensor):
            raise ValueError("clone_model: a Sequential starts from one symbolic tensor")
        new.add(InputLayer(batch_shape=start[0].shape, dtype=start[0].dtype, name=start[0].name))
    elif model._input is not None:
        new.add(_copy(_input_layer(model._input), None, None, False))
    for layer in model.layers:
        new.add(_copy(layer, clone_function, None, recursive), rebuild=False)
    new._maybe_rebuild()
    return new


def _clone_graph(model: Model, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool) -> Model:
    graph = model._need_graph()
    if input_tensors is None:
        start = [_copy(_input_layer(t), None, None, False).tensor for t in model.inputs]
    else:
        start = _start(model, input_tensors)
    made = {id(t): s for t, s in zip(model.inputs, start)}
    copies: dict[int, Any] = {}
    look_up = lambda t: made[id(t)] if isinstance(t, KerasTensor) else t  # noqa: E731
    for node in graph.nodes:
        layer = node.layer
        if id(layer) not in copies:
            copies[id(layer)] = _copy(layer, clone_function, call_function, recursive)
        args, kwargs = map_structure(look_up, node.args), map_structure(look_up, node.kwargs)
        copy = copies[id(layer)]
        if call_function is None or isinstance(layer, Operation):
            outputs = copy(*args, **kwargs)
        else:
            outputs = call_function(copy, *args, **kwargs)
        made.update({id(t): o for t, o in zip(flatten(node.outputs), flatten(outputs))})
    order = iter(start)
    inputs = map_structure(lambda _: next(order), graph.inputs)
    return Model(inputs, map_structure(look_up, graph.outputs), name=model.name, trainable=model.trainable)
