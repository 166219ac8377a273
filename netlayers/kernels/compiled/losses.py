"""Compiled kernels of softmax, losses and norms; see ``elementwise.py``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.compiled.functions import exp_of, sum_of
from netlayers.kernels.reference import Kernels

if TYPE_CHECKING:
    from netlayers._typing import Array

# As in elementwise: functions 1a90f78161dc.

# NumPy's log1p is vectorized, the compiled one is not: NumPy is faster for larger arrays.
_SMALL = 512


def _total(x: Array) -> float:
    total = 0.0
    for number in x.flat:
        total += number
    return total


def _sum_of_squares(x: Array) -> float:
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * x[i]
    return total


def _all_below(t: Array, n: int) -> bool:
    below = 0
    for number in t.flat:
        below += 0 <= number < n
    return below == t.size


def _all_within(x: Array, low: float, high: float) -> bool:
    within = 0
    for number in x.flat:
        within += low <= number <= high
    return within == x.size


def _squared_error(p: Array, t: Array, d: Array, l: Array) -> None:  # noqa: E741
    k = d.dtype.type(d.shape[1])
    for i in range(d.shape[0]):
        total = d.dtype.type(0)
        for j in range(d.shape[1]):
            d[i, j] = p[i, j] - t[i, j]
            total += d[i, j] * d[i, j]
        l[i] = total / k


def _scale(x: Array, c: float, y: Array) -> None:
    c, x, y = y.dtype.type(c), x.ravel(), y.ravel()
    for i in range(y.size):
        y[i] = c * x[i]


def _scaled_difference(p: Array, t: Array, c: float, y: Array) -> None:
    c, p, t, y = y.dtype.type(c), p.ravel(), t.ravel(), y.ravel()
    for i in range(y.size):
        y[i] = c * (p[i] - t[i])


def _binary_crossentropy(z: Array, t: Array, p: Array, l: Array, means: Array) -> None:  # noqa: E741
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for i in range(z.shape[0]):
        total = zero
        for j in range(z.shape[1]):
            e = math.exp(-abs(z[i, j]))
            p[i, j] = (e if z[i, j] < zero else one) / (one + e)
            l[i, j] = math.log1p(e) + (max(z[i, j], zero) - z[i, j] * t[i, j])
            total += l[i, j]
        means[i] = total / z.dtype.type(z.shape[1])


def _shift(z: Array, shifted: Array) -> None:
    for i in range(z.shape[0]):
        top = z[i, 0]
        for j in range(1, z.shape[1]):
            top = max(top, z[i, j])
        for j in range(z.shape[1]):
            shifted[i, j] = z[i, j] - top


def _normalize(p: Array, lse: Array) -> None:
    for k in range(p.size):  # over all rows: a row of 10 entries is too short to vectorize
        p.flat[k] = exp_of(p.flat[k])
    _divide_by_sums(p, lse)


def _divide_by_sums(p: Array, lse: Array) -> None:
    for i in range(p.shape[0]):
        total = sum_of(p[i])
        for j in range(p.shape[1]):
            p[i, j] /= total
        lse[i] = math.log(total)


def _softmax(z: Array, shifted: Array, p: Array, lse: Array) -> None:
    _shift(z, shifted)
    for k in range(p.size):  # not _normalize: its copy would take a fourth of the time
        p.flat[k] = exp_of(shifted.flat[k])
    _divide_by_sums(p, lse)


def _crossentropy(z: Array, t: Array, p: Array, mass: Array, l: Array) -> None:  # noqa: E741
    _shift(z, p)
    lowest = np.finfo(p.dtype).min
    for i in range(p.shape[0]):
        l[i], mass[i] = 0, 0
        for j in range(p.shape[1]):
            # -inf times a target of 0 would be NaN; a logit that is NaN is so in lse.
            l[i] += t[i, j] * (p[i, j] if p[i, j] > lowest else lowest)
            mass[i] += t[i, j]
    lse = np.empty_like(l)
    _normalize(p, lse)
    for i in range(l.size):
        l[i] = mass[i] * lse[i] - l[i]


def _crossentropy_gradient(p: Array, t: Array, mass: Array, dl: float, dz: Array) -> None:
    dl = dz.dtype.type(dl)
    for i in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            dz[i, j] = dl * (mass[i] * p[i, j] - t[i, j])


def _sparse_crossentropy(z: Array, t: Array, p: Array, l: Array) -> None:  # noqa: E741
    _shift(z, p)
    for i in range(l.size):
        l[i] = p[i, t[i]]
    lse = np.empty_like(l)
    _normalize(p, lse)
    for i in range(l.size):
        l[i] = lse[i] - l[i]


def _sparse_crossentropy_gradient(p: Array, t: Array, dl: float, dz: Array) -> None:
    dl = dz.dtype.type(dl)
    for i in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            dz[i, j] = dl * p[i, j]
        dz[i, t[i]] -= dl


def softmax(z: Array, shifted: Array, p: Array) -> Array:
    """See :meth:`Kernels.softmax`."""
    if not z.size or not z.flags.c_contiguous:
        return Kernels.softmax(z, shifted, p)
    lse = np.empty(z.shape[:-1], z.dtype)
    by_row = (-1, z.shape[-1])
    _softmax(z.reshape(by_row), shifted.reshape(by_row), p.reshape(by_row), lse.reshape(-1))
    return lse


def total(x: Array) -> float:
    """See :meth:`Kernels.total`."""
    return _total(x) if type(x) is np.ndarray else Kernels.total(x)


def all_within(x: Array, low: float, high: float) -> bool:
    """See :meth:`Kernels.all_within`."""
    if x.flags.c_contiguous and x.dtype.kind == "f":
        return _all_within(x, low, high)
    return Kernels.all_within(x, low, high)


def squared_error(p: Array, t: Array, d: Array) -> Array:
    """See :meth:`Kernels.squared_error`."""
    if not (p.ndim == 2 and p.flags.c_contiguous and t.flags.c_contiguous):
        return Kernels.squared_error(p, t, d)
    l = np.empty(len(p), p.dtype)  # noqa: E741
    _squared_error(p, t, d, l)
    return l


def scale(x: Array, c: float | Array, y: Array) -> None:
    """See :meth:`Kernels.scale`."""
    if type(c) is float and x.flags.c_contiguous:
        _scale(x, c, y)
    else:
        Kernels.scale(x, c, y)


def scaled_difference(p: Array, t: Array, c: float | Array, y: Array) -> None:
    """See :meth:`Kernels.scaled_difference`."""
    if type(c) is float and t.flags.c_contiguous:
        _scaled_difference(p, t, c, y)
    else:
        Kernels.scaled_difference(p, t, c, y)


def binary_crossentropy(z: Array, t: Array, p: Array, l: Array, scratch: Array) -> Array:  # noqa: E741
    """See :meth:`Kernels.binary_crossentropy`."""
    small = type(z) is np.ndarray and z.ndim == 2 and z.size <= _SMALL
    if not (small and z.flags.c_contiguous and t.flags.c_contiguous):
        return Kernels.binary_crossentropy(z, t, p, l, scratch)
    means = np.empty(len(z), z.dtype)
    _binary_crossentropy(z, t, p, l, means)
    return means


def crossentropy(z: Array, t: Array, p: Array, mass: Array) -> Array:
    """See :meth:`Kernels.crossentropy`."""
    ready = type(z) is np.ndarray and z.ndim == 2 and z.size
    if not (ready and z.flags.c_contiguous and t.flags.c_contiguous):
        return Kernels.crossentropy(z, t, p, mass)
    l = np.empty(len(z), z.dtype)  # noqa: E741
    _crossentropy(z, t, p, mass, l)
    return l


def crossentropy_gradient(p: Array, t: Array, mass: Array, dl: float | Array, dz: Array) -> None:
    """See :meth:`Kernels.crossentropy_gradient`."""
    if type(dl) is float and p.ndim == 2 and t.flags.c_contiguous:
        _crossentropy_gradient(p, t, mass, dl, dz)
    else:
        Kernels.crossentropy_gradient(p, t, mass, dl, dz)


def sparse_crossentropy(z: Array, t: Array, p: Array) -> Array:
    """See :meth:`Kernels.sparse_crossentropy`."""
    ready = type(z) is np.ndarray and z.ndim == 2 and z.size
    if not (ready and z.flags.c_contiguous):
        return Kernels.sparse_crossentropy(z, t, p)
    l = np.empty(len(z), z.dtype)  # noqa: E741
    _sparse_crossentropy(z, t, p, l)
    return l


def sparse_crossentropy_gradient(p: Array, t: Array, dl: float | Array, dz: Array) -> None:
    """See :meth:`Kernels.sparse_crossentropy_gradient`."""
    if type(dl) is float and p.ndim == 2:
        _sparse_crossentropy_gradient(p, t, dl, dz)
    else:
        Kernels.sparse_crossentropy_gradient(p, t, dl, dz)


# Loops whose sums may be reassociated into partial sums, as in BLAS.
SUMS = (_total, _sum_of_squares, _squared_error)
LOOPS = (
    *SUMS,
    _shift,
    _divide_by_sums,
    _normalize,
    _softmax,
    _all_below,
    _all_within,
    _scale,
    _scaled_difference,
    _binary_crossentropy,
    _crossentropy,
    _crossentropy_gradient,
    _sparse_crossentropy,
    _sparse_crossentropy_gradient,
)
KERNELS = (
    softmax,
    total,
    all_within,
    squared_error,
    scale,
    scaled_difference,
    binary_crossentropy,
    crossentropy,
    crossentropy_gradient,
    sparse_crossentropy,
    sparse_crossentropy_gradient,
)
