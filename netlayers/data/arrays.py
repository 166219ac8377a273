"""Batches from arrays in memory or in files, from sparse matrices, and from several of these."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.sparse import is_sparse
from netlayers.data.batch import Batch, copy_batch, join_batches
from netlayers.data.blocks import block_order
from netlayers.data.cursor import Cursor, Position, order_state, set_order
from netlayers.data.fingerprints import array_checksum, checksums, dtype_and_shape
from netlayers.data.sparse_columns import SparseColumn
from netlayers.kernels.memory import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array, Dtype, Rows
    from netlayers.data.blocks import Group


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

    def gather(self, parts: Sequence[Rows], count: int) -> Column:
        """Return ``count`` rows, given in parts, in a buffer as another column."""
        out = self._workspace("gathered", (count, *self._row), self.values.dtype)
        start = 0
        for part in parts:
            rows = self.values[part]
            out[start : start + len(rows)] = rows
            start += len(rows)
        return Column(out, self.dtype)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; long rows enter in part."""
        return array_checksum(self.values, rows)


class LazyColumn:
    """An array that is not in memory, such as a dataset of an HDF5 file, read on access.

    Args:
        values: its rows.
        dtype: dtype of the batches.
    """

    def __init__(self, values: LazyRows, dtype: Dtype) -> None:
        self.values, self.dtype, self.rows = values, dtype, len(values)
        self._workspace = Workspace()

    def part(self, start: int, stop: int) -> LazyColumn:
        """Return rows ``start`` to ``stop`` as another column, without reading them."""
        return LazyColumn(self.values.part(start, stop), self.dtype)

    def slice(self, start: int, stop: int) -> Array:
        """Read rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, order="C", copy=False)

    def take(self, rows: Array) -> Array:
        """Read the given rows."""
        return self.values.take(rows).astype(self.dtype, order="C", copy=False)

    def gather(self, parts: Sequence[Rows], count: int) -> Column:
        """Read ``count`` rows, given in parts, into a buffer; return it as a column."""
        out = self._workspace("gathered", (count, *self.values.shape[1:]), self.values.dtype)
        start = 0
        for part in parts:
            size = part.stop - part.start if isinstance(part, slice) else len(part)
            self.values.read(part, out[start : start + size])
            start += size
        return Column(out, self.dtype)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; long rows enter in part."""
        return array_checksum(self.values.take(rows), range(len(rows)))


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

    def gather(self, parts: Sequence[Rows], count: int) -> Columns:
        """Return ``count`` rows of each, given in parts."""
        return Columns([c.gather(parts, count) for c in self.columns])

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
        buffer: rows that are shuffled at a time; ``None`` for all of arrays in memory, and for
            others as many as take 64 MB. See :class:`netlayers.data.blocks.BlockOrder`.

    Data of which a part is not in memory are read in blocks, shuffled or not.
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
        buffer: int | None = None,
    ) -> None:
        self._columns, self.batch_size = columns, batch_size
        self._rng, self._numbers = rng, rows
        self._continuous = continuous and steps is not None
        assert columns[0] is not None
        self._count = columns[0].rows if rows is None else len(rows)
        self._drop_last = drop_last
        self.end = self._count - self._count % batch_size if drop_last else self._count
        whole = -(-self.end // batch_size)
        self.steps = steps if continuous and steps else min(whole, steps or whole)
        self.rows = min(self.end, self.steps * batch_size)
        self._current: Iterator[Batch] = iter(())
        self._cursor = Cursor()
        self._ranges: list[tuple[int, int]] | None = None  # of the rows that are in memory
        self._loaded: list[Any] = []
        self.blocks = None
        self.own_blocks: Any = None  # reads the rows of one of several processes
        if any(map(_is_lazy, columns)) or (buffer is not None and buffer < self._count):
            shuffled = rng is not None
            self.blocks = block_order(columns, self._count, batch_size, shuffled, buffer)

    def ready(self) -> bool:
        """Start the next epoch unless it has started. Always returns True."""
        if not self._cursor.active:
            self._cursor.begin(self._between())
        return True

    def row(self) -> Any:
        """Return zeros in the shape of one sample, to infer the output shape of empty data."""
        return _zeros(self._columns[0])

    def close(self) -> None:
        """Free the rows that were read."""
        self._current, self._ranges, self._loaded = iter(()), None, []
        if self.blocks is not None:
            self._columns = [c and c.part(0, c.rows) for c in self._columns]  # without buffers

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
        first = place.count * self.batch_size
        if self.blocks is not None:
            reader = self if self.own_blocks is None else self.own_blocks
            return reader.read_blocks(self._rng, first)
        numbers = self._numbers
        if self._rng is not None:
            numbers = self._rng.permutation(self._count if numbers is None else numbers)
        return self._cut(numbers, first)

    def _cut(self, numbers: Array | None, first: int) -> Iterator[Batch]:
        for start in range(first, self.end, self.batch_size):
            stop = min(start + self.batch_size, self.end)
            yield batch_of_rows(self._columns, numbers, start, stop)

    def read_blocks(self, rng: np.random.Generator | None, first: int) -> Iterator[Batch]:
        """Draw the order of a pass; return its batches from the one with row ``first`` on."""
        assert self.blocks is not None
        return self._read(self.blocks.draw(rng, first))

    def _read(self, groups: Iterator[Group]) -> Iterator[Batch]:
        """Read groups of blocks; yield their rows in batches, which may reach into the next."""
        rest: Batch | None = None
        for group in groups:
            columns = self.gathered(group.ranges, group.rows)
            start = group.done
            while start < group.rows:
                size = self.batch_size - (rest.size if rest is not None else 0)
                stop = min(start + size, group.rows)
                batch = batch_of_rows(columns, group.order, start, stop)
                start = stop
                if rest is not None:
                    batch, rest = join_batches([rest, batch]), None
                if batch.size == self.batch_size:
                    yield batch
                else:
                    rest = copy_batch(batch)  # of a buffer that the next group overwrites
        if rest is not None and not self._drop_last:
            yield rest

    def gathered(self, ranges: list[tuple[int, int]], rows: int) -> list[Any]:
        """Return columns of the rows in these ranges, which are read unless they are in memory."""
        if ranges != self._ranges:
            self._ranges = None  # the buffers are overwritten
            parts: list[Rows] = [slice(*bounds) for bounds in ranges]
            if self._numbers is not None:
                parts = [self._numbers[part] for part in parts]
            self._loaded = [c and c.gather(parts, rows) for c in self._columns]
            self._ranges = ranges
        return self._loaded

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
            "batch_size": self.batch_size,
            "steps": self.steps,
            "shuffle": self._rng is not None,
            "columns": [dtype_and_shape(c) for c in self._columns],
            "checksum": checksums(self._columns, self._count, self._numbers),
            **({"drop_last": True} if self._drop_last else {}),  # older backups have no such key
            **({"blocks": [self.blocks.block, self.blocks.at_once]} if self.blocks else {}),
        }

    def reproducibility_warning(self) -> str | None:
        """Return None: another process reads the same batches."""
        return None


def _is_lazy(column: AnyColumn | None) -> bool:
    if isinstance(column, Columns):
        return any(map(_is_lazy, column.columns))
    return isinstance(column, LazyColumn)


def batch_of_rows(columns: Sequence[Any], numbers: Array | None, start: int, stop: int) -> Batch:
    """Return rows ``start`` to ``stop`` of columns, or those with these places in ``numbers``."""
    x, y, weights = columns
    if numbers is None:
        w = weights and weights.slice(start, stop)
        return Batch(x.slice(start, stop), y and y.slice(start, stop), w, stop - start)
    rows = numbers[start:stop]
    w = weights and weights.take(rows)
    return Batch(x.take(rows), y and y.take(rows), w, stop - start)


def _zeros(column: Any) -> Any:
    if isinstance(column, Columns):
        return tuple(map(_zeros, column.columns))
    return np.zeros((1, *column.values.shape[1:]), column.dtype)
