"""Copies of the state of a model and its optimizer before a step."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.buffers import BufferCopies
from netlayers.core.calls import generators_of
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.layers.network import Network
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer


class StepSnapshot:
    """The state of a model and its optimizer before a step.

    Random streams, running statistics and states change in the forward pass: they are copied before
    every step. Weights and the optimizer's vectors change only in the update, so they are copied
    only if a step must be repeated after its update.

    Args:
        model: a built model.
        optimizer: its optimizer.

    Attributes:
        include_weights: also copy the weights and the optimizer's vectors.
        needed: whether a forward pass changes anything that must be copied.
        has_weights: whether the last copy has the weights too.
    """

    def __init__(self, model: Network, optimizer: Optimizer) -> None:
        self._model, self._optimizer = model, optimizer
        self.include_weights = False
        self.has_weights = False
        self._generators = generators_of(model)
        self._buffers = BufferCopies(model)
        self.needed = bool(self._generators) or not self._buffers.empty
        self._drawn: dict[str, Any] = {}
        self._values: Array | None = None
        self._vectors: dict[str, Array] = {}

    def take(self) -> None:
        """Copy the state as it is now."""
        self._drawn = {name: g.bit_generator.state for name, g in self._generators.items()}
        self._buffers.take()
        self.has_weights = self.include_weights
        if self.include_weights:
            self._values = _copied(self._model.parameters.values, self._values)
            self._vectors = {
                name: _copied(vector, self._vectors.get(name))
                for name, vector in self._optimizer.state.items()
            }

    def get_state(self) -> dict[str, Any]:
        """Return what :meth:`take` copied, with weights, to resume a run in another process."""
        names = ("_values", "_vectors", "_drawn")
        return {**{name: vars(self)[name] for name in names}, "buffers": self._buffers.copies}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        self._buffers.copies, self.has_weights = state["buffers"], True
        vars(self).update({name: its for name, its in state.items() if name != "buffers"})

    def restore_buffers(self) -> None:
        """Restore running statistics and states after a skipped step."""
        self._buffers.restore()

    def copies(self, loss: Loss, counters: dict[str, Any]) -> tuple[Network, Optimizer, Loss]:
        """Return copies of model, optimizer and loss, the first two as they were before the step.

        Without ``include_weights`` this holds only while the step has made no update.

        Args:
            loss: the loss.
            counters: attributes of the optimizer, as they were before the step.
        """
        model, optimizer, loss = copy.deepcopy((self._model, self._optimizer, loss))
        parameters = model.parameters
        self._buffers.restore(model)
        for name, value in counters.items():
            setattr(optimizer, name, value)
        generators = generators_of(model)
        for name, state in self._drawn.items():
            generators[name].bit_generator.state = state
        if self.include_weights and self.has_weights:
            assert self._values is not None
            parameters.values[...] = self._values
            optimizer.state = {name: _copied(v, None) for name, v in self._vectors.items()}
        optimizer.nonfinite_override = "ignore"  # a copy may continue where the original stopped
        return model, optimizer, loss


def _copied(vector: Array, into: Array | None) -> Array:
    if into is None or into.size != vector.size:
        into = aligned(vector.size, vector.dtype)
    np.copyto(into, vector)
    return into
