"""Rows of a table by index, or their mean."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..autograd import grad_to, op
from ..tensor import Tensor, empty, to_tensor
from .promotion import whole_numbers

__all__ = ["embedding_lookup", "embedding_mean"]


def _operands(name: str, indices: Any, table: Any) -> tuple[Tensor, Tensor]:
    indices, table = to_tensor(indices), to_tensor(table)
    if table.ndim != 2:
        raise ValueError(f"{name}: table must have 2 dimensions, got {table.shape}")
    return whole_numbers(indices), table


@op
def embedding_lookup(indices: Any, table: Any):
    """table[indices].   indices (*rows) integers, table (rows of it, d) -> (*rows, d)

    ValueError for an index outside the table. The gradient adds rows in the order of the indices.
    """
    indices, table = _operands("embedding_lookup", indices, table)
    y = empty((*indices.shape, table.shape[1]), like=table)
    kernels.embedding(indices, table, y)
    return y, lambda dy: (None, grad_to(table, kernels.embedding_grad, indices, dy))


@op
def embedding_mean(indices: Any, table: Any, mask: Any = None):
    """The mean of table[indices] over each row of indices: global_average_pool(embedding_lookup(indices, table), mask)
    at once.   indices (batch, steps) integers, table (rows of it, d), mask bool (batch, steps) -> (batch, d)

    With a mask, only steps where it is true count; a row without any gives 0. ValueError for an index outside the
    table.
    """
    indices, table = _operands("embedding_mean", indices, table)
    if indices.ndim != 2:
        raise ValueError(f"embedding_mean: indices are (batch, steps), got {indices.shape}")
    if mask is not None:
        mask = to_tensor(mask, "bool")
        if mask.shape != indices.shape:
            raise ValueError(f"embedding_mean: a mask {mask.shape} does not fit indices {indices.shape}")
    y = empty((indices.shape[0], table.shape[1]), like=table)
    kernels.embedding_mean(indices, mask, table, y)
    return y, lambda dy: (None, grad_to(table, kernels.embedding_mean_grad, indices, mask, dy), None)
