"""Reverse-mode differentiation: `@op` functions return their result and their own backward closure.

An op's closure variables are what is saved for the backward pass. Each result remembers the call
that made it (a Node), so a graph lives exactly as long as somebody holds its end: loops without a
backward pass keep nothing. `GradientTape` and `Tensor.backward()` are two doors to `gradients()`.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

from . import kernels, rounding
from .tensor import Tensor, empty, to_tensor, view

OPS: dict[str, Callable] = {}  # every @op by name: the list that gradient checks walk

_order = itertools.count()


class _State(threading.local):
    enabled = True
    slots: dict[int, Tensor] | None = None  # where gradients of a running pass are to be written
    tapes = 0  # GradientTapes that are recording


_state = _State()


class Node:
    """One call of an op: its inputs, its backward closure, and how many results it has."""

    __slots__ = ("backward", "inputs", "name", "order", "results", "rounds")

    def __init__(self, name: str, inputs: tuple, backward: Callable, results: tuple[Tensor, ...]):
        self.name = name
        self.inputs = inputs
        self.backward = backward
        self.results = [(r.shape, r.dtype, r.device) for r in results]
        self.order = next(_order)
        self.rounds = rounding.is_on()

    def gradients(self, d_results: list[Tensor]) -> Any:
        with rounding.products_rounded(self.rounds):
            return self.backward(*d_results)


def needs_grad(x: Any) -> bool:
    """True for a tensor that a gradient may flow to."""
    return isinstance(x, Tensor) and (x.requires_grad or x._node is not None)


def is_differentiated(args: Sequence) -> bool:
    """True where an op of these arguments keeps its backward closure."""
    return _state.enabled and _any_needs_grad(args)


def _any_needs_grad(args: Sequence) -> bool:
    for a in args:
        if isinstance(a, (list, tuple)):
            if _any_needs_grad(a):
                return True
        elif needs_grad(a):
            return True
    return False


def op(function: Callable) -> Callable:
    """Makes a differentiable operation of `function(*args) -> (result, backward)`.

    `backward(*d_results)` returns one gradient (or None) per positional argument; an argument that
    is a list of tensors gets a list. `backward` may be None: the op has no derivative.
    """
    signature = inspect.signature(function)
    name = function.__name__

    @functools.wraps(function)
    def call(*args, **kwargs):
        if kwargs:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        result, backward = function(*args, **kwargs)
        if backward is not None and is_differentiated(args):
            # A result that is an input would be its own cause, and one that the backward pass needs would keep
            # itself alive until the collector comes by: it becomes another tensor over its memory.
            held = [*args, *(c.cell_contents for c in backward.__closure__ or ())]
            results = tuple(
                view(r, r.shape) if any(r is h for h in held) else r
                for r in (result if isinstance(result, tuple) else (result,))
            )
            result = results if isinstance(result, tuple) else results[0]
            node = Node(name, args, backward, results)
            for i, r in enumerate(results):
                r._node = (node, i)
        return result

    OPS[name] = call
    return call


@contextmanager
def no_grad():
    """Inside, ops keep nothing for a backward pass."""
    before, _state.enabled = _state.enabled, False
    try:
        yield
    finally:
        _state.enabled = before


def grad_buffer(x: Tensor, shape: tuple | None = None) -> Tensor:
    """Where the gradient of x is to be written: x's own slot the first time, else new memory."""
    if _state.slots:
        slot = _state.slots.pop(id(x), None)
        if slot is not None:
            return slot
    return empty(x.shape if shape is None else shape, like=x)


def grad_to(x: Tensor, kernel: Callable, *args: Any) -> Tensor | None:
    """Runs kernel(*args, dx) into the gradient of x; does nothing if x needs none."""
    if not needs_grad(x):
        return None
    dx = grad_buffer(x)
    kernel(*args, dx)
    return dx


def zeros_like_result(spec: tuple) -> Tensor:
    shape, dtype, device = spec
    t = empty(shape, dtype, device)
    kernels.fill(t, 0.0)
    return t


def gradients(
    target: Tensor,
    sources: Sequence[Tensor],
    seed: Tensor | None = None,
    slots: Sequence[Tensor] | None = None,
) -> list[Tensor | None]:
    """d target / d source for every source, None where target does not depend on it.

    `seed` is the gradient of target (ones by default). With `slots`, one tensor per source, each
    gradient is written there, zeros where there is none; that is how an optimizer gets all
    gradients in one flat arena without a copy.
    """
    if seed is None:
        seed = empty(target.shape, like=target)
        kernels.fill(seed, 1.0)
    elif seed.shape != target.shape:
        raise ValueError(f"the gradient of a tensor {target.shape} has its shape, got {seed.shape}")
    wanted = {id(s): s for s in sources}
    found: dict[int, Tensor] = {}
    pending: dict[int, list[Tensor | None]] = {}  # by node: gradients of its results
    nodes: dict[int, Node] = {}  # by order, to be processed latest first
    slot_of = {id(s): t for s, t in zip(sources, slots)} if slots is not None else {}

    def arrive(x: Tensor, dx: Tensor) -> None:
        if id(x) in wanted:
            before = found.get(id(x))
            found[id(x)] = dx if before is None else _sum(before, dx, slot_of.get(id(x)))
        if x._node is not None:
            node, i = x._node
            if node.order not in nodes:
                nodes[node.order] = node
                pending[id(node)] = [None] * len(node.results)
            waiting = pending[id(node)]
            sum_ = waiting[i]
            waiting[i] = dx if sum_ is None else _sum(sum_, dx, None)

    before, _state.slots = _state.slots, dict(slot_of)
    enabled, _state.enabled = _state.enabled, False
    try:
        arrive(target, seed)
        while nodes:
            node = nodes.pop(max(nodes))
            d_results = [
                d if d is not None else zeros_like_result(spec) for d, spec in zip(pending.pop(id(node)), node.results)
            ]
            d_inputs = node.gradients(d_results)
            if not isinstance(d_inputs, tuple):
                d_inputs = (d_inputs,)
            for x, dx in zip(node.inputs, d_inputs):
                if dx is None:
                    continue
                if isinstance(x, (list, tuple)):
                    for xi, dxi in zip(x, dx):
                        if dxi is not None and needs_grad(xi):
                            arrive(xi, dxi)
                elif needs_grad(x):
                    arrive(x, dx)
    finally:
        _state.slots = before
        _state.enabled = enabled
    if slots is None:
        return [found.get(id(s)) for s in sources]
    for s, slot in zip(sources, slots):
        dx = found.get(id(s))
        if dx is None:
            kernels.fill(slot, 0.0)
        elif dx.address != slot.address:
            kernels.copy(dx, slot)
    return list(slots)


def _sum(a: Tensor, b: Tensor, slot: Tensor | None) -> Tensor:
    # A gradient may be shared (an addition hands the same one to both inputs), so only memory that
    # is a source's own slot is added to in place.
    total = a if slot is not None and a.address == slot.address else empty(a.shape, like=a)
    kernels.add(a, b, total)
    return total


def _leaves(target: Tensor) -> list[Tensor]:
    leaves: dict[int, Tensor] = {}
    seen: set[int] = set()
    stack: list[Any] = [target]
    while stack:
        x = stack.pop()
        if isinstance(x, (list, tuple)):
            stack.extend(x)
        elif isinstance(x, Tensor):
            if x.requires_grad:
                leaves[id(x)] = x
            if x._node is not None and id(x._node[0]) not in seen:
                seen.add(id(x._node[0]))
                stack.extend(x._node[0].inputs)
    return list(leaves.values())


def _no_second_order(*d_results: Tensor) -> None:
    raise NotImplementedError(
        "second-order gradients are not supported: this one depends on a gradient that was computed inside a "
        "GradientTape, and backward passes have no derivative. Where it is meant as a constant, say so with "
        "ops.stop_gradient(gradient), or compute it outside of the tape; the difference of the gradients at two "
        "near points gives a Hessian times a vector"
    )


def _seen_by_tapes(g: Tensor | None, tapes: int) -> Tensor | None:
    """The gradient g as the result of a call without a derivative, if `tapes` that record are to know of it.

    Without a recording tape a gradient is a constant, as it is in TensorFlow.
    """
    if g is None or not tapes or not _state.enabled:
        return g
    g = view(g, g.shape)  # g may be anybody's tensor, such as the seed
    g._node = Node("gradient", (), _no_second_order, (g,)), 0
    return g


def backward(target: Tensor, gradient: Any = None) -> None:
    """Adds d target / d leaf to `leaf.grad` for every leaf with requires_grad."""
    if not needs_grad(target):
        raise ValueError(
            "backward(): no tensor with requires_grad leads to this one; a gradient that was computed outside of a "
            "GradientTape is a constant"
        )
    if gradient is None and target.size != 1:
        raise ValueError(f"backward() of a tensor {target.shape} needs its gradient as an argument")
    seed = None if gradient is None else to_tensor(gradient, target.dtype)
    leaves = _leaves(target)
    for leaf, g in zip(leaves, gradients(target, leaves, seed)):
        if g is not None:
            leaf.grad = _seen_by_tapes(g if leaf.grad is None else _sum(leaf.grad, g, None), _state.tapes)


class GradientTape:
    """`with GradientTape() as tape: ...; tape.gradient(loss, variables)`, as in TensorFlow.

    Trainable variables are watched by themselves; `watch(x)` adds any other float tensor. A gradient
    that is computed while another tape records is seen by that tape, which then refuses to
    differentiate it: there are no second-order gradients.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self.persistent = persistent
        self._used = False
        self._recording = False

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise ValueError("this GradientTape is recording already")
        self._enabled, _state.enabled = _state.enabled, True
        self._recording = True
        _state.tapes += 1
        return self

    def __exit__(self, *exc: object) -> None:
        _state.enabled = self._enabled
        self._recording = False
        _state.tapes -= 1

    def watch(self, x: Tensor | Sequence[Tensor]) -> None:
        for t in x if isinstance(x, (list, tuple)) else [x]:
            if not isinstance(t, Tensor) or not t.dtype.startswith("float"):
                raise TypeError("watch() takes float tensors")
            t.requires_grad = True

    def gradient(self, target: Tensor, sources: Any, output_gradients: Any = None) -> Any:
        """d target / d sources in the structure of `sources`; None where there is no path."""
        if self._used and not self.persistent:
            raise RuntimeError("gradient() can be called once; use GradientTape(persistent=True)")
        self._used = True
        single = isinstance(sources, Tensor)
        flat = [sources] if single else list(sources)
        seed = None if output_gradients is None else to_tensor(output_gradients, target.dtype)
        own = self._recording and not self.persistent  # such a tape ends here
        found = [_seen_by_tapes(g, _state.tapes - own) for g in gradients(target, flat, seed)]
        return found[0] if single else found
