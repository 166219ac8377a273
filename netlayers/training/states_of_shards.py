"""States that layers keep from batch to batch, while a batch is computed in shards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.buffers import states_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array


class StatesOfShards:
    """Gives each shard its rows of the states, and joins what the shards leave.

    Between two batches every process has all rows, so shards may move, and backups and predictions
    see what they see without shards.

    Args:
        model: a built model.
    """

    def __init__(self, model: Any) -> None:
        self._states = list(states_of(model).values())
        self._before: list[Array | None] = []

    @contextmanager
    def of_batch(self, rows: int) -> Iterator[None]:
        """Context manager for the shards of a batch; after an error, the states are as before.

        Raises:
            ShapeError: the states belong to batches of another size.
        """
        for layer, state in self._states:
            if state.value is not None:
                state.rows(layer.owner, rows, layer._dtype)
        self._before = [state.value for _, state in self._states]
        try:
            yield
        except BaseException:
            for (_, state), value in zip(self._states, self._before, strict=True):
                state.value = value
            raise

    def enter(self, rows: slice) -> None:
        """Give the layers their states of these rows."""
        for (_, state), value in zip(self._states, self._before, strict=True):
            state.value = None if value is None else value[rows].copy()

    def taken(self, rows: slice) -> list[Array]:
        """Return the states that the layers have after these rows."""
        count = rows.stop - rows.start  # there may be none, and no states yet
        return [state.rows(layer.owner, count, layer._dtype) for layer, state in self._states]

    def join(self, shards: list[list[Array]]) -> None:
        """Give the layers the states of all shards."""
        for i, (_, state) in enumerate(self._states):
            state.value = np.concatenate([its[i] for its in shards])
