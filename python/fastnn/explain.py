"""What went wrong in a call, in the words of its signature.

An op does not ask of what kind each argument is: that would cost time, and lines in every op. What
does not work ends somewhere inside with the interpreter's own words ("'<' not supported between
instances of 'str' and 'int'"). Here, at the one door that all ops have, the arguments are then held
against the annotations, and the first that does not fit is named.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# What somebody raised who knew what it means: these go through as they are.
_MEANT = (
    RuntimeError,
    NameError,
    NotImplementedError,
    FloatingPointError,
    OSError,
    Warning,
    ImportError,
    AssertionError,
)


def clear(function: Callable, name: str | None = None) -> Callable:
    """`function` with errors in the words of its signature; ops have them anyway."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            told = explained(name or function.__name__, function, args, kwargs, error)
            if told is error:
                raise
            raise told from error

    return call


def explained(name: str, function: Callable, args: tuple, kwargs: dict, error: Exception) -> Exception:
    """The exception to raise for `error`, which came out of function(*args, **kwargs).

    That is `error` itself where it tells enough, or came from other people's code.
    """
    if isinstance(error, _MEANT) or not is_ours(error):
        return error
    said = str(error)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as wrong:
        return TypeError(f"{name}: {wrong}")
    if isinstance(error, ValueError) and "unpack" not in said:
        return error  # an op's own
    if isinstance(error, MemoryError) and said:
        return error
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    for parameter, value in bound.arguments.items():
        if parameter in hints and not _fits(value, hints[parameter]):
            return TypeError(f"{name}: {parameter} is {_shown(value)}, expected {_words(hints[parameter])}")
    if isinstance(error, (IndexError, TypeError)) and not _is_interpreters(said):
        return error
    given = ", ".join(f"{k}={_shown(v)}" for k, v in bound.arguments.items() if k != "self")
    kind = type(error) if isinstance(error, (OverflowError, MemoryError)) else ValueError
    why = "" if _is_interpreters(said) or not said else f": {said}"
    if "too big to convert" in said:
        kind, why = ValueError, ": a number in it does not fit in 64 bits"
    return kind(f"{name} cannot be computed for {given}{why}")


def explained_in(place: str, function: Callable, args: tuple, kwargs: dict, error: Exception) -> Exception:
    """The same for an error inside of something that has a name of its own, which it then tells."""
    told = explained(place, function, args, kwargs, error)
    kind = type(told)
    if kind not in (ValueError, TypeError) or "layer '" in str(told) or not (told is not error or is_ours(error)):
        return told
    return kind(f"{place}: {told}")


def is_ours(error: Exception) -> bool:
    """True if nothing but this package and NumPy ran: no layer or function of the user's."""
    frame = error.__traceback__
    while frame is not None:
        package = frame.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("fastnn", "numpy", "inspect", "contextlib"):
            return False
        frame = frame.tb_next
    return True


def _is_interpreters(text: str) -> bool:
    """True for the words of Python, NumPy and pybind11, which know nothing of the call."""
    return any(words in text for words in (
        "' object", "not supported between", "incompatible function", "incompatible constructor", "operand type", "index out of range",
        "must be real number", "argument must be", "required argument", "positional argument", "unpack", "ufunc", "only length-1", "not callable",
    ))  # fmt: skip


def _fits(value: Any, hint: Any) -> bool:
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, h) for h in of)
    if hint is None or hint is type(None):
        return value is None
    if hint is Any:
        return True
    if hint is bool:
        return isinstance(value, (bool, np.bool_, int))
    if hint is int:
        return hasattr(value, "__index__") and not isinstance(value, np.ndarray)
    if hint is float:
        return isinstance(value, (int, float, np.integer, np.floating, np.bool_))
    if origin in (tuple, list, Sequence):
        if not isinstance(value, (tuple, list, np.ndarray)):
            return False
        return not of or all(_fits(v, of[0]) for v in (value.flat if isinstance(value, np.ndarray) else value))
    if origin is Callable or hint is Callable:
        return callable(value)
    return isinstance(value, hint) if inspect.isclass(hint) else True


def _words(hint: Any) -> str:
    """ "int or None" for `int | None`."""
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(h) for h in of))
    if hint is None or hint is type(None):
        return "None"
    if origin in (tuple, list, Sequence):
        return f"a sequence of {_words(of[0])}" if of else "a sequence"
    if origin is Callable or hint is Callable:
        return "a function"
    name = getattr(hint, "__name__", None)
    return name if isinstance(name, str) else str(hint)


def _shown(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"an array {tuple(value.shape)} of {value.dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
