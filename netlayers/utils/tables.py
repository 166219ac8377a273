"""Open tables, Parquet and safetensors files as arrays that are read in slices."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import pyarrow
from netlayers.arrays.tables import Parquet, Table, as_table
from netlayers.checks import check_path
from netlayers.errors import ConfigurationError, FileError, MissingFileError
from netlayers.utils.shards import files_in

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDINGS = (".parquet", ".pq")
_HEADER = 100_000_000  # bytes; what the reference implementation allows
_DTYPES = {
    **{f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)},
    "BOOL": "?",
}


def open_table(source: Any, columns: Sequence[str] | None = None) -> Table:
    """Open a table as an array that is read in slices, for x and y of ``fit`` and others.

    Args:
        source: a Parquet file, a folder or a list of these (with ``pyarrow``), a table of Arrow, or
            a frame of polars, also a lazy one, of which each read is a query.
        columns: the columns to read; by default all.

    Returns:
        A table: ``table["name"]`` is a column, ``table[["a", "b"]]`` has two of its columns,
        ``table.drop("name")`` all but one. Its dtype is the common one of its columns. Parquet is
        read in row groups, of which one is in memory.

    Raises:
        ConfigurationError: ``source`` is none of these, or pyarrow is not installed.
        DataError: there is no such column, or files have different ones.
        FileError: a file is missing or cannot be read.

    Example:
        >>> import netlayers as nl
        >>> def train(model, path):
        ...     flights = nl.utils.open_table(path)
        ...     model.fit(flights.drop("delay"), flights["delay"], validation_split=0.1)
    """
    owner = "open_table"
    table = as_table(source)
    if not isinstance(table, Table):
        table = Table(_parquet(owner, _paths(owner, source)))
    return table if columns is None else table[list(columns)]


def _paths(owner: str, source: Any) -> list[str]:
    """Return the paths of Parquet files."""
    if isinstance(source, (list, tuple)) and source:
        return [path for its in source for path in _paths(owner, its)]
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise ConfigurationError(
            f"{owner}: source must be a Parquet file, a folder or a list of these, a table of "
            f"Arrow or a frame of polars, got {type(source).__name__}."
        )
    path = os.path.expanduser(os.fsdecode(source))
    if not os.path.isdir(path):
        return [check_path(owner, "source", path)]
    files = files_in(path, *_ENDINGS)
    if not files:
        raise FileError(path, "folder", f"{' or '.join(_ENDINGS)} files", "none")
    return files


def _parquet(owner: str, paths: list[str]) -> Parquet:
    arrow = pyarrow(owner)
    for path in paths:
        if not os.path.exists(path):
            raise MissingFileError(path)
    try:
        return Parquet(paths)
    except (OSError, arrow.ArrowInvalid) as error:
        hint = "Data of other formats can be written as shards: utils.write_shards."
        raise FileError(", ".join(paths[:3]), "file", "Parquet", error, hint) from error


def open_safetensors(
    path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> dict[str, np.memmap[Any, Any]]:
    """Open the arrays of a safetensors file as memory maps.

    Args:
        path: the file; any of that format, also of other programs.
        names: the arrays to open; by default all.

    Returns:
        A dict of memory maps, which only read.

    Raises:
        FileError: the file is missing or malformed, has no such array, or one of a type that NumPy
            lacks, such as BF16.

    Example:
        >>> import os, tempfile, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)], seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     model.save(path)
        ...     arrays = nl.utils.open_safetensors(path)
        ...     print({name: array.shape for name, array in arrays.items()})
        {'dense/kernel': (2, 3), 'dense/bias': (3,)}
    """
    owner = "open_safetensors"
    file = check_path(owner, "path", path)
    if not os.path.exists(file):
        raise MissingFileError(file)
    entries, start = _header(file)
    wanted = list(entries) if names is None else list(names)
    missing = [name for name in wanted if name not in entries]
    if missing:
        listed = ", ".join(map(repr, list(entries)[:20]))
        raise FileError(file, "header", f"an array {missing[0]!r}", f"arrays {listed}")
    return {name: _mapped(file, name, entries[name], start) for name in wanted}


def _header(path: str) -> tuple[dict[str, Any], int]:
    """Return the entries of a file, and where the first byte of their data is."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            entries = json.loads(file.read(size)) if 2 <= size <= _HEADER else None
        except ValueError:
            entries = None
    if not isinstance(entries, dict):
        raise FileError(path, "header", "a safetensors file", "something else")
    entries.pop("__metadata__", None)
    return entries, 8 + size


def _mapped(path: str, name: str, entry: Any, start: int) -> np.memmap[Any, Any]:
    """Return the memory map of an array, checked against the size of the file."""
    try:
        kind, shape = str(entry["dtype"]), tuple(map(int, entry["shape"]))
        first, end = map(int, entry["data_offsets"])
        dtype = np.dtype(_DTYPES.get(kind, "V1"))
        size = math.prod(shape) * dtype.itemsize
        valid = min((0, *shape)) == 0 and 0 <= first <= end
    except (TypeError, KeyError, ValueError):
        valid = False
    if valid and kind not in _DTYPES:
        raise FileError(path, name, f"a type that NumPy has, {', '.join(_DTYPES)}", kind)
    if not valid or end - first != size or not size:
        raise FileError(path, name, "the type, shape and offsets of an array with rows", entry)
    if start + end > os.path.getsize(path):
        raise FileError(path, name, f"{size} bytes", "the end of the file", "It has been cut.")
    return np.memmap(path, dtype, "r", start + first, shape)
