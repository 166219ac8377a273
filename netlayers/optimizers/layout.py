"""Weights, gradients and optimizer state, split into blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from netlayers.core.parameters import rows_of
from netlayers.kernels.memory import aligned
from netlayers.optimizers.tables import DenseGradient, RowUpdate, warn_about_dense_gradient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, Parameters
    from netlayers.optimizers.clipping import Norm
    from netlayers.optimizers.protocol import OptimizerProtocol

    Block: TypeAlias = tuple[Array, Array, tuple[Array, ...], Array]
    Treatment: TypeAlias = tuple[float, float, Parameter | None]

# An update reads and writes five arrays. Blocks of 262,144 entries stay in the processor's cache
# between operations; whole vectors would be read from memory each time.
BLOCK = 1 << 18

# Decaying values end up as denormal numbers and stay there (half of the smallest one rounds to it
# again), and many processors are several times slower with these. So every FLUSH_EVERY updates,
# values below 2^20 times the smallest normal number (1e-32 in float32, 2e-302 in float64) are set
# to 0. With decay factors of 0.87 or more, values are flushed before they become denormal.
FLUSH_EVERY = 100
FLUSH_BELOW = 2.0**20


class Gradients:
    """The gradients of all parameters that an optimizer updates.

    Args:
        parameters: the parameters, with the gradients of ``backward``.

    Attributes:
        parameters: the argument.
        pieces: ``(gradient, own)`` for each updated slice of the gradient vector: a flat view, and
            its slice in the model's order of parameters, which the optimizer state uses.
        whole: whether the pieces cover all trainable values.
        tables: the parameters with row gradients.
        arrays: flat views of all gradients, excluding rows without one.
        tensors: the same, one per parameter.
        owners: the parameter of each of them.
        denominator: denominator of the gradients of this call of ``step``, ``None`` if not given.
        norm: norm of all gradients, if a transform has computed it.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        runs = parameters.runs(lambda p: p.row_gradient)
        self.pieces = [(parameters.gradients[at], own) for rows, at, own in runs if not rows]
        self.whole = sum(g.size for g, _ in self.pieces) == parameters.size
        # Parameters with a learning rate multiplier of 0 are in no run and excluded from clipping.
        changed = [p for p in parameters.tensors if p.learning_rate_multiplier != 0]
        self.tables = [p for p in changed if p.row_gradient]
        dense = [p for p in changed if not p.row_gradient]
        self.owners = [*dense, *self.tables]
        self._arrays = [g for g, _ in self.pieces]
        self._tensors = [parameters.gradients[p.slice] for p in dense]
        self.collect()
        self.denominator: float | None = None
        self.norm: Norm | None = None

    def collect(self) -> None:
        """Include the current row gradients in :attr:`arrays` and :attr:`tensors`."""
        rows = [rows_of(p).values.reshape(-1) for p in self.tables]
        self.arrays, self.tensors = [*self._arrays, *rows], [*self._tensors, *rows]

    def nonfinite(self) -> Iterator[tuple[Parameter, int]]:
        """Yield the parameters with non-finite gradients, and the number of such entries.

        The last parameter comes first, as in the backward pass.
        """
        for p in reversed(self.parameters.tensors):
            if p.learning_rate_multiplier != 0:
                g = rows_of(p).values if p.row_gradient else p.gradient
                bad = int(np.count_nonzero(~np.isfinite(g)))
                if bad:
                    yield p, bad


class Layout:
    """The blocks to which an optimizer applies its rule.

    State vectors follow the model's order of parameters, which may differ from that of the weight
    vector.

    Args:
        optimizer: the optimizer, with its state.
        parameters: the weights.

    Attributes:
        gradients: the gradients that the transforms modify.
        groups: ``((multiplier, decay, parameter), blocks)`` for adjacent parameters with equal
            settings; a block is ``(w, g, state, scratch)``. The parameter is ``None`` unless it
            forms a group of its own.
        tables: updates by rows.
        dense: row gradients that are made dense before the rule is applied.
    """

    def __init__(self, optimizer: OptimizerProtocol, parameters: Parameters) -> None:
        self._parameters, self._state = parameters, optimizer.state
        self.gradients = Gradients(parameters)
        self.tables: list[RowUpdate] = []
        self.dense: list[DenseGradient] = []
        self._pieces = [(at, own) for _, at, own in parameters.runs(lambda p: None)]

        def treatment(p: Parameter) -> Treatment:
            alone = optimizer.by_parameter or p.row_gradient
            return p.learning_rate_multiplier, optimizer.decay_of(p), p if alone else None

        runs = parameters.runs(treatment)
        lengths = [at.stop - at.start for _, at, _ in runs]
        longest = max(lengths, default=0) if optimizer.by_parameter else min(BLOCK, parameters.size)
        rows = aligned(optimizer.scratch_rows * longest, parameters.dtype)
        rows = rows.reshape(optimizer.scratch_rows, longest)
        self._scratch, self._keep = rows[0], np.empty(longest, bool)
        self.groups: list[tuple[Treatment, list[Block]]] = []
        for (multiplier, decay, p), at, own in runs:
            gradient = parameters.gradients[at]
            if p is not None and p.row_gradient:
                if optimizer.exact_by_rows:
                    vectors = [optimizer.state[name][own] for name in optimizer.state_names]
                    self.tables.append(RowUpdate(optimizer, p, vectors, multiplier, decay))
                    continue
                warn_about_dense_gradient(optimizer, p)
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
        """Update the average of the weights; the ``first`` update copies them."""
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
        """Set nearly denormal values to 0; see ``FLUSH_EVERY``.

        Args:
            decays: whether weights decay too.
        """
        values = self._parameters.values
        vectors = [vector for name, vector in self._state.items() if name != "gradient_sum"]
        limit = np.finfo(values.dtype).tiny * FLUSH_BELOW
        for at, own in self._pieces:
            for part, own_part in cut(at, own, self._scratch.size):
                blocks = [vector[own_part] for vector in vectors]
                if decays:
                    blocks.append(values[part])
                for block in blocks:
                    magnitude = np.abs(block, out=self._scratch[: block.size])
                    keep = np.greater(magnitude, limit, out=self._keep[: block.size])
                    np.multiply(block, keep, out=block)


def cut(at: slice, own: slice, longest: int) -> Iterator[tuple[slice, slice]]:
    """Split two slices of equal length into parts of at most ``longest`` entries."""
    for start in range(0, at.stop - at.start, longest):
        stop = min(start + longest, at.stop - at.start)
        yield slice(at.start + start, at.start + stop), slice(own.start + start, own.start + stop)
