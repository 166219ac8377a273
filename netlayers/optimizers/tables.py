"""Updates of parameters with row gradients, such as embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers._warn import warn
from netlayers.core.parameters import rows_of
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers.protocol import OptimizerProtocol
    from netlayers.optimizers.rules import Rule

WARN_ABOVE = 1 << 20  # entries of a parameter


class RowUpdate:
    """Applies a rule to the rows of a parameter that have a gradient.

    For a rule that changes neither weights nor state where the gradient is 0, the result is bitwise
    that of an update of the whole parameter, as rules are elementwise.

    Args:
        rule: the rule of the parameter; its weight decay is applied to all rows.
        p: the parameter.
        state: the state vectors of the parameter.
        multiplier: factor of the learning rate.
    """

    def __init__(
        self,
        rule: Rule,
        p: Parameter,
        state: list[Array],
        multiplier: float,
    ) -> None:
        self._update, self._p = rule.update, p
        self._multiplier, self._decay = multiplier, rule.decay
        self._state = [vector.reshape(p.shape) for vector in state]
        self._taken: list[Array] = []  # of weights and state, rows that were used before

    def apply(self, rate: float) -> None:
        """Update the rows with the given learning rate."""
        lr, table, gradient = rate * self._multiplier, self._p.value, rows_of(self._p)
        assert table is not None
        if self._decay:
            np.multiply(table, 1 - lr * self._decay, out=table)
        rows = gradient.rows
        w, *state = self._rows_of([table, *self._state], rows)
        flat = tuple(vector.reshape(-1) for vector in state)
        g = gradient.values.reshape(-1)
        self._update(w.reshape(-1), g, lr, flat, np.empty_like(g))
        table[rows] = w
        for vector, updated in zip(self._state, state, strict=True):
            vector[rows] = updated

    def _rows_of(self, tables: list[Array], rows: Array) -> list[Array]:
        """Return rows of tables in arrays that are used again: new ones take longer to allocate."""
        if not self._taken or len(self._taken[0]) < len(rows):
            self._taken = [np.empty((len(rows), *table.shape[1:]), table.dtype) for table in tables]
        found = [taken[: len(rows)] for taken in self._taken]
        for table, taken in zip(tables, found, strict=True):
            table.take(rows, axis=0, out=taken, mode="clip")  # "raise" would copy
        return found


class DenseGradient:
    """A row gradient as a flat dense array, for rules that cannot update by rows.

    Args:
        p: the parameter.
    """

    def __init__(self, p: Parameter) -> None:
        self._p = p
        self.array = aligned(p.size, p.value.dtype)  # type: ignore[union-attr]
        self._table = self.array.reshape(p.shape)
        self._rows: Array | slice = slice(0)

    def fill(self) -> None:
        """Write the current row gradients; previously written rows become 0."""
        gradient = rows_of(self._p)
        self._table[self._rows] = 0
        self._table[gradient.rows] = gradient.values
        self._rows = gradient.rows


def warn_about_dense_gradient(optimizer: OptimizerProtocol, p: Parameter) -> None:
    """Warn once that the gradient of a large parameter is made dense."""
    size = p.size * p.value.dtype.itemsize  # type: ignore[union-attr]
    if p.size > WARN_ABOVE and p.path not in optimizer._made_dense:
        optimizer._made_dense.add(p.path)
        states = len(optimizer.state_names)
        warn(
            f"{type(optimizer).__name__} updates all rows of {p.path!r}, also those without a "
            f"gradient, so the gradient is made dense. This takes {_megabytes(size)} in addition "
            f"to {_megabytes(size * states)} of state, and each step processes all of it. SGD "
            "without momentum, Adagrad and LazyAdam update only the rows of the batch."
        )


def _megabytes(size: int) -> str:
    return f"{math.ceil(size / 2**20)} MiB"
