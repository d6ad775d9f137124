"""Sequential: a model that is a chain of layers."""

from __future__ import annotations

from typing import Any

from .graph import Graph, as_input, fits
from .layers.base import LAYERS, Layer
from .layers.input import InputLayer
from .layers.pairs import in_pairs
from .layers.signature import is_shape
from .model import Model
from .symbolic import KerasTensor, Node, flatten


@LAYERS.register()
class Sequential(Model):
    """A chain of layers: `Sequential([Input((4,)), Dense(3), Dense(1)])`, or `add` one by one."""

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        super().__init__(name=name, trainable=trainable)
        self._input: KerasTensor | None = None
        self._chain: list[Node] = []
        for layer in layers or []:
            self.add(layer, rebuild=False)
        self._maybe_rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Appends a layer; an `Input` may only come first."""
        if isinstance(layer, KerasTensor) and layer.node is not None and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise ValueError(f"only layers can be added to a Sequential model, got {type(layer).__name__}")
        if isinstance(layer, InputLayer):
            if self._input is not None or self._sublayers:
                raise ValueError("an Input can only be the first layer of a Sequential model")
            self._input = layer.tensor
            return
        if any(layer.name == other.name for other in self._sublayers):
            raise ValueError(
                f"all layers added to a Sequential model should have unique names, {layer.name!r} is taken"
            )
        if not self._sublayers and self._input is None:
            given = layer._given_input_shape
            if given is None and isinstance(layer, Model) and layer._graph is not None:
                given = flatten(layer._graph.inputs)[0].shape
            if given is not None:
                self._input = InputLayer(batch_shape=given).tensor
        self._sublayers.append(layer)
        self.version += 1
        self.built = False
        self._graph = None
        if rebuild:
            self._maybe_rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes and returns the last layer."""
        if not self._sublayers:
            raise TypeError("there are no layers to pop")
        layer = self._sublayers.pop()
        layer._inbound.clear()
        self.version += 1
        self.built = False
        self._graph = None
        if rebuild:
            self._maybe_rebuild()
        return layer

    def _maybe_rebuild(self) -> None:
        if self._input is not None and self._sublayers:
            self.build(self._input.shape)

    def build(self, input_shape: Any = None) -> None:
        if not self._sublayers:
            raise ValueError(f"Sequential model {self.name!r} cannot be built without layers")
        if self._input is None:
            if input_shape is None:
                raise ValueError("build() needs an input shape")
            if not is_shape(input_shape):  # lists and dicts of tensors are for the first layer to understand
                self.built = True
                return
            self._input = InputLayer(batch_shape=(None, *input_shape[1:])).tensor
        elif input_shape is not None and not fits(tuple(input_shape), self._input.shape):
            raise ValueError(
                f"Sequential model {self.name!r} has inputs of shape {self._input.shape}, build() got {input_shape}"
            )
        # An earlier build's calls are forgotten, so that layer.output means this chain.
        for layer in self._sublayers:
            layer._inbound[:] = [node for node in layer._inbound if node not in self._chain]
        x = self._input
        self._chain = []
        self.built = True
        for layer in self._sublayers:
            try:
                x = layer(x)
            except NotImplementedError:  # a layer that does not know its shapes before it is called
                return
            self._chain.append(layer._inbound[-1])
        self._graph = Graph(self._input, x)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._graph is not None:
            # Its sizes may differ from those it was built with, where the layers allow it.
            inputs = as_input(self._graph.inputs, inputs, sizes=False)
        for call in in_pairs(self._sublayers):
            inputs = call(inputs)
        return inputs
