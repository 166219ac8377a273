"""Sums, means and variances along an axis of a matrix, fast and accurate.

Sums in float32 lose accuracy for many entries or a large offset. So sums of blocks are accumulated
in float64, the variance is computed from centred values, and if the first mean is not accurate
enough, the centred values are centred again (for means above about 5 standard deviations, which
takes half as long again). Values normalized in float32 are accurate to 2·10⁻⁶, even for a mean of
10⁶ standard deviations. Squares may overflow in float32, but not in float64: entries up to 10¹⁵⁰.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.memory import constant
from netlayers.kernels.rows import repeated, wide_rows
from netlayers.kernels.threads import run, scratch, shares_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Dtype

# Number of entries summed in the dtype of the matrix before accumulation in float64. Columns are
# summed sequentially; along rows, BLAS uses some 32 partial sums.
_COLUMN_BLOCK = 256
_ROW_BLOCK = 8192
_PIECE = 1 << 16  # entries
# Columns that are added up at a time, with _COLUMN_BLOCK rows. In smaller parts, two threads wait
# for each other: of calls of NumPy, only one can begin at a time.
_SUMMED = 1024
_SOME = 64  # rows whose mean is near that of all
_FLOAT64, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)
MAX_CENTRINGS = 8  # each reduces the error of the mean by 10⁶; 10²⁰ needs five


def sums(x: Array, factor: Array | float, axis: int) -> Array:
    """Return ``Σ x factor`` along an axis of the matrix ``x``, in float64.

    Args:
        x: (rows, columns).
        factor: a matrix of the same shape, or a scalar.
        axis: 0 for sums of columns, 1 for sums of rows.
    """
    if axis == 0:
        return _column_sums(x, factor)
    total = np.zeros(len(x), accumulator_dtype(x))
    for start in range(0, x.shape[1], _ROW_BLOCK):
        block = slice(start, start + _ROW_BLOCK)
        part = x[:, block]
        if isinstance(factor, np.ndarray):
            total += np.vecdot(part, factor[:, block])
        else:
            # For some matrices with 5 columns, OpenBLAS also reads uninitialized stack memory: the
            # result is correct, but NumPy may warn about an invalid value.
            with np.errstate(invalid="ignore"):
                row = constant(factor, part.shape[1:], x.dtype)
                if EXACT and is_exact():
                    total += np.vecdot(part, row)
                else:
                    total += part @ row  # np.dot would copy the block
    return total


def accumulator_dtype(x: Array) -> Dtype:
    """Return the dtype of sums: float64, or complex128 for the gradient check."""
    return _COMPLEX if x.dtype.kind == "c" else _FLOAT64  # six times as fast as np.result_type


def _column_sums(x: Array, factor: Array | float) -> Array:
    total = np.zeros(x.shape[1], accumulator_dtype(x))
    for start in range(0, len(x), _COLUMN_BLOCK):
        block = slice(start, start + _COLUMN_BLOCK)
        part = x[block]
        if isinstance(factor, np.ndarray):
            total += np.einsum("ij,ij->j", part, factor[block])
        else:
            total += constant(factor, part.shape[:1], x.dtype) @ part
    return total


def mean_square(x: Array) -> Array:
    """Return the mean of x² of each row of a matrix, in float64, without overflow in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = sums(x, x, 1)
        overflowed = ~np.isfinite(total)
        if overflowed.any():  # the others keep their bits
            wide = x[overflowed].astype(total.dtype)
            total[overflowed] = sums(wide, wide, 1)
    return total / x.shape[1]


def root_mean_square(x: Array) -> Array:
    """Return the root of the mean of x² of each row of a matrix, also where squares are too large.

    Or too small: the largest entry of such a row is factored out.
    """
    largest = np.abs(x).max(axis=1, initial=0).astype(np.float64)
    parts = x / np.where(largest == 0, 1, largest)[:, None]
    return largest * np.sqrt(np.vecdot(parts, parts) / max(1, x.shape[1]))


def centre(x: Array, out: Array, epsilon: float) -> tuple[Array, Array]:
    """Write ``x - mean`` into ``out`` and return mean and (biased) variance of the rows.

    Args:
        x: (rows, columns), with at least one column.
        out: an array like ``x``.
        epsilon: what the caller adds to the variance; errors far below it are tolerated.

    Returns:
        Two vectors in float64.

    Source:
        T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance" (1983): the
        corrected two-pass algorithm.
    """
    scale = 1 / x.shape[1]  # applied to each entry: the sum itself might overflow
    mean = np.zeros(len(x), accumulator_dtype(x))
    step = sums(x, scale, 1).astype(x.dtype)
    tolerance = 8 * float(np.finfo(x.dtype).eps)
    source = x
    for _ in range(MAX_CENTRINGS):
        np.subtract(source, step[:, None], out=out)
        mean += step
        residual = sums(out, scale, 1)
        variance = np.maximum(mean_square(out) - residual * residual, 0)
        far = residual * residual > tolerance * tolerance * (variance + epsilon)
        if not far.any():
            break
        step = residual.astype(x.dtype)
        step[~far] = 0  # a row that is centred keeps its bits, whatever the others need
        source = out
    return mean + residual, variance


def column_moments(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """Return mean, in two parts, and (biased) variance of the columns of a matrix of some rows.

    Deviations from the mean of some rows are added up, block by block; from the mean itself in a
    further pass if those rows were far from it.

    Args:
        x: (rows, columns).
        epsilon: what the caller adds to the variance.

    Returns:
        The mean in the dtype of x, what it lacks of the mean in float64, and the variance.

    Source:
        T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance" (1983): sums
        of shifted data.
    """
    near = near_mean(x)
    for _ in range(MAX_CENTRINGS):
        residual, square = deviation_sums(x, near) / len(x)
        variance = np.maximum(square - residual * residual, 0)
        if not is_far(residual, variance, epsilon):
            break
        near = (near + residual).astype(x.dtype)
    return *in_two_parts(near, residual), variance


def in_two_parts(near: Array, residual: Array) -> tuple[Array, Array]:
    """Return ``near + residual`` as a number of the dtype of ``near``, and what that lacks."""
    mean = (near + residual).astype(near.dtype)
    return mean, residual - (mean.astype(residual.dtype) - near)


def deviation_sums(x: Array, near: Array, dy: Array | None = None) -> Array:
    """Return ``Σ dy`` and ``Σ dy (x - near)`` of each column, in float64.

    What overflows in float32 is added up again in float64.

    Args:
        x: (rows, columns).
        near: (columns,).
        dy: a matrix of that shape; ``x - near`` if it is not given.

    Returns:
        A matrix (2, columns).
    """
    dtype, columns = accumulator_dtype(x), len(near)
    arrays = wide_rows(x) if dy is None else wide_rows(x, dy)
    wide = width = arrays[0].shape[1]
    while width > max(columns, _SUMMED):
        width //= 2
    row, step = repeated(near, wide), max(1, _COLUMN_BLOCK * min(width, _SUMMED) // wide)
    ones = constant(1, (max(1, step * wide // width),), x.dtype)

    def compute(rows: slice) -> Array:
        starts = range(rows.start, rows.stop, step)
        totals = np.empty((len(starts), 2, width), x.dtype)
        products = scratch("deviations", (step, wide), x.dtype)
        for start, (total, product_total) in zip(starts, totals, strict=True):
            part, *others = (array[start : min(start + step, rows.stop)] for array in arrays)
            product = products[: len(part)]
            np.subtract(part, row, out=product)
            terms = product.reshape(-1, width)
            factor = others[0].reshape(-1, width) if others else terms
            # Unlike @, dot releases the interpreter's lock for every number of columns.
            np.dot(ones[: len(terms)], factor, out=total)
            np.multiply(terms, factor, out=terms)
            np.dot(ones[: len(terms)], terms, out=product_total)
        return totals

    with np.errstate(over="ignore", invalid="ignore"):
        totals = np.concatenate(run(compute, shares_of_rows(arrays[0])))
        total = np.add.reduce(totals, axis=0, dtype=dtype)
        total = np.add.reduce(total.reshape(2, -1, columns), axis=1)
        finite = np.isfinite(total).all(axis=0)
        if not finite.all() and dtype != x.dtype:  # the others keep their bits
            some = (a[:, ~finite].astype(dtype) for a in (x, dy) if a is not None)
            total[:, ~finite] = deviation_sums(next(some), near[~finite].astype(dtype), *some)
    return total


def near_mean(x: Array) -> Array:
    """Return the mean of some rows of a matrix, in its dtype."""
    some = x[:: max(1, len(x) // _SOME) | 1]  # odd: not one place of all images
    scale = 1 / len(some)
    return sums(np.ascontiguousarray(some), scale, 0).astype(x.dtype)


def is_far(residual: Array, variance: Array, epsilon: float) -> bool:
    """Return whether the square of a residual would cost digits of the variance."""
    return bool((residual * residual > variance + epsilon).any())


def standardize(x: Array, out: Array, epsilon: float) -> Array:
    """Write ``x̂ = (x - μ) / √(σ² + epsilon)`` per row into ``out``; return 1 / √(σ² + epsilon).

    Args:
        x: (rows, columns).
        out: an array like ``x``.
        epsilon: added to the variance.

    Returns:
        A column (rows, 1) in the dtype of ``x``.
    """
    inverse = np.empty((len(x), 1), x.dtype)
    for rows in _pieces(x):
        _, variance = centre(x[rows], out[rows], epsilon)
        inverse[rows, 0] = 1 / np.sqrt(variance + epsilon)
        np.multiply(out[rows], inverse[rows], out=out[rows])
    return inverse


def standardize_backward(dy: Array, normal: Array, inverse: Array, out: Array) -> None:
    """Write dL/dx for ``dy`` = dL/dx̂ into ``out``; the backward pass of :func:`standardize`.

    ``dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + epsilon)``, with means over rows.

    Args:
        dy: (rows, columns).
        normal: x̂.
        inverse: the result of :func:`standardize`.
        out: an array like ``dy``, but not ``dy`` itself.
    """
    scale = 1 / dy.shape[1]
    for rows in _pieces(dy):
        mean = sums(dy[rows], scale, 1).astype(dy.dtype)[:, None]
        projection = (scale * sums(dy[rows], normal[rows], 1)).astype(dy.dtype)[:, None]
        np.multiply(normal[rows], projection, out=out[rows])
        np.subtract(dy[rows], out[rows], out=out[rows])
        np.subtract(out[rows], mean, out=out[rows])
        np.multiply(out[rows], inverse[rows], out=out[rows])


def _pieces(x: Array) -> Iterator[slice]:
    """Yield slices of rows that fit in the processor's cache."""
    step = max(1, _PIECE // max(1, x.shape[1]))
    return (slice(start, start + step) for start in range(0, len(x), step))
