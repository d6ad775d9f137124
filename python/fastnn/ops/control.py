"""Control flow with Keras' names. Ops run as they are called, so these are Python's own `if` and `for`,
and gradients flow through what was done. Conditions are read from tensors: a recorded step that asks
for one stays eager.

Structures are tensors, or lists, tuples and dicts of them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from ..symbolic import flatten, map_structure
from ..tensor import to_tensor
from .slice import stack

__all__ = ["cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]


def _check_functions(name: str, **functions: Any) -> None:
    for argument, f in functions.items():
        if not callable(f):
            raise TypeError(f"{name}: {argument} is a function, got {f!r:.80}")


def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """true_fn() if `pred` holds, else false_fn()."""
    _check_functions("cond", true_fn=true_fn, false_fn=false_fn)
    return true_fn() if bool(pred) else false_fn()


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """branches[index](*operands); an index outside is the nearest one inside."""
    if not isinstance(branches, (list, tuple)) or not branches:
        raise TypeError(f"switch: branches is a list of functions, got {branches!r:.80}")
    _check_functions("switch", **{f"branches[{i}]": f for i, f in enumerate(branches)})
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """loop_vars = body(*loop_vars) as long as cond(*loop_vars) holds; the last ones.

    One variable that is not in a list or tuple is given and returned as it is.
    """
    _check_functions("while_loop", cond=cond, body=body)
    many = isinstance(loop_vars, (list, tuple))
    values = loop_vars if many else (loop_vars,)
    done = 0
    while (maximum_iterations is None or done < maximum_iterations) and bool(cond(*values)):
        result = body(*values)
        values = result if isinstance(result, (list, tuple)) else (result,)
        done += 1
    return type(loop_vars)(values) if many else values[0]


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """val = body_fun(i, val) for i = lower, ..., upper - 1; the last one."""
    _check_functions("fori_loop", body_fun=body_fun)
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def _length(name: str, xs: Any) -> int:
    leaves = flatten(xs)
    if not leaves or not all(x.ndim for x in leaves):
        raise ValueError(f"{name}: every input has a first axis, got shapes {[x.shape for x in leaves]}")
    sizes = {len(x) for x in leaves}
    if len(sizes) != 1:
        raise ValueError(f"{name}: the first axes of the inputs differ: {sorted(sizes)}")
    return sizes.pop()


def _stacked(results: list) -> Any:
    """Results of equal structure as one, with a new first axis."""
    columns = iter([stack(list(leaves)) for leaves in zip(*builtins.map(flatten, results))])
    return map_structure(lambda _: next(columns), results[0])


def scan(
    f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: Any = 1
) -> tuple:
    """carry, y[i] = f(carry, xs[i]) along the first axis -> the last carry, and the y as one.

    Args:
      xs: a structure of tensors; None calls f(carry, None) `length` times.
      reverse: from the last to the first; y keeps the order of xs.
      unroll: of no consequence.
    """
    _check_functions("scan", f=f)
    if xs is None and length is None:
        raise ValueError("scan: without xs, length says how often f is called")
    xs = None if xs is None else map_structure(to_tensor, xs)
    n = int(length) if xs is None else _length("scan", xs)  # type: ignore[arg-type]
    if length is not None and n != length:
        raise ValueError(f"scan: length is {length}, but xs has {n} along the first axis")
    carry, results = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, None if xs is None else map_structure(lambda x, i=i: x[i], xs))
        results.append(y)
    if not results or results[0] is None:
        return carry, None
    return carry, _stacked(results[::-1] if reverse else results)


def map(f: Callable, xs: Any) -> Any:
    """f(xs[i]) along the first axis, as one."""
    _check_functions("map", f=f)
    xs = map_structure(to_tensor, xs)
    n = _length("map", xs)
    if not n:
        raise ValueError("map: there is nothing to map f over")
    return _stacked([f(map_structure(lambda x, i=i: x[i], xs)) for i in range(n)])


def vectorized_map(function: Callable, elements: Any) -> Any:
    """`map` under another name: elements one by one."""
    return map(function, elements)
