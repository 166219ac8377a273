"""Compiled kernels of batch normalization and dropout; see ``elementwise.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.moments import MAX_CENTRINGS
from netlayers.kernels.reference import Kernels
from netlayers.kernels.threads import by_rows, run, shares_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

_GROUP = 4  # rows that are summed before the column sums in memory are updated
_BLOCK = 16  # rows, a multiple of _GROUP, that fit in the L1 cache


def _add_columns(x: Array, y: Array | None, scale: float, total: Array, products: Array) -> None:
    whole = x.shape[0] - x.shape[0] % _GROUP
    for i in range(0, whole, _GROUP):
        for j in range(x.shape[1]):
            partial = partial_products = 0.0
            for k in range(i, i + _GROUP):
                number = np.float64(x[k, j])
                partial += number * scale
                partial_products += number * scale * (number if y is None else np.float64(y[k, j]))
            total[j] += partial
            products[j] += partial_products
    for i in range(whole, x.shape[0]):
        for j in range(x.shape[1]):
            number = np.float64(x[i, j])
            total[j] += number * scale
            products[j] += number * scale * (number if y is None else np.float64(y[i, j]))


def _centre_block(
    x: Array, step: Array, scale: float, out: Array, residual: Array, variance: Array
) -> None:
    """``out = x - step``, and add up what is left of the mean, and the mean square."""
    for start in range(0, x.shape[0], _BLOCK):
        part = out[start : start + _BLOCK]
        for i in range(part.shape[0]):
            for j in range(step.size):
                part[i, j] = x[start + i, j] - step[j]
        _add_columns(part, None, scale, residual, variance)


def _scale_and_shift(x: Array, factor: Array, offset: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * factor[j] + offset[j]


def _batch_gradient(
    dy: Array, centred: Array, mean: Array, slope: Array, factor: Array, dx: Array
) -> None:
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = (dy[i, j] - centred[i, j] * slope[j] - mean[j]) * factor[j]


def _move_average(average: Array, new: Array, momentum: float, tiny: float, largest: float) -> None:
    for j in range(average.size):
        moved = momentum * average[j] + (1 - momentum) * new[j]
        moved *= 1.0 if abs(moved) >= tiny else 0.0
        average[j] = largest if moved > largest else moved


def _apply_mask(x: Array, mask: Array, factor: float, y: Array) -> None:
    factor, zero = x.dtype.type(factor), x.dtype.type(0)
    for i in range(y.size):
        y[i] = x[i] * (factor if mask[i] else zero)  # a dropped NaN stays NaN


def _totals(columns: int, add: Callable[..., None], x: Array) -> Array:
    """Return two sums of each column, (2, columns): ``add`` adds those of some rows to two rows."""

    def compute(rows: slice) -> Array:
        total = np.zeros((2, columns))
        add(rows, *total)
        return total

    return np.add.reduce(run(compute, shares_of_rows(x)))


def centre_columns(x: Array, out: Array, epsilon: float) -> tuple[Array, Array]:
    """See :meth:`Kernels.centre_columns`; the method is that of ``moments.centre``."""
    columns, scale, mean = x.shape[1], 1 / len(x), np.zeros(x.shape[1])
    tolerance = 8 * np.finfo(x.dtype).eps
    residual, _ = _totals(columns, lambda rows, *t: _add_columns(x[rows], None, scale, *t), x)
    source = x
    for _ in range(MAX_CENTRINGS):
        step = residual.astype(x.dtype)
        mean += step

        def add(rows: slice, *totals: Array, source: Array = source, step: Array = step) -> None:
            _centre_block(source[rows], step, scale, out[rows], *totals)

        residual, variance = _totals(columns, add, x)
        square = residual * residual
        variance = np.maximum(variance - square, 0)
        if not (square > tolerance * tolerance * (variance + epsilon)).any():
            break
        source = out
    return mean + residual, variance


def column_sums(x: Array, y: Array) -> tuple[Array, Array]:
    """See :meth:`Kernels.column_sums`."""
    x = np.ascontiguousarray(x)
    total, products = _totals(
        x.shape[1], lambda rows, *t: _add_columns(x[rows], y[rows], 1.0, *t), x
    )
    return total, products


def scale_and_shift(x: Array, factor: Array, offset: Array, y: Array) -> None:
    """See :meth:`Kernels.scale_and_shift`."""
    by_rows(lambda x, y: _scale_and_shift(x, factor, offset, y), x, y)


def batch_gradient(
    dy: Array, centred: Array, mean: Array, slope: Array, factor: Array, dx: Array
) -> None:
    """See :meth:`Kernels.batch_gradient`."""
    by_rows(
        lambda dy, centred, dx: _batch_gradient(dy, centred, mean, slope, factor, dx),
        np.ascontiguousarray(dy),
        centred,
        dx,
    )


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
    _centre_block,
    _scale_and_shift,
    _batch_gradient,
    _move_average,
    _apply_mask,
)
KERNELS = (
    centre_columns,
    column_sums,
    scale_and_shift,
    batch_gradient,
    move_average,
    apply_mask,
)
