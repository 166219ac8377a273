"""Batches from arrays in memory or in files, from sparse matrices, and from several of these."""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.sparse import is_sparse
from netlayers.data.batch import Batch
from netlayers.data.cursor import Cursor, Position, order_state, set_order
from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array, Dtype


_CHECKSUM_ROWS = 64
_CHECKSUM_ENTRIES = 1024  # at the start, in the middle and at the end of each of these rows


def _checksum_slices(size: int) -> list[slice]:
    """Return the parts of a row of ``size`` entries that enter a checksum."""
    if size <= 3 * _CHECKSUM_ENTRIES:
        return [slice(0, size)]
    middle, last = (size - _CHECKSUM_ENTRIES) // 2, size - _CHECKSUM_ENTRIES
    return [slice(i, i + _CHECKSUM_ENTRIES) for i in (0, middle, last)]


def _crc(entries: Array, start: int) -> int:
    """Continue a checksum from ``start``; it does not depend on the machine's byte order."""
    if entries.dtype.kind in "OT":
        return zlib.crc32(repr(entries.tolist()).encode(), start)
    order = entries.dtype.newbyteorder("<")
    return zlib.crc32(entries.astype(order, copy=False).tobytes(), start)


class Column:
    """An array for x, y or the sample weights, read in batches.

    A batch is a view of the user's array where possible. Otherwise it is gathered and converted
    into a buffer, which the next batch overwrites.

    Args:
        values: the array, which is never written to.
        dtype: dtype of the batches.
    """

    def __init__(self, values: Array, dtype: Dtype) -> None:
        self.values = np.asarray(values)
        self.rows, *self._row = self.values.shape
        self.dtype = dtype
        flags = self.values.flags
        self._same = self.values.dtype == dtype and self.values.dtype.isnative
        self._plain = flags.c_contiguous and flags.aligned
        self._workspace = Workspace()

    def part(self, start: int, stop: int) -> Column:
        """Return rows ``start`` to ``stop`` as another column, without a copy."""
        return Column(self.values[start:stop], self.dtype)

    def slice(self, start: int, stop: int) -> Array:
        """Return rows ``start`` to ``stop``."""
        rows = self.values[start:stop]
        if self._same and self._plain:
            return rows
        out = self._workspace("batch", rows.shape, self.dtype)
        np.copyto(out, rows, casting="unsafe")
        return out

    def take(self, rows: Array) -> Array:
        """Return the given rows in a buffer."""
        shape = (len(rows), *self._row)
        out = self._workspace("batch", shape, self.dtype)
        if not self._plain:
            np.copyto(out, self.values[rows], casting="unsafe")
            return out
        # The row numbers are valid by construction. mode="clip" lets NumPy write directly into
        # the buffer. The method take is 0.8 µs faster than the function np.take.
        if self._same:
            return self.values.take(rows, axis=0, out=out, mode="clip")
        raw = self._workspace("raw", shape, self.values.dtype)
        np.copyto(out, self.values.take(rows, axis=0, out=raw, mode="clip"), casting="unsafe")
        return out

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; long rows enter in part."""
        crc = 0
        for i in rows:
            row = self.values[i : i + 1].flat
            for part in _checksum_slices(len(row)):
                crc = _crc(row[part], crc)
        return crc


class LazyColumn:
    """An array that is not in memory, such as a dataset of an HDF5 file, read batch by batch.

    Args:
        values: its rows.
        dtype: dtype of the batches.
    """

    def __init__(self, values: LazyRows, dtype: Dtype) -> None:
        self.values, self.dtype, self.rows = values, dtype, len(values)

    def part(self, start: int, stop: int) -> LazyColumn:
        """Return rows ``start`` to ``stop`` as another column, without reading them."""
        return LazyColumn(self.values.part(start, stop), self.dtype)

    def slice(self, start: int, stop: int) -> Array:
        """Read rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, order="C", copy=False)

    def take(self, rows: Array) -> Array:
        """Read the given rows."""
        return self.values.take(rows).astype(self.dtype, order="C", copy=False)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; long rows enter in part."""
        return Column(self.values.take(rows), self.dtype).checksum(np.arange(len(rows)))


class SparseColumn:
    """x as a CSR matrix, read in batches that are CSR matrices.

    The memory of a batch is proportional to the number of its stored entries.

    Args:
        values: the matrix, which is never written to; its indices are not sorted.
        dtype: dtype of the batches.
    """

    def __init__(self, values: Any, dtype: Dtype) -> None:
        self.values = values
        self.dtype = dtype
        self.rows = int(values.shape[0])

    def part(self, start: int, stop: int) -> SparseColumn:
        """Return rows ``start`` to ``stop`` as another column."""
        return SparseColumn(self.values[start:stop], self.dtype)

    def slice(self, start: int, stop: int) -> Any:
        """Return rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, copy=False)

    def take(self, rows: Array) -> Any:
        """Return the given rows."""
        return self.values[rows].astype(self.dtype, copy=False)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; rows with many entries enter in part."""
        crc = 0
        for i in rows:
            start, stop = (int(n) for n in self.values.indptr[i : i + 2])
            for part in _checksum_slices(stop - start):
                entries = slice(start + part.start, start + part.stop)
                crc = _crc(self.values.indices[entries].astype(np.int64), crc)
                crc = _crc(self.values.data[entries], crc)
        return crc


class Columns:
    """Columns for several inputs or outputs, with equal numbers of rows; a batch is a tuple."""

    def __init__(self, columns: Sequence[Column | LazyColumn | SparseColumn]) -> None:
        self.columns, self.rows = tuple(columns), columns[0].rows

    @property
    def values(self) -> tuple[Any, ...]:
        """The arrays."""
        return tuple(c.values for c in self.columns)

    def part(self, start: int, stop: int) -> Columns:
        """Return rows ``start`` to ``stop`` of each column."""
        return Columns([c.part(start, stop) for c in self.columns])

    def slice(self, start: int, stop: int) -> tuple[Any, ...]:
        """Return rows ``start`` to ``stop`` of each."""
        return tuple(c.slice(start, stop) for c in self.columns)

    def take(self, rows: Array) -> tuple[Any, ...]:
        """Return the given rows of each."""
        return tuple(c.take(rows) for c in self.columns)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows of all columns."""
        return zlib.crc32(repr([c.checksum(rows) for c in self.columns]).encode())


AnyColumn = Column | LazyColumn | SparseColumn | Columns


def column(values: Any, dtype: Any) -> AnyColumn:
    """Return the column for an array, lazy rows or a CSR matrix; :class:`Columns` for a tuple.

    ``dtype`` is the dtype of the batches; for a tuple, one for all or a tuple of them.
    """
    if type(values) is not np.ndarray:
        if isinstance(values, tuple):
            dtypes = dtype if isinstance(dtype, tuple) else (dtype,) * len(values)
            pairs = zip(values, dtypes, strict=True)
            return Columns([column(v, d) for v, d in pairs])  # type: ignore[misc]
        if isinstance(values, LazyRows):
            return LazyColumn(values, dtype)
        if is_sparse(values):
            return SparseColumn(values, dtype)
    return Column(values, dtype)


def _dtype_and_shape(column: AnyColumn | None) -> Any:
    """Return the dtype and the row shape of a column, for :meth:`ArrayData.fingerprint`."""
    if isinstance(column, Columns):
        return [_dtype_and_shape(c) for c in column.columns]
    return None if column is None else [column.values.dtype.name, list(column.values.shape[1:])]


class ArrayData:
    """A dataset of arrays.

    Args:
        columns: x, y and sample weights; y and weights may be ``None``.
        batch_size: rows in a batch; the last batch may be smaller.
        rng: random generator that shuffles the rows before each pass; ``None`` keeps their order.
        rows: indices of the rows to use; ``None`` for all.
        steps: batches in an epoch; ``None`` for a pass over all rows.
        continuous: with ``steps``, whether an epoch continues where the previous one ended, and
            restarts the data when they are exhausted. Otherwise each epoch starts at the first row.
        drop_last: leave out the rows of a pass that do not fill a batch.
    """

    def __init__(
        self,
        columns: list[AnyColumn | None],
        batch_size: int,
        rng: np.random.Generator | None = None,
        rows: Array | None = None,
        steps: int | None = None,
        continuous: bool = False,
        drop_last: bool = False,
    ) -> None:
        self._columns, self._batch_size = columns, batch_size
        self._rng, self._numbers = rng, rows
        self._continuous = continuous and steps is not None
        assert columns[0] is not None
        self._count = columns[0].rows if rows is None else len(rows)
        self._drop_last = drop_last
        self._end = self._count - self._count % batch_size if drop_last else self._count
        whole = -(-self._end // batch_size)
        self.steps = steps if continuous and steps else min(whole, steps or whole)
        self.rows = min(self._end, self.steps * batch_size)
        self._current: Iterator[Batch] = iter(())
        self._cursor = Cursor()

    def ready(self) -> bool:
        """Start the next epoch unless it has started. Always returns True."""
        if not self._cursor.active:
            self._cursor.begin(self._between())
        return True

    def row(self) -> Any:
        """Return zeros in the shape of one sample, to infer the output shape of empty data."""
        return _zeros(self._columns[0])

    def close(self) -> None:
        """Do nothing: arrays hold no resources."""

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, or those after the first ``start``."""
        if start == 0:
            self.ready()
            if not self._continuous:
                self._current = iter(())
        number = start
        try:
            for number in range(start, self.steps):
                batch = next(self._current, None)
                if batch is None:
                    self._current = self._pass(number, Position(order_state(self._rng)))
                    batch = next(self._current)
                yield batch
        except GeneratorExit:
            self._cursor.end(number + 1)
            raise
        self._cursor.end(self.steps)

    def _pass(self, number: int, place: Position) -> Iterator[Batch]:
        """Draw the order of a pass; return its batches after ``place``, batch ``number`` first."""
        self._cursor.mark(number, place)
        set_order(self._rng, place.order)
        numbers = self._numbers
        if self._rng is not None:
            numbers = self._rng.permutation(self._count if numbers is None else numbers)
        return self._cut(numbers, place.count * self._batch_size)

    def _cut(self, numbers: Array | None, first: int) -> Iterator[Batch]:
        x, y, weights = self._columns
        assert x is not None
        for start in range(first, self._end, self._batch_size):
            stop = min(start + self._batch_size, self._end)
            if numbers is None:
                yield Batch(
                    x.slice(start, stop),
                    y and y.slice(start, stop),
                    weights and weights.slice(start, stop),
                    stop - start,
                )
            else:
                rows = numbers[start:stop]
                w = weights and weights.take(rows)
                yield Batch(x.take(rows), y and y.take(rows), w, stop - start)

    # Resuming in another process ---------------------------------------------------------------

    def get_state(self, done: int | None = None) -> dict[str, Any]:
        """Return the position in the data as plain data.

        Args:
            done: batches of the epoch that are done, ``None`` between epochs.
        """
        return (self._cursor.after(done) if done else self._between()).get_state()

    def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
        """Continue from a position that :meth:`get_state` returned."""
        place = Position.from_state(state)
        set_order(self._rng, place.order)
        self._cursor.begin(place, done or 0)
        self._current = iter(())
        if done or self._continuous:
            self._current = self._pass(done or 0, place)
        if not done:
            self._cursor.end(0)

    def _between(self) -> Position:
        place = self._cursor.between
        if place is not None and (self._continuous or self._cursor.active):
            return place
        return Position(order_state(self._rng))

    def fingerprint(self) -> dict[str, Any]:
        """Return what must not change when a run resumes: shapes, and a checksum of some rows.

        It takes a few milliseconds and detects changed values unless only a few rows differ.
        """
        return {
            "kind": "rows",
            "rows": self._count,
            "batch_size": self._batch_size,
            "steps": self.steps,
            "shuffle": self._rng is not None,
            "columns": [_dtype_and_shape(c) for c in self._columns],
            "checksum": self._checksums(),
            **({"drop_last": True} if self._drop_last else {}),  # older backups have no such key
        }

    def _checksums(self) -> dict[str, str | None]:
        """Return checksums of x, y and the weights, over rows spread evenly over the data."""
        rows = np.linspace(0, self._count - 1, min(self._count, _CHECKSUM_ROWS)).astype(np.int64)
        if self._numbers is not None:
            rows = self._numbers[rows]
        names = ("x", "y", "sample_weight")
        return {
            name: None if c is None else f"{c.checksum(rows):08x}"
            for name, c in zip(names, self._columns, strict=True)
        }

    def reproducibility_warning(self) -> str | None:
        """Return None: another process reads the same batches."""
        return None


def _zeros(column: Any) -> Any:
    if isinstance(column, Columns):
        return tuple(map(_zeros, column.columns))
    return np.zeros((1, *column.values.shape[1:]), column.dtype)


def split_columns(
    owner: str, columns: list[AnyColumn | None], share: float
) -> tuple[list[AnyColumn | None], list[AnyColumn | None]]:
    """Split off the last ``share`` of the rows for validation, at least one; 0 < share < 1."""
    rows = columns[0].rows  # type: ignore[union-attr]
    # The fraction is that of the decimal number: in floats, 100 (1 - 0.8) is 19.999...
    first = int(rows * (1 - Fraction(str(share))))
    if first == 0:
        raise ConfigurationError(
            f"{owner}: validation_split={share:g} of {rows} rows leaves nothing to train on."
        )
    train = [None if c is None else c.part(0, first) for c in columns]
    test = [None if c is None else c.part(first, rows) for c in columns]
    return train, test
