"""Sums and means along the last axis of an array, and places in it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from netlayers.core.workspace import constant

if TYPE_CHECKING:
    from netlayers._typing import Array

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
    if k > _LONGEST or k == _AVOIDED or not x.flags.c_contiguous:  # dot would copy it
        sums: Array = np.add.reduce(x, axis=-1)
        return sums
    ones = constant(1, (k,), x.dtype)
    # With more than two axes, dot goes from row to row.
    return x.dot(ones) if x.ndim == 2 else x.reshape(-1, k).dot(ones).reshape(x.shape[:-1])


def row_means(x: Array) -> Array:
    """Return the mean of each row of (n, ..., k), in the dtype of ``x``."""
    sums = row_sums(x)
    return np.divide(sums, constant(x.shape[-1], (), sums.dtype), out=sums)


def places(t: Array, columns: int) -> Array:
    """Return where ``x[..., t]`` of each row is in the flat array x with so many columns."""
    return _row_starts(t.size, columns) + t.ravel()


@functools.lru_cache(maxsize=64)
def _row_starts(rows: int, columns: int) -> Array:
    starts = np.arange(0, rows * columns, columns)
    starts.flags.writeable = False
    return starts
