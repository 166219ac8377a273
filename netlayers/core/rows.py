"""Sums and means along the last axis of an array, and places in it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from netlayers.core.workspace import constant

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype

# In longer rows the roundings of a product with ones would be felt in float32.
_LONGEST = 8192
# OpenBLAS's product of some matrices of so many columns with a vector also computes with what
# happens to lie on the stack: the result is right, but NumPy may warn of an invalid value.
_AVOIDED = 5


def row_sums(x: Array) -> Array:
    """Return the sum of each row of (n, ..., k), in the dtype of ``x``.

    A product with ones takes a third of the time of ``np.add.reduce``.
    """
    k = x.shape[-1]
    ones = row_of_ones(k, x.dtype)
    if ones is None or not x.flags.c_contiguous:  # dot would copy it
        sums: Array = np.add.reduce(x, axis=-1)
        return sums
    # With more than two axes, dot goes from row to row.
    return x.dot(ones) if x.ndim == 2 else x.reshape(-1, k).dot(ones).reshape(x.shape[:-1])


@functools.lru_cache(maxsize=256)
def row_of_ones(k: int, dtype: Dtype) -> Array | None:
    """Return the ones whose product with a row of k numbers is its sum; ``None`` to add them up."""
    return None if k > _LONGEST or k == _AVOIDED else constant(1, (k,), dtype)


def row_means(x: Array) -> Array:
    """Return the mean of each row of (n, ..., k), in the dtype of ``x``."""
    sums = row_sums(x)
    return np.divide(sums, constant(x.shape[-1], (), sums.dtype), out=sums)


def places(t: Array, columns: int) -> Array:
    """Return where ``x[..., t]`` of each row is in the flat array x with so many columns."""
    return row_starts(t.size, columns) + t.ravel()


@functools.lru_cache(maxsize=64)
def row_starts(rows: int, columns: int) -> Array:
    """Return where each of so many rows begins in the flat array; shared and read-only."""
    starts = np.arange(0, rows * columns, columns)
    starts.flags.writeable = False
    return starts
