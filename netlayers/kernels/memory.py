"""Memory that is used again in every step: constants, aligned arrays, workspaces."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype

# In longer rows the roundings of a product with ones would be felt in float32.
_LONGEST = 8192
# OpenBLAS's product of some matrices of so many columns with a vector also computes with what
# happens to lie on the stack: the result is right, but NumPy may warn of an invalid value.
_AVOIDED = 5


@functools.lru_cache(maxsize=256)
def constant(value: float, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Return a shared, read-only array of one value.

    ``np.maximum(x, row_of_zeros)`` takes half the time of ``np.maximum(x, 0)``; a product with ones
    sums the columns of a matrix 2 to 4 times faster than ``np.sum``.
    """
    array = np.full(shape, value, dtype)
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=256)
def row_of_ones(k: int, dtype: Dtype) -> Array | None:
    """Return the ones whose product with a row of k numbers is its sum; ``None`` to add them up."""
    return None if k > _LONGEST or k == _AVOIDED else constant(1, (k,), dtype)


@functools.lru_cache(maxsize=64)
def row_starts(rows: int, columns: int) -> Array:
    """Return where each of so many rows begins in the flat array; shared and read-only."""
    starts = np.arange(0, rows * columns, columns)
    starts.flags.writeable = False
    return starts


def aligned(size: int, dtype: Dtype) -> Array:
    """Return a flat array of zeros that begins on a cache line of 64 bytes.

    Vector instructions on lines that are cut in two take a tenth longer; NumPy aligns to 16 bytes.
    """
    memory = np.zeros(size + 64 // dtype.itemsize, dtype)
    start = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[start : start + size]


class Workspace:
    """Named buffers that are allocated once.

    A buffer grows when a larger one is asked for and never shrinks; a smaller one, such as that of
    a last and smaller batch, is the leading slice of the same memory.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, Dtype], Array] = {}
        self.views: dict[tuple[str, tuple[int, ...], Dtype], Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the buffer ``name`` in the given shape; it holds whatever was there before."""
        view = self.views.get((name, shape, dtype))
        return self._make(name, shape, dtype) if view is None else view

    def _make(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        size = math.prod(shape)
        memory = self._memory.get((name, dtype))
        if memory is None or memory.size < size:
            memory = self._memory[name, dtype] = aligned(size, dtype)
            self.views = {k: v for k, v in self.views.items() if (k[0], k[2]) != (name, dtype)}
        if len(self.views) > 256:  # batches of ever new sizes must not fill the memory with views
            self.views.clear()
        view = self.views[name, shape, dtype] = memory[:size].reshape(shape)
        return view
