"""What a step of training starts from, so that it can be run again."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.buffers import BufferCopies
from netlayers.core.calls import generators_of
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from netlayers._typing import Array


class Before:
    """The state of a model and its optimizer before a step.

    Weights and the optimizer's vectors need no copy where the step was left out, which is why they
    are copied only if ``whole`` is set. Random streams, running statistics and states change in the
    forward pass already: they are noted before every step, where there are any.

    Args:
        model: a built model.
        optimizer: what updates it.

    Attributes:
        whole: copy the weights and the optimizer's vectors too.
        changes: whether a forward pass changes anything, so that there is something to note.
    """

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._model, self._optimizer = model, optimizer
        self.whole = False
        self._whole_taken = False
        self._generators = generators_of(model)
        self._buffers = BufferCopies(model)
        self.changes = bool(self._generators) or not self._buffers.empty
        self._drawn: dict[str, Any] = {}
        self._values: Array | None = None
        self._vectors: dict[str, Array] = {}

    def take(self) -> None:
        """Note the state as it is now."""
        self._drawn = {name: g.bit_generator.state for name, g in self._generators.items()}
        self._buffers.take()
        self._whole_taken = self.whole
        if self.whole:
            self._values = _copied(self._model.parameters.values, self._values)
            self._vectors = {
                name: _copied(vector, self._vectors.get(name))
                for name, vector in self._optimizer.state.items()
            }

    def restore_buffers(self) -> None:
        """Put running statistics and states back, of a step that is left out."""
        self._buffers.restore()

    def copies(self, loss: Any, counters: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return copies of model, optimizer and loss, the first two as they were before the step.

        Without ``whole`` that is so as long as the step has made no update.

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
        if self.whole and self._whole_taken:
            assert self._values is not None
            parameters.values[...] = self._values
            optimizer.state = {name: _copied(v, None) for name, v in self._vectors.items()}
        optimizer.nonfinite_override = "ignore"  # a copy may go on where the other stopped
        return model, optimizer, loss


def _copied(vector: Array, into: Array | None) -> Array:
    if into is None or into.size != vector.size:
        into = aligned(vector.size, vector.dtype)
    np.copyto(into, vector)
    return into
