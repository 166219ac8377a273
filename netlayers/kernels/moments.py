"""Sums, means and variances along an axis of a matrix: fast, and without loss of digits.

A sum in float32 loses digits where many numbers or a large offset are added up. Against it, sums of
blocks are added in float64; the variance is that of numbers that are centred first; and where the
first mean was too rough, the centred numbers are centred again (from a mean of some 5 deviations
on, which costs half as much time again). Numbers normalized in float32 are right to 2·10⁻⁶, also at
a mean of 10⁶ deviations. Squares may exceed float32, but not float64: numbers up to 10¹⁵⁰.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.memory import constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Dtype

# Numbers that are added up in the matrix's own dtype, before float64 takes over. In a column they
# are added one by one; along a row, BLAS keeps some 32 sums at a time.
_COLUMN_BLOCK = 256
_ROW_BLOCK = 8192
_PIECE = 1 << 16  # numbers
_FLOAT64, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)
CENTRINGS = 8  # each takes the error of the mean down by 10⁶; 10²⁰ needs five


def sums(x: Array, factor: Array | float, axis: int) -> Array:
    """Return ``Σ x factor`` along an axis of the matrix ``x``, in float64.

    Args:
        x: (rows, columns).
        factor: a matrix of the same shape, or one number.
        axis: 0 for the sum of each column, 1 for that of each row.
    """
    if axis == 0:
        return _column_sums(x, factor)
    total = np.zeros(len(x), _wide(x))
    for start in range(0, x.shape[1], _ROW_BLOCK):
        block = slice(start, start + _ROW_BLOCK)
        part = x[:, block]
        if isinstance(factor, np.ndarray):
            total += np.vecdot(part, factor[:, block])
        else:
            # OpenBLAS's product of some matrices of 5 columns also computes with what happens to
            # lie on the stack: the result is right, but NumPy may warn of an invalid value.
            with np.errstate(invalid="ignore"):
                row = constant(factor, part.shape[1:], x.dtype)
                total += part @ row  # np.dot would copy the block
    return total


def _wide(x: Array) -> Dtype:
    """Return the dtype to add up in: float64, or what is complex for the gradient check."""
    return _COMPLEX if x.dtype.kind == "c" else _FLOAT64  # six times faster than np.result_type


def _column_sums(x: Array, factor: Array | float) -> Array:
    total = np.zeros(x.shape[1], _wide(x))
    for start in range(0, len(x), _COLUMN_BLOCK):
        block = slice(start, start + _COLUMN_BLOCK)
        part = x[block]
        if isinstance(factor, np.ndarray):
            total += np.einsum("ij,ij->j", part, factor[block])
        else:
            total += constant(factor, part.shape[:1], x.dtype) @ part
    return total


def mean_square(x: Array, axis: int) -> Array:
    """Return the mean of x² along an axis of a matrix, in float64, also where float32 overflows."""
    with np.errstate(over="ignore"):
        total = sums(x, x, axis)
    if not np.isfinite(total).all():
        total = np.einsum("ij,ij->j" if axis == 0 else "ij,ij->i", x, x, dtype=np.float64)
    return total / x.shape[axis]


def centre(x: Array, out: Array, axis: int, epsilon: float) -> tuple[Array, Array]:
    """Write ``x - mean`` into ``out``, and return mean and (biased) variance along an axis.

    Args:
        x: (rows, columns), with at least one entry along the axis.
        out: an array like ``x``.
        axis: 0 for the moments of each column, 1 for those of each row.
        epsilon: what the caller adds to the variance: differences far below need no care.

    Returns:
        Two vectors in float64.

    Source:
        T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance" (1983): the
        two-pass algorithm, corrected for what is left of the mean.
    """
    share = 1 / x.shape[axis]  # as a factor of each number: the sum itself might overflow
    mean = np.zeros(x.shape[1 - axis], _wide(x))
    left = sums(x, share, axis)
    rough = 8 * float(np.finfo(x.dtype).eps)
    source = x
    for _ in range(CENTRINGS):
        step = left.astype(x.dtype)
        np.subtract(source, step if axis == 0 else step[:, None], out=out)
        mean += step
        left = sums(out, share, axis)
        variance = np.maximum(mean_square(out, axis) - left * left, 0)
        if not (left * left > rough * rough * (variance + epsilon)).any():
            break
        source = out
    return mean + left, variance


def standardize(x: Array, out: Array, epsilon: float) -> Array:
    """Write ``x̂ = (x - μ) / √(σ² + epsilon)`` of each row into ``out``; return 1 / √(σ² + epsilon).

    Args:
        x: (rows, columns).
        out: an array like ``x``.
        epsilon: added to the variance.

    Returns:
        A column (rows, 1) in the dtype of ``x``.
    """
    inverse = np.empty((len(x), 1), x.dtype)
    for rows in _pieces(x):
        _, variance = centre(x[rows], out[rows], 1, epsilon)
        inverse[rows, 0] = 1 / np.sqrt(variance + epsilon)
        np.multiply(out[rows], inverse[rows], out=out[rows])
    return inverse


def standardize_backward(dy: Array, normal: Array, inverse: Array, out: Array) -> None:
    """Write dL/dx for ``dy`` = dL/dx̂ into ``out``: the gradient of :func:`standardize`.

    ``dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + epsilon)``, with the means of each row.

    Args:
        dy: (rows, columns).
        normal: x̂.
        inverse: what :func:`standardize` returned.
        out: an array like ``dy``, other than it.
    """
    share = 1 / dy.shape[1]
    for rows in _pieces(dy):
        mean = sums(dy[rows], share, 1).astype(dy.dtype)[:, None]
        with_normal = (share * sums(dy[rows], normal[rows], 1)).astype(dy.dtype)[:, None]
        np.multiply(normal[rows], with_normal, out=out[rows])
        np.subtract(dy[rows], out[rows], out=out[rows])
        np.subtract(out[rows], mean, out=out[rows])
        np.multiply(out[rows], inverse[rows], out=out[rows])


def _pieces(x: Array) -> Iterator[slice]:
    """Slices of rows small enough to stay in the processor's cache from one pass to the next."""
    step = max(1, _PIECE // max(1, x.shape[1]))
    return (slice(start, start + step) for start in range(0, len(x), step))
