"""A part of an array, taken by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.layer import Layer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


@register("layer")
class GetItem(Layer):
    """``y = x[index]``, such as ``x[:, 0]``; also made by indexing a symbolic value.

    Args:
        index: one entry for each axis from the batch on: ``":"`` or a slice, an integer, or
            ``"..."``; ``None`` adds an axis of length 1. A slice of a configuration is a list of
            start, stop and step.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: the index takes less than the whole batch, or is of another kind.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GetItem((slice(None), 0))(np.arange(6.0).reshape(2, 3))
        array([0., 3.], dtype=float32)
        >>> nl.Input((5, 3))[:, -1]
        <SymbolicValue (batch, 3) of layer 'get_item'>
    """

    def __init__(self, index: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        entries = index if isinstance(index, (tuple, list)) else (index,)
        self._index = tuple(_entry(one, index) for one in entries)
        self.index = [
            [e.start, e.stop, e.step] if isinstance(e, slice) else "..." if e is ... else e
            for e in self._index
        ]
        if self._index[:1] not in ((slice(None),), (...,)):
            raise ConfigurationError(
                f"GetItem: the index must keep the batch, as in x[:, 0], got {index!r}."
            )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"index": [[None, None, None], 1]}, (4, 3, 2)),
            ({"index": ["...", [1, None, 2]]}, (4, 3, 5)),
            ({"index": [[None, None, None], None, 1]}, (4, 3)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the index does not fit the shape."""
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the part."""
        sizes = tuple(1 if size is None else size for size in input_shape)
        longer = tuple(2 if size is None else size for size in input_shape)
        try:
            shape: Shape = np.broadcast_to(np.empty(()), sizes)[self._index].shape
            # Which axis of the part an unknown size is shows one more entry in it.
            more = np.broadcast_to(np.empty(()), longer)[self._index].shape
            shape = tuple(n if n == m else None for n, m in zip(shape, more, strict=True))
        except IndexError as error:
            raise ShapeError(
                f"{self.owner} (GetItem): an input of shape {shown_shape(input_shape)} has no "
                f"{self._index}: {error}."
            ) from None
        return (input_shape[0], *shape[1:])

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x[index]``."""
        x = self.prepare(x)
        part = x[self._index]
        y = self.buffer("y", part.shape, training)
        np.copyto(y, part)
        if training:
            self.cache.shape, self.cache.part = x.shape, y.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx[index] = dy``, and 0 elsewhere."""
        dy = self.check_gradient(dy, self.cache.part)
        dx = self.workspace("dx", self.cache.shape, self._dtype)
        dx[...] = 0
        dx[self._index] = dy
        return dx


def _entry(one: Any, index: Any) -> Any:
    if isinstance(one, list) and len(one) == 3:
        one = slice(*one)
    if isinstance(one, str) and one in (":", "..."):
        return slice(None) if one == ":" else ...
    whole = isinstance(one, slice) and all(
        n is None or isinstance(n, (int, np.integer)) for n in (one.start, one.stop, one.step)
    )
    integer = isinstance(one, (int, np.integer)) and not isinstance(one, bool)
    if whole or integer or one is ... or one is None:
        return int(one) if isinstance(one, np.integer) else one
    raise ConfigurationError(
        f"GetItem: the index must be of integers, slices, None and '...', got {index!r}."
    )
