"""Arrays in memory or in a file, sparse matrices, and several of these, as batches."""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.sparse import is_sparse
from netlayers.data.batch import Batch
from netlayers.data.cursor import Cursor, Place, order_state, set_order
from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array, Dtype


_SAMPLED_ROWS = 64  # of which a checksum is taken
_SAMPLED = 1024  # entries of such a row, at its begin, in its middle and at its end


def _sampled(size: int) -> list[slice]:
    """Return the parts of a row of ``size`` entries that a checksum is taken of."""
    if size <= 3 * _SAMPLED:
        return [slice(0, size)]
    middle = (size - _SAMPLED) // 2
    return [slice(i, i + _SAMPLED) for i in (0, middle, size - _SAMPLED)]


def _crc(entries: Array, before: int) -> int:
    """Go on with a checksum, which is the same on all machines."""
    order = entries.dtype.newbyteorder("<")
    return zlib.crc32(entries.astype(order, copy=False).tobytes(), before)


class Column:
    """One of x, y and the weights: an array of which batches are taken.

    A batch is a view into the user's array where that is possible, else it is gathered and
    converted into a buffer that the next batch overwrites.

    Args:
        values: the array; never written to.
        dtype: of the batches.
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
        """Return some rows as a column of their own; nothing is copied."""
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
        """Return the given rows, in a buffer."""
        shape = (len(rows), *self._row)
        out = self._workspace("batch", shape, self.dtype)
        if not self._plain:
            np.copyto(out, self.values[rows], casting="unsafe")
            return out
        # The numbers of rows are right by construction; "clip" only lets NumPy write straight
        # into the buffer. The function np.take needs 0.8 µs more than the method.
        if self._same:
            return self.values.take(rows, axis=0, out=out, mode="clip")
        raw = self._workspace("raw", shape, self.values.dtype)
        np.copyto(out, self.values.take(rows, axis=0, out=raw, mode="clip"), casting="unsafe")
        return out

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; of long ones, of parts of them."""
        crc = 0
        for i in rows:
            row = self.values[i : i + 1].flat
            for part in _sampled(len(row)):
                crc = _crc(row[part], crc)
        return crc


class LazyColumn:
    """An array outside of the memory, such as a data set of an HDF5 file, read batch by batch.

    Args:
        values: the rows of it.
        dtype: of the batches.
    """

    def __init__(self, values: LazyRows, dtype: Dtype) -> None:
        self.values, self.dtype, self.rows = values, dtype, len(values)

    def part(self, start: int, stop: int) -> LazyColumn:
        """Return some rows as a column of their own; nothing is read."""
        return LazyColumn(self.values.part(start, stop), self.dtype)

    def slice(self, start: int, stop: int) -> Array:
        """Read rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, order="C", copy=False)

    def take(self, rows: Array) -> Array:
        """Read the given rows."""
        return self.values.take(rows).astype(self.dtype, order="C", copy=False)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; of long ones, of parts of them."""
        return Column(self.values.take(rows), self.dtype).checksum(np.arange(len(rows)))


class SparseColumn:
    """x as a CSR matrix, of which batches are taken that are CSR matrices too.

    A batch takes as much memory as it has entries.

    Args:
        values: the matrix; never written to, and its entries are not put in order.
        dtype: of the batches.
    """

    def __init__(self, values: Any, dtype: Dtype) -> None:
        self.values = values
        self.dtype = dtype
        self.rows = int(values.shape[0])

    def part(self, start: int, stop: int) -> SparseColumn:
        """Return some rows as a column of their own."""
        return SparseColumn(self.values[start:stop], self.dtype)

    def slice(self, start: int, stop: int) -> Any:
        """Return rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, copy=False)

    def take(self, rows: Array) -> Any:
        """Return the given rows."""
        return self.values[rows].astype(self.dtype, copy=False)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; of those with many entries, of parts of them."""
        crc = 0
        for i in rows:
            start, stop = (int(n) for n in self.values.indptr[i : i + 2])
            for part in _sampled(stop - start):
                its = slice(start + part.start, start + part.stop)
                crc = _crc(self.values.indices[its].astype(np.int64), crc)
                crc = _crc(self.values.data[its], crc)
        return crc


class Columns:
    """Several inputs, or targets of several outputs: a batch is a tuple with one of each.

    All have the same number of rows.
    """

    def __init__(self, columns: Sequence[Column | LazyColumn | SparseColumn]) -> None:
        self.columns, self.rows = tuple(columns), columns[0].rows

    @property
    def values(self) -> tuple[Any, ...]:
        """The arrays."""
        return tuple(c.values for c in self.columns)

    def part(self, start: int, stop: int) -> Columns:
        """Return some rows of each as columns of their own."""
        return Columns([c.part(start, stop) for c in self.columns])

    def slice(self, start: int, stop: int) -> tuple[Any, ...]:
        """Return rows ``start`` to ``stop`` of each."""
        return tuple(c.slice(start, stop) for c in self.columns)

    def take(self, rows: Array) -> tuple[Any, ...]:
        """Return the given rows of each."""
        return tuple(c.take(rows) for c in self.columns)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows of all."""
        return zlib.crc32(repr([c.checksum(rows) for c in self.columns]).encode())


AnyColumn = Column | LazyColumn | SparseColumn | Columns


def column(values: Any, dtype: Any) -> AnyColumn:
    """Return the column for an array, lazy rows, or a CSR matrix; for a tuple, those of each.

    ``dtype`` is that of the batches; for a tuple, one or one for each.
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


def _kind(of: AnyColumn | None) -> Any:
    """Return what :meth:`ArrayData.fingerprint` says of a column: dtype and shape of a row."""
    if isinstance(of, Columns):
        return [_kind(c) for c in of.columns]
    return None if of is None else [of.values.dtype.name, list(of.values.shape[1:])]


class ArrayData:
    """A data set of arrays.

    Args:
        columns: x, y and weights; y and weights may be missing.
        batch_size: rows in a batch; the last may be smaller.
        rng: a random generator to shuffle by, anew in each pass; ``None`` for the given order.
        rows: numbers of the rows that the data set consists of; ``None`` for all.
        steps: batches in an epoch; ``None`` for a pass over all rows.
        goes_on: with ``steps``, whether an epoch begins where the last one ended, and begins the
            data again where they end; otherwise every epoch begins with the first row.
    """

    def __init__(
        self,
        columns: list[AnyColumn | None],
        batch_size: int,
        rng: np.random.Generator | None = None,
        rows: Array | None = None,
        steps: int | None = None,
        goes_on: bool = False,
    ) -> None:
        self._columns = columns
        self._batch_size = batch_size
        self._rng = rng
        self._numbers = rows
        self._goes_on = goes_on and steps is not None
        assert columns[0] is not None
        self._count = columns[0].rows if rows is None else len(rows)
        self._whole = -(-self._count // batch_size)
        self.steps = steps if goes_on and steps else min(self._whole, steps or self._whole)
        self.rows = min(self._count, self.steps * batch_size)
        self._current: Iterator[Any] = iter(())
        self._cursor = Cursor()

    def ready(self) -> bool:
        """Begin the next epoch, if it is not begun; whether it has batches: always."""
        if not self._cursor.active:
            self._cursor.begin(self._between())
        return True

    def row(self) -> Any:
        """Return inputs of one sample, zeros: for the shape of the output where there are none."""
        return _zeros(self._columns[0])

    def close(self) -> None:
        """Let go of what an epoch holds: nothing."""

    def batches(self, start: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch.

        Args:
            start: how many batches of it are done, in a run that goes on within an epoch.
        """
        if start == 0:
            self.ready()
            if not self._goes_on:
                self._current = iter(())
        number = start
        try:
            for number in range(start, self.steps):
                batch = next(self._current, None)
                if batch is None:
                    self._current = self._pass(number, Place(order_state(self._rng)))
                    batch = next(self._current)
                yield batch
        except GeneratorExit:
            self._cursor.end(number + 1)
            raise
        self._cursor.end(self.steps)

    def _pass(self, number: int, place: Place) -> Iterator[Any]:
        """Draw the order; return the batches after a place. ``number`` of the epoch lie before."""
        self._cursor.mark(number, place)
        set_order(self._rng, place.order)
        numbers = self._numbers
        if self._rng is not None:
            numbers = self._rng.permutation(self._count if numbers is None else numbers)
        return self._cut(numbers, place.count * self._batch_size)

    def _cut(self, numbers: Array | None, first: int) -> Iterator[Any]:
        x, y, weights = self._columns
        assert x is not None
        for start in range(first, self._count, self._batch_size):
            stop = min(start + self._batch_size, self._count)
            if numbers is None:
                yield Batch(
                    x.slice(start, stop),
                    y and y.slice(start, stop),
                    weights and weights.slice(start, stop),
                    stop - start,
                )
            else:
                rows = numbers[start:stop]
                its_weights = weights and weights.take(rows)
                yield Batch(x.take(rows), y and y.take(rows), its_weights, stop - start)

    # To go on in another process ---------------------------------------------------------------

    def get_state(self, done: int | None = None) -> dict[str, Any]:
        """Return where the data stand, as plain data.

        Args:
            done: batches of the epoch that are done, ``None`` between two epochs.
        """
        return (self._cursor.after(done) if done else self._between()).get_state()

    def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
        """Go on where :meth:`get_state` was called."""
        place = Place.from_state(state)
        set_order(self._rng, place.order)
        self._cursor.begin(place, done or 0)
        self._current = iter(())
        if done or self._goes_on:
            self._current = self._pass(done or 0, place)
        if not done:
            self._cursor.end(0)

    def _between(self) -> Place:
        known = self._cursor.between
        if known is not None and (self._goes_on or self._cursor.active):
            return known
        return Place(order_state(self._rng))

    def fingerprint(self) -> dict[str, Any]:
        """Return what must be the same in a run that goes on: shapes, and a checksum of a few rows.

        So other values are found out unless they are rare, at the cost of some milliseconds.
        """
        return {
            "kind": "rows",
            "rows": self._count,
            "batch_size": self._batch_size,
            "steps": self.steps,
            "shuffle": self._rng is not None,
            "columns": [_kind(c) for c in self._columns],
            "checksum": self._checksums(),
        }

    def _checksums(self) -> dict[str, str | None]:
        """Return a checksum of x, of y and of the weights, over rows from all parts of the data."""
        rows = np.linspace(0, self._count - 1, min(self._count, _SAMPLED_ROWS)).astype(np.int64)
        if self._numbers is not None:
            rows = self._numbers[rows]
        names = ("x", "y", "sample_weight")
        return {
            name: None if c is None else f"{c.checksum(rows):08x}"
            for name, c in zip(names, self._columns, strict=True)
        }

    def reproducibility_warning(self) -> str | None:
        """Return why another process might read other batches: there is no reason."""
        return None


def _zeros(of: Any) -> Any:
    if isinstance(of, Columns):
        return tuple(map(_zeros, of.columns))
    return np.zeros((1, *of.values.shape[1:]), of.dtype)


def split_columns(
    owner: str, columns: list[AnyColumn | None], share: float
) -> tuple[list[AnyColumn | None], list[AnyColumn | None]]:
    """Cut off the last share of the rows."""
    rows = columns[0].rows  # type: ignore[union-attr]
    # Of the number as it is written: in floats, 100 (1 - 0.8) is 19.999...
    first = int(rows * (1 - Fraction(repr(share))))
    if not 0 < first < rows:
        raise ConfigurationError(
            f"{owner}: validation_split={share:g} of {rows} rows leaves nothing to "
            f"{'train on' if first == 0 else 'validate with'}."
        )
    train = [None if c is None else c.part(0, first) for c in columns]
    test = [None if c is None else c.part(first, rows) for c in columns]
    return train, test
