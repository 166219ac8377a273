"""Updates of tables whose gradients are by rows, such as those of embeddings."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.parameters import rows_of
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter

WARN_ABOVE = 1 << 20  # numbers in a table


class RowUpdate:
    """Applies a rule to the rows of a table that have a gradient.

    That is exact for a rule which changes nothing where the gradient is 0: neither the weight nor
    the state. Each number is updated on its own, so the rows get the bits of the whole table.

    Args:
        optimizer: the rule.
        p: the table.
        state: the vectors of the rule's state, of this table.
        multiplier: factor of the learning rate.
        decay: weight decay, which is of all rows.
    """

    def __init__(
        self, optimizer: Any, p: Parameter, state: list[Array], multiplier: float, decay: float
    ) -> None:
        self._update, self._p = optimizer.update, p
        self._multiplier, self._decay = multiplier, decay
        self._state = [vector.reshape(p.shape) for vector in state]

    def apply(self, rate: float) -> None:
        """Update the rows, for a learning rate."""
        lr, table, gradient = rate * self._multiplier, self._p.value, rows_of(self._p)
        assert table is not None
        if self._decay:
            np.multiply(table, 1 - lr * self._decay, out=table)
        rows = gradient.rows
        w, state = table[rows], [vector[rows] for vector in self._state]
        flat = tuple(vector.reshape(-1) for vector in state)
        g = gradient.values.reshape(-1)
        self._update(w.reshape(-1), g, lr, flat, np.empty_like(g))
        table[rows] = w
        for vector, its in zip(self._state, state, strict=True):
            vector[rows] = its


class DenseGradient:
    """The gradient of a table as a flat array, for a rule that has no form by rows.

    Args:
        p: the table.
    """

    def __init__(self, p: Parameter) -> None:
        self._p = p
        self.array = aligned(p.size, p.value.dtype)  # type: ignore[union-attr]
        self._table = self.array.reshape(p.shape)
        self._rows: Any = slice(0)

    def fill(self) -> None:
        """Write the rows that have a gradient, and 0 in those that had one before."""
        gradient = rows_of(self._p)
        self._table[self._rows] = 0
        self._table[gradient.rows] = gradient.values
        self._rows = gradient.rows


def warn_of_dense(optimizer: Any, p: Parameter) -> None:
    """Warn, once, that the gradient of a large table is made dense."""
    size = p.size * p.value.dtype.itemsize  # type: ignore[union-attr]
    if p.size > WARN_ABOVE and p.path not in optimizer._made_dense:
        optimizer._made_dense.add(p.path)
        states = len(optimizer.state_names)
        warnings.warn(
            f"{type(optimizer).__name__} changes all rows of {p.path!r} in each update, also those "
            f"without a gradient, which is therefore made dense: {_megabytes(size)} more, beside "
            f"{_megabytes(size * states)} of state, and the time for all of it in each step. SGD "
            "without momentum and Adagrad change only the rows of the batch.",
            stacklevel=6,
        )


def _megabytes(size: int) -> str:
    return f"{math.ceil(size / 2**20)} MiB"
