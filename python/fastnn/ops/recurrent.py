"""Recurrent layers over whole sequences, forward and through time backward.

x (batch, time, in), kernel W (in, gates*n), recurrent kernel U (n, gates*n). One kernel walks through
time; it multiplies the input too, in one product over all steps or step by step, whichever is faster.
Its counterpart walks back and leaves dz, the gradient of that first product, and hp, the state before each step; everything
else is large products again: dW = x^T dz, dU = hp^T dz, dx = dz W^T.

Arguments that all have in common:
  h0, c0: initial states (batch, n); None for zeros.
  mask: bool (batch, time); where false, the step repeats the state before it.
  input_dropout, recurrent_dropout: what x and the state are multiplied with at every step,
    (1, batch, in or n), or with a scale of its own for each gate (gates, batch, in or n).
  activation, recurrent_activation: a name, or a function of `fastnn.activations`.
  go_backwards: walk from the last step to the first; outputs are in the order of the walk.
  return_sequences: whether the outputs of all steps come first in the result.
"""

from __future__ import annotations

from typing import Any

from .. import _core, kernels
from ..autograd import grad_buffer, grad_to, is_differentiated, needs_grad, op
from ..tensor import Tensor, empty, to_tensor, view
from .promotion import converted

__all__ = ["gru", "lstm", "simple_rnn", "zero_masked_steps"]


def fused_activation(activation: Any) -> tuple[int, float] | None:
    """(kind, alpha) of an activation that the kernels know, else None."""
    from .. import activations  # which stand on ops

    fused = getattr(activations.get(activation), "fused", None)
    return None if fused is None else (_core.activations[fused[0]][0], float(fused[1]))


def _known(name: str, activation: Any) -> tuple[int, float]:
    fused = fused_activation(activation)
    if fused is None:
        known = ", ".join(_core.activations)
        raise ValueError(f"{name}: activation {activation!r} is none of {known}")
    return fused


class _Sequence:
    """The arguments of one call, checked, and the products over all steps."""

    def __init__(self, name, gates, x, W, U, b, states, mask, input_dropout, recurrent_dropout):
        if x.ndim != 3:
            raise ValueError(f"{name}: x is (batch, time, in), got shape {x.shape}")
        n = U.shape[0]
        expected = {"kernel": (x.shape[2], gates * n), "recurrent_kernel": (n, gates * n)}
        for what, w in (("kernel", W), ("recurrent_kernel", U)):
            if w.shape != expected[what]:
                raise ValueError(f"{name}: {what} is {expected[what]} for x {x.shape} and {n} units, got {w.shape}")
        for what, t in (("kernel", W), ("recurrent_kernel", U), ("bias", b), *states.items()):
            if t is not None and t.dtype != x.dtype:
                raise TypeError(f"{name}: x is {x.dtype} but {what} is {t.dtype}")
        self.x, self.W, self.U, self.b, self.gates, self.n = x, W, U, b, gates, n
        self.batch, self.time = x.shape[:2]
        for what, t in states.items():
            if t is not None and t.shape != (self.batch, n):
                raise ValueError(f"{name}: {what} is {(self.batch, n)} for x {x.shape}, got {t.shape}")
        self.mask = None if mask is None else converted(to_tensor(mask), "bool")
        if self.mask is not None and self.mask.shape != x.shape[:2]:
            raise ValueError(f"{name}: mask is {x.shape[:2]} for x {x.shape}, got {self.mask.shape}")
        for what, t, size in (
            ("input_dropout", input_dropout, x.shape[2]),
            ("recurrent_dropout", recurrent_dropout, n),
        ):
            if t is not None and t.shape not in ((1, self.batch, size), (gates, self.batch, size)):
                raise ValueError(f"{name}: {what} is (1 or {gates}, {self.batch}, {size}), got {t.shape}")
        self.input_dropout, self.drop = input_dropout, recurrent_dropout
        self.keep = is_differentiated((x, W, U, b, *states.values(), input_dropout, recurrent_dropout))
        self.planes = None  # x as each gate sees it

    def empty(self, *shape: int) -> Tensor:
        return empty(shape, like=self.x)

    def input(self, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor]:
        """x, W, bias and z (batch, time, gates*n), as the walk takes them: where gates see different x, z
        holds x W + bias already and the others are None.
        """
        z = self.empty(self.batch, self.time, self.gates * self.n)
        if self.input_dropout is None:
            return self.x, self.W, bias, z
        self.planes = self._dropped(self.x)
        kernels.gates_nn(self.planes, self.W, bias, z, self.gates)
        return None, None, None, z

    def _dropped(self, x: Tensor) -> Tensor:
        # x is the input, or has a plane for each scale already.
        planes, batch, size = self.input_dropout.shape
        y = self.empty(planes, batch, self.time, size)
        x = x if x.ndim == 4 else view(x, (1, *x.shape))
        kernels.multiply(x, view(self.input_dropout, (planes, batch, 1, size)), y)
        return y

    def input_gradients(self, dz: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """dx, dW."""
        if self.input_dropout is None:
            return grad_to(self.x, kernels.matmul_nt, dz, self.W), grad_to(self.W, kernels.matmul_tn, self.x, dz)

        def write_dx(dx: Tensor) -> None:
            seen = empty(self.planes.shape, like=self.x)
            kernels.gates_nt(dz, self.W, seen, self.gates)
            kernels.sum_rows(view(self._dropped(seen), (seen.shape[0], dx.size)), view(dx, (dx.size,)))

        return (
            grad_to(self.x, write_dx),
            grad_to(self.W, lambda dW: kernels.gates_tn(self.planes, dz, dW, self.gates)),
        )

    def recurrent_gradient(self, hp: Tensor, dz: Tensor) -> Tensor | None:
        """dU."""
        if hp.shape[0] == 1:
            return grad_to(self.U, kernels.matmul_tn, view(hp, hp.shape[1:]), dz)
        return grad_to(self.U, lambda dU: kernels.gates_tn(hp, dz, dU, self.gates))

    def bias_gradient(self, dz: Tensor) -> Tensor | None:
        return None if self.b is None else grad_to(self.b, kernels.sum_rows, dz)

    def state_gradient(self, state: Tensor | None) -> Tensor:
        """Where the gradient of an initial state is written; it runs along the walk, wanted or not."""
        return grad_buffer(state) if state is not None and needs_grad(state) else self.empty(self.batch, self.n)


@op
def simple_rnn(
    x: Any,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    h0: Tensor | None = None,
    mask: Any = None,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
    activation: Any = "tanh",
    go_backwards: bool = False,
    return_sequences: bool = True,
):
    """h_t = activation(x_t W + b + h_{t-1} U); gives (h_1 ... h_t, h_t), or (h_t,).

    bias (n,). Elman 1990, "Finding structure in time".
    """
    x = to_tensor(x)
    act = _known("simple_rnn", activation)
    s = _Sequence(
        "simple_rnn",
        1,
        x,
        kernel,
        recurrent_kernel,
        bias,
        {"h0": h0},
        mask,
        input_dropout,
        recurrent_dropout,
    )
    seen, W, b, z = s.input(bias)
    h, hn = s.empty(s.batch, s.time, s.n), s.empty(s.batch, s.n)
    kernels.simple_rnn(seen, W, b, z, s.U, h0, s.mask, s.drop, h, hn, *act, go_backwards, s.keep)

    def backward(*gradients):
        dy, dhn = gradients if return_sequences else (None, *gradients)
        dz, hp = empty(z.shape, like=x), s.empty(1, s.batch, s.time, s.n)
        dh0 = s.state_gradient(h0)
        kernels.simple_rnn_grad(z, s.U, h, h0, s.mask, s.drop, dy, dhn, dz, hp, dh0, *act, go_backwards)
        return *s.input_gradients(dz), s.recurrent_gradient(hp, dz), s.bias_gradient(dz), dh0

    return (h, hn) if return_sequences else (hn,), backward


@op
def lstm(
    x: Any,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    mask: Any = None,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    go_backwards: bool = False,
    return_sequences: bool = True,
):
    """c_t = f c_{t-1} + i act(z_c), h_t = o act(c_t); gives (h_1 ... h_t, h_t, c_t), or (h_t, c_t).

    i, f, o = act_r(z_i), act_r(z_f), act_r(z_o) with z = x_t W + b + h_{t-1} U in the order i, f, c, o;
    bias (4n,). Hochreiter & Schmidhuber 1997, "Long short-term memory"; Gers et al. 2000.
    """
    x = to_tensor(x)
    act = (*_known("lstm", activation), *_known("lstm", recurrent_activation))
    states = {"h0": h0, "c0": c0}
    s = _Sequence("lstm", 4, x, kernel, recurrent_kernel, bias, states, mask, input_dropout, recurrent_dropout)
    seen, W, b, z = s.input(bias)
    h, c = s.empty(s.batch, s.time, s.n), s.empty(s.batch, s.time, s.n)
    hn, cn = s.empty(s.batch, s.n), s.empty(s.batch, s.n)
    kernels.lstm(seen, W, b, z, s.U, h0, c0, s.mask, s.drop, h, c, hn, cn, *act, go_backwards, s.keep)

    def backward(*gradients):
        dy, dhn, dcn = gradients if return_sequences else (None, *gradients)
        planes = 1 if s.drop is None else s.drop.shape[0]
        dz, hp = empty(z.shape, like=x), s.empty(planes, s.batch, s.time, s.n)
        dh0, dc0 = s.state_gradient(h0), s.state_gradient(c0)
        kernels.lstm_grad(z, s.U, h, c, h0, c0, s.mask, s.drop, dy, dhn, dcn, dz, hp, dh0, dc0, *act, go_backwards)
        return *s.input_gradients(dz), s.recurrent_gradient(hp, dz), s.bias_gradient(dz), dh0, dc0

    return (h, hn, cn) if return_sequences else (hn, cn), backward


@op
def gru(
    x: Any,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    h0: Tensor | None = None,
    mask: Any = None,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    reset_after: bool = True,
    go_backwards: bool = False,
    return_sequences: bool = True,
):
    """h_t = z h_{t-1} + (1 - z) hh; gives (h_1 ... h_t, h_t), or (h_t,).

    z, r = act_r(.), hh = act(x_t W_h + b + r (h_{t-1} U_h + b')) with reset_after and bias (2, 3n), rows
    b and b'; else hh = act(x_t W_h + b + (r h_{t-1}) U_h) with bias (3n,). Cho et al. 2014.
    """
    x = to_tensor(x)
    act = (*_known("gru", activation), *_known("gru", recurrent_activation), reset_after)
    s = _Sequence(
        "gru",
        3,
        x,
        kernel,
        recurrent_kernel,
        bias,
        {"h0": h0},
        mask,
        input_dropout,
        recurrent_dropout,
    )
    wide = 3 * s.n
    expected = (2, wide) if reset_after else (wide,)
    if bias is not None and bias.shape != expected:
        raise ValueError(f"gru: bias is {expected} with reset_after={reset_after}, got {bias.shape}")
    input_bias, recurrent_bias = bias, None
    if bias is not None and reset_after:
        input_bias, recurrent_bias = view(bias, (wide,)), view(bias, (wide,), wide)
    seen, W, b, z = s.input(input_bias)
    h, r, hn = s.empty(s.batch, s.time, s.n), s.empty(s.batch, s.time, s.n), s.empty(s.batch, s.n)
    kernels.gru(seen, W, b, z, s.U, recurrent_bias, h0, s.mask, s.drop, h, r, hn, *act, go_backwards, s.keep)

    def backward(*gradients):
        dy, dhn = gradients if return_sequences else (None, *gradients)
        planes = 1 if s.drop is None else s.drop.shape[0]
        if not reset_after:
            planes = max(planes, 2)  # the last gate multiplies r h
        dz, hp = empty(z.shape, like=x), s.empty(planes, s.batch, s.time, s.n)
        ds = empty(z.shape, like=x) if reset_after else dz  # of the products with the state
        dh0 = s.state_gradient(h0)
        kernels.gru_grad(
            z, s.U, h, r, h0, s.mask, s.drop, dy, dhn, dz, ds if reset_after else None, hp, dh0, *act, go_backwards
        )

        def write_db(db: Tensor) -> None:
            kernels.sum_rows(dz, view(db, (wide,)))
            kernels.sum_rows(ds, view(db, (wide,), wide))

        db = s.bias_gradient(dz) if bias is None or recurrent_bias is None else grad_to(bias, write_db)
        return *s.input_gradients(dz), s.recurrent_gradient(hp, ds), db, dh0

    return (h, hn) if return_sequences else (hn,), backward


@op
def zero_masked_steps(x: Any, mask: Any, go_backwards: bool = False):
    """x (batch, time, n) with zeros where mask (batch, time) is false.

    go_backwards: x is in the order of a backward walk, the mask in the order of time.
    """
    x, mask = to_tensor(x), converted(to_tensor(mask), "bool")
    y = empty(x.shape, like=x)
    kernels.zero_masked(x, mask, y, go_backwards)
    return y, lambda dy: grad_to(x, lambda dx: kernels.zero_masked(dy, mask, dx, go_backwards))
