"""Depthwise convolution and pooling by ``windows.py``, a share of the batch in each thread."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import depthwise, pooling
from netlayers.kernels.compiled import windows as loops
from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.threads import run

if TYPE_CHECKING:
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


def depthwise_convolve(x: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_convolve`."""
    if kernel.shape[-1] > 1 or not _compiles(x):
        depthwise.depthwise_convolve(x, kernel, windows, out)
        return
    g, matrix = _geometry(windows), kernel.reshape(-1, kernel.shape[-2])

    def compute(samples: slice) -> None:
        loops.depthwise_share(_rows(x[samples]), matrix, g, _rows(out[samples]))

    run(compute, depthwise.shares_of(out, kernel))


def depthwise_input_gradient(dy: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_input_gradient`."""
    if kernel.shape[-1] > 1 or not _compiles(dy):
        depthwise.depthwise_input_gradient(dy, kernel, windows, out)
        return
    g, matrix = _geometry(windows), kernel.reshape(-1, kernel.shape[-2])

    def compute(samples: slice) -> None:
        loops.depthwise_input_gradient_share(_rows(dy[samples]), matrix, g, _rows(out[samples]))

    run(compute, depthwise.shares_of(dy, kernel))


def depthwise_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_kernel_gradient`."""
    if out.shape[-1] > 1 or not _compiles(x):
        depthwise.depthwise_kernel_gradient(x, dy, windows, out)
        return
    g = _geometry(windows)

    def compute(samples: slice) -> Array:
        total = np.empty((out.size // out.shape[-2], out.shape[-2]), out.dtype)
        loops.depthwise_kernel_gradient_share(_rows(x[samples]), _rows(dy[samples]), g, total)
        return total

    totals = run(compute, depthwise.shares_of(dy, out))
    np.add.reduce(totals, axis=0, out=out.reshape(-1, out.shape[-2]))


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.max_pool`."""
    if not _compiles(x):
        pooling.max_pool(x, windows, out)
        return
    g = _geometry(windows)

    def compute(samples: slice) -> None:
        loops.max_pool_share(_rows(x[samples]), g, _rows(out[samples]))

    run(compute, pooling.shares_of(x, windows))


def max_pool_gradient(x: Array, y: Array, dy: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.pooling.max_pool_gradient`."""
    if not _compiles(x):
        pooling.max_pool_gradient(x, y, dy, windows, out)
        return
    g = _geometry(windows)

    def compute(samples: slice) -> None:
        given, largest, rows = (_rows(array[samples]) for array in (x, y, dy))
        loops.max_pool_gradient_share(given, largest, rows, g, _rows(out[samples]))

    run(compute, pooling.shares_of(x, windows))


KERNELS: tuple[Any, ...] = (
    depthwise_convolve,
    depthwise_input_gradient,
    depthwise_kernel_gradient,
    max_pool,
    max_pool_gradient,
)
