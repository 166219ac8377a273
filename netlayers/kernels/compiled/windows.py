"""The gradient of maxima in windows, for a share of the batch in one compiled call.

The mathematics is that of ``kernels/pooling.py``. The spatial axes are three; shorter ones are
filled up with axes of one place. ``g`` holds the geometry: rows of sizes, kernel, strides,
dilation, zeros before and counts, see :class:`Windows`. Arrays are flat, or matrices with a row for
each place; a call releases the interpreter lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.workers import task_of, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

_max_pool_task: Any = None  # set by :func:`compiled_windows`

# Compiled with the functions of: workers 0d1c3f5ea26f.


def _first(g: Array, row: int, at: Array) -> None:
    """Write the entry that the window of a row sees first, and its sample, into ``at``."""
    for axis in (2, 1, 0):
        count = g[5, axis]
        at[axis] = (row % count) * g[2, axis] - g[4, axis]
        row //= count
    at[3] = row


def _next(g: Array, at: Array) -> None:
    """Go on to the window of the next row; divisions for each row would take most of the time."""
    for axis in (2, 1, 0):
        at[axis] += g[2, axis]
        if at[axis] < g[5, axis] * g[2, axis] - g[4, axis]:
            return
        at[axis] = -g[4, axis]
    at[3] += 1


# Loops over the channels of a place are functions of arrays that begin there: sums such as
# ``start + c`` as an index may be negative for all that the compiler knows, and prevent vectors.


def _copy(x: Array, y: Array) -> None:
    for c in range(y.size):
        y[c] = x[c]


def _hand_over(x: Array, largest: Array, left: Array, dx: Array) -> None:
    zero = dx.dtype.type(0)
    for c in range(dx.size):
        hit = x[c] == largest[c]
        dx[c] += left[c] if hit else zero
        left[c] = zero if hit else left[c]


def max_pool_gradient_share(
    share: int, thread: int, count: int, samples: int, x: Array, y: Array, dy: Array, g: Array,
    dx: Array,
) -> None:  # fmt: skip
    """Hand each dy to the first entry of its window that is the largest; a part of the samples."""
    at, left = np.empty(4, np.int64), np.empty(x.shape[1], x.dtype)
    first, end = samples * share // count, samples * (share + 1) // count
    places, rows = x.shape[0] // max(1, samples), dy.shape[0] // max(1, samples)
    dx[first * places : end * places] = 0
    _first(g, first * rows, at)
    for row in range(first * rows, end * rows):
        sample = at[3]
        largest = y[row]
        _copy(dy[row], left)
        for i in range(max(0, -at[0]), min(g[1, 0], g[0, 0] - at[0])):
            for j in range(max(0, -at[1]), min(g[1, 1], g[0, 1] - at[1])):
                for k in range(max(0, -at[2]), min(g[1, 2], g[0, 2] - at[2])):
                    line = (sample * g[0, 0] + at[0] + i) * g[0, 1] + at[1] + j
                    place = line * g[0, 2] + at[2] + k
                    _hand_over(x[place], largest, left, dx[place])
        _next(g, at)


def max_pool_gradient_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _max_pool_task(args), args)


def compiled_windows(compiled: Callable[..., Any]) -> None:
    """Compile the loops.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    module = globals()
    for loop in (_copy, _hand_over, _first, _next, max_pool_gradient_share):
        module[loop.__name__] = compiled(loop)
    module["_max_pool_task"] = task_of(max_pool_gradient_share)
    module["max_pool_gradient_in_shares"] = compiled(max_pool_gradient_in_shares)
