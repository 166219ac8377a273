"""Arrays of other libraries (PyTorch, JAX, h5py, zarr) as NumPy's own; none is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array

_CHUNK = 1 << 20  # elements read in one go


def is_lazy(value: Any) -> bool:
    """Whether ``value`` is an array that is read when it is sliced: of h5py, zarr, or the like.

    What lies in memory can be taken as a whole, and says so by ``__dlpack__`` or the array
    interface.
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
    """Return an array of another library as what NumPy makes an array of; others as they are.

    A tensor that requires a gradient is detached. bfloat16, which NumPy has not, becomes float32.
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
    """Return ``array``, in float32 if its numbers are those of ml_dtypes, such as bfloat16."""
    if array.dtype.kind == "V" and array.dtype.type.__module__ == "ml_dtypes":
        return array.astype(np.float32)
    return array


def blocks(values: Any) -> Iterator[tuple[int, Array]]:
    """Yield pieces of bounded size of a large array, each with the number of its first row."""
    row = 1
    for size in values.shape[1:]:
        row *= size
    rows = max(1, _CHUNK // max(1, row))
    for start in range(0, values.shape[0], rows):
        yield start, np.asarray(values[start : start + rows])


class LazyRows:
    """Rows of an array outside of the memory, which are read when they are asked for.

    Args:
        source: an array with ``shape``, ``dtype`` and slicing, such as a data set of h5py.
        start: the first row.
        stop: the row after the last; ``None`` for the end.
    """

    def __init__(self, source: Any, start: int = 0, stop: int | None = None) -> None:
        self.source, self._start = source, start
        self._stop = source.shape[0] if stop is None else stop
        self.shape = (self._stop - start, *source.shape[1:])
        self.dtype = source.dtype
        self.ndim = len(self.shape)
        self._by_rows = True  # whether the source takes an array of numbers of rows

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> Array:
        """Read the rows of a slice without a step."""
        start, stop, _ = rows.indices(len(self))
        return np.asarray(self.source[self._start + start : self._start + stop])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def part(self, start: int, stop: int) -> LazyRows:
        """Return some of the rows, which are not read yet."""
        return LazyRows(self.source, self._start + start, self._start + stop)

    def take(self, rows: Array) -> Array:
        """Read the given rows: in the order of the file, which h5py asks for, then put in place."""
        order = np.argsort(rows, kind="stable")
        numbers, back = np.unique(rows[order], return_inverse=True)
        numbers = numbers + self._start
        block = None
        if self._by_rows:
            try:
                block = np.asarray(self.source[numbers])
            except (TypeError, ValueError, IndexError, NotImplementedError, KeyError):
                self._by_rows = False  # it knows slices alone
        if block is None:
            block = np.concatenate([self.source[i : i + 1] for i in numbers.tolist()])
        out = np.empty((len(rows), *self.shape[1:]), block.dtype)
        out[order] = block[back]
        return out
