"""Sums and means of rows, their flat indices, and sums of rows with the same index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.memory import constant, row_of_ones, row_starts

if TYPE_CHECKING:
    from netlayers._typing import Array

_FEW = 4  # occurrences of an index up to which additions of whole rows are faster
# Entries of a row from which on NumPy is fast, and from which on it adds a row to others without
# its buffer, which holds 8192 entries: shorter rows are copied to it again and again.
_LONG, _WIDE = 512, 8192


def row_sums(x: Array) -> Array:
    """Return the sum of each row of (n, ..., k), in the dtype of ``x``.

    A product with ones is three times as fast as ``np.add.reduce``.
    """
    k = x.shape[-1]
    ones = row_of_ones(k, x.dtype)
    if ones is None or not x.flags.c_contiguous or (EXACT and is_exact()):  # dot would copy x
        sums: Array = np.add.reduce(x, axis=-1)
        return sums
    # With more than two axes, dot processes one row at a time.
    return x.dot(ones) if x.ndim == 2 else x.reshape(-1, k).dot(ones).reshape(x.shape[:-1])


def row_means(x: Array) -> Array:
    """Return the mean of each row of (n, ..., k), in the dtype of ``x``."""
    sums = row_sums(x)
    return np.divide(sums, constant(x.shape[-1], (), sums.dtype), out=sums)


def flat_indices(t: Array, columns: int) -> Array:
    """Return the indices of ``x[..., t]`` of each row in the flat array x with ``columns``."""
    return row_starts(t.size, columns) + t.ravel()


def sums_by_index(index: Array, values: Array) -> tuple[Array, Array]:
    """Return the different indices, sorted, and the sum of the values of each.

    The values of an index are added one after the other in their order, as by ``np.add.at``.

    Args:
        index: (n,), integers.
        values: (n, k).
    """
    order = index.argsort(kind="stable")
    ordered = index[order]
    is_first = np.empty(len(index), bool)
    is_first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    counts = np.diff(starts, append=len(index))
    most = counts.max(initial=0)
    if most <= _FEW:
        sums = values[order[starts]] + values.dtype.type(0)  # as from 0: -0 becomes 0
        for i in range(1, most):
            again = np.flatnonzero(counts > i)
            sums[again] += values[order[starts[again] + i]]
        return ordered[starts], sums
    place = np.empty(len(index), np.intp)
    place[order] = np.cumsum(is_first) - 1
    width = values.shape[1]
    sums = np.zeros(len(starts) * width, values.dtype)
    # With flat indices, add.at takes a quarter of the time that it takes with rows.
    np.add.at(sums, (place[:, None] * width + np.arange(width)).reshape(-1), values.reshape(-1))
    return ordered[starts], sums.reshape(len(starts), width)


def wide_rows(*arrays: Array, width: int = _WIDE) -> tuple[Array, ...]:
    """View arrays of one shape as matrices whose rows are several of theirs, if rows are short.

    NumPy adds a row to rows of 16 numbers in 0.4 ns a number, to those of 512 in 0.14, to those of
    8192 in 0.08. Of a small array, a row that is repeated should not be a large part.

    Args:
        arrays: the arrays.
        width: entries of a row that are enough.
    """
    x = arrays[0]
    columns = wide = max(1, x.shape[-1])
    rows, width = x.size // columns, min(width, max(_LONG, x.size >> 4))
    while wide < width and rows % 2 == 0 and rows:
        rows, wide = rows // 2, 2 * wide
    if not all(a.flags.c_contiguous for a in arrays):
        wide = columns
    return tuple(a.reshape(-1, wide) for a in arrays)


def repeated(row: Array, columns: int) -> Array:
    """Return a row for wide rows."""
    if len(row) == columns:
        return row
    # A fourth of the time of np.tile, a twentieth of that of np.concatenate.
    return row[None].repeat(columns // len(row), axis=0).reshape(-1)


def widest(row: Array) -> Array:
    """Return a row that begins with those for all wide rows."""
    times = max(1, -(-_WIDE // max(1, len(row))))
    return repeated(row, len(row) << (times - 1).bit_length())
