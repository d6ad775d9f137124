"""Names and dictionaries to objects and back, as in Keras' `saving` module.

One `Family` per kind of object (initializer, loss, layer ...) holds a closed table of names. A name
or dictionary that is read from a file can only ever reach that table, or an object that the caller
passed in or registered: nothing is imported by name, and no code is stored. `Family.get` is the one
resolver behind every `fastnn.<family>.get`.
"""

from __future__ import annotations

import contextvars
import difflib
import inspect
import re

import numpy as np

from fastnn.custom_objects import (
    custom_object_scope,
    find_custom_object,
    get_registered_name,
)

# Deeper nesting than this in a file is an attack, not a model: 25 models inside each other reach
# about 100.
MAX_DEPTH = 128

_FAMILIES: dict[str, Family] = {}  # by module name as written in files, "keras.layers"
_MODULES: dict[object, str] = {}  # registered class or function -> module name
_depth: contextvars.ContextVar[int] = contextvars.ContextVar("depth", default=0)


def to_snake_case(name: str) -> str:
    """`GlorotUniform` -> `glorot_uniform`, `Conv2DTranspose` -> `conv2d_transpose` (Keras' rule for
    names).
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Family:
    """The closed table of one kind of object.

    Args:
      kind: the word used in error messages, `"initializer"`.
      module: the module written to and read from files; Keras' own, `"keras.initializers"`, so that
        files are exchangeable.
    """

    def __init__(self, kind: str, module: str):
        self.kind = kind
        self.module = module
        self.table: dict[str, object] = {}
        # snake_case names of classes, which a function of that name may take over
        self._weak: set[str] = set()
        _FAMILIES[module] = self

    def register(self, *aliases: str):
        """Decorator: enter a class (under its name, its snake_case name and `aliases`) or a
        function.
        """

        def enter(obj):
            self._enter(obj.__name__, obj)
            if inspect.isclass(obj):
                snake = to_snake_case(obj.__name__)
                if snake not in self.table:
                    self.table[snake] = obj
                    self._weak.add(snake)
            for alias in aliases:
                self._enter(alias, obj)
            # An object of two families (a loss function that is a metric too) is written under its
            # first.
            _MODULES.setdefault(obj, self.module)
            return obj

        return enter

    def _enter(self, name: str, obj) -> None:
        if self.table.get(name, obj) is not obj and name not in self._weak:
            raise ValueError(f"two {self.kind}s are called {name!r}: {self.table[name]} and {obj}")
        self._weak.discard(name)
        self.table[name] = obj

    def find(self, name: str):
        """The class or function called `name`.

        Raises:
          ValueError: no such name; the message lists the nearest ones.
        """
        found = find_custom_object(name)
        if found is None:
            found = self.table.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.table, n=3, cutoff=0.6)
            hint = (
                f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(sorted(self.table))}."
            )
            raise ValueError(
                f"Unknown {self.kind} {name!r}. {hint} One of your own is passed as an object or "
                "through "
                "custom_object_scope({name: object})."
            )
        return found

    def get(self, identifier, custom_objects: dict | None = None):
        """Resolve a name, class, object, callable or `{"class_name", "config"}` dictionary; None
        stays None.

        Classes are instantiated with their defaults; functions and objects are returned as they
        are.

        Raises:
          ValueError: unknown name, or something that is none of these.
        """
        if identifier is None:
            return None
        with custom_object_scope(custom_objects):
            if isinstance(identifier, dict):
                found = self.deserialize(identifier)
            else:
                found = self.find(identifier) if isinstance(identifier, str) else identifier
        if inspect.isclass(found):
            try:
                return found()
            except TypeError as error:
                raise ValueError(f"{self.kind} {found.__name__} cannot be made without arguments: {error}") from error
        if callable(found) or hasattr(found, "get_config"):
            return found
        raise ValueError(
            f"Expected a {self.kind}: a name, an object, a callable or a "
            f"{{'class_name', 'config'}} dictionary; "
            f"received {identifier!r} of type {type(identifier).__name__}."
        )

    def serialize(self, obj):
        """A dictionary, or the bare name of a function of the table."""
        return serialize_object(obj)

    def deserialize(self, config, custom_objects: dict | None = None):
        """The reverse of `serialize`. A dictionary without `module` is looked up in this family's
        table.
        """
        if isinstance(config, str):
            return self.get(config, custom_objects)
        return deserialize_object(config, custom_objects, family=self)


def serialize_object(obj):
    """Plain data (what JSON can hold, and tuples) that describes `obj`.

    Objects become `{"module", "class_name", "config", "registered_name"}`; functions of a family
    their name; own functions a dictionary with their name, which loads only where the caller
    supplies them.

    Raises:
      ValueError: something that cannot be described without storing code or memory, such as a
        lambda.
    """
    if isinstance(obj, np.generic):  # first: a float64 is a float, too
        return obj.item()
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, list | tuple):
        return (
            type(obj)(map(serialize_object, obj)) if type(obj) in (list, tuple) else [serialize_object(x) for x in obj]
        )
    if isinstance(obj, dict):
        return {key: serialize_object(value) for key, value in obj.items()}
    if hasattr(obj, "get_config") and not inspect.isclass(obj):
        return _describe(type(obj), type(obj).__name__, obj.get_config())
    if hasattr(obj, "numpy") and not inspect.isclass(obj):  # a tensor; asked for as an array, never as a library's type
        obj = np.asarray(obj.numpy())
    if isinstance(obj, np.ndarray):
        if obj.ndim == 0:
            return obj.item()
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if isinstance(obj, np.dtype):
        return obj.name
    if inspect.isfunction(obj) or inspect.isbuiltin(obj):
        if obj in _MODULES:
            return obj.__name__
        if obj.__name__ != "<lambda>":
            return {
                "module": "builtins",
                "class_name": "function",
                "config": get_registered_name(obj),
                "registered_name": "function",
            }
        raise ValueError(
            "A lambda cannot be saved, because files hold no code. Give it a name with def, and "
            "pass it again when loading: "
            "load_model(path, custom_objects={'name': function})."
        )
    raise ValueError(f"{obj!r} of type {type(obj).__name__} cannot be saved: it has no get_config method")


def _describe(cls, name, config):
    module = _MODULES.get(cls)
    registered_name = None if module else get_registered_name(cls)
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": registered_name,
    }


def deserialize_object(data, custom_objects: dict | None = None, *, family: Family | None = None):
    """The reverse of `serialize_object`, for dictionaries from anywhere: they can only name what is
    known.

    Args:
      data: plain data; dictionaries with `class_name` and `config`, at any level, become objects.
      custom_objects: `{name: class or function}` of the caller's own.
      family: where to look a name up that comes without a module.

    Raises:
      ValueError: unknown class or function, wrong arguments, nesting deeper than `MAX_DEPTH`, or
        code in the data.
    """
    token = _depth.set(_depth.get() + 1)
    try:
        if _depth.get() > MAX_DEPTH:
            raise ValueError(f"the configuration is nested deeper than {MAX_DEPTH} levels")
        if custom_objects:
            with custom_object_scope(custom_objects):
                return deserialize_object(data, family=family)
        if isinstance(data, list | tuple):
            return type(data)(map(deserialize_object, data))
        if not isinstance(data, dict):
            return data
        if "class_name" not in data or "config" not in data:
            return {key: deserialize_object(value) for key, value in data.items()}
        return _make(data["class_name"], data["config"], data, family)
    finally:
        _depth.reset(token)


def _make(name, config, data, family):
    if name in ("__numpy__", "__tensor__"):
        return _array(config)
    if name == "__lambda__":
        raise ValueError("The configuration holds the code of a lambda; fastnn never runs code from a file.")
    if name == "function":
        return _function(config, family)
    cls = _class(name, data, family)
    if not isinstance(config, dict) or not hasattr(cls, "from_config"):
        raise ValueError(f"{name} needs a from_config method and a dictionary as its config; received {config!r}")
    try:
        return cls.from_config(dict(config))
    except TypeError as error:
        raise ValueError(f"{name} cannot be made from its config: {error}\nconfig: {config!r}") from error


def _class(name, data, family):
    """The class that a dictionary names: the caller's own, else from the table of its module's
    family.
    """
    if not isinstance(name, str):
        raise ValueError(f"class_name must be a string; received {name!r}")
    for key in (data.get("registered_name"), name):
        if (found := find_custom_object(key)) is not None:
            return found
    module = data.get("module")
    if module is not None:
        tables = [_FAMILIES[module].table] if isinstance(module, str) and module in _FAMILIES else []
    else:  # hand-written dictionaries often name no module; that is fine while the name is unique
        tables = [family.table] if family else [f.table for f in _FAMILIES.values()]
    classes = {id(t[name]): t[name] for t in tables if inspect.isclass(t.get(name))}
    if len(classes) == 1:
        return next(iter(classes.values()))
    if classes:
        homes = sorted({_MODULES[cls] for cls in classes.values()})
        raise ValueError(f"class {name!r} exists in {', '.join(homes)}: add 'module' to the dictionary")
    known = [key for table in tables for key, value in table.items() if inspect.isclass(value)]
    near = difflib.get_close_matches(name, known, n=3)
    raise ValueError(
        f"Unknown class {name!r} (module {module!r}). "
        + (f"Did you mean {' or '.join(map(repr, near))}? " if near else "")
        + f"If it is your own, pass custom_objects={{{name!r}: {name}}}."
    )


def _function(name, family):
    if (found := find_custom_object(name)) is not None:
        return found
    functions = {}
    if isinstance(name, str):
        families = [family] if family and name in family.table else _FAMILIES.values()
        found = [f.table[name] for f in families if inspect.isfunction(f.table.get(name))]
        functions = {id(function): function for function in found}
    if len(functions) != 1:
        raise ValueError(f"Unknown function {name!r}. If it is your own, pass custom_objects={{{name!r}: function}}.")
    return next(iter(functions.values()))


def _array(config):
    try:
        dtype = np.dtype(config["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"dtype {config['dtype']!r} is not numeric")
        return np.array(config["value"], dtype=dtype)
    except (TypeError, KeyError) as error:
        raise ValueError(f"malformed array in the configuration: {error!r}") from error


# --- under Keras' names ---------------------------------------------------------------------------


def serialize_keras_object(obj):
    """Plain data that describes `obj`; see `serialize_object`."""
    return serialize_object(obj)


def deserialize_keras_object(config, custom_objects: dict | None = None, safe_mode: bool = True, **kwargs):
    """The object that the data describe; see `deserialize_object`. Nothing unsafe can be asked for:
    `safe_mode` says nothing.

    Raises:
      TypeError: other arguments.
    """
    if kwargs:
        raise TypeError(f"deserialize_keras_object got unexpected arguments: {', '.join(kwargs)}")
    return deserialize_object(config, custom_objects)
