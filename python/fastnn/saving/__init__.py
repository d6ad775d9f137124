"""Files: safetensors and JSON in one zip, written atomically. They hold no code, and reading them
runs none.
"""

from fastnn.saving.atomic import atomic_write
from fastnn.saving.container import Container, open_container, write_container

__all__ = ["Container", "atomic_write", "open_container", "write_container"]
