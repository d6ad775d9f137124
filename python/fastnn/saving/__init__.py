"""Files: safetensors and JSON in one zip, written atomically. They hold no code, and reading them
runs none.
"""

from fastnn.custom_objects import custom_object_scope, register_keras_serializable
from fastnn.saving.atomic import atomic_write
from fastnn.saving.container import Container, open_container, write_container
from fastnn.saving.models import load_model, load_weights, save_model, save_weights

__all__ = [
    "Container",
    "atomic_write",
    "custom_object_scope",
    "load_model",
    "load_weights",
    "open_container",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "write_container",
]
