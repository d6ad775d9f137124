"""What `compile(loss=..., metrics=...)` said, resolved against the outputs of the first batch."""

from __future__ import annotations

from typing import Any

from . import losses as losses_module
from . import metrics as metrics_module
from . import ops
from .serialization import to_snake_case
from .symbolic import flatten
from .tensor import Tensor


def split_outputs(value: Any, names: list[str] | None, keys: list[str] | None, what: str) -> list:
    """One item per output from a list, a dict by output name, or one item for all there is."""
    count = len(names or [None])
    if isinstance(value, dict):
        known = keys or names or []
        unknown = [k for k in value if k not in known]
        if unknown:
            raise ValueError(f"{what} names outputs {unknown}, the model has {known}")
        return [value.get(k) for k in known]
    if count == 1:
        return [value]
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise ValueError(f"{what}: the model has {count} outputs, expected a list or dict of as many")
    return list(value)


def _kind(y_true: Tensor, y_pred: Tensor) -> str:
    # Keras decides what "accuracy" and "crossentropy" mean by the shapes of one batch.
    if y_pred.shape[-1] == 1:
        return "binary"
    if y_true.ndim < y_pred.ndim or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1):
        return "sparse"
    return "categorical"


def object_name(obj: Any) -> str:
    if hasattr(obj, "name"):
        return obj.name
    if hasattr(obj, "__name__"):
        return to_snake_case(obj.__name__)
    return to_snake_case(type(obj).__name__)


def resolve_loss(identifier: Any, y_true: Tensor, y_pred: Tensor) -> Any:
    """The Loss object that a string, function, class config or object stands for."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        return {
            "binary": losses_module.BinaryCrossentropy,
            "sparse": losses_module.SparseCategoricalCrossentropy,
            "categorical": losses_module.CategoricalCrossentropy,
        }[_kind(y_true, y_pred)]()
    loss = losses_module.get(identifier)
    if isinstance(loss, losses_module.Loss):
        return loss
    return losses_module.LossFunctionWrapper(loss, name=object_name(loss))


def resolve_metric(identifier: Any, y_true: Tensor, y_pred: Tensor) -> Any:
    """The Metric object; "accuracy" is chosen by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return {
            "binary": metrics_module.BinaryAccuracy,
            "sparse": metrics_module.SparseCategoricalAccuracy,
            "categorical": metrics_module.CategoricalAccuracy,
        }[_kind(y_true, y_pred)](name=identifier)
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        return {
            "binary": metrics_module.BinaryCrossentropy,
            "sparse": metrics_module.SparseCategoricalCrossentropy,
            "categorical": metrics_module.CategoricalCrossentropy,
        }[_kind(y_true, y_pred)](name=identifier)
    metric = metrics_module.get(identifier)
    if isinstance(metric, metrics_module.Metric):
        if isinstance(identifier, str):
            metric.name = identifier
        return metric
    name = identifier if isinstance(identifier, str) else object_name(metric)
    return metrics_module.MeanMetricWrapper(metric, name=name)


class Outputs:
    """The model's outputs as a flat list with names."""

    def __init__(self, model: Any, y_pred: Any):
        self.keys = sorted(y_pred) if isinstance(y_pred, dict) else None
        self.count = len(flatten(y_pred))
        names = getattr(model, "output_names", None)
        if self.keys:
            names = self.keys
        elif names is None or len(names) != self.count:
            names = [f"output_{i + 1}" for i in range(self.count)] if self.count > 1 else ["output"]
        self.names: list[str] = names

    def split(self, value: Any, what: str) -> list:
        if value is None:
            return [None] * self.count
        return split_outputs(value, self.names, self.keys, what)


class CompiledLoss:
    """The total of the outputs' losses, and each of them."""

    def __init__(self, loss: Any, loss_weights: Any):
        self.loss, self.loss_weights = loss, loss_weights
        self.built = False
        self.functions: list[Any] = []
        self.parts: list[tuple[str, Tensor]] = []

    def build(self, outputs: Outputs, y: list, y_pred: list) -> None:
        self.outputs = outputs
        wanted = self.loss
        if outputs.count > 1 and not isinstance(wanted, (list, tuple, dict)):
            wanted = [wanted] * outputs.count
        if isinstance(wanted, (list, tuple)) and outputs.count == 1 and len(wanted) == 1:
            wanted = wanted[0]
        items = [_only(item) for item in outputs.split(wanted, "loss")]
        self.functions = []
        for item, name, t, p in zip(items, outputs.names, y, y_pred):
            if item is not None:
                _need_targets(name, t)
            self.functions.append(resolve_loss(item, t, p))
        weights = self.loss_weights
        if isinstance(weights, (int, float)):
            weights = [weights] * outputs.count
        elif isinstance(weights, (list, tuple)) and outputs.count == 1:
            weights = weights[0]
        self.weights = outputs.split(weights, "loss_weights")
        self.built = True

    @property
    def names(self) -> list[str]:
        """The outputs with a loss, in Keras' order: of outputs by name, that of a dict of losses."""
        names = [name for name, f in zip(self.outputs.names, self.functions) if f is not None]
        if self.outputs.keys and isinstance(self.loss, dict):
            names.sort(key=list(self.loss).index)
        return names

    def build_for(self, outputs: Outputs, y: Any, y_pred: list) -> None:
        """Resolves losses for such targets and outputs, of which only the shapes matter."""
        if not self.built:
            self.build(outputs, self._targets(outputs, y), y_pred)

    def _targets(self, outputs: Outputs, y: Any) -> list:
        # One y where only some outputs have a loss is handed to those that do.
        if isinstance(self.loss, (list, tuple)) and len(self.loss) == outputs.count:
            wanted = [i is not None for i in self.loss]
            given = list(y) if isinstance(y, (list, tuple)) else [y]
            if not isinstance(y, dict) and len(given) == sum(wanted) < outputs.count:
                items = iter(given)
                return [next(items) if w else None for w in wanted]
        return outputs.split(y, "y")

    def __call__(self, model: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor | None:
        outputs = self.outputs if self.built else Outputs(model, y_pred)
        ys = self._targets(outputs, y)
        weights = outputs.split(sample_weight, "sample_weight") if _per_output(sample_weight) else None
        if weights is None:
            weights = [sample_weight] * outputs.count
        preds = flatten(y_pred)
        if not self.built:
            self.build(outputs, ys, preds)
        self.parts = []
        total = None
        for f, t, p, w, scale, name in zip(self.functions, ys, preds, weights, self.weights, outputs.names):
            if f is None:
                continue
            _need_targets(name, t)
            value = f(t, p, w)
            self.parts.append((name, value))
            if scale is not None:
                value = ops.multiply(value, scale)
            total = value if total is None else ops.add(total, value)
        return total


def _need_targets(name: str, targets: Any) -> None:
    if targets is None:
        raise ValueError(f"the loss of output {name!r} needs targets y")


def _only(item: Any) -> Any:
    """The loss of one output, which may be written as a list of one."""
    return item[0] if isinstance(item, (list, tuple)) and len(item) == 1 else item


def _per_output(sample_weight: Any) -> bool:
    return isinstance(sample_weight, (list, tuple, dict))


class CompiledMetrics:
    """Metrics per output, with the names that History shows."""

    def __init__(self, metrics: Any, weighted: Any):
        self.given, self.weighted = metrics, weighted
        self.built = False
        self.metrics: list[Any] = []  # in order of the outputs
        self.names: list[str] = []

    name = "compile_metrics"  # Keras shows them as one in `model.metrics`

    @property
    def given_any(self) -> bool:
        return self.given is not None or self.weighted is not None

    @property
    def variables(self) -> list[Any]:
        return [v for m in self.metrics for v in m.variables]

    def reset_state(self) -> None:
        for m in self.metrics:
            m.reset_state()

    def result(self) -> dict[str, Any]:
        return {name: m.result() for name, m in zip(self.names, self.metrics)}

    def build_for(self, outputs: Outputs, y: Any, y_pred: list) -> None:
        """Makes the metrics and their state for such targets and outputs, of which only the shapes
        matter.
        """
        if not self.given_any:
            return
        ys = outputs.split(y, "y")
        if not self.built:
            self.build(outputs, ys, y_pred)
        for pairs, t, p in zip(self.by_output, ys, y_pred):
            for metric, _ in pairs:
                if hasattr(metric, "build"):
                    metric.build(t, p)

    def build(self, outputs: Outputs, y: list, y_pred: list) -> None:
        self.outputs = outputs
        self.by_output: list[list[tuple[Any, bool]]] = [[] for _ in range(outputs.count)]
        for given, uses_weight in ((self.given, False), (self.weighted, True)):
            for i, items in enumerate(self._lists(given, outputs)):
                for item in items:
                    if item is None:
                        continue
                    metric = resolve_metric(item, y[i], y_pred[i])
                    self.by_output[i].append((metric, uses_weight))
        self.metrics = [m for pairs in self.by_output for m, _ in pairs]
        self.names = self._unique_names(outputs)
        self.built = True

    def _unique_names(self, outputs: Outputs) -> list[str]:
        """Keras': a weighted metric that shares its name is `weighted_<name>`, further ones are numbered."""
        names: list[str] = []
        flat = [(i, m, w) for i, pairs in enumerate(self.by_output) for m, w in pairs]
        for i, metric, weighted in flat:
            prefix = "" if outputs.count == 1 else f"{outputs.names[i]}_"
            name = prefix + metric.name
            if name in names and weighted:
                name = f"{prefix}weighted_{metric.name}"
            base, n = name, 1
            while name in names:
                name, n = f"{base}_{n}", n + 1
            names.append(name)
        return names

    @staticmethod
    def _lists(given: Any, outputs: Outputs) -> list[list]:
        if given is None:
            return [[]] * outputs.count
        if isinstance(given, dict):
            items = outputs.split(given, "metrics")
        elif outputs.count == 1:
            items = [given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given]
        elif isinstance(given, (list, tuple)) and len(given) == outputs.count:
            items = list(given)
        else:
            raise ValueError(f"metrics: the model has {outputs.count} outputs, expected a list or dict of as many")
        return [[] if i is None else list(i) if isinstance(i, (list, tuple)) else [i] for i in items]

    def update(self, model: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
        if not self.given_any:
            return
        outputs = self.outputs if self.built else Outputs(model, y_pred)
        ys = outputs.split(y, "y")
        preds = flatten(y_pred)
        weights = outputs.split(sample_weight, "sample_weight") if _per_output(sample_weight) else None
        if weights is None:
            weights = [sample_weight] * outputs.count
        if not self.built:
            self.build(outputs, ys, preds)
        for pairs, t, p, w in zip(self.by_output, ys, preds, weights):
            for metric, uses_weight in pairs:
                metric.update_state(t, p, sample_weight=w if uses_weight else None)
