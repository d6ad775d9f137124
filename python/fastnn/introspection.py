"""What a model is made of, for `summary()`."""

from __future__ import annotations

from typing import Any

from .summary import Row, Total
from .symbolic import flatten


def _shape_of(layer: Any) -> Any:
    if not layer._inbound:
        return None
    shapes = [t.shape for t in flatten(layer._inbound[-1].outputs)]
    return shapes[0] if len(shapes) == 1 else shapes


def _connections(model: Any) -> dict[int, str] | None:
    """What each layer of a branching functional model is fed by; None for a chain."""
    from .models import Sequential

    if model._graph is None or isinstance(model, Sequential):
        return None
    nodes = model._graph.nodes
    index: dict[int, int] = {}
    counts: dict[int, int] = {}
    for node in nodes:
        index[id(node)] = counts.get(id(node.layer), 0)
        counts[id(node.layer)] = index[id(node)] + 1
    if all(n == 1 for n in counts.values()) and all(len(node.inputs) == 1 for node in nodes):
        sources = [id(node.inputs[0]) for node in nodes]
        if len(set(sources)) == len(sources):
            return None
    text: dict[int, list[str]] = {}
    for node in nodes:
        for t in node.inputs:
            text.setdefault(id(node.layer), []).append(f"{t.node.layer.name}[{index.get(id(t.node), 0)}][{t.index}]")
    return {id(layer): ", ".join(text.get(id(layer), ["-"])) for layer in model._graph.layers}


def _total(variables: list[Any]) -> Total:
    return Total(sum(v.size for v in variables), sum(v.nbytes for v in variables))


def summary_rows(model: Any) -> tuple[list[Row], dict[str, Any]]:
    """The rows of Keras' table and its totals."""
    links = _connections(model)
    rows = []
    for layer in model._sublayers:  # ops, too
        weights = layer.weights
        rows.append(
            Row(
                layer.name,
                type(layer).__name__ if type(layer).__name__ != "Model" else "Functional",
                _shape_of(layer),
                sum(w.size for w in weights) if layer.built else None,
                None if links is None else links.get(id(layer)),
                bool(layer.trainable_weights) if weights else None,
            )
        )
    totals: dict[str, Any] = {
        "trainable": _total(model.trainable_weights),
        "non_trainable": _total(model.non_trainable_weights),
    }
    if model.optimizer is not None and model.optimizer.built:
        totals["optimizer"] = _total(model.optimizer.variables)
    return rows, totals
