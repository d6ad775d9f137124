"""Models to configuration and back, in Keras' layout: a Sequential is its list of layers, a
functional model its layers with the symbolic calls that connect them.
"""

from __future__ import annotations

import inspect
from typing import Any

from ..serialization import deserialize_object, serialize_object
from ..symbolic import KerasTensor, Node, flatten, map_structure

_FUNCTIONAL_KEYS = ("name", "trainable", "layers", "input_layers", "output_layers")


def model_config(model: Any) -> dict:
    """Plain data from which `model_from_config` makes the same architecture."""
    from ..models import Model, Sequential

    if isinstance(model, Sequential):
        layers = [serialize_object(layer) for layer in model.layers]
        config: dict = {"name": model.name, "trainable": model.trainable, "layers": layers}
        if model._input is not None:
            assert model._input.node is not None  # that of its InputLayer
            layers.insert(0, serialize_object(model._input.node.layer))
            config["build_input_shape"] = list(model._input.shape)
        return config
    if model._graph is not None and _takes_graphs(type(model)):
        return _functional_config(model)
    return super(Model, model).get_config()  # a subclass: its constructor's arguments


def _takes_graphs(cls: type) -> bool:
    """Whether the constructor is called like Model's: (inputs, outputs, ...) or (*args, **kwargs)."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    kinds = {p.kind for p in parameters}
    return [p.name for p in parameters[:2]] == ["inputs", "outputs"] or (
        inspect.Parameter.VAR_POSITIONAL in kinds and inspect.Parameter.VAR_KEYWORD in kinds
    )


def _functional_config(model: Any) -> dict:
    graph = model._graph
    nodes_of: dict[int, list[Node]] = {}
    for node in graph.nodes:
        nodes_of.setdefault(id(node.layer), []).append(node)
    place: dict[int, list] = {}  # symbolic tensor -> [layer, node, tensor]
    for layer in graph.layers:
        for n, node in enumerate(nodes_of.get(id(layer), [])):
            for t, tensor in enumerate(flatten(node.outputs)):
                place[id(tensor)] = [layer.name, n, t]
    for tensor in flatten(graph.inputs):
        place[id(tensor)] = [tensor.node.layer.name, 0, 0]

    def encode(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place[id(value)]}
            return {"class_name": "__keras_tensor__", "config": config}
        return serialize_object(value)

    layers = []
    for layer in graph.layers:
        data = serialize_object(layer)
        data["name"] = layer.name
        data["inbound_nodes"] = [
            {"args": _encode(list(node.args), encode), "kwargs": _encode(node.kwargs, encode)}
            for node in nodes_of.get(id(layer), [])
            if node.inputs
        ]
        layers.append(data)
    where = lambda structure: map_structure(lambda t: place[id(t)], structure)  # noqa: E731
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": where(graph.inputs),
        "output_layers": where(graph.outputs),
    }


def _encode(structure: Any, encode: Any) -> Any:
    if isinstance(structure, (list, tuple)):
        return [_encode(v, encode) for v in structure]
    if isinstance(structure, dict):
        return {k: _encode(v, encode) for k, v in structure.items()}
    return encode(structure)


def model_from_config(cls: type, config: dict, custom_objects: dict | None = None) -> Any:
    """The reverse of `model_config`."""
    from ..models import Sequential

    if issubclass(cls, Sequential) and "layers" in config:
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        for data in config["layers"]:
            model.add(deserialize_object(data, custom_objects), rebuild=False)
        model._maybe_rebuild()
        shape = config.get("build_input_shape")
        if not model.built and shape:
            model.build(tuple(shape))
        return model
    if "input_layers" in config and _takes_graphs(cls):
        return _functional_from_config(cls, config, custom_objects)
    return cls(**{k: deserialize_object(v, custom_objects) for k, v in config.items()})


def _functional_from_config(cls: type, config: dict, custom_objects: dict | None) -> Any:
    from ..layers.input import InputLayer

    layers: dict[str, Any] = {}
    made: dict[tuple, KerasTensor] = {}
    waiting: list[tuple[Any, int, dict]] = []
    for data in config["layers"]:
        data = dict(data)
        nodes, name = data.pop("inbound_nodes"), data.pop("name")
        layer = deserialize_object(data, custom_objects)
        layers[name] = layer
        if isinstance(layer, InputLayer):
            made[name, 0, 0] = layer.tensor
        waiting += [(layer, n, node) for n, node in enumerate(nodes)]

    def decode(value: Any) -> Any:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            name, node, index = value["config"]["keras_history"]
            return made[name, node, index]
        if isinstance(value, list):
            return [decode(v) for v in value]
        if isinstance(value, dict) and "class_name" not in value:
            return {k: decode(v) for k, v in value.items()}
        return deserialize_object(value, custom_objects)

    while waiting:
        left = []
        for layer, n, node in waiting:
            try:
                args, kwargs = decode(node["args"]), decode(node["kwargs"])
            except KeyError:  # an input that is not made yet
                left.append((layer, n, node))
                continue
            for t, tensor in enumerate(flatten(layer(*args, **kwargs))):
                made[layer.name, n, t] = tensor
        if len(left) == len(waiting):
            raise ValueError("the model's configuration refers to tensors that no layer makes")
        waiting = left

    def find(where: Any) -> Any:
        if isinstance(where, dict):
            return {k: find(v) for k, v in where.items()}
        if not isinstance(where, (list, tuple)):
            raise ValueError(f"the model's configuration names {where!r} as an input or output")
        if len(where) == 3 and isinstance(where[0], str):
            return made[where[0], where[1], where[2]]
        return [find(v) for v in where]

    own = {k: deserialize_object(v, custom_objects) for k, v in config.items() if k not in _FUNCTIONAL_KEYS}
    inputs, outputs = find(config["input_layers"]), find(config["output_layers"])
    model = cls(inputs, outputs, name=config.get("name"), **own)
    model._trainable = bool(config.get("trainable", True))  # of itself: its layers have said so of themselves
    return model
