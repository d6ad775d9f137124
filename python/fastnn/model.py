"""Model: a graph of layers, or a class with its own `call`, that can be trained.

Training is in `training.py`, files in `saving/`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import summary as summary_module
from .graph import Graph
from .layers.base import LAYERS, Layer
from .layers.op import Operation
from .layers.signature import map_shapes
from .symbolic import KerasTensor, any_symbolic, flatten, map_structure
from .tensor import Tensor, dtype_name
from .training import Trainer


@LAYERS.register("Functional")
class Model(Trainer):
    """A layer that can be compiled, fitted, evaluated and saved."""

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any):
        self._graph: Graph | None = None
        self._first_call: dict | None = None
        functional = inputs is not None or outputs is not None
        if functional and name is None and type(self) is Model:
            from .variables import unique_name

            name = unique_name("functional")
        Layer.__init__(self, name=name, **kwargs)
        self._start_training()
        if functional:
            if inputs is None or outputs is None:
                raise ValueError("Model takes both inputs and outputs, or neither")
            self._set_graph(Graph(inputs, outputs))
            self.built = True
            if not self.trainable:
                self.trainable = False  # and so are its layers

    def _set_graph(self, graph: Graph) -> None:
        self._graph = graph
        self._sublayers = []
        for layer in graph.layers:
            self._track(layer)

    # --- structure -----------------------------------------------------------------------------
    @property
    def layers(self) -> list[Layer]:
        """Its layers, in order; ops between them (`x + y`) do not count as such."""
        return [layer for layer in self._sublayers if not isinstance(layer, Operation)]

    @property
    def operations(self) -> list[Layer]:
        """Its layers and the ops between them, in order."""
        return list(self._sublayers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place."""
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"index {index}: the model has {len(self.layers)} layers")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"no layer {name!r}; the model has {[layer.name for layer in self.layers]}")

    def _need_graph(self) -> Graph:
        if self._graph is None:
            raise AttributeError(f"model {self.name!r} has no symbolic inputs yet: build it with an Input first")
        return self._graph

    @property
    def inputs(self) -> list[KerasTensor]:
        return flatten(self._need_graph().inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        return flatten(self._need_graph().outputs)

    @property
    def input(self) -> Any:
        return self._need_graph().inputs

    @property
    def output(self) -> Any:
        return self._need_graph().outputs

    @property
    def input_shape(self) -> Any:
        return map_structure(lambda t: t.shape, self.input)

    @property
    def output_shape(self) -> Any:
        return map_structure(lambda t: t.shape, self.output)

    @property
    def output_names(self) -> list[str] | None:
        if self._graph is None:
            return None
        if isinstance(self._graph.outputs, dict):
            return sorted(self._graph.outputs)
        return [t.node.layer.name for t in self.outputs if t.node is not None]

    # --- calling -------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.built and self._graph is None:
            self._first_call = _described(args, kwargs)
        return super().__call__(*args, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of a subclassed model, by a trial call on inputs of this shape."""
        if self.built or self._graph is not None or type(self).call is Model.call:
            self.built = True
            return
        self.built = True
        symbols = map_shapes(lambda shape: KerasTensor(shape, self.dtype), input_shape)
        if self._first_call is None:
            self._first_call = _described((symbols,), {})
            self._tried((symbols,), {})

    def build_from_config(self, config: dict) -> None:
        """Makes the weights of a subclassed model as the call did that `get_build_config` tells of."""
        symbol = lambda d: KerasTensor(d["shape"], d["dtype"])  # noqa: E731
        args = [_map_described(symbol, value) for value in config["args"]]
        kwargs = {name: _map_described(symbol, value) for name, value in config["kwargs"].items()}
        self._first_call = config
        self._tried(tuple(args), kwargs)

    def get_build_config(self) -> dict | None:
        """Shapes and types of the arguments of the first call; None for a model that has a graph."""
        return self._first_call if self._graph is None else None

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._graph is None:
            raise NotImplementedError(f"model {type(self).__name__} does not define call()")
        return self._graph.run(inputs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._graph is None:
            return super().compute_output_spec(*args, **kwargs)
        if any_symbolic(args):
            shapes = [t.shape for t in flatten(args[0])]
            if shapes == [t.shape for t in flatten(self._graph.inputs)]:
                return map_structure(lambda t: KerasTensor(t.shape, t.dtype), self._graph.outputs)
        return self._trial(args[0])

    def _trial(self, inputs: Any) -> Any:
        # Other shapes than the model was made with: walk the graph again symbolically, and forget
        # the calls that this leaves behind.
        before = {id(layer): list(layer._inbound) for layer in self._sublayers}
        out = self._need_graph().run(inputs)
        for layer in self._sublayers:
            layer._inbound[:] = before[id(layer)]
        return map_structure(lambda t: KerasTensor(t.shape, t.dtype), out)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is None:
            return super().compute_output_shape(input_shape)
        one = isinstance(input_shape, tuple) and not any(isinstance(s, (tuple, list)) for s in input_shape)
        symbols = KerasTensor(input_shape) if one else [KerasTensor(tuple(s)) for s in input_shape]
        return map_structure(lambda t: t.shape, self._trial(symbols))

    # --- papers --------------------------------------------------------------------------------
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints Keras' table of layers, output shapes and parameters."""
        from .introspection import summary_rows

        rows, totals = summary_rows(self)
        summary_module.print_summary(
            self.name, rows, line_length=line_length, positions=positions, print_fn=print_fn, **totals
        )

    # --- files ---------------------------------------------------------------------------------
    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes architecture, weights, compile arguments and optimizer state to one `.fnn` file."""
        from .saving.models import save_model

        save_model(self, filepath, overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the weights to one `.weights.fnn` file."""
        from .saving.models import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Reads weights written by `save_weights` or `save` into this model, by position."""
        from .saving.models import load_weights

        load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text; `models.model_from_json` reads it."""
        import json

        from .serialization import serialize_object

        return json.dumps(serialize_object(self), **kwargs)

    # --- configuration -------------------------------------------------------------------------
    def get_config(self) -> dict:
        from .saving.graphs import model_config

        return model_config(self)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Model:
        from .saving.graphs import model_from_config

        return model_from_config(cls, config, custom_objects)

    def get_compile_config(self) -> dict | None:
        """The arguments of compile() as plain data."""
        from .serialization import serialize_object

        return serialize_object(self._compile_arguments) if self.compiled else None

    def compile_from_config(self, config: dict) -> None:
        from .serialization import deserialize_object

        self.compile(**deserialize_object(config))


def _described(args: tuple, kwargs: dict) -> dict:
    """The tensors among the arguments of a call as plain data: shapes without the batch size, types."""

    def describe(t: Any) -> Any:
        if not isinstance(t, (Tensor, KerasTensor, np.ndarray)):
            return None
        return {"shape": [None, *t.shape[1:]], "dtype": dtype_name(t.dtype)}

    args, kwargs = map_structure(describe, args), map_structure(describe, kwargs)
    known = lambda value: any(leaf is not None for leaf in flatten(value))  # noqa: E731
    return {"args": list(args), "kwargs": {name: value for name, value in kwargs.items() if known(value)}}


def _map_described(function: Any, value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"shape", "dtype"}:
            return function(value)
        return {key: _map_described(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_described(function, item) for item in value]
    return value
