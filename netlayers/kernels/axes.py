"""Maps along one axis of an array: products with a matrix, and the largest entry of windows."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array, Dtype

    # Returns an array to write into, for a name and a shape.
    New = Callable[[str, tuple[int, ...]], Array]

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def multiply_axis(matrix: Array, x: Array, axis: int, out: Array) -> None:
    """``out[..., i, ...] = Σ_j matrix[i, j] x[..., j, ...]`` along an axis."""
    if axis == x.ndim - 1:
        np.matmul(x.reshape(-1, x.shape[-1]), matrix.T, out=out.reshape(-1, out.shape[-1]))
    else:
        np.matmul(matrix, _three(x, axis), out=_three(out, axis))


def _three(x: Array, axis: int) -> Array:
    """View x as (entries before the axis, the axis, entries after it)."""
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    return x.reshape(before, x.shape[axis], after)


@functools.lru_cache(maxsize=256)
def interpolation(size: int, new: int, name: str, antialias: bool, dtype: Dtype) -> Array:
    """Return the matrix (new, size) that resizes an axis.

    The centre of entry i of the result lies at ``p = (i + 1/2) size / new - 1/2`` of the input.
    ``"nearest"`` takes the entry whose extent holds p; the others weight entry j with ``k(p - j)``,
    divided by the sum of the weights. With ``antialias`` the kernel k is wider by the factor
    ``size / new`` where that is above 1.
    """
    places = (np.arange(new) + 0.5) * size / new
    matrix = np.zeros((new, size))
    if name == "nearest":
        matrix[np.arange(new), np.minimum(places.astype(int), size - 1)] = 1
    else:
        wider = max(1.0, size / new) if antialias else 1.0
        distances = np.abs(places[:, None] - 0.5 - np.arange(size)) / wider
        matrix = _KERNELS[name](distances)
        matrix /= matrix.sum(axis=1, keepdims=True)
    return _constant(matrix, dtype)


def _triangle(x: Array) -> Array:
    return np.maximum(0, 1 - x)


def _cubic(x: Array) -> Array:
    """Cubic convolution with a = -1/2 (R. Keys, IEEE Trans. ASSP 29 (1981) 1153, equation 15)."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(lobes: int, x: Array) -> Array:
    """``sinc(x) sinc(x / lobes)`` (C. Duchon, J. Applied Meteorology 18 (1979) 1016)."""
    return np.where(x < lobes, np.sinc(x) * np.sinc(x / lobes), 0)


_KERNELS: dict[str, Callable[[Array], Array]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": functools.partial(_lanczos, 3),
    "lanczos5": functools.partial(_lanczos, 5),
}


def adaptive_windows(size: int, new: int) -> list[tuple[int, int]]:
    """Return windows that cover an axis, from ``⌊i size / new⌋`` to ``⌈(i + 1) size / new⌉``."""
    return [(i * size // new, -(-(i + 1) * size // new)) for i in range(new)]


@functools.lru_cache(maxsize=256)
def window_means(size: int, new: int, dtype: Dtype) -> Array:
    """Return the matrix (new, size) that takes the mean of each adaptive window."""
    matrix = np.zeros((new, size))
    for row, (start, stop) in zip(matrix, adaptive_windows(size, new), strict=True):
        row[start:stop] = 1 / (stop - start)
    return _constant(matrix, dtype)


def _constant(matrix: Array, dtype: Dtype) -> Array:
    matrix = matrix.astype(dtype)
    matrix.flags.writeable = False
    return matrix


def max_axis(x: Array, axis: int, windows: Sequence[tuple[int, int]], out: Array) -> None:
    """``out[..., i, ...] = max x[..., start_i:stop_i, ...]`` along an axis."""
    x, out = _three(x, axis), _three(out, axis)
    for i, (start, stop) in enumerate(windows):
        np.max(x[:, start:stop], axis=1, out=out[:, i])


def max_axis_gradient(
    x: Array,
    y: Array,
    dy: Array,
    axis: int,
    windows: Sequence[tuple[int, int]],
    out: Array,
    new: New,
) -> None:
    """Add each dy to the entry of its window that was the largest, the first of several."""
    out[...] = 0
    x, y, dy, out = (_three(a, axis) for a in (x, y, dy, out))
    left, term = (new(name, (len(x), x.shape[2])) for name in ("left", "term"))
    for i, (start, stop) in enumerate(windows):
        np.copyto(left, dy[:, i])
        for j in range(start, stop):
            np.multiply(left, x[:, j] == y[:, i], out=term)
            out[:, j] += term
            left -= term
