"""Weights, gradients and optimizer state, split into blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netlayers.core.parameters import rows_of
from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import aligned
from netlayers.optimizers.rules import WEIGHTS, Rule
from netlayers.optimizers.tables import DenseGradient, RowUpdate, warn_about_dense_gradient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlayers._typing import Array, Dtype
    from netlayers.core.parameters import Parameter, Parameters
    from netlayers.optimizers.clipping import Norm
    from netlayers.optimizers.protocol import OptimizerProtocol

    Block: TypeAlias = tuple[Array, Array, tuple[Array, ...], Array]
    Treatment: TypeAlias = tuple[float, float, Parameter | None, Callable[..., Any]]

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
        groups: ``((multiplier, decay, parameter, update), blocks)`` for adjacent parameters with
            equal settings and rules; a block is ``(w, g, state, scratch)``. The parameter is
            ``None`` unless it forms a group of its own.
        tables: updates by rows.
        dense: row gradients that are made dense before the rule is applied.
    """

    def __init__(self, optimizer: OptimizerProtocol, parameters: Parameters) -> None:
        self._parameters, self._state = parameters, optimizer.state
        self.gradients = Gradients(parameters)
        self.tables: list[RowUpdate] = []
        self.dense: list[DenseGradient] = []
        self._pieces = [(at, own) for _, at, own in parameters.runs(lambda p: None)]
        rules = {id(p): optimizer.rule_of(p) for p in parameters.tensors}
        runs = parameters.runs(lambda p: p.row_gradient and rules[id(p)].by_rows)
        self._flushed = [(at, own) for by_rows, at, own in runs if not by_rows]

        def treatment(p: Parameter) -> tuple[float, Rule, Parameter | None]:
            rule = rules[id(p)]
            alone = rule.by_parameter or p.row_gradient
            return p.learning_rate_multiplier, rule, p if alone else None

        runs = parameters.runs(treatment)
        lengths = [at.stop - at.start for _, at, _ in runs]
        limits = [
            length if key[1].by_parameter else min(BLOCK, length)
            for (key, _, _), length in zip(runs, lengths, strict=True)
        ]
        longest = max(limits, default=0)
        count = max((rule.scratch_rows for (_, rule, _), _, _ in runs), default=1)
        rows = aligned(count * longest, parameters.dtype).reshape(count, longest)
        self._scratch, self._keep = rows[0], np.empty(longest, bool)
        self.groups: list[tuple[Treatment, list[Block]]] = []
        for ((multiplier, rule, p), at, own), limit in zip(runs, limits, strict=True):
            gradient = parameters.gradients[at]
            if p is not None and p.row_gradient:
                if rule.by_rows:
                    vectors = [optimizer.state[name][own] for name in rule.state_names]
                    self.tables.append(RowUpdate(rule, p, vectors, multiplier))
                    continue
                warn_about_dense_gradient(optimizer, p)
                self.dense.append(DenseGradient(p))
                gradient = self.dense[-1].array
            blocks = []
            for part, own_part in cut(at, own, limit):
                w = parameters.values[part]
                g = gradient[part.start - at.start : part.stop - at.start]
                state = [optimizer.state[name][own_part] for name in rule.state_names]
                scratch = rows[: rule.scratch_rows, : w.size]
                if rule.scratch_rows == 1:
                    scratch = scratch[0]
                if rule.shaped and p is not None:
                    w, g, *state = (a.reshape(p.shape) for a in (w, g, *state))
                blocks.append((w, g, tuple(state), scratch))
            self.groups.append(((multiplier, rule.decay, p, rule.update), blocks))

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
        """Set nearly denormal values to 0; see ``FLUSH_EVERY``. Not in tables updated by rows.

        Args:
            decays: whether weights decay too.
        """
        values = self._parameters.values
        vectors = [vector for name, vector in self._state.items() if name != "gradient_sum"]
        limit = np.finfo(values.dtype).tiny * FLUSH_BELOW
        for at, own in self._flushed:
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


def rule_of(optimizer: OptimizerProtocol, decay: float) -> Rule:
    """Return the rule that the attributes of an optimizer's class describe."""
    return Rule(
        optimizer.update,
        optimizer.state_names,
        tuple(optimizer.state_start.get(name, 0.0) for name in optimizer.state_names),
        decay,
        optimizer.scratch_rows,
        optimizer.by_rows,
        optimizer.by_parameter,
        optimizer._shaped,
    )


def check_epsilon(optimizer: OptimizerProtocol, dtype: Dtype) -> None:
    """Check that epsilon is not 0 in the dtype: the update of a zero gradient would be NaN.

    Raises:
        ConfigurationError: it is.
    """
    name = optimizer._epsilon
    smallest, epsilon = float(np.finfo(dtype).tiny), getattr(optimizer, name, 1.0)
    if epsilon < smallest:
        raise ConfigurationError(
            f"{type(optimizer).__name__}: {name}={epsilon:g} is too small for {dtype}; pass "
            f"{smallest:.2g} or more."
        )


def allocate(optimizer: OptimizerProtocol, parameters: Parameters, names: Sequence[str]) -> None:
    """Allocate the state vectors that are missing, and fill them with their initial values."""
    state = optimizer.state
    new = [name for name in names if name not in state]
    for name in new:
        state[name] = aligned(parameters.size, parameters.dtype)
    if not new:
        return
    for p in parameters.all:  # also those that are frozen for now
        if p.statistic:
            continue
        own = parameters.own_slice(p)
        rule = optimizer.rule_of(p)
        starts = dict(zip(rule.state_names, rule.starts, strict=True))
        starts["average"] = WEIGHTS
        for name in starts.keys() & set(new):
            start = starts[name]
            if start == WEIGHTS:
                state[name][own] = parameters.values[p.slice]
            elif start:
                state[name][own] = np.float64(start)
