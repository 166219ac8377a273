"""Arrays of a layer that no optimizer changes: states with a batch axis; and copies of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_shape
from netlayers.core.naming import every_layer
from netlayers.errors import ConfigurationError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array, Dtype
    from netlayers.core.layer import Layer


class State:
    """What a layer remembers from one batch to the next: a row for each sample of the batch.

    It is allocated, with zeros, for the first batch. Row i belongs to sample i of each batch.

    Args:
        name: its name.
        shape: shape of a row.
        dtype: of the numbers; ``None`` for the layer's.

    Attributes:
        value: the array, (batch, *shape); ``None`` before the first batch.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: Dtype | None) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype
        self.value: Array | None = None

    def rows(self, layer: Layer, count: int) -> Array:
        """Return the array for a batch of ``count`` samples.

        Raises:
            ShapeError: it was made for another batch size.
        """
        if self.value is None:
            self.value = np.zeros((count, *self.shape), self.dtype or layer._dtype)
        if len(self.value) != count:
            raise ShapeError(
                f"{layer.owner}: its state {self.name!r} belongs to batches of {len(self.value)} "
                f"samples, got {count}. Give batches of one size (drop the last, smaller one), or "
                "call reset_states() before."
            )
        return self.value


class StateAccess:
    """What a layer keeps beside its weights: states with a batch axis, and assets."""

    states: dict[str, State]

    def add_state(self, name: str, shape: Sequence[int], dtype: str | None = None) -> None:
        """Declare what the layer remembers from batch to batch; call it in :meth:`build`.

        Args:
            name: its name; :meth:`state` returns the array.
            shape: of the row that belongs to one sample.
            dtype: name of a dtype; by default the layer's.

        Raises:
            ConfigurationError: the name is none or is taken, or the shape holds no sizes.
        """
        layer: Any = self
        if not name.isidentifier() or name in self.states:
            raise ConfigurationError(
                f"{layer.owner}: a state can not be named {name!r}; the name must be a Python "
                "identifier that no other state of the layer has."
            )
        sizes = check_shape(layer.owner, f"the shape of the state {name}", shape)
        if None in sizes:
            raise ConfigurationError(
                f"{layer.owner}: the state {name!r} would have rows of the shape {sizes}; give the "
                "size of every axis."
            )
        its_dtype = None if dtype is None else np.dtype(dtype)
        self.states[name] = State(name, sizes, its_dtype)  # type: ignore[arg-type]

    def state(self, name: str, count: int) -> Array:
        """Return a state, (count, *shape), zero at first; write into it what is to be remembered.

        Raises:
            ShapeError: the state belongs to batches of another size.
        """
        return self.states[name].rows(self, count)  # type: ignore[arg-type]

    def reset_states(self) -> None:
        """Forget what the layer and its parts remember from earlier batches."""
        for part in every_layer(self):
            for state in part.states.values():
                state.value = None

    @property
    def stateful(self) -> bool:
        """Whether the layer, or a part of it, remembers something from batch to batch."""
        return any(part.states for part in every_layer(self))

    def get_assets(self) -> dict[str, list[str] | bytes]:
        """Return what belongs to the layer and is no array of numbers, such as a vocabulary."""
        return {}

    def set_assets(self, assets: Mapping[str, list[str] | bytes]) -> None:
        """Take what :meth:`get_assets` returned, from a file."""


def states_of(layer: Layer) -> dict[str, tuple[Layer, State]]:
    """Return the states of a layer and its parts, by ``path/name``."""
    return {
        f"{part.path}/{state.name}": (part, state)
        for part in every_layer(layer)
        for state in part.states.values()
    }


class BufferCopies:
    """Copies of all that a forward pass may change in a model: statistics and states.

    Args:
        model: a built model.

    Attributes:
        empty: whether there is nothing to copy, now or later.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._states = [state for _, state in states_of(model).values()]
        self._own = [p for p in model.parameters.all if p.own_dtype is not None]
        self._copies: list[Array | None] = []
        self.empty = not (model.parameters.statistics.size or self._own or self._states)

    def take(self) -> None:
        """Note the arrays as they are now."""
        now = self._arrays()
        fitting = len(now) == len(self._copies) and all(
            a is not None and b is not None and a.shape == b.shape
            for a, b in zip(now, self._copies, strict=True)
        )
        if not fitting:
            self._copies = [None if a is None else a.copy() for a in now]
            return
        for kept, array in zip(self._copies, now, strict=True):
            np.copyto(kept, array)  # type: ignore[arg-type]

    def restore(self, model: Any = None) -> None:
        """Put them back, into the model or a copy of it."""
        if not self._copies:  # nothing was noted
            return
        target = self if model is None else BufferCopies(model)
        for array, kept in zip(target._arrays(), self._copies, strict=True):
            if array is not None and kept is not None and array.shape == kept.shape:
                array[...] = kept
        for state, kept in zip(target._states, self._copies[1 + len(self._own) :], strict=True):
            if kept is None or state.value is None or state.value.shape != kept.shape:
                state.value = None if kept is None else kept.copy()

    def _arrays(self) -> list[Array | None]:
        own = [p.value for p in self._own]
        return [self._model.parameters.statistics, *own, *(s.value for s in self._states)]
