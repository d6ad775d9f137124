"""Layers around a layer: both directions of a sequence, and every step of one."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..serialization import serialize_object
from .base import LAYERS, Layer


@LAYERS.register()
class Wrapper(Layer):
    """Base of layers that hold another one as `layer`."""

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__} wraps a layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        self.layer._ensure_built(input_shape)
        self.built = True


@LAYERS.register()
class TimeDistributed(Wrapper):
    """The wrapped layer on every step of x (batch, time, ...).

    All steps are one call on (batch*time, ...), so that a layer that looks at its whole batch, such as
    BatchNormalization, sees them together.
    """

    supports_masking = True

    def _step_shape(self, shape: tuple) -> tuple:
        if len(shape) < 3:
            raise ValueError(
                f"layer {self.name!r} expects an input with at least 3 dimensions, got shape {tuple(shape)}"
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: tuple) -> None:
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        shape = inputs.shape
        self._step_shape(shape)
        kwargs = {}
        if mask is not None:
            if mask.ndim < 2 or mask.shape[:2] != shape[:2]:
                raise ValueError(f"layer {self.name!r}: a mask for {shape} begins with {shape[:2]}, got {mask.shape}")
            if self.layer.supports_masking:
                kwargs["mask"] = ops.reshape(mask, (shape[0] * shape[1], *mask.shape[2:]))
        y = _call(self.layer, ops.reshape(inputs, (shape[0] * shape[1], *shape[2:])), training, **kwargs)
        return ops.reshape(y, (*shape[:2], *y.shape[1:]))


@LAYERS.register()
class Bidirectional(Layer):
    """A recurrent layer and its copy that walks backwards, outputs merged by `merge_mode`: "concat",
    "sum", "mul", "ave", or None for a tuple of both.

    The layer is copied (configuration, not weights) as `forward_<name>` and `backward_<name>`;
    `backward_layer` is used as it is and must walk the other way. `weights` are those to begin with,
    first forward, then backward. Schuster & Paliwal 1997.
    """

    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for given in (layer, backward_layer):
            if (not isinstance(given, Layer) and given is not None) or layer is None:
                raise ValueError(f"Bidirectional wraps a layer, got {given!r}")
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(f"Bidirectional: merge_mode is 'sum', 'mul', 'ave', 'concat' or None, got {merge_mode!r}")
        super().__init__(**kwargs)
        # RNN layers, or what has their attributes.
        self.forward_layer: Any = _copy(layer, "forward_")
        self.backward_layer: Any = backward_layer or _copy(layer, "backward_", go_backwards=True)
        self._check_layers()
        directions: list[Any] = [self.forward_layer, self.backward_layer]
        for direction in directions:
            # A masked step gives zeros: the outputs of the two walks at a step have nothing to repeat
            # that the other also knows.
            if hasattr(direction, "zero_output_for_mask"):
                direction.zero_output_for_mask = direction.return_sequences
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec
        self._first_weights = list(weights) if weights else None

    def _check_layers(self) -> None:
        f, b = self.forward_layer, self.backward_layer
        if f.go_backwards == b.go_backwards:
            raise ValueError(
                f"layer {self.name!r}: the two layers must walk in different directions, got go_backwards={f.go_backwards} for both"
            )
        for a in ("stateful", "return_sequences", "return_state"):
            if getattr(f, a) != getattr(b, a):
                raise ValueError(
                    f"layer {self.name!r}: the two layers differ in {a}: {getattr(f, a)} and {getattr(b, a)}"
                )

    def get_config(self) -> dict:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_object(self._argument("dtype", None)),
            "merge_mode": self.merge_mode,
        }
        config["layer"] = LAYERS.serialize(self.forward_layer)
        config["backward_layer"] = LAYERS.serialize(self.backward_layer)
        return config

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        self.forward_layer._ensure_built(sequences_shape)
        self.backward_layer._ensure_built(sequences_shape)
        self.built = True
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    @property
    def states(self) -> tuple | None:
        f, b = self.forward_layer.states, self.backward_layer.states
        return (*f, *b) if f and b else None

    def reset_state(self) -> None:
        if not self.stateful:
            raise AttributeError(f"layer {self.name!r} is not stateful")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def compute_output_shape(self, sequences_shape: tuple, initial_state_shape: Any = None) -> Any:
        shape, states = self.forward_layer.compute_output_shape(sequences_shape), ()
        if self.return_state:
            shape, *states = shape
        if self.merge_mode == "concat":
            shape = (*shape[:-1], shape[-1] + output_width(self.backward_layer, sequences_shape))
        outputs = (shape,) if self.merge_mode is not None else (shape, shape)
        if self.return_state:
            return (*outputs, *states, *states)
        return outputs if self.merge_mode is None else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask if self.return_sequences else None
        masks = [mask] if self.merge_mode is not None else [mask, mask]
        return masks if self.return_state or self.merge_mode is None else mask

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        states = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            states = [initial_state[:half], initial_state[half:]]
        y, y_back = (
            _call(layer, sequences, training, initial_state=state, mask=mask)
            for layer, state in zip((self.forward_layer, self.backward_layer), states)
        )
        finals = ()
        if self.return_state:
            finals = (*y[1:], *y_back[1:])
            y, y_back = y[0], y_back[0]
        if self.return_sequences:
            y_back = ops.flip(y_back, axis=1)  # to the order of x
        outputs = (_merge(self.merge_mode, y, y_back),) if self.merge_mode is not None else (y, y_back)
        return (*outputs, *finals) if self.return_state or self.merge_mode is None else outputs[0]


def output_width(layer: Any, input_shape: tuple) -> int:
    shape = layer.compute_output_shape(input_shape)
    return (shape[0] if layer.return_state else shape)[-1]


def _merge(mode: str, a: Any, b: Any) -> Any:
    if mode == "concat":
        return ops.concatenate([a, b], axis=-1)
    if mode == "mul":
        return ops.multiply(a, b)
    total = ops.add(a, b)
    return total if mode == "sum" else ops.divide(total, 2.0)


def _call(layer: Layer, x: Any, training: bool, **kwargs: Any) -> Any:
    """layer(x) with the arguments that it takes."""
    from .signature import signature_of

    accepts = signature_of(type(layer)).call
    return layer(x, **{k: v for k, v in kwargs.items() if k in accepts and v is not None}, training=training)


def _copy(layer: Layer, prefix: str, **changes: Any) -> Any:
    """A layer of the same configuration, without its weights and states."""
    config = {**layer.get_config(), "name": prefix + layer.name.removeprefix(prefix), **changes}
    return type(layer).from_config(config)
