"""`Configurable`: `get_config` derived from the constructor's signature, so that no class has to
write one.

The value of argument `a` is the attribute `self.a` if there is one (it may have been changed
since), else what the constructor was given. Arguments that a class hands to its base through
`**kwargs` are part of the config as well, except those that the class sets itself:
`cls(**get_config())` is always a valid call.
"""

from __future__ import annotations

import functools
import inspect

from fastnn.explain import explained
from fastnn.serialization import deserialize_object, serialize_object

_MISSING = object()
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Record:
    """What the constructors of one object received: [(class whose __init__ ran, names it
    received)], outermost first.
    """

    def __init__(self):
        self.calls = []
        self.closed = False
        # Only of arguments that did not become attributes, so that nothing is kept alive twice.
        self.values = {}


class Configurable:
    """Base of everything that has `get_config` and `from_config`."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _recording(cls, vars(cls)["__init__"])

    def get_config(self) -> dict:
        """Plain data from which `from_config` makes an equal object without its weights."""
        record = vars(self).get("_init_record")
        config: dict = {}
        if record is None:
            return config
        extras = set()
        for level, (cls, received) in enumerate(record.calls):
            own, passes_on = _parameters(cls)
            if level == 0:
                extras = set(received) - set(own)
            for name, default in own.items():
                # A base's argument that was received but not from the outermost call is fixed by
                # the subclass.
                if name not in config and (level == 0 or name not in received or name in extras):
                    config[name] = serialize_object(self._argument(name, record.values.get(name, default)))
            if not passes_on:
                break
        for name in extras - set(config):  # taken out of **kwargs by hand
            if name in record.values:
                config[name] = serialize_object(record.values[name])
        return config

    def _argument(self, name, received):
        value = getattr(self, name, _MISSING)
        return received if value is _MISSING or inspect.ismethod(value) else value

    @classmethod
    def from_config(cls, config: dict):
        """Make an object from `get_config`'s dictionary; nested dictionaries become objects of the
        known classes.
        """
        return cls(**{name: deserialize_object(value) for name, value in config.items()})


def _recording(cls, init):
    names = [p.name for p in inspect.signature(init).parameters.values()][1:]

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        record = vars(self).get("_init_record")
        outermost = record is None or record.closed
        if outermost:
            record = _Record()
            object.__setattr__(self, "_init_record", record)  # past the attribute tracking of layers
        received = {**dict(zip(names, args, strict=False)), **kwargs}
        record.calls.append((cls, tuple(received)))
        try:
            init(self, *args, **kwargs)
        except Exception as error:
            told = explained(cls.__name__, init, (self, *args), kwargs, error)
            if told is error or not outermost:
                raise
            raise told from error
        if outermost:
            record.closed = True
            record.values = {n: v for n, v in received.items() if self._argument(n, _MISSING) is _MISSING}

    return __init__


@functools.cache
def _parameters(cls):
    """({name: default} of the constructor's named arguments, whether it passes `**kwargs` on)."""
    own, passes_on = {}, False
    for p in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if p.kind in _NAMED:
            own[p.name] = None if p.default is p.empty else p.default
        elif p.kind is p.VAR_KEYWORD:
            passes_on = True
        else:
            raise TypeError(f"{cls.__name__}.__init__ takes {p}, which a config cannot hold: override get_config")
    return own, passes_on
