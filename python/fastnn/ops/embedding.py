"""Rows of a table by index."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import empty, to_tensor
from .promotion import whole_numbers

__all__ = ["embedding_lookup"]


@op
def embedding_lookup(indices: Any, table: Any):
    """table[indices].   indices (*rows) integers, table (rows of it, d) -> (*rows, d)

    ValueError for an index outside the table. The gradient adds rows in the order of the indices.
    """
    indices, table = to_tensor(indices), to_tensor(table)
    if table.ndim != 2:
        raise ValueError(f"embedding_lookup: table must have 2 dimensions, got {table.shape}")
    indices = whole_numbers(indices)
    y = empty((*indices.shape, table.shape[1]), like=table)
    kernels.embedding(indices, table, y)
    return y, lambda dy: (None, grad_to(table, kernels.embedding_grad, indices, dy))
