"""Memory that is reused across steps: constants, aligned arrays, workspaces."""

from __future__ import annotations

import functools
import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype

# Rounding errors of a float32 product with ones become noticeable in longer rows.
_MAX_ROW = 8192
# For some matrices with this number of columns, OpenBLAS's matrix-vector product also reads
# uninitialized stack memory: the result is correct, but NumPy may warn about an invalid value.
_AVOIDED_LENGTH = 5
_LARGE = 1 << 16  # bytes of a gradient whose memory is shared
_BYTE = np.dtype(np.uint8)


@functools.lru_cache(maxsize=256)
def constant(value: float, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Return a shared, read-only array filled with one value.

    ``np.maximum(x, row_of_zeros)`` takes half the time of ``np.maximum(x, 0)``; a product with ones
    sums the columns of a matrix 2 to 4 times as fast as ``np.sum``.
    """
    array = np.full(shape, value, dtype)
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=256)
def row_of_ones(k: int, dtype: Dtype) -> Array | None:
    """Return k ones for the summation of rows by a product; ``None`` if ``np.add`` must be used."""
    return None if k > _MAX_ROW or k == _AVOIDED_LENGTH else constant(1, (k,), dtype)


@functools.lru_cache(maxsize=64)
def row_starts(rows: int, columns: int) -> Array:
    """Return the flat index of the first entry of each row; shared and read-only."""
    starts = np.arange(0, rows * columns, columns)
    starts.flags.writeable = False
    return starts


def aligned(size: int, dtype: Dtype) -> Array:
    """Return a flat array of zeros that is aligned to cache lines of 64 bytes.

    Vector instructions that cross cache lines take 10 % longer; NumPy aligns to 16 bytes only.
    """
    memory = np.zeros(size + 64 // dtype.itemsize, dtype)
    start = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[start : start + size]


def allocate(parameters: Sequence[Any], sizes: Sequence[int], dtype: Dtype) -> list[Array]:
    """Return aligned arrays of such sizes for parameters.

    Raises:
        MemoryError: they do not fit in memory; the message names the largest parameter.
    """
    try:
        return [aligned(size, dtype) for size in sizes]
    except (MemoryError, ValueError):  # ValueError: more than any array can hold
        largest = max(parameters, key=lambda p: p.size)
        raise MemoryError(
            f"the weights do not fit in memory: {sum(p.size for p in parameters):.2g} {dtype} "
            f"numbers, most of them in {largest.path!r} of the shape {largest.shape}."
        ) from None


class Pool:
    """Blocks of memory for large gradients, each taken again once no array refers to it.

    A backward pass needs the gradient of an output until that of the input is computed. So a few
    blocks do for a network of any depth, and they stay in the cache of the processor. Whoever keeps
    such an array, or a view of it, keeps its block.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []

    def __call__(self, size: int, dtype: Dtype) -> Array:
        """Return an uninitialized flat array in the smallest free block that holds it."""
        needed, free = size * dtype.itemsize, self._free
        sizes = [block.nbytes for block in free]
        large = [n for n in sizes if n >= needed]
        if sizes:
            block = free.pop(sizes.index(min(large) if large else max(sizes)))
        if not large:  # in place of the largest, so that there are never more than needed at once
            block = aligned(needed, _BYTE)
        # Views refer to the first array whose base is no array: to this one, not to the block.
        array: Array = np.frombuffer(block.data, dtype, size)
        weakref.finalize(array, free.append, block).atexit = False
        return array


class Workspace:
    """Named buffers that are reused.

    A buffer grows when a larger one is requested and never shrinks; a smaller one, such as for a
    smaller last batch, is the leading slice of the same memory.

    Attributes:
        pool: where large buffers whose name begins with ``"dx"`` come from, which are no longer
            needed once they are replaced; ``None`` if each has its own memory.
    """

    pool: Pool | None = None

    def __init__(self) -> None:
        self._memory: dict[tuple[str, Dtype], Array] = {}
        self.views: dict[tuple[str, tuple[int, ...], Dtype], Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the buffer ``name`` in the given shape, uninitialized."""
        view = self.views.get((name, shape, dtype))
        return self._make(name, shape, dtype) if view is None else view

    def _make(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        size = math.prod(shape)
        if self.pool is not None and size * dtype.itemsize >= _LARGE and name.startswith("dx"):
            return self.pool(size, dtype).reshape(shape)
        memory = self._memory.get((name, dtype))
        if memory is None or memory.size < size:
            memory = self._memory[name, dtype] = aligned(size, dtype)
            self.views = {k: v for k, v in self.views.items() if (k[0], k[2]) != (name, dtype)}
        if len(self.views) > 256:  # many batch sizes must not fill the memory with views
            self.views.clear()
        view = self.views[name, shape, dtype] = memory[:size].reshape(shape)
        return view
