"""The passes of batch normalization over a matrix, whose columns are the features.

A rectifier that follows the normalization is part of the same passes: ``rectify`` asks for it in
``y = max(factor (x - near) + offset, 0)``. The passes of the gradient then take the ``offset``, and
dy counts only where y, computed again, is positive: compiled, that takes less time than to read y.
Here it takes more, and layers do not ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.memory import constant
from netlayers.kernels.moments import deviation_sums
from netlayers.kernels.rows import repeated, wide_rows
from netlayers.kernels.threads import by_rows

if TYPE_CHECKING:
    from netlayers._typing import Array


def column_sums(
    dy: Array, x: Array, near: Array, factor: Array | None = None, offset: Array | None = None
) -> tuple[Array, Array]:
    """Return ``Σ dy`` and ``Σ dy (x - near)`` of each column, in float64.

    Args:
        dy: (rows, columns).
        x: a matrix of that shape.
        near: (columns,).
        factor: (columns,), of a rectified y only, as is ``offset``.
        offset: dy counts only where ``factor (x - near) + offset > 0``.
    """
    if offset is not None:
        dy = _counted(dy, x, near, factor, offset)
    total, products = deviation_sums(x, near, dy)
    return total, products


def _counted(dy: Array, x: Array, near: Array, factor: Any, offset: Array) -> Array:
    """Return dy where ``factor (x - near) + offset > 0``, else 0."""
    y = np.empty(x.shape, x.dtype)
    scale_and_shift(x, near, factor, offset, y)
    return np.multiply(dy, y > 0, out=y)


def scale_and_shift(
    x: Array, near: Array, factor: Array, offset: Array, y: Array, rectify: bool = False
) -> None:
    """``y = factor (x - near) + offset`` for every row of x, or the larger of that and 0.

    ``y`` may be ``x``.
    """

    def compute(x: Array, y: Array) -> None:
        np.subtract(x, near, out=y)
        np.multiply(y, factor, out=y)
        np.add(y, offset, out=y)
        if rectify:
            np.maximum(y, constant(0, y.shape[1:], y.dtype), out=y)

    x, y = wide_rows(x, y)
    near, factor, offset = (repeated(row, x.shape[1]) for row in (near, factor, offset))
    by_rows(compute, x, y)


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
    """``dx = factor (dy - slope (x - near) - mean)`` for every row; for ``offset``: column_sums."""

    def compute(dy: Array, x: Array, dx: Array) -> None:
        np.subtract(x, near, out=dx)
        np.multiply(dx, slope, out=dx)
        np.subtract(dy, dx, out=dx)
        np.subtract(dx, mean, out=dx)
        np.multiply(dx, factor, out=dx)

    if offset is not None:
        dy = _counted(dy, x, near, factor, offset)
    dy, x, dx = wide_rows(dy, x, dx)
    near, mean, slope, factor = (repeated(row, x.shape[1]) for row in (near, mean, slope, factor))
    by_rows(compute, dy, x, dx)


def move_average(average: Array, new: Array, momentum: float) -> None:
    """``average = momentum average + (1 - momentum) new``, limited to the largest number.

    Denormal numbers, which are slow to compute with, become 0.
    """
    limits = np.finfo(average.dtype)
    moved = momentum * average + (1 - momentum) * new
    moved *= np.abs(moved) >= limits.tiny
    average[...] = np.minimum(moved, limits.max)
