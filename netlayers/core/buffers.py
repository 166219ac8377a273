"""Copies of what a forward pass may change in a model: running statistics and states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.protocols import LayerLike
    from netlayers.core.states import State


def states_of(layer: LayerLike) -> dict[str, tuple[LayerLike, State]]:
    """Return the states of a layer and its parts, by ``path/name``."""
    return {
        f"{part.path}/{state.name}": (part, state)
        for part in layer._flatten_layers()
        for state in part.states.values()
    }


class BufferCopies:
    """Copies of the running statistics and states of a model.

    Args:
        model: a built model.

    Attributes:
        empty: whether there is nothing to copy, now or later.
        copies: the copies; empty before the first :meth:`take`.
    """

    def __init__(self, model: LayerLike) -> None:
        self._model = model
        self._states = [state for _, state in states_of(model).values()]
        self._own = [p for p in model.parameters.all if p.own_dtype is not None]
        self.copies: list[Array | None] = []
        self.empty = not (model.parameters.statistics.size or self._own or self._states)

    def take(self) -> None:
        """Copy the arrays."""
        now = self._arrays()
        fitting = len(now) == len(self.copies) and all(
            a is not None and b is not None and a.shape == b.shape
            for a, b in zip(now, self.copies, strict=True)
        )
        if not fitting:
            self.copies = [None if a is None else a.copy() for a in now]
            return
        for kept, array in zip(self.copies, now, strict=True):
            np.copyto(kept, array)  # type: ignore[arg-type]

    def restore(self, model: LayerLike | None = None) -> None:
        """Write the copies back into the model, or into a copy of it."""
        if not self.copies:  # nothing was copied
            return
        target = self if model is None else BufferCopies(model)
        for array, kept in zip(target._arrays(), self.copies, strict=True):
            if array is not None and kept is not None and array.shape == kept.shape:
                array[...] = kept
        for state, kept in zip(target._states, self.copies[1 + len(self._own) :], strict=True):
            if kept is None or state.value is None or state.value.shape != kept.shape:
                state.value = None if kept is None else kept.copy()

    def _arrays(self) -> list[Array | None]:
        own = [p.value for p in self._own]
        return [self._model.parameters.statistics, *own, *(s.value for s in self._states)]
