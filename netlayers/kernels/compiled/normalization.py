"""Compiled kernels of batch normalization and dropout; see ``elementwise.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.moments import MAX_CENTRINGS, in_two_parts, is_far, near_mean
from netlayers.kernels.reference import Kernels
from netlayers.kernels.rows import repeated, wide_rows
from netlayers.kernels.threads import run, shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Rows that are summed before the column sums in memory are updated, if they are so short that the
# processor still fetches them ahead: for 64 columns 0.25 instead of 0.29 ms, for 128 0.59 and 0.37.
# Shorter rows are taken several at a time: for 16 columns the sums take 0.20 instead of 0.32.
_GROUP, _NARROW = 4, 64
# To go through an entry takes as long as this number of multiplications; see ``threads.shares``.
_PASS = 8


def _add_columns(
    x: Array, y: Array, near: Array, kept: Array | None, total: Array, products: Array
) -> None:
    """Add ``Σ x`` and ``Σ x (y - near)``, with the x for which ``kept > 0``."""
    zero = x.dtype.type(0)
    whole = x.shape[0] - x.shape[0] % _GROUP if x.shape[1] <= _NARROW else 0
    for i in range(0, whole, _GROUP):
        for j in range(x.shape[1]):
            partial = partial_products = 0.0
            for k in range(i, i + _GROUP):
                counted = x[k, j] if kept is None or kept[k, j] > zero else zero * x[k, j]
                number = np.float64(counted)
                partial += number
                partial_products += number * (np.float64(y[k, j]) - np.float64(near[j]))
            total[j] += partial
            products[j] += partial_products
    for i in range(whole, x.shape[0]):
        for j in range(x.shape[1]):
            counted = x[i, j] if kept is None or kept[i, j] > zero else zero * x[i, j]
            number = np.float64(counted)
            total[j] += number
            products[j] += number * (np.float64(y[i, j]) - np.float64(near[j]))


def _add_moments(x: Array, near: Array, scale: float, total: Array, squares: Array) -> None:
    """Add ``Σ (x - near) scale`` and ``Σ (x - near)² scale``."""
    whole = x.shape[0] - x.shape[0] % _GROUP if x.shape[1] <= _NARROW else 0
    for i in range(0, whole, _GROUP):
        for j in range(x.shape[1]):
            partial = partial_squares = 0.0
            for k in range(i, i + _GROUP):
                number = np.float64(x[k, j]) - np.float64(near[j])
                partial += number * scale
                partial_squares += number * scale * number
            total[j] += partial
            squares[j] += partial_squares
    for i in range(whole, x.shape[0]):
        for j in range(x.shape[1]):
            number = np.float64(x[i, j]) - np.float64(near[j])
            total[j] += number * scale
            squares[j] += number * scale * number


def _scale_and_shift(
    x: Array, near: Array, factor: Array, offset: Array, lowest: float, y: Array
) -> None:
    lowest = x.dtype.type(lowest)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            number = (x[i, j] - near[j]) * factor[j] + offset[j]
            y[i, j] = lowest if number <= lowest else number  # NaN stays NaN


def _batch_gradient(
    dy: Array,
    x: Array,
    near: Array,
    mean: Array,
    slope: Array,
    factor: Array,
    kept: Array | None,
    dx: Array,
) -> None:
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            counted = dy[i, j] if kept is None or kept[i, j] > zero else zero * dy[i, j]
            dx[i, j] = (counted - (x[i, j] - near[j]) * slope[j] - mean[j]) * factor[j]


def _move_average(average: Array, new: Array, momentum: float, tiny: float, largest: float) -> None:
    for j in range(average.size):
        moved = momentum * average[j] + (1 - momentum) * new[j]
        moved *= 1.0 if abs(moved) >= tiny else 0.0
        average[j] = largest if moved > largest else moved


def _apply_mask(x: Array, mask: Array, factor: float, y: Array) -> None:
    factor, zero = x.dtype.type(factor), x.dtype.type(0)
    for i in range(y.size):
        y[i] = x[i] * (factor if mask[i] else zero)  # a dropped NaN stays NaN


def _in_parts(compute: Callable[..., Any], rows: tuple[Array, ...], *arrays: Array) -> list[Any]:
    """Return ``compute(*rows, *parts)`` for parts of the rows of matrices, in several threads.

    Several short rows are one in the parts, and so they are in ``rows``, vectors for the columns.
    The parts, and so the bits of sums, do not depend on the number of threads.
    """
    arrays = wide_rows(*arrays, width=_NARROW)
    x = arrays[0]
    wide = [repeated(row, x.shape[1]) for row in rows]
    parts = shares(len(x), _PASS * x.size)
    return run(lambda part: compute(*wide, *(a[part] for a in arrays)), parts)


def _sums_of(columns: int, parts: list[Array]) -> Array:
    """Return the two sums of each column, from those of the parts of :func:`_in_parts`."""
    total: Array = np.add.reduce(np.add.reduce(parts).reshape(2, -1, columns), axis=1)
    return total


def column_moments(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """See :meth:`Kernels.column_moments`; the method is that of ``moments.column_moments``."""
    near, scale = near_mean(x), 1 / len(x)

    def add(near: Array, x: Array) -> Array:
        total = np.zeros((2, x.shape[1]))
        _add_moments(x, near, scale, *total)
        return total

    for _ in range(MAX_CENTRINGS):
        residual, square = _sums_of(x.shape[1], _in_parts(add, (near,), x))
        variance = np.maximum(square - residual * residual, 0)
        if not is_far(residual, variance, epsilon):
            break
        near = (near + residual).astype(x.dtype)
    return *in_two_parts(near, residual), variance


def column_sums(x: Array, y: Array, near: Array, kept: Array | None = None) -> tuple[Array, Array]:
    """See :meth:`Kernels.column_sums`."""

    def add(near: Array, x: Array, y: Array, kept: Array | None = None) -> Array:
        total = np.zeros((2, x.shape[1]))
        _add_columns(x, y, near, kept, *total)
        return total

    arrays = np.ascontiguousarray(x), y, *_given(kept)
    total, products = _sums_of(x.shape[1], _in_parts(add, (near,), *arrays))
    return total, products


def _given(kept: Array | None) -> tuple[Array, ...]:
    return () if kept is None else (kept,)


def scale_and_shift(
    x: Array, near: Array, factor: Array, offset: Array, y: Array, rectify: bool = False
) -> None:
    """See :meth:`Kernels.scale_and_shift`."""
    lowest = 0.0 if rectify else -np.inf

    def compute(near: Array, factor: Array, offset: Array, x: Array, y: Array) -> None:
        _scale_and_shift(x, near, factor, offset, lowest, y)

    _in_parts(compute, (near, factor, offset), x, y)


def batch_gradient(
    dy: Array,
    x: Array,
    near: Array,
    mean: Array,
    slope: Array,
    factor: Array,
    dx: Array,
    kept: Array | None = None,
) -> None:
    """See :meth:`Kernels.batch_gradient`."""

    def compute(
        near: Array,
        mean: Array,
        slope: Array,
        factor: Array,
        dy: Array,
        x: Array,
        dx: Array,
        kept: Array | None = None,
    ) -> None:
        _batch_gradient(dy, x, near, mean, slope, factor, kept, dx)

    arrays = np.ascontiguousarray(dy), x, dx, *_given(kept)
    _in_parts(compute, (near, mean, slope, factor), *arrays)


def move_average(average: Array, new: Array, momentum: float) -> None:
    """See :meth:`Kernels.move_average`."""
    limits = np.finfo(average.dtype)
    _move_average(average, new, momentum, limits.tiny, limits.max)


def apply_mask(x: Array, mask: Array, factor: float, y: Array) -> None:
    """See :meth:`Kernels.apply_mask`."""
    if mask.shape != x.shape:
        Kernels.apply_mask(x, mask, factor, y)
    else:
        _apply_mask(x.reshape(-1), mask.reshape(-1), factor, y.reshape(-1))


LOOPS = (
    _add_columns,
    _add_moments,
    _scale_and_shift,
    _batch_gradient,
    _move_average,
    _apply_mask,
)
KERNELS = (
    column_moments,
    column_sums,
    scale_and_shift,
    batch_gradient,
    move_average,
    apply_mask,
)
