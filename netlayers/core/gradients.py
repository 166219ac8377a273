"""Row gradients of tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


class RowGradient:
    """The gradient of a table of which a batch uses few rows, such as an embedding.

    Args:
        shape: shape of the table, rows first.
        dtype: dtype of the values.

    Attributes:
        rows: (k,), the rows that have a gradient, sorted and unique.
        values: (k, ...), their gradients.

    Example:
        >>> from netlayers.core.gradients import RowGradient
        >>> import numpy as np
        >>> gradient = RowGradient((5, 2), np.dtype("float32"))
        >>> gradient.set([3, 1, 3], [[1, 2], [3, 4], [5, 6]])
        >>> gradient.rows, gradient.values.tolist()
        (array([1, 3]), [[3.0, 4.0], [6.0, 8.0]])
    """

    def __init__(self, shape: tuple[int, ...], dtype: Dtype) -> None:
        self.shape, self.dtype = shape, dtype
        self.clear()

    def clear(self) -> None:
        """Remove all rows."""
        self.rows: Array = np.empty(0, np.intp)
        self.values: Array = np.empty((0, *self.shape[1:]), self.dtype)

    def set(self, rows: Any, values: Any) -> None:
        """Set the rows, replacing the previous ones; the values of repeated rows are summed.

        They are added sequentially in their order, as ``np.add.at`` does, so the result is
        reproducible.

        Args:
            rows: (k,), row indices, with repeats, in any order.
            values: (k, ...), the gradient of each; not changed.
        """
        rows = np.asarray(rows, np.intp).reshape(-1)
        width = math.prod(self.shape[1:])
        flat = np.asarray(values, self.dtype).reshape(len(rows), width)
        self.rows, sums = kernels.sums_by_index(rows, flat)
        self.values = sums.reshape(len(self.rows), *self.shape[1:])

    def set_dense(self, table: Any) -> None:
        """Set all rows from a table, which is stored without a copy."""
        self.rows, self.values = np.arange(len(table)), np.ascontiguousarray(table, self.dtype)

    def add(self, rows: Any, values: Any) -> None:
        """Add to the gradient.

        The sum of two gradients does not depend on their order. That of three or more does, up to
        rounding: several processes must add theirs in a fixed order.
        """
        rows = np.asarray(rows, np.intp).reshape(-1)
        values = np.asarray(values, self.dtype).reshape(len(rows), *self.shape[1:])
        if not len(self.rows):
            self.set(rows, values)
            return
        other = RowGradient(self.shape, self.dtype)
        other.set(rows, values)
        self.set(
            np.concatenate([self.rows, other.rows]), np.concatenate([self.values, other.values])
        )

    def dense(self) -> Array:
        """Return the dense gradient as a new array, 0 in the rows without a gradient."""
        table = np.zeros(self.shape, self.dtype)
        table[self.rows] = self.values
        return table

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.dense() if dtype is None else self.dense().astype(dtype)
