"""Conversion of arrays of other libraries (PyTorch, JAX, h5py, zarr), which are not imported."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Rows

_CHUNK = 1 << 20  # entries read at a time
_DENSE = 4  # rows are read with those between them if these are fewer than so many times as many


def is_lazy(value: Any) -> bool:
    """Return whether ``value`` is an array that is read when sliced, such as of h5py or zarr.

    Arrays in memory are recognized by ``__dlpack__`` or the array interface.
    """
    if isinstance(value, np.ndarray):
        return False
    shape = getattr(value, "shape", None)
    return (
        isinstance(shape, tuple)
        and len(shape) > 0
        and isinstance(getattr(value, "dtype", None), np.dtype)
        and hasattr(value, "__getitem__")
        and not any(
            hasattr(value, name)
            for name in ("__dlpack__", "__array_interface__", "toarray", "to_numpy")
        )
    )


def numpy_of(value: Any) -> Any:
    """Return an array of another library in a form that NumPy converts; other values unchanged.

    Tensors that require a gradient are detached. bfloat16, which NumPy lacks, becomes float32.
    """
    if hasattr(value, "detach"):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    elif is_lazy(value):
        value = value[:]
    if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
        value = np.from_dlpack(value)
    return value


def numpy_dtype(array: Array) -> Array:
    """Return ``array``, converted to float32 if its dtype is one of ml_dtypes, such as bfloat16."""
    if array.dtype.kind == "V" and array.dtype.type.__module__ == "ml_dtypes":
        return array.astype(np.float32)
    return array


def blocks(values: Any) -> Iterator[tuple[int, Array]]:
    """Yield blocks of bounded size of a large array, each with the index of its first row."""
    row_size = 1
    for size in values.shape[1:]:
        row_size *= size
    rows = max(1, _CHUNK // max(1, row_size))
    for start in range(0, values.shape[0], rows):
        yield start, np.asarray(values[start : start + rows])


class LazyRows:
    """Rows of an array that is not in memory, read on access.

    Args:
        source: an array with ``shape``, ``dtype`` and slicing, such as a dataset of h5py.
        start: first row.
        stop: end of the rows (exclusive); ``None`` for all.

    Attributes:
        chunk: rows that the source reads at once, from its attribute ``chunks``, as arrays of h5py,
            zarr and Dask have it; 1 if it does not say.
    """

    def __init__(self, source: Any, start: int = 0, stop: int | None = None) -> None:
        self.source, self._start = source, start
        self._stop = source.shape[0] if stop is None else stop
        self.shape = (self._stop - start, *source.shape[1:])
        self.dtype = source.dtype
        self.ndim = len(self.shape)
        chunks = getattr(source, "chunks", None)
        first = chunks[0] if isinstance(chunks, tuple) and chunks else 1
        self.chunk = max(1, int(np.max(first)))  # Dask lists the sizes of all chunks
        self._fancy_indexing = True  # whether the source supports arrays of indices

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> Array:
        """Read the rows of a slice without a step."""
        start, stop, _ = rows.indices(len(self))
        return np.asarray(self.source[self._start + start : self._start + stop])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def part(self, start: int, stop: int) -> LazyRows:
        """Return a range of the rows without reading them."""
        return LazyRows(self.source, self._start + start, self._start + stop)

    def one_column(self) -> LazyRows:
        """Return rows (n,) as (n, 1)."""
        return LazyRows(_OneColumn(self))

    def read(self, rows: Rows, out: Array) -> None:
        """Read a range of rows, or rows in increasing order, into ``out``, in pieces."""
        if not isinstance(rows, slice):
            out[...] = self.take(rows)
            return
        piece = max(1, _CHUNK // max(1, math.prod(self.shape[1:])) // self.chunk) * self.chunk
        for start in range(rows.start, rows.stop, piece):
            stop = min(start + piece, rows.stop)
            out[start - rows.start : stop - rows.start] = self[start:stop]

    def take(self, rows: Array) -> Array:
        """Return the given rows; they are read in file order, as h5py requires."""
        if not len(rows):
            return self[:0]
        order = np.argsort(rows, kind="stable")
        indices, inverse = np.unique(rows[order], return_inverse=True)
        block = self._read_increasing(indices)
        out = np.empty((len(rows), *self.shape[1:]), block.dtype)
        out[order] = block[inverse]
        return out

    def _read_increasing(self, indices: Array) -> Array:
        first, last = int(indices[0]), int(indices[-1])
        if last - first < _DENSE * len(indices):  # a slice is much faster than numbers
            return self[first : last + 1][indices - first]
        indices = indices + self._start
        if self._fancy_indexing:
            try:
                return np.asarray(self.source[indices])
            except (TypeError, ValueError, IndexError, NotImplementedError, KeyError):
                self._fancy_indexing = False  # only slices are supported
        return np.concatenate([self.source[i : i + 1] for i in indices.tolist()])


class _OneColumn:
    """Rows (n,) as (n, 1)."""

    def __init__(self, rows: LazyRows) -> None:
        self._rows, self.shape, self.dtype = rows, (len(rows), 1), rows.dtype
        self.chunks = (rows.chunk, 1)

    def __getitem__(self, rows: slice) -> Array:
        return self._rows[rows][:, None]
