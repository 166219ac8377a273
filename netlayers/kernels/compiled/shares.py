"""The gradient of maxima by ``windows.py``, a share of the batch in each thread."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import pooling
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


KERNELS: tuple[Any, ...] = (max_pool_gradient,)
