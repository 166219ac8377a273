"""Weights, gradients and the state of an optimizer side by side, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.parameters import rows_of
from netlayers.kernels.memory import aligned
from netlayers.optimizers.tables import DenseGradient, RowUpdate, warn_of_dense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.parameters import Parameter, Parameters

# An update reads and writes five arrays. In blocks of 262,144 numbers they stay in the processor's
# cache from one operation to the next, where the whole vector would go through memory each time.
BLOCK = 1 << 18

# What decays without end reaches the denormal numbers at the edge of the format, stays there (half
# of the smallest one rounds to it again), and many processors take several times as long for each.
# So every so many updates what is below 2^20 times the smallest normal number (1e-32 in float32,
# 2e-302 in float64) becomes 0. A decay of 0.87 or slower gets there before it gets too small.
FLUSH_EVERY = 100
FLUSH_BELOW = 2.0**20


class Gradients:
    """The gradients of all that an optimizer changes.

    Args:
        parameters: the vectors, with the gradients that ``backward`` wrote.

    Attributes:
        parameters: as above.
        pieces: ``(gradient, own)`` for each slice of the gradient vector that is changed: a flat
            view, and its slice in the model's own order, in which the optimizer keeps its state.
        whole: whether the pieces are the gradients of all learned values.
        tables: the parameters with a gradient by rows.
        arrays: flat views of all numbers that are a gradient; rows without one are left out.
        tensors: the same, one for each parameter.
        denominator: what the gradients of this call of ``step`` have been divided by; ``None``
            where nobody said.
        size: the norm of all gradients, where a transform has measured it.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        runs = parameters.runs(lambda p: p.row_gradient)
        self.pieces = [(parameters.gradients[at], own) for rows, at, own in runs if not rows]
        self.whole = sum(g.size for g, _ in self.pieces) == parameters.size
        # What learns at 0 times the rate is in no run, and clipped as little as it is counted.
        changed = [p for p in parameters.tensors if p.learning_rate_multiplier != 0]
        self.tables = [p for p in changed if p.row_gradient]
        dense = [p for p in changed if not p.row_gradient]
        self._arrays = [g for g, _ in self.pieces]
        self._tensors = [parameters.gradients[p.slice] for p in dense]
        self.collect()
        self.denominator: float | None = None
        self.size: Any = None

    def collect(self) -> None:
        """Take the rows that the tables have now into :attr:`arrays` and :attr:`tensors`."""
        rows = [rows_of(p).values.reshape(-1) for p in self.tables]
        self.arrays, self.tensors = [*self._arrays, *rows], [*self._tensors, *rows]

    def nonfinite(self) -> Iterator[tuple[Parameter, int]]:
        """Yield the parameters whose gradients are not finite, and in how many numbers.

        The last one comes first, as the backward pass met it first.
        """
        for p in reversed(self.parameters.tensors):
            if p.learning_rate_multiplier != 0:
                g = rows_of(p).values if p.row_gradient else p.gradient
                bad = int(np.count_nonzero(~np.isfinite(g)))
                if bad:
                    yield p, bad


class Layout:
    """The blocks that an optimizer's rule is applied to.

    The vectors of the state are in the model's own order of its parameters, which need not be that
    of the vector of the weights.

    Args:
        optimizer: its rule and its state.
        parameters: the weights.

    Attributes:
        gradients: what the transforms work on.
        groups: ``((multiplier, decay, parameter), blocks)`` for neighbours that are updated alike;
            a block is ``(w, g, state, scratch)``. The parameter is ``None`` unless it stands alone.
        tables: updates of tables by rows.
        dense: gradients by rows that are made dense before the rule is applied.
    """

    def __init__(self, optimizer: Any, parameters: Parameters) -> None:
        self._parameters, self._state = parameters, optimizer.state
        self.gradients = Gradients(parameters)
        self.tables: list[RowUpdate] = []
        self.dense: list[DenseGradient] = []
        self._pieces = [(at, own) for _, at, own in parameters.runs(lambda p: None)]

        def treatment(p: Parameter) -> tuple[float, float, Parameter | None]:
            alone = optimizer.by_parameter or p.row_gradient
            return p.learning_rate_multiplier, optimizer.decay_of(p), p if alone else None

        runs = parameters.runs(treatment)
        lengths = [at.stop - at.start for _, at, _ in runs]
        longest = max(lengths, default=0) if optimizer.by_parameter else min(BLOCK, parameters.size)
        rows = aligned(optimizer.scratch_rows * longest, parameters.dtype)
        rows = rows.reshape(optimizer.scratch_rows, longest)
        self._scratch, self._keep = rows[0], np.empty(longest, bool)
        self.groups: list[Any] = []
        for (multiplier, decay, p), at, own in runs:
            gradient = parameters.gradients[at]
            if p is not None and p.row_gradient:
                if optimizer.exact_by_rows:
                    vectors = [optimizer.state[name][own] for name in optimizer.state_names]
                    self.tables.append(RowUpdate(optimizer, p, vectors, multiplier, decay))
                    continue
                warn_of_dense(optimizer, p)
                self.dense.append(DenseGradient(p))
                gradient = self.dense[-1].array
            blocks = []
            for part, own_part in cut(at, own, longest):
                state = tuple(optimizer.state[name][own_part] for name in optimizer.state_names)
                w = parameters.values[part]
                g = gradient[part.start - at.start : part.stop - at.start]
                scratch = rows[:, : w.size] if len(rows) > 1 else rows[0, : w.size]
                blocks.append((w, g, state, scratch))
            self.groups.append(((multiplier, decay, p), blocks))

    def average(self, momentum: float, first: bool) -> None:
        """Take the weights into their average, which the ``first`` ones are themselves."""
        values, whole = self._parameters.values, self._state["average"]
        for at, own in self._pieces:
            if first:
                np.copyto(whole[own], values[at])
                continue
            for part, own_part in cut(at, own, self._scratch.size):
                average = whole[own_part]
                change = self._scratch[: average.size]
                np.subtract(values[part], average, out=change)
                np.multiply(change, 1 - momentum, out=change)
                np.add(average, change, out=average)

    def flush(self, decays: bool) -> None:
        """Set to 0 what has decayed to almost nothing, see ``FLUSH_EVERY``.

        Args:
            decays: the weights do, too.
        """
        values = self._parameters.values
        vectors = [vector for name, vector in self._state.items() if name != "gradient_sum"]
        limit = np.finfo(values.dtype).tiny * FLUSH_BELOW
        for at, own in self._pieces:
            for part, own_part in cut(at, own, self._scratch.size):
                blocks = [vector[own_part] for vector in vectors]
                if decays:
                    blocks.append(values[part])
                for numbers in blocks:
                    size = np.abs(numbers, out=self._scratch[: numbers.size])
                    keep = np.greater(size, limit, out=self._keep[: numbers.size])
                    np.multiply(numbers, keep, out=numbers)


def cut(at: slice, own: slice, longest: int) -> Iterator[tuple[slice, slice]]:
    """Yield two slices of one length in parts of at most ``longest``."""
    for start in range(0, at.stop - at.start, longest):
        stop = min(start + longest, at.stop - at.start)
        yield slice(at.start + start, at.start + stop), slice(own.start + start, own.start + stop)
