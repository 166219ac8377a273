"""Pooling by the loops of ``convolution.py`` and ``windows.py``.

The largest entries of windows are sums of another kind of tiles, and means are depthwise
convolutions with equal weights.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import pooling
from netlayers.kernels.compiled import convolution, depthwise
from netlayers.kernels.compiled import windows as loops
from netlayers.kernels.compiled.matrix import LARGEST
from netlayers.kernels.compiled.places import convolution_places
from netlayers.kernels.compiled.workers import in_shares, share_count
from netlayers.kernels.exact import EXACT, is_exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

_AXES = 3


@functools.lru_cache(maxsize=1024)
def _geometry(windows: Windows) -> Array:
    """Return the geometry as integers, (6, 3), filled up with axes of one place."""
    filled = [
        (*(missing,) * (_AXES - len(values)), *values)
        for values, missing in zip(windows, (1, 1, 1, 1, 0, 1), strict=True)
    ]
    g = np.array(filled, np.int64)
    g.flags.writeable = False
    return g


def _compiles(x: Array) -> bool:
    """Return whether the loops can compute this: real numbers, and no exact products."""
    return x.dtype.kind == "f" and not (EXACT and is_exact())


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.max_pool`."""
    compute = prepared_max_pool(x, windows)
    if compute is None:
        pooling.max_pool(x, windows, out)
    else:
        compute(x, out)


def prepared_max_pool(x: Array, windows: Windows) -> Callable[[Array, Array], None] | None:
    """See :meth:`netlayers.kernels.reference.Kernels.prepared_max_pool`."""
    if not _compiles(x):
        return None
    channels = x.shape[-1]
    places = convolution_places(windows, channels, channels, depthwise=True)
    first, work = convolution.row_of(-np.inf, channels, x.dtype), pooling.work_of(x, windows)
    return convolution.sums(x, places, first, first, work, LARGEST)


def average_pool(x: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.average_pool`."""
    if windows.padded != windows.sizes or not _compiles(x):
        pooling.average_pool(x, windows, out)
        return
    depthwise.depthwise_convolve(x, _equal_weights(windows, x), windows, out)


def average_pool_gradient(dy: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.average_pool_gradient`."""
    if windows.padded != windows.sizes or not _compiles(dy):
        pooling.average_pool_gradient(dy, windows, out)
        return
    depthwise.depthwise_input_gradient(dy, _equal_weights(windows, dy), windows, out)


def _equal_weights(windows: Windows, x: Array) -> Array:
    return np.full((*windows.kernel, x.shape[-1], 1), 1 / math.prod(windows.kernel), x.dtype)


def max_pool_gradient(x: Array, y: Array, dy: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.max_pool_gradient`."""
    if not _compiles(x):
        pooling.max_pool_gradient(x, y, dy, windows, out)
        return
    work = pooling.work_of(x, windows)
    count = share_count(len(x), work)
    args = count, len(x), _rows(x), _rows(y), _rows(dy), _geometry(windows), _rows(out)
    in_shares(loops.max_pool_gradient_in_shares, count, lambda threads: args, work)


KERNELS: tuple[Any, ...] = (
    prepared_max_pool, max_pool, max_pool_gradient, average_pool, average_pool_gradient,
)  # fmt: skip
