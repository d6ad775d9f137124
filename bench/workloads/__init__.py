"""The models that fastnn and its peers train side by side."""

from .more import MORE
from .standard import STANDARD

GROUPS = {"standard": STANDARD, "more": MORE}
WORKLOADS = {**STANDARD, **MORE}
