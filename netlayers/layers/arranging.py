"""Layers that compute with the axes of their input in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.core.layer import Layer

if TYPE_CHECKING:
    from netlayers._typing import Array


class ArrangingLayer(Layer):
    """Base class of layers that compute with the axes of their input in an order of their own.

    In that order already (the usual case), the input is used itself; otherwise it is a copy, and
    the output is transposed back.
    """

    def _set_order(self, order: list[int]) -> None:
        """Store the order of the axes for :meth:`_arranged`."""
        self._order = None if order == sorted(order) else tuple(order)

    def _arranged(self, name: str, x: Array, training: bool = True) -> Array:
        """Return ``x``, or a copy in the buffer ``name``, with its axes in the stored order."""
        if self._order is None:
            return x
        moved = x.transpose(self._order)
        copy = self.buffer(name, moved.shape, training)
        np.copyto(copy, moved)
        return copy

    def _arranged_back(self, name: str, x: Array, training: bool = True) -> Array:
        """Return an array with its axes in the order of the input, undoing :meth:`_arranged`."""
        if self._order is None:
            return x
        shape = [0] * x.ndim
        for size, axis in zip(x.shape, self._order, strict=True):
            shape[axis] = size
        back = self.buffer(name, tuple(shape), training)
        np.copyto(back.transpose(self._order), x)
        return back
