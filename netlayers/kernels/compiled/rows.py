"""Compiled kernels of tables of which a batch uses few rows; see ``elementwise.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array


def _add_rows(order: Array, index: Array, values: Array, rows: Array, sums: Array) -> int:
    found, width = 0, values.shape[1]
    zero = values.dtype.type(0)
    for n in range(order.size):
        i = order[n]
        if found == 0 or index[i] != rows[found - 1]:
            rows[found] = index[i]
            for j in range(width):
                sums[found, j] = values[i, j] + zero  # as from 0: -0 becomes 0
            found += 1
        else:
            for j in range(width):
                sums[found - 1, j] += values[i, j]
    return found


def sums_by_index(index: Array, values: Array) -> tuple[Array, Array]:
    """See :func:`netlayers.kernels.rows.sums_by_index`; the same to the bit."""
    rows, sums = np.empty(index.shape, np.intp), np.empty(values.shape, values.dtype)
    order = index.argsort(kind="stable")
    found = _add_rows(order, index, np.ascontiguousarray(values), rows, sums)
    return rows[:found], sums[:found]


LOOPS = (_add_rows,)
KERNELS = (sums_by_index,)
