"""The optimizers of Keras, each one kernel of csrc/cpu/optimizer.cpp. Formulas and papers stand in
the catalogue; arguments that are not named here are those of `Optimizer`.
"""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..tensor import Tensor
from .base import Optimizer, _family
from .rate import scalar


def _between(name: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}; received {value!r}")
    return value


@_family.register()
class SGD(Optimizer):
    """w -= lr g; with momentum v = momentum v - lr g, w += v (Nesterov: w += momentum v - lr g)."""

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = _between("momentum", momentum)
        self.nesterov = nesterov

    def state_groups(self):
        return [{"momentum": 0.0}] if self.momentum else []

    def update(self, p, g, s, lr, t, decay):
        if self.momentum:
            kernels.sgd_momentum(p, g, s.momentum, lr, self.momentum, self.nesterov)
        else:
            kernels.sgd(p, g, lr)


@_family.register()
class AveragedMomentumSGD(Optimizer):
    """v = momentum v + (1 - momentum) g, w -= lr v: the lecture-book form, whose step does not grow
    with momentum. Not in Keras.
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.9, **kwargs: Any):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = _between("momentum", momentum)

    def state_groups(self):
        return [{"momentum": 0.0}]

    def update(self, p, g, s, lr, t, decay):
        kernels.sgd_average(p, g, s.momentum, lr, self.momentum)


@_family.register()
class Adagrad(Optimizer):
    """Step sizes by the sum of squared gradients (Duchi et al. 2011)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def state_groups(self):
        return [{"accumulator": self.initial_accumulator_value}]

    def update(self, p, g, s, lr, t, decay):
        kernels.adagrad(p, g, s.accumulator, lr, self.epsilon)


@_family.register("rmsprop")
class RMSprop(Optimizer):
    """Step sizes by the running mean of squared gradients (Hinton 2012)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = _between("rho", rho)
        self.momentum = _between("momentum", momentum)
        self.epsilon = epsilon
        self.centered = centered

    def state_groups(self):
        names = ["velocity"] + ["momentum"] * (self.momentum > 0) + ["average_gradient"] * self.centered
        return [{name: 0.0} for name in names]

    def update(self, p, g, s, lr, t, decay):
        average, m = getattr(s, "average_gradient", None), getattr(s, "momentum", None)
        kernels.rmsprop(p, g, s.velocity, average, m, lr, self.rho, self.momentum, self.epsilon)


@_family.register()
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); amsgrad: on the largest second moment so far (Reddi et al. 2018)."""

    fuses_weight_decay = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2 = _between("beta_1", beta_1), _between("beta_2", beta_2)
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def state_groups(self):
        return [{"momentum": 0.0, "velocity": 0.0}] + [{"velocity_hat": 0.0}] * self.amsgrad

    def update(self, p, g, s, lr, t, decay):
        rates = (lr, t, self.beta_1, self.beta_2, self.epsilon, decay)
        if self.amsgrad:
            kernels.adam_amsgrad(p, g, s.momentum, s.velocity, s.velocity_hat, *rates)
        else:
            kernels.adam(p, g, s.momentum, s.velocity, *rates)


@_family.register("adamw")
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.004 by default (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; received None")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)


@_family.register()
class Adamax(Optimizer):
    """Adam with the largest gradient for the second moment (Kingma & Ba 2015, section 7.1)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2 = _between("beta_1", beta_1), _between("beta_2", beta_2)
        self.epsilon = epsilon

    def state_groups(self):
        return [{"momentum": 0.0, "norm": 0.0}]

    def update(self, p, g, s, lr, t, decay):
        kernels.adamax(p, g, s.momentum, s.norm, lr, t, self.beta_1, self.beta_2, self.epsilon)


@_family.register()
class Nadam(Optimizer):
    """Adam with Nesterov momentum and its schedule 0.96^t (Dozat 2015)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2 = _between("beta_1", beta_1), _between("beta_2", beta_2)
        self.epsilon = epsilon
        self._u_product = scalar(1.0, "float64", "u_product")

    def state_groups(self):
        return [{"momentum": 0.0, "velocity": 0.0}]

    def _extra_variables(self):
        return [self._u_product]

    def prepare_update(self, t: Tensor):
        kernels.nadam_product(self._u_product, t, self.beta_1)

    def update(self, p, g, s, lr, t, decay):
        kernels.nadam(
            p,
            g,
            s.momentum,
            s.velocity,
            self._u_product,
            lr,
            t,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


@_family.register()
class Adadelta(Optimizer):
    """Step sizes by the running means of squared steps and gradients (Zeiler 2012)."""

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = _between("rho", rho)
        self.epsilon = epsilon

    def state_groups(self):
        return [{"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}]

    def update(self, p, g, s, lr, t, decay):
        kernels.adadelta(p, g, s.accumulated_grad, s.accumulated_delta_var, lr, self.rho, self.epsilon)


@_family.register()
class Lion(Optimizer):
    """The sign of interpolated momentum (Chen et al. 2023)."""

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any):
        super().__init__(learning_rate=learning_rate, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"beta_1 must be in (0, 1]: at 0 Lion is sign descent; received {beta_1!r}")
        self.beta_1, self.beta_2 = beta_1, _between("beta_2", beta_2)

    def state_groups(self):
        return [{"momentum": 0.0}]

    def update(self, p, g, s, lr, t, decay):
        kernels.lion(p, g, s.momentum, lr, self.beta_1, self.beta_2)


@_family.register()
class Ftrl(Optimizer):
    """Follow the regularised leader, for sparse linear models (McMahan et al. 2013)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        positive = dict(
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
        )
        for name, value in positive.items():
            if value < 0:
                raise ValueError(f"{name} must not be negative; received {value!r}")
            setattr(self, name, value)
        if learning_rate_power > 0:
            raise ValueError(f"learning_rate_power must not be positive; received {learning_rate_power!r}")
        self.learning_rate_power = learning_rate_power
        self.beta = beta

    def state_groups(self):
        return [{"accumulator": self.initial_accumulator_value, "linear": 0.0}]

    def update(self, p, g, s, lr, t, decay):
        kernels.ftrl(
            p,
            g,
            s.accumulator,
            s.linear,
            lr,
            self.learning_rate_power,
            self.l1_regularization_strength,
            self.l2_regularization_strength,
            self.l2_shrinkage_regularization_strength,
            self.beta,
        )
