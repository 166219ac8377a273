"""Compiled kernels of batch normalization and dropout; see ``elementwise.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.moments import MAX_CENTRINGS
from netlayers.kernels.reference import Kernels

if TYPE_CHECKING:
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


def _subtract_row(x: Array, row: Array, out: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - row[j]


def _centre_columns(
    x: Array,
    out: Array,
    epsilon: float,
    tolerance: float,
    centrings: int,
    step: Array,
    mean: Array,
    residual: Array,
    variance: Array,
) -> None:
    scale = 1 / x.shape[0]
    residual[:] = 0.0
    variance[:] = 0.0
    _add_columns(x, None, scale, residual, variance)
    for iteration in range(centrings):
        for j in range(step.size):
            step[j] = residual[j]
            mean[j] += step[j]
            residual[j] = variance[j] = 0.0
        for start in range(0, x.shape[0], _BLOCK):
            part = out[start : start + _BLOCK]
            if iteration == 0:
                _subtract_row(x[start : start + _BLOCK], step, part)
            else:
                _subtract_row(part, step, part)
            _add_columns(part, None, scale, residual, variance)
        again = False
        for j in range(step.size):
            square = residual[j] * residual[j]
            v = variance[j] - square
            variance[j] = 0.0 if v < 0 else v  # NaN stays NaN
            again |= square > tolerance * tolerance * (variance[j] + epsilon)
        if not again:
            break
    for j in range(step.size):
        mean[j] += residual[j]


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


def centre_columns(x: Array, out: Array, epsilon: float) -> tuple[Array, Array]:
    """See :meth:`Kernels.centre_columns`."""
    columns = x.shape[1]
    mean, residual, variance = np.zeros(columns), np.empty(columns), np.empty(columns)
    step = np.empty(columns, x.dtype)
    tolerance = 8 * np.finfo(x.dtype).eps
    _centre_columns(x, out, epsilon, tolerance, MAX_CENTRINGS, step, mean, residual, variance)
    return mean, variance


def column_sums(x: Array, y: Array) -> tuple[Array, Array]:
    """See :meth:`Kernels.column_sums`."""
    total, products = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    _add_columns(np.ascontiguousarray(x), y, 1.0, total, products)
    return total, products


def batch_gradient(
    dy: Array, centred: Array, mean: Array, slope: Array, factor: Array, dx: Array
) -> None:
    """See :meth:`Kernels.batch_gradient`."""
    _batch_gradient(np.ascontiguousarray(dy), centred, mean, slope, factor, dx)


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
    _subtract_row,
    _centre_columns,
    _scale_and_shift,
    _batch_gradient,
    _move_average,
    _apply_mask,
)
KERNELS = (
    centre_columns,
    column_sums,
    batch_gradient,
    move_average,
    apply_mask,
)
