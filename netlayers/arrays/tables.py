"""Tables of Arrow, Parquet and polars as arrays that are read in slices. None is imported here."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from netlayers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype


class Kind(NamedTuple):
    """What a column holds.

    Attributes:
        text: the name of its type in its library.
        dtype: NumPy's type of its entries; that of objects for what is no number.
        row: shape of an entry, ``()`` for numbers, ``(k,)`` for lists of k numbers.
    """

    text: str
    dtype: Dtype
    row: tuple[int, ...]


class Source(Protocol):
    """Named columns that are read in slices.

    Attributes:
        kinds: of each column, by name.
        rows: number of rows.
        chunk: rows that are read at once; 1 if any range can be read.
    """

    kinds: dict[str, Kind]
    rows: int
    chunk: int

    def nulls(self, name: str) -> int:
        """Return the number of missing values of a column, as far as it is known."""

    def read(self, names: list[str], start: int, stop: int) -> list[Array]:
        """Return rows of some columns; missing values are NaN or ``None``."""


class Table:
    """A table, or a column of one, as an array that is read in slices.

    ``table["name"]`` is a column, ``table[["a", "b"]]`` a table of two, ``table.drop("name")`` one
    without a column, ``table[10:20]`` reads rows as an array. The dtype is the common one of the
    columns.

    Args:
        source: where it is read.
        names: the columns; by default all.
        single: whether it is one column, (rows,), rather than a table, (rows, columns).

    Attributes:
        columns: the names of the columns; ``None`` if it is one column.
        shape, dtype: as of an array.
        chunks: the shape of what is read at once, as h5py and zarr have it; or ``None``.
    """

    def __init__(
        self, source: Source, names: list[str] | None = None, single: bool = False
    ) -> None:
        self._source, self._names = source, list(source.kinds) if names is None else names
        self.columns = None if single else self._names
        kinds = self._kinds = [source.kinds[name] for name in self._names]
        self.dtype = _common([k.dtype for k in kinds])
        row = kinds[0].row if single else (sum(math.prod(k.row) for k in kinds),)
        self.shape: tuple[int, ...] = (source.rows, *row)
        self.ndim = len(self.shape)
        self.chunks = (source.chunk, *row) if source.chunk > 1 else None

    def __len__(self) -> int:
        return self._source.rows

    def __getitem__(self, key: Any) -> Any:
        """Return a column by its name, a table by a list of names, an array by a slice of rows."""
        if isinstance(key, str):
            return Table(self._source, self._known([key]), single=True)
        if isinstance(key, slice):
            return self._read(key, missing=False)
        if isinstance(key, (list, tuple)) and all(isinstance(name, str) for name in key):
            return Table(self._source, self._known(list(key)))
        raise TypeError(f"a table takes a name, a list of names or a slice of rows, got {key!r}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._read(slice(None), missing=True), dtype)

    def __repr__(self) -> str:
        rows, listed = self._source.rows, ", ".join(self._names[:8])
        more = f", ... ({len(self._names)} columns)" if len(self._names) > 8 else ""
        return f"<Table of {rows} rows, {self.dtype}: {listed}{more}>"

    def drop(self, names: str | Sequence[str]) -> Table:
        """Return a table without some columns.

        Raises:
            DataError: there is no such column.
        """
        dropped = self._known([names] if isinstance(names, str) else list(names))
        return Table(self._source, [name for name in self._names if name not in dropped])

    def to_numpy(self) -> Array:
        """Return all rows as an array; missing values are NaN or ``None``."""
        return np.asarray(self)

    def check(self, owner: str, argument: str) -> None:
        """Check that the table holds numbers alone.

        Raises:
            DataError: columns are not numeric or have missing values; they are named.
        """
        pairs = list(zip(self._names, self._kinds, strict=True))
        wrong = [f"{name!r} ({k.text})" for name, k in pairs if k.dtype.kind not in "fiub"]
        if wrong:
            raise DataError(
                f"{owner}: {argument} must hold real numbers; not numeric: {', '.join(wrong)}. "
                "Convert such columns to numbers first, or leave them out."
            )
        counts = [(name, k, self._source.nulls(name)) for name, k in pairs]
        listed = [f"{name!r} ({k.text}, {count} of them)" for name, k, count in counts if count]
        if listed:
            what = "the column" if len(listed) == 1 else "the columns"
            raise DataError(
                f"{owner}: {argument} has missing values (null) in {what} {', '.join(listed)}. "
                "Fill them first, or remove such rows."
            )

    def _known(self, names: list[str]) -> list[str]:
        missing = [name for name in names if name not in self._names]
        if missing:
            raise DataError(
                f"the table has no column {', '.join(map(repr, missing))}; it has "
                f"{', '.join(map(repr, self._names[:20]))}"
                + (f" and {len(self._names) - 20} more." if len(self._names) > 20 else ".")
            )
        return names

    def _read(self, rows: slice, missing: bool) -> Array:
        start, stop, step = rows.indices(self._source.rows)
        stop = max(start, stop)
        found = self._source.read(self._names, start, stop)
        for name, kind, values in zip(self._names, self._kinds, found, strict=True):
            # Integers with missing values are read as floats.
            if not missing and values.dtype != kind.dtype:
                raise DataError(
                    f"the column {name!r} ({kind.text}) has missing values (null) in rows {start} "
                    f"to {stop - 1}. Fill them first, or remove such rows."
                )
        if self.columns is None:
            return found[0][::step]
        dtype = _common([values.dtype for values in found]) if missing else self.dtype
        out = np.empty((stop - start, *self.shape[1:]), dtype)
        column = 0
        for kind, values in zip(self._kinds, found, strict=True):
            width = math.prod(kind.row)
            out[:, column : column + width] = values.reshape(len(values), width)
            column += width
        return out[::step]


def _common(dtypes: list[Dtype]) -> Dtype:
    """Return the common dtype of columns, that of objects if some are not numeric."""
    if len(dtypes) == 1:
        return dtypes[0]
    if not all(dtype.kind in "fiub" for dtype in dtypes):
        return np.dtype(object)
    return np.result_type(*dtypes) if dtypes else np.dtype(np.float64)


def as_table(value: Any) -> Any:
    """Return a table or column of Arrow or polars as a :class:`Table`; other values unchanged."""
    kind = type(value)
    library, name = kind.__module__.partition(".")[0], kind.__name__
    if library == "pyarrow":
        arrow = sys.modules["pyarrow"]
        if name == "Table":
            return Table(Arrow(value))
        if name == "RecordBatch":
            return Table(Arrow(arrow.Table.from_batches([value])))
        if isinstance(value, arrow.Array):
            value, name = arrow.chunked_array([value]), "ChunkedArray"
        if name == "ChunkedArray":
            return Table(Arrow(arrow.table({"": value})), single=True)
    elif library == "polars":
        if name == "Series":
            return Table(Polars(value.to_frame()), single=True)
        if name in ("DataFrame", "LazyFrame"):
            return Table(Polars(value))
    return value


# Arrow and Parquet -------------------------------------------------------------------------------


class Arrow:
    """A table of Arrow, in memory or in a memory map; see :class:`Source`."""

    chunk = 1

    def __init__(self, table: Any) -> None:
        self._table, self.rows = table, table.num_rows
        self.kinds = arrow_kinds(table.schema)

    def nulls(self, name: str) -> int:
        """Return the number of missing values of a column."""
        return int(self._table.column(name).null_count)

    def read(self, names: list[str], start: int, stop: int) -> list[Array]:
        """Return rows of some columns."""
        return arrow_values(self._table.select(names).slice(start, stop - start))


def arrow_kinds(schema: Any) -> dict[str, Kind]:
    """Return what the columns of a schema of Arrow hold.

    Raises:
        DataError: two columns have one name.
    """
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise DataError(f"the table has several columns {twice!r}; rename them.")
    found = {}
    for field in schema:
        size = getattr(field.type, "list_size", None)
        entry = field.type if size is None else field.type.value_type
        try:
            dtype = np.dtype(entry.to_pandas_dtype())
        except NotImplementedError:
            dtype = np.dtype(object)
        row = () if size is None or dtype.kind not in "fiub" else (size,)
        found[field.name] = Kind(str(field.type), dtype, row)
    return found


def arrow_values(table: Any) -> list[Array]:
    """Return the columns of a table of Arrow as arrays."""
    found = []
    for column in table.columns:
        size = getattr(column.type, "list_size", None)
        if size is None or column.null_count:
            found.append(column.to_numpy())
        else:
            pieces = [piece.flatten().to_numpy(zero_copy_only=False) for piece in column.chunks]
            flat = np.concatenate(pieces) if pieces else np.empty(0)
            found.append(flat.reshape(len(column), size))
    return found


class Parquet:
    """Parquet files, one after the other, read in row groups by pyarrow; see :class:`Source`.

    The row group that was read last stays in memory.

    Args:
        paths: the files.

    Raises:
        DataError: a file has other columns than the first, which is named.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        from pyarrow import parquet

        self._open, self._groups, self.rows, self.chunk = parquet.ParquetFile, [], 0, 1
        self.kinds: dict[str, Kind] = {}
        self._nulls: dict[str, int] = {}
        self._last: tuple[Any, Any] = (None, None)
        for path in paths:
            with parquet.ParquetFile(path) as file:
                kinds, metadata = arrow_kinds(file.schema_arrow), file.metadata
            self.kinds = self.kinds or kinds
            if kinds != self.kinds:
                raise DataError(
                    f"the file {path!r} has the columns {_listed(kinds)}, but {paths[0]!r} has "
                    f"{_listed(self.kinds)}; their names, order and types must be equal."
                )
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                self._groups.append((path, metadata, number, self.rows, group.num_rows))
                self.rows += group.num_rows
                self.chunk = max(self.chunk, group.num_rows)
                self._count_nulls(group)

    def _count_nulls(self, group: Any) -> None:
        for i in range(group.num_columns):
            column = group.column(i)
            its = column.statistics
            if its is not None and its.has_null_count:
                name = column.path_in_schema
                self._nulls[name] = self._nulls.get(name, 0) + its.null_count

    def nulls(self, name: str) -> int:
        """Return the number of missing values of a column that the files state."""
        return self._nulls.get(name, 0)

    def read(self, names: list[str], start: int, stop: int) -> list[Array]:
        """Return rows of some columns."""
        parts: list[Any] = []
        for group in self._groups:
            first, count = group[3:]
            a, b = max(start, first), min(stop, first + count)
            if a < b or (not parts and group is self._groups[-1]):
                parts.append(self._group(group, names).slice(a - first, max(0, b - a)))
        if len(parts) == 1:
            return arrow_values(parts[0])
        return arrow_values(sys.modules["pyarrow"].concat_tables(parts))

    def _group(self, group: Any, names: list[str]) -> Any:
        path, metadata, number, first, _ = group
        key = (first, tuple(names))
        last, table = self._last  # at once: other threads may read other groups
        if last != key:
            table, self._last = None, (None, None)  # freed before another one is read
            with self._open(path, metadata=metadata) as file:
                table = file.read_row_group(number, names, use_threads=False).select(names)
            self._last = (key, table)
        return table


def _listed(kinds: dict[str, Kind]) -> str:
    return ", ".join(f"{name!r} ({kind.text})" for name, kind in kinds.items())


# polars --------------------------------------------------------------------------------------


class Polars:
    """A frame of polars, or a lazy one, of which each slice is a query; see :class:`Source`."""

    chunk = 1

    def __init__(self, frame: Any) -> None:
        polars = sys.modules["polars"]
        self._frame, self._is_lazy = frame, hasattr(frame, "collect")
        schema = frame.collect_schema()
        self.rows = int(self._of(frame.select(polars.len())).item()) if schema else 0
        self.kinds = {}
        for name, dtype in schema.items():
            empty = polars.Series(name, [], dtype=dtype).to_numpy()
            self.kinds[name] = Kind(str(dtype), empty.dtype, empty.shape[1:])
        self._nulls: Any = None

    def nulls(self, name: str) -> int:
        """Return the number of missing values of a column."""
        if self._nulls is None:
            self._nulls = self._of(self._frame.null_count())
        return int(self._nulls[name].item())

    def read(self, names: list[str], start: int, stop: int) -> list[Array]:
        """Return rows of some columns."""
        part = self._of(self._frame.select(names).slice(start, stop - start))
        return [part[name].to_numpy() for name in names]

    def _of(self, frame: Any) -> Any:
        return frame.collect() if self._is_lazy else frame
