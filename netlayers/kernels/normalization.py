"""The passes of batch normalization over a matrix, whose columns are the features.

A rectifier that follows the normalization is part of the same passes: ``rectify`` asks for it in
``y = max(factor (x - near) + offset, 0)``, and the passes of the gradient then take y as ``kept``,
as ``dy`` counts only where ``y > 0``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.memory import constant
from netlayers.kernels.moments import pairs_of_sums, product_sums, sums
from netlayers.kernels.rows import repeated, wide_rows
from netlayers.kernels.threads import by_rows, scratch

if TYPE_CHECKING:
    from netlayers._typing import Array


def column_sums(x: Array, y: Array, near: Array, kept: Array | None = None) -> tuple[Array, Array]:
    """Return ``Σ x`` and ``Σ x (y - near)`` of each column, in float64.

    Args:
        x: (rows, columns).
        y: a matrix of that shape.
        near: (columns,).
        kept: x is 0 where this is not positive.
    """

    def add(x: Array, y: Array, *rest: Array) -> tuple[Array, Array]:
        *positive, near = rest
        y = np.subtract(y, near, out=scratch("deviations", x.shape, x.dtype))
        if positive:
            x = np.multiply(x, positive[0] > 0, out=scratch("kept", x.shape, x.dtype))
        return sums(x, 1, 0), product_sums(x, y, 0)

    return pairs_of_sums(add, near, x, y, *(() if kept is None else (kept,)))


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
    kept: Array | None = None,
) -> None:
    """``dx = factor (dy - slope (x - near) - mean)`` for every row; for ``kept``: column_sums."""

    def compute(dy: Array, x: Array, dx: Array, *kept: Array) -> None:
        if kept:
            dy = np.multiply(dy, kept[0] > 0, out=scratch("kept", dy.shape, dy.dtype))
        np.subtract(x, near, out=dx)
        np.multiply(dx, slope, out=dx)
        np.subtract(dy, dx, out=dx)
        np.subtract(dx, mean, out=dx)
        np.multiply(dx, factor, out=dx)

    arrays = wide_rows(dy, x, dx, *(() if kept is None else (kept,)))
    columns = arrays[0].shape[1]
    near, mean, slope, factor = (repeated(row, columns) for row in (near, mean, slope, factor))
    by_rows(compute, *arrays)


def move_average(average: Array, new: Array, momentum: float) -> None:
    """``average = momentum average + (1 - momentum) new``, limited to the largest number.

    Denormal numbers, which are slow to compute with, become 0.
    """
    limits = np.finfo(average.dtype)
    moved = momentum * average + (1 - momentum) * new
    moved *= np.abs(moved) >= limits.tiny
    average[...] = np.minimum(moved, limits.max)
