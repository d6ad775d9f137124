"""Files: safetensors and JSON in one zip, written atomically. They hold no code, and reading them
runs none.
"""

from fastnn.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.saving.atomic import atomic_write
from fastnn.saving.container import Container, open_container, write_container
from fastnn.saving.models import load_model, load_weights, save_model, save_weights
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "Container",
    "CustomObjectScope",
    "atomic_write",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "open_container",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
    "write_container",
]
