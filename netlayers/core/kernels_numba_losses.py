"""The compiled kernels of losses and norms; see :mod:`netlayers.core.kernels_numba`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.functions_numba import exp_of, sum_of
from netlayers.core.kernels import Kernels

if TYPE_CHECKING:
    from netlayers._typing import Array

# As in kernels_numba: functions_numba 6879c179f5c9.


def _total(x: Array) -> float:
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


def _sum_of_squares(x: Array) -> float:
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * x[i]
    return total


def _all_below(t: Array, n: int) -> bool:
    count = 0
    for i in range(t.size):
        count += 0 <= t[i] < n
    return count == t.size


def _squared_error(p: Array, t: Array, d: Array, l: Array) -> None:  # noqa: E741
    k = d.dtype.type(d.shape[1])
    for i in range(d.shape[0]):
        total = d.dtype.type(0)
        for j in range(d.shape[1]):
            d[i, j] = p[i, j] - t[i, j]
            total += d[i, j] * d[i, j]
        l[i] = total / k


def _scale(x: Array, c: float, y: Array) -> None:
    c = y.dtype.type(c)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = c * x[i, j]


def _sparse_crossentropy(z: Array, t: Array, p: Array, l: Array) -> None:  # noqa: E741
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(1, z.shape[1]):
            top = max(top, z[i, j])
        for j in range(z.shape[1]):
            p[i, j] = z[i, j] - top
        l[i] = -p[i, t[i]]
    for k in range(p.size):  # over all rows: one of 10 numbers fills no vector
        p.flat[k] = exp_of(p.flat[k])
    for i in range(z.shape[0]):
        total = sum_of(p[i])
        for j in range(z.shape[1]):
            p[i, j] /= total
        l[i] += math.log(total)


def _sparse_crossentropy_gradient(p: Array, t: Array, dl: float, dz: Array) -> None:
    dl = dz.dtype.type(dl)
    for i in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            dz[i, j] = dl * p[i, j]
        dz[i, t[i]] -= dl


def total(x: Array) -> float:
    """See :meth:`Kernels.total`."""
    return _total(x.ravel()) if type(x) is np.ndarray else Kernels.total(x)


def sum_of_squares(x: Array) -> float:
    """See :meth:`Kernels.sum_of_squares`."""
    return _sum_of_squares(x)


def all_below(t: Array, n: int) -> bool:
    """See :meth:`Kernels.all_below`."""
    return _all_below(t.ravel(), n)


def squared_error(p: Array, t: Array, d: Array) -> Array:
    """See :meth:`Kernels.squared_error`."""
    if not (p.ndim == 2 and p.flags.c_contiguous and t.flags.c_contiguous):
        return Kernels.squared_error(p, t, d)
    l = np.empty(len(p), p.dtype)  # noqa: E741
    _squared_error(p, t, d, l)
    return l


def scale(x: Array, c: Any, y: Array) -> None:
    """See :meth:`Kernels.scale`."""
    if type(c) is float and x.ndim == 2 and x.flags.c_contiguous:
        _scale(x, c, y)
    else:
        Kernels.scale(x, c, y)


def sparse_crossentropy(z: Array, t: Array, p: Array) -> Array:
    """See :meth:`Kernels.sparse_crossentropy`."""
    if not (z.ndim == 2 and z.shape[1] and z.flags.c_contiguous and t.flags.c_contiguous):
        return Kernels.sparse_crossentropy(z, t, p)
    l = np.empty(len(z), z.dtype)  # noqa: E741
    _sparse_crossentropy(z, t, p, l)
    return l


def sparse_crossentropy_gradient(p: Array, t: Array, dl: Any, dz: Array) -> None:
    """See :meth:`Kernels.sparse_crossentropy_gradient`."""
    if type(dl) is float and p.ndim == 2 and t.flags.c_contiguous:
        _sparse_crossentropy_gradient(p, t, dl, dz)
    else:
        Kernels.sparse_crossentropy_gradient(p, t, dl, dz)


# Sums that may be added up in any order, several numbers at a time, as in BLAS.
SUMS = (_sum_of_squares, _squared_error)
LOOPS = (
    _total,
    *SUMS,
    _all_below,
    _scale,
    _sparse_crossentropy,
    _sparse_crossentropy_gradient,
)
KERNELS = (
    total,
    sum_of_squares,
    all_below,
    squared_error,
    scale,
    sparse_crossentropy,
    sparse_crossentropy_gradient,
)
