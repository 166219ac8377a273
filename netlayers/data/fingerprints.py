"""Checksums and shapes by which a run that resumes recognizes its data."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Array

_ROWS = 64
_ENTRIES = 1024  # at the start, in the middle and at the end of each of these rows


def checksums(columns: Sequence[Any], count: int, numbers: Array | None) -> dict[str, str | None]:
    """Return checksums of x, y and the weights, over rows spread evenly over the data.

    Args:
        columns: x, y and the weights, ``None`` for what there is not.
        count: number of rows.
        numbers: the rows that are used; ``None`` for all.
    """
    rows = np.linspace(0, count - 1, min(count, _ROWS)).astype(np.int64)
    if numbers is not None:
        rows = numbers[rows]
    return {
        name: None if column is None else f"{column.checksum(rows):08x}"
        for name, column in zip(("x", "y", "sample_weight"), columns, strict=True)
    }


def dtype_and_shape(column: Any) -> Any:
    """Return the dtype and the row shape of a column; of several columns, a list of these."""
    if column is not None and hasattr(column, "columns"):
        return [dtype_and_shape(c) for c in column.columns]
    return None if column is None else [column.values.dtype.name, list(column.values.shape[1:])]


def array_checksum(values: Array, rows: Iterable[int]) -> int:
    """Return a checksum of some rows of an array; long rows enter in part."""
    crc = 0
    for i in rows:
        row = values[i : i + 1].flat
        for part in checksum_slices(len(row)):
            crc = _crc(row[part], crc)
    return crc


def csr_checksum(values: Any, rows: Iterable[int]) -> int:
    """Return a checksum of some rows of a CSR matrix; those with many entries enter in part."""
    crc = 0
    for i in rows:
        start, stop = (int(n) for n in values.indptr[i : i + 2])
        for part in checksum_slices(stop - start):
            entries = slice(start + part.start, start + part.stop)
            crc = _crc(values.indices[entries].astype(np.int64), crc)
            crc = _crc(values.data[entries], crc)
    return crc


def checksum_slices(size: int) -> list[slice]:
    """Return the parts of a row of ``size`` entries that enter a checksum."""
    if size <= 3 * _ENTRIES:
        return [slice(0, size)]
    middle, last = (size - _ENTRIES) // 2, size - _ENTRIES
    return [slice(i, i + _ENTRIES) for i in (0, middle, last)]


def _crc(entries: Array, start: int) -> int:
    """Continue a checksum from ``start``; it does not depend on the machine's byte order."""
    if entries.dtype.kind in "OT":
        return zlib.crc32(repr(entries.tolist()).encode(), start)
    order = entries.dtype.newbyteorder("<")
    return zlib.crc32(entries.astype(order, copy=False).tobytes(), start)
