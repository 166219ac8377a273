"""Sums, means and flat indices along the last axis of an array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.memory import constant, row_of_ones, row_starts

if TYPE_CHECKING:
    from netlayers._typing import Array


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
