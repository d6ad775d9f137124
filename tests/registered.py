"""What is registered under Keras' names, for tests that must cover all of it."""

import inspect
import operator

import fastnn
from fastnn import serialization


def _table(family: str) -> set:
    operator.attrgetter(family)(fastnn)  # loading it registers its members
    return set(serialization._FAMILIES[f"keras.{family}"].table.values())


def classes(family: str) -> set[str]:
    """Names of the registered classes of a family: "losses", "optimizers.schedules"."""
    return {obj.__name__ for obj in _table(family) if inspect.isclass(obj)}


def functions(family: str) -> set[str]:
    """Names of its registered functions."""
    return {obj.__name__ for obj in _table(family) if not inspect.isclass(obj)}
