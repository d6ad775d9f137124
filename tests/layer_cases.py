"""Configurations of every registered layer, in one home: `test_layers_keras.py` compares them with
real Keras, `test_replay.py` replays them. A registered layer without one fails the suite.

A case is (class, arguments, input shape or a list of shapes, upper bound of integer inputs or None).
Arguments that hold other layers are a function of the library, fastnn or keras.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

IMAGES = (3, 7, 6, 4)
STEPS = (3, 9, 5)
VOLUMES = (2, 5, 6, 4, 4)
ROWS = (4, 6)


class Case(NamedTuple):
    name: str
    arguments: dict | Callable
    shape: Any
    below: int | None = None

    @property
    def shapes(self) -> list:
        return self.shape if isinstance(self.shape, list) else [self.shape]

    def make(self, library: Any) -> Any:
        """The layer of `library`, which is fastnn or keras."""
        arguments = self.arguments(library) if callable(self.arguments) else self.arguments
        return getattr(library.layers, self.name)(**arguments)

    def draw(self, rng: Any, batch: int | None = None) -> list:
        """An array for each input; with another batch size, if given."""
        shapes = [s if batch is None else (batch, *s[1:]) for s in self.shapes]
        if self.below is not None:
            return [rng.integers(0, self.below, s).astype("int32") for s in shapes]
        return [rng.standard_normal(s).astype("float32") for s in shapes]

    def __str__(self) -> str:
        given = self.arguments if isinstance(self.arguments, dict) else {}
        ranks = "+".join(f"{len(s)}d" for s in self.shapes)
        return f"{self.name}-{'-'.join(f'{k}={v}' for k, v in given.items())}-{ranks}".replace(" ", "")


def _cases(table: list) -> list[Case]:
    return [Case(*row) for row in table]


DENSE = _cases([
    ("Dense", dict(units=5), ROWS),
    ("Dense", dict(units=5, use_bias=False, activation="gelu"), STEPS),
    ("Dense", dict(units=3, activation="relu", kernel_regularizer="l2", activity_regularizer="l1"), ROWS),
    ("Dense", dict(units=3, kernel_constraint="max_norm", bias_constraint="non_neg"), ROWS),
    *[("Dense", dict(units=4, activation=a), ROWS) for a in
      ["sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hard_sigmoid", "exponential", "softmax", "log_softmax", "linear", "mish", "hard_silu"]],
])  # fmt: skip

EINSUMS = _cases([
    ("EinsumDense", dict(equation="ab,bc->ac", output_shape=4), ROWS),
    ("EinsumDense", dict(equation="abc,cde->abde", output_shape=(9, 2, 3), bias_axes="de", activation="relu"), STEPS),
    ("EinsumDense", dict(equation="abc,bd->adc", output_shape=(4, 5), bias_axes="d"), STEPS),
    ("EinsumDense", dict(equation="...x,xy->...y", output_shape=4, bias_axes="y", kernel_regularizer="l2"), STEPS),
    ("EinsumDense", dict(equation="...bc,bcd->...d", output_shape=7, bias_axes="d", activation="tanh"), IMAGES),
    ("EinsumDense", dict(equation="ab...,bc->ac...", output_shape=4, bias_axes="c"), IMAGES),
    ("EinsumDense", dict(equation="abc,bcd->abd", output_shape=(9, 3)), STEPS),
])  # fmt: skip

ACTIVATIONS = _cases([
    *[("Activation", dict(activation=a), STEPS) for a in
      ["sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hard_sigmoid", "exponential", "softmax", "linear"]],
    ("ReLU", dict(max_value=1.0, negative_slope=0.1, threshold=0.2), STEPS),
    ("ReLU", dict(), STEPS),
    ("LeakyReLU", dict(), STEPS),
    ("LeakyReLU", dict(negative_slope=0.05), STEPS),
    ("ELU", dict(alpha=0.7), STEPS),
    ("PReLU", dict(alpha_initializer="glorot_uniform"), STEPS),
    ("PReLU", dict(alpha_initializer="glorot_uniform", shared_axes=[1, 2]), IMAGES),
    ("Softmax", dict(), STEPS),
    ("Softmax", dict(axis=1), STEPS),
    ("Softmax", dict(axis=(1, 2)), IMAGES),
    ("Softmax", dict(axis=(-1, 1)), IMAGES),
])  # fmt: skip

MOVES = _cases([
    ("Flatten", dict(), IMAGES),
    ("Reshape", dict(target_shape=(6, -1)), IMAGES),
    ("Permute", dict(dims=(2, 1)), STEPS),
    ("RepeatVector", dict(n=3), ROWS),
    ("ZeroPadding1D", dict(padding=(1, 2)), STEPS),
    ("ZeroPadding2D", dict(padding=((1, 2), (0, 3))), IMAGES),
    ("Cropping1D", dict(cropping=(1, 2)), STEPS),
    ("Cropping2D", dict(cropping=((1, 2), (0, 3))), IMAGES),
    ("ZeroPadding3D", dict(padding=((1, 2), (0, 3), (1, 0))), VOLUMES),
    ("ZeroPadding3D", dict(padding=(1, 0, 2)), VOLUMES),
    ("Cropping3D", dict(cropping=((1, 2), (0, 3), (1, 0))), VOLUMES),
    ("Cropping3D", dict(), VOLUMES),
    ("Identity", dict(), ROWS),
    ("Lambda", lambda k: dict(function=lambda x: k.ops.multiply(k.ops.tanh(x), 0.5)), STEPS),
])  # fmt: skip

CONVOLUTIONS = _cases([
    *[("Conv2D", dict(filters=5, kernel_size=k, strides=s, padding=p, activation=a), IMAGES)
      for k, s, p, a in [(3, 1, "valid", None), (3, 1, "same", "relu"), (2, 2, "same", "tanh"), ((1, 3), (2, 1), "valid", "gelu"),
                         (1, 1, "valid", None), (5, 3, "same", None)]],
    ("Conv2D", dict(filters=4, kernel_size=3, dilation_rate=2, padding="same"), IMAGES),
    ("Conv2D", dict(filters=6, kernel_size=3, groups=2, use_bias=False), IMAGES),
    *[("Conv1D", dict(filters=4, kernel_size=k, strides=s, padding=p), STEPS)
      for k, s, p in [(3, 1, "valid"), (3, 1, "causal"), (2, 2, "same"), (4, 1, "same")]],
    ("Conv1D", dict(filters=4, kernel_size=3, dilation_rate=2, padding="causal", activation="relu"), STEPS),
    *[("Conv2DTranspose", dict(filters=3, kernel_size=k, strides=s, padding=p), IMAGES)
      for k, s, p in [(3, 1, "valid"), (3, 2, "same"), (2, 2, "valid"), (4, 2, "same"), (3, 3, "same")]],
    ("Conv2DTranspose", dict(filters=3, kernel_size=3, strides=2, padding="same", output_padding=1), IMAGES),
    ("Conv1DTranspose", dict(filters=3, kernel_size=3, strides=2, padding="same"), STEPS),
    *[("DepthwiseConv2D", dict(kernel_size=k, strides=s, padding=p, depth_multiplier=m), IMAGES)
      for k, s, p, m in [(3, 1, "valid", 1), (3, 1, "same", 2), (2, 2, "same", 1)]],
    ("DepthwiseConv1D", dict(kernel_size=3, padding="same"), STEPS),
    ("SeparableConv2D", dict(filters=5, kernel_size=3, padding="same", depth_multiplier=2, activation="relu"), IMAGES),
    ("SeparableConv1D", dict(filters=5, kernel_size=3), STEPS),
    *[("Conv3D", dict(filters=4, kernel_size=k, strides=s, padding=p, activation=a), VOLUMES)
      for k, s, p, a in [(3, 1, "valid", None), (3, 1, "same", "relu"), ((2, 3, 1), (2, 1, 2), "same", "tanh"), (2, 2, "valid", "gelu")]],
    ("Conv3D", dict(filters=6, kernel_size=2, dilation_rate=2, padding="same", groups=2, use_bias=False), VOLUMES),
])  # fmt: skip

POOLING = _cases([
    *[(f"{kind}Pooling2D", dict(pool_size=k, strides=s, padding=p), IMAGES)
      for kind in ("Max", "Average") for k, s, p in [(2, None, "valid"), (3, 2, "same"), ((2, 3), (1, 2), "same"), (3, 1, "valid")]],
    *[(f"{kind}Pooling1D", dict(pool_size=k, strides=s, padding=p), STEPS)
      for kind in ("Max", "Average") for k, s, p in [(2, None, "valid"), (3, 2, "same"), (3, 1, "valid")]],
    *[(f"Global{kind}Pooling{d}D", dict(keepdims=keep), shape)
      for kind in ("Max", "Average") for d, shape in [(1, STEPS), (2, IMAGES)] for keep in (False, True)],
    *[(f"{kind}Pooling3D", dict(pool_size=k, strides=s, padding=p), VOLUMES)
      for kind in ("Max", "Average") for k, s, p in [(2, None, "valid"), (3, 2, "same"), ((2, 3, 1), (1, 2, 3), "same")]],
    *[(f"Global{kind}Pooling3D", dict(keepdims=keep), VOLUMES) for kind in ("Max", "Average") for keep in (False, True)],
    ("UpSampling1D", dict(size=3), STEPS),
    ("UpSampling2D", dict(size=(2, 3)), IMAGES),
    ("UpSampling2D", dict(size=2, interpolation="bilinear"), IMAGES),
])  # fmt: skip

NORMS = _cases([
    ("BatchNormalization", dict(), IMAGES),
    ("BatchNormalization", dict(momentum=0.8, epsilon=1e-2, scale=False), ROWS),
    ("BatchNormalization", dict(center=False), STEPS),
    ("BatchNormalization", dict(axis=1), STEPS),
    ("LayerNormalization", dict(), STEPS),
    ("LayerNormalization", dict(epsilon=1e-2, center=False), ROWS),
    ("LayerNormalization", dict(axis=(1, 2)), STEPS),
    ("LayerNormalization", dict(axis=(3, 1), gamma_initializer="glorot_uniform"), IMAGES),
    ("LayerNormalization", dict(rms_scaling=True, gamma_initializer="random_normal"), ROWS),
    ("LayerNormalization", dict(rms_scaling=True, axis=(1, 2)), STEPS),
    ("RMSNormalization", dict(), STEPS),
    ("RMSNormalization", dict(axis=(2, 3), epsilon=1e-3), IMAGES),
    ("GroupNormalization", dict(groups=2), IMAGES),
    ("UnitNormalization", dict(), STEPS),
    ("ActivityRegularization", dict(l1=0.1, l2=0.2), ROWS),
])  # fmt: skip

# Their random numbers are our own: with Keras they agree in inference, and in training by statistics.
RANDOM = _cases([
    ("Dropout", dict(rate=0.4), ROWS),
    ("Dropout", dict(rate=0.4, noise_shape=(None, 1, None)), STEPS),
    ("SpatialDropout1D", dict(rate=0.4), STEPS),
    ("SpatialDropout2D", dict(rate=0.4), IMAGES),
    ("SpatialDropout3D", dict(rate=0.4), VOLUMES),
    ("GaussianNoise", dict(stddev=0.1), ROWS),
    ("GaussianDropout", dict(rate=0.2), ROWS),
    ("AlphaDropout", dict(rate=0.2), ROWS),
    ("LSTM", dict(units=4, dropout=0.2, recurrent_dropout=0.3, return_sequences=True), STEPS),
])  # fmt: skip

SEQUENCES = _cases([
    ("Embedding", dict(input_dim=7, output_dim=4), (3, 9), 7),
    ("Embedding", dict(input_dim=7, output_dim=4, mask_zero=True), (3, 9), 7),
    ("Masking", dict(), STEPS),
    *[(kind, dict(units=4), STEPS) for kind in ("SimpleRNN", "LSTM", "GRU")],
    *[(kind, dict(units=4, return_sequences=True, return_state=True, go_backwards=True, activation="relu"), STEPS)
      for kind in ("SimpleRNN", "LSTM", "GRU")],
    ("GRU", dict(units=4, reset_after=False), STEPS),
    *[("RNN", lambda k, cell=cell: dict(cell=getattr(k.layers, cell)(4)), STEPS)
      for cell in ("SimpleRNNCell", "LSTMCell", "GRUCell")],
    ("RNN", lambda k: dict(cell=[k.layers.LSTMCell(4), k.layers.GRUCell(3)], return_sequences=True), STEPS),
    ("Bidirectional", lambda k: dict(layer=k.layers.LSTM(4)), STEPS),
    ("Bidirectional", lambda k: dict(layer=k.layers.GRU(4, return_sequences=True), merge_mode="mul"), STEPS),
    ("TimeDistributed", lambda k: dict(layer=k.layers.Dense(3)), STEPS),
])  # fmt: skip

MERGES = _cases([
    *[(name, {}, [shape, shape]) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
      for shape in (ROWS, STEPS)],
    # Axes of length 1 come after the batch axis: NumPy's rule would give other numbers here.
    *[(name, {}, [(4, 5), (4, 4, 5), (4, 1, 4, 5)]) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")],
    *[("Concatenate", dict(axis=1), [shape, shape]) for shape in (ROWS, STEPS)],
    *[("Dot", arguments, [shape, shape]) for arguments in (dict(axes=-1), dict(axes=1, normalize=True)) for shape in (ROWS, STEPS)],
])  # fmt: skip

ATTENTION = _cases([
    *[("Attention", arguments, [(2, 4, 6), (2, 5, 6)]) for arguments in
      ({}, dict(use_scale=True), dict(score_mode="concat"), dict(score_mode="concat", use_scale=True))],
    ("Attention", {}, [(2, 4, 6), (2, 5, 3), (2, 5, 6)]),
    ("AdditiveAttention", {}, [(2, 4, 6), (2, 5, 6)]),
    ("AdditiveAttention", dict(use_scale=False), [(2, 4, 6), (2, 5, 6)]),
])  # fmt: skip

PREPARING = _cases([
    ("Rescaling", dict(scale=0.5, offset=-1.0), IMAGES),
    ("Rescaling", dict(scale=[0.5, 1.0, 2.0, 3.0], offset=0.1), IMAGES),
    ("Normalization", dict(mean=[0.1, 0.2, 0.3, 0.4, 0.5], variance=[1.0, 2.0, 3.0, 4.0, 5.0]), STEPS),
    ("Normalization", dict(axis=None, mean=0.5, variance=4.0, invert=True), STEPS),
    *[("CategoryEncoding", dict(num_tokens=7, output_mode=mode), (3, 9), 7) for mode in ("one_hot", "multi_hot", "count")],
    ("CategoryEncoding", dict(num_tokens=7, output_mode="one_hot"), (3, 1), 7),
])  # fmt: skip

CASES = [
    *DENSE,
    *EINSUMS,
    *ACTIVATIONS,
    *MOVES,
    *CONVOLUTIONS,
    *POOLING,
    *NORMS,
    *RANDOM,
    *SEQUENCES,
    *MERGES,
    *ATTENTION,
    *PREPARING,
]

# Registered, but without a case here, and why.
ELSEWHERE = {
    "MultiHeadAttention": "takes its inputs by name: test_attention_keras.py",
    "Operation": "what has no weights: base of models' nodes",
    "Wrapper": "base of TimeDistributed, without a call",
    "InputLayer": "begins every functional model",
    "Model": "tests of models",
    "Sequential": "tests of models",
}


def classes_in(layer: Any) -> set[str]:
    """The names of the layer's class and of those inside it."""
    return {type(layer).__name__}.union(*map(classes_in, layer._sublayers))


def first(name: str) -> Case:
    return next(case for case in CASES if case.name == name)
