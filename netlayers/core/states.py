"""States: arrays that a layer keeps between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.checks import check_shape
from netlayers.errors import ConfigurationError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype


class State:
    """An array that a layer keeps between batches, with a row per sample.

    It is allocated at the first batch and initially 0. Row i belongs to sample i of each batch.

    Args:
        name: its name.
        shape: shape of a row.
        dtype: dtype of the array; ``None`` for that of the layer.

    Attributes:
        value: the array, (batch, *shape); ``None`` before the first batch.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: Dtype | None) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype
        self.value: Array | None = None

    def rows(self, owner: str, count: int, dtype: Dtype) -> Array:
        """Return the array for a batch of ``count`` samples.

        Args:
            owner: what messages call the layer.
            count: number of samples.
            dtype: the layer's dtype.

        Raises:
            ShapeError: it was made for another batch size.
        """
        if self.value is None:
            self.value = np.zeros((count, *self.shape), self.dtype or dtype)
        if len(self.value) != count:
            raise ShapeError(
                f"{owner}: its state {self.name!r} belongs to batches of {len(self.value)} "
                f"samples, got {count}. Give batches of one size (drop the last, smaller one; give "
                "fit a validation_batch_size), or call reset_states() before."
            )
        return self.value


def declare_state(
    owner: str, states: dict[str, State], name: str, shape: Sequence[int], dtype: str | None
) -> None:
    """Check a state, and add it to those of a layer; see :meth:`Module.add_state`."""
    if not isinstance(name, str) or not name.isidentifier() or name in states:
        raise ConfigurationError(
            f"{owner}: a state cannot be named {name!r}; the name must be a Python "
            "identifier that no other state of the layer has."
        )
    sizes = check_shape(owner, f"the shape of the state {name}", shape)
    if None in sizes:
        raise ConfigurationError(
            f"{owner}: the state {name!r} would have rows of the shape {sizes}; give the "
            "size of every axis."
        )
    its_dtype = None if dtype is None else np.dtype(dtype)
    states[name] = State(name, sizes, its_dtype)  # type: ignore[arg-type]
