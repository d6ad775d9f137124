"""Classes and functions of the caller's own: the only way for a name in a file to reach code that
is not fastnn's.

They are passed in for one call, for a `with` block, or registered for the life of the process;
nothing is ever imported by name.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect

_registered: dict[str, object] = {}  # "Custom>Name" -> class or function
_scope: contextvars.ContextVar[dict[str, object]] = contextvars.ContextVar("scope")


def find_custom_object(name):
    """An object of the caller's own: from the innermost scope first, then from
    `register_keras_serializable`.
    """
    return _scope.get({}).get(name, _registered.get(name)) if isinstance(name, str) else None


@contextlib.contextmanager
def custom_object_scope(custom_objects: dict | None):
    """`with custom_object_scope({"MyLayer": MyLayer}):` makes names known while a model is loaded
    or a string resolved.
    """
    if custom_objects is not None and not isinstance(custom_objects, dict):
        raise ValueError(f"custom_objects must be a dict of name -> class or function; received {custom_objects!r}")
    token = _scope.set({**_scope.get({}), **(custom_objects or {})})
    try:
        yield
    finally:
        _scope.reset(token)


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, object]:
    """The objects of the caller's own that are known everywhere, by name; what is entered is too:
    `get_custom_objects()["MyLayer"] = MyLayer`.
    """
    return _registered


def register_keras_serializable(package: str = "Custom", name: str | None = None):
    """Decorator: make a class or function of your own known to loading, under `"<package>><name>"`.

    Raises:
      ValueError: a class without `get_config`, or a name that belongs to something else.
    """

    def enter(obj):
        full_name = f"{package}>{name or obj.__name__}"
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(f"{obj.__name__} cannot be registered: it has no get_config method")
        # A notebook cell that is run again defines the class anew: the newest wins, if it is the
        # same class by name.
        known = _registered.get(full_name)
        if known is not None and (known.__module__, known.__qualname__) != (
            obj.__module__,
            obj.__qualname__,
        ):
            raise ValueError(f"{full_name!r} is registered already, to {known}")
        _registered[full_name] = obj
        return obj

    return enter


def get_registered_name(obj) -> str:
    """`"Custom>Name"` of a registered class or function, else its own name."""
    return next(
        (name for name, known in _registered.items() if known is obj),
        getattr(obj, "__name__", str(obj)),
    )


def get_registered_object(name: str, custom_objects: dict | None = None):
    """The object of the caller's own that `name` stands for, or None."""
    with custom_object_scope(custom_objects):
        return find_custom_object(name)
