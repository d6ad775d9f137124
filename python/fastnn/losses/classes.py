"""The Loss classes of Keras: each is its function with the arguments fixed at construction.

Every one takes `reduction`, `name` and `dtype` as well (see `Loss`).
"""

from __future__ import annotations

from typing import Any

from . import functions
from .base import LossFunctionWrapper, _family

_MEAN = "sum_over_batch_size"


@_family.register()
class MeanSquaredError(LossFunctionWrapper):
    """See `losses.mean_squared_error`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(functions.mean_squared_error, reduction, name, dtype)


@_family.register()
class MeanAbsoluteError(LossFunctionWrapper):
    """See `losses.mean_absolute_error`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(functions.mean_absolute_error, reduction, name, dtype)


@_family.register()
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """See `losses.mean_absolute_percentage_error`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(functions.mean_absolute_percentage_error, reduction, name, dtype)


@_family.register()
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """See `losses.mean_squared_logarithmic_error`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(functions.mean_squared_logarithmic_error, reduction, name, dtype)


@_family.register()
class CosineSimilarity(LossFunctionWrapper):
    """See `losses.cosine_similarity`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(functions.cosine_similarity, reduction, name, dtype, axis=axis)
        self.axis = axis


@_family.register()
class Huber(LossFunctionWrapper):
    """See `losses.huber`."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = _MEAN,
        name: str = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(functions.huber, reduction, name, dtype, delta=delta)
        self.delta = delta


@_family.register()
class LogCosh(LossFunctionWrapper):
    """See `losses.log_cosh`."""

    def __init__(self, reduction: str | None = _MEAN, name: str = "log_cosh", dtype: Any = None):
        super().__init__(functions.log_cosh, reduction, name, dtype)


@_family.register()
class Hinge(LossFunctionWrapper):
    """See `losses.hinge`."""

    def __init__(self, reduction: str | None = _MEAN, name: str = "hinge", dtype: Any = None):
        super().__init__(functions.hinge, reduction, name, dtype)


@_family.register()
class SquaredHinge(LossFunctionWrapper):
    """See `losses.squared_hinge`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(functions.squared_hinge, reduction, name, dtype)


@_family.register()
class CategoricalHinge(LossFunctionWrapper):
    """See `losses.categorical_hinge`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(functions.categorical_hinge, reduction, name, dtype)


@_family.register()
class KLDivergence(LossFunctionWrapper):
    """See `losses.kl_divergence`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(functions.kl_divergence, reduction, name, dtype)


@_family.register()
class Poisson(LossFunctionWrapper):
    """See `losses.poisson`."""

    def __init__(self, reduction: str | None = _MEAN, name: str = "poisson", dtype: Any = None):
        super().__init__(functions.poisson, reduction, name, dtype)


@_family.register()
class BinaryCrossentropy(LossFunctionWrapper):
    """See `losses.binary_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@_family.register()
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """See `losses.binary_focal_crossentropy`."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@_family.register()
class CategoricalCrossentropy(LossFunctionWrapper):
    """See `losses.categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@_family.register()
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """See `losses.categorical_focal_crossentropy`."""

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@_family.register()
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """See `losses.sparse_categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = _MEAN,
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


@_family.register()
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """See `losses.categorical_generalized_cross_entropy`; 0 < q < 1."""

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = _MEAN,
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ValueError(f"q must be between 0 and 1; received {q!r}")
        super().__init__(functions.categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
        self.q = q


@_family.register()
class Dice(LossFunctionWrapper):
    """See `losses.dice`."""

    def __init__(
        self,
        reduction: str | None = _MEAN,
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(functions.dice, reduction, name, dtype, axis=axis)
        self.axis = axis


@_family.register()
class Tversky(LossFunctionWrapper):
    """See `losses.tversky`."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = _MEAN,
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            functions.tversky,
            reduction,
            name,
            dtype,
            alpha=alpha,
            beta=beta,
            axis=axis,
        )
        self.alpha = alpha
        self.beta = beta
        self.axis = axis
