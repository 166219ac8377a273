"""Compiled kernels of batch normalization and dropout; see ``elementwise.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.elementwise import pass_over, share_count_of
from netlayers.kernels.compiled.workers import task_of, together
from netlayers.kernels.moments import MAX_CENTRINGS, in_two_parts, is_far, near_mean
from netlayers.kernels.reference import Kernels
from netlayers.kernels.rows import repeated, wide_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains a digest of their file: workers 7288e169d825.

# Rows that are summed before the column sums in memory are updated, if they are so short that the
# processor still fetches them ahead: for 64 columns 0.25 instead of 0.29 ms, for 128 0.59 and 0.37.
# Shorter rows are taken several at a time: for 16 columns the sums take 0.20 instead of 0.32.
_GROUP, _NARROW = 4, 64

# Set by :func:`compiled_normalization`.
_moments_task: Any = None
_columns_task: Any = None
_scale_task: Any = None
_gradient_task: Any = None

# Each loop computes share ``share`` of ``count`` of the rows. The shares, and so the bits of the
# sums, do not depend on the number of threads.


def _add_moments(
    share: int, thread: int, count: int, x: Array, near: Array, scale: float, totals: Array
) -> None:
    """``totals[share]``: ``Σ (x - near) scale`` and ``Σ (x - near)² scale``."""
    start, end = x.shape[0] * share // count, x.shape[0] * (share + 1) // count
    whole = end - (end - start) % _GROUP if x.shape[1] <= _NARROW else start
    total, squares = totals[share, 0], totals[share, 1]
    total[:] = 0
    squares[:] = 0
    for i in range(start, whole, _GROUP):
        for j in range(x.shape[1]):
            partial = partial_squares = 0.0
            for k in range(i, i + _GROUP):
                number = np.float64(x[k, j]) - np.float64(near[j])
                partial += number * scale
                partial_squares += number * scale * number
            total[j] += partial
            squares[j] += partial_squares
    for i in range(whole, end):
        for j in range(x.shape[1]):
            number = np.float64(x[i, j]) - np.float64(near[j])
            total[j] += number * scale
            squares[j] += number * scale * number


def _add_columns(
    share: int,
    thread: int,
    count: int,
    dy: Array,
    x: Array,
    near: Array,
    factor: Any,
    offset: Array | None,
    totals: Array,
) -> None:
    """``totals[share]``: ``Σ dy`` and ``Σ dy (x - near)``; see ``Kernels.column_sums``."""
    zero = x.dtype.type(0)
    start, end = x.shape[0] * share // count, x.shape[0] * (share + 1) // count
    whole = end - (end - start) % _GROUP if x.shape[1] <= _NARROW else start
    total, products = totals[share, 0], totals[share, 1]
    total[:] = 0
    products[:] = 0
    for i in range(start, whole, _GROUP):
        for j in range(x.shape[1]):
            partial = partial_products = 0.0
            for k in range(i, i + _GROUP):
                counted = dy[k, j]
                if offset is not None and not (x[k, j] - near[j]) * factor[j] + offset[j] > zero:
                    counted *= zero
                partial += np.float64(counted)
                partial_products += np.float64(counted) * (
                    np.float64(x[k, j]) - np.float64(near[j])
                )
            total[j] += partial
            products[j] += partial_products
    for i in range(whole, end):
        for j in range(x.shape[1]):
            counted = dy[i, j]
            if offset is not None and not (x[i, j] - near[j]) * factor[j] + offset[j] > zero:
                counted *= zero
            total[j] += np.float64(counted)
            products[j] += np.float64(counted) * (np.float64(x[i, j]) - np.float64(near[j]))


def _scale_and_shift(
    share: int,
    thread: int,
    count: int,
    x: Array,
    near: Array,
    factor: Array,
    offset: Array,
    lowest: float,
    y: Array,
) -> None:
    lowest = x.dtype.type(lowest)
    for i in range(x.shape[0] * share // count, x.shape[0] * (share + 1) // count):
        for j in range(x.shape[1]):
            number = (x[i, j] - near[j]) * factor[j] + offset[j]
            y[i, j] = lowest if number <= lowest else number  # NaN stays NaN


def _batch_gradient(
    share: int,
    thread: int,
    count: int,
    dy: Array,
    x: Array,
    near: Array,
    mean: Array,
    slope: Array,
    factor: Array,
    offset: Array | None,
    dx: Array,
) -> None:
    zero = dx.dtype.type(0)
    for i in range(x.shape[0] * share // count, x.shape[0] * (share + 1) // count):
        for j in range(dx.shape[1]):
            counted = dy[i, j]
            if offset is not None and not (x[i, j] - near[j]) * factor[j] + offset[j] > zero:
                counted *= zero
            dx[i, j] = (counted - (x[i, j] - near[j]) * slope[j] - mean[j]) * factor[j]


# See :func:`netlayers.kernels.compiled.workers.together`.


def moments_in_shares(mail: Array, count: int, args: Any) -> int:  # noqa: D103
    return together(mail, count, _moments_task(args), args)


def columns_in_shares(mail: Array, count: int, args: Any) -> int:  # noqa: D103
    return together(mail, count, _columns_task(args), args)


def scale_in_shares(mail: Array, count: int, args: Any) -> int:  # noqa: D103
    return together(mail, count, _scale_task(args), args)


def gradient_in_shares(mail: Array, count: int, args: Any) -> int:  # noqa: D103
    return together(mail, count, _gradient_task(args), args)


def compiled_normalization(compiled: Callable[..., Any]) -> None:
    """Compile what is computed in shares, after ``compiled_workers``.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    module = globals()
    for loop in (_add_moments, _add_columns, _scale_and_shift, _batch_gradient):
        module[loop.__name__] = compiled(loop)
    module["_moments_task"] = task_of(_add_moments)
    module["_columns_task"] = task_of(_add_columns)
    module["_scale_task"] = task_of(_scale_and_shift)
    module["_gradient_task"] = task_of(_batch_gradient)
    for task in (moments_in_shares, columns_in_shares, scale_in_shares, gradient_in_shares):
        module[task.__name__] = compiled(task)


def _move_average(average: Array, new: Array, momentum: float, tiny: float, largest: float) -> None:
    for j in range(average.size):
        moved = momentum * average[j] + (1 - momentum) * new[j]
        moved *= 1.0 if abs(moved) >= tiny else 0.0
        average[j] = largest if moved > largest else moved


def _apply_mask(x: Array, mask: Array, factor: float, y: Array) -> None:
    factor, zero = x.dtype.type(factor), x.dtype.type(0)
    for i in range(y.size):
        y[i] = x[i] * (factor if mask[i] else zero)  # a dropped NaN stays NaN


def _sums_of(columns: int, totals: Array) -> Array:
    """Return the two sums of each column, from those of the shares; a wide row has several."""
    total: Array = np.add.reduce(np.add.reduce(totals).reshape(2, -1, columns), axis=1)
    return total


def column_moments(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """See :meth:`Kernels.column_moments`; the method is that of ``moments.column_moments``."""
    near, scale = near_mean(x), 1 / len(x)
    (wide,) = wide_rows(x, width=_NARROW)
    count = share_count_of(wide)
    totals = np.empty((count, 2, wide.shape[1]))
    for _ in range(MAX_CENTRINGS):
        pass_over(moments_in_shares, count, wide, repeated(near, wide.shape[1]), scale, totals)
        residual, square = _sums_of(x.shape[1], totals)
        variance = np.maximum(square - residual * residual, 0)
        if not is_far(residual, variance, epsilon):
            break
        near = (near + residual).astype(x.dtype)
    return *in_two_parts(near, residual), variance


def column_sums(
    dy: Array, x: Array, near: Array, factor: Array | None = None, offset: Array | None = None
) -> tuple[Array, Array]:
    """See :meth:`Kernels.column_sums`."""
    columns = x.shape[1]
    dy, x = wide_rows(np.ascontiguousarray(dy), x, width=_NARROW)
    wide = [row if row is None else repeated(row, x.shape[1]) for row in (near, factor, offset)]
    count = share_count_of(x)
    totals = np.empty((count, 2, x.shape[1]))
    pass_over(columns_in_shares, count, dy, x, *wide, totals)
    total, products = _sums_of(columns, totals)
    return total, products


def scale_and_shift(
    x: Array, near: Array, factor: Array, offset: Array, y: Array, rectify: bool = False
) -> None:
    """See :meth:`Kernels.scale_and_shift`."""
    lowest = 0.0 if rectify else -np.inf
    x, y = wide_rows(x, y, width=_NARROW)
    near, factor, offset = (repeated(row, x.shape[1]) for row in (near, factor, offset))
    pass_over(scale_in_shares, share_count_of(x), x, near, factor, offset, lowest, y)


def batch_gradient(
    dy: Array,
    x: Array,
    near: Array,
    mean: Array,
    slope: Array,
    factor: Array,
    dx: Array,
    offset: Array | None = None,
) -> None:
    """See :meth:`Kernels.batch_gradient`."""
    dy, x, dx = wide_rows(np.ascontiguousarray(dy), x, dx, width=_NARROW)
    rows = [
        row if row is None else repeated(row, x.shape[1])
        for row in (near, mean, slope, factor, offset)
    ]
    pass_over(gradient_in_shares, share_count_of(x), dy, x, *rows, dx)


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


LOOPS = (_move_average, _apply_mask)
KERNELS = (
    column_moments,
    column_sums,
    scale_and_shift,
    batch_gradient,
    move_average,
    apply_mask,
)
