"""A count of changes to what recorded steps hold fast: attributes that steer a layer, what it is made of,
where weights lie. Who sees it unmoved need not look at every layer again.
"""

from __future__ import annotations

count = 0


def note() -> None:
    """Something of that kind has changed, somewhere."""
    global count
    count += 1
