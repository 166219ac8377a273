"""The gradient of maxima in windows.

The mathematics is that of ``kernels/pooling.py``. The spatial axes are three; shorter ones are
filled up with axes of one place. ``g`` holds the geometry: rows of sizes, kernel, strides,
dilation, zeros before and counts, see :class:`Windows`. Arrays are matrices with a row for each
place.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.tile import Writer, declared
from netlayers.kernels.compiled.workers import task_of, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Set by :func:`compiled_windows`.
_entries: Any = None
_hand_down: Any = None
_max_pool_task: Any = None

# Compiled with the functions of: tile 88552b7ace22, and of: workers 7288e169d825.


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


def max_pool_gradient_share(
    share: int, thread: int, count: int, samples: int, x: Array, y: Array, dy: Array, g: Array,
    dx: Array,
) -> None:  # fmt: skip
    """Hand each dy to the first entry of its window that is the largest; a part of the samples."""
    at, seen, channels = np.empty(4, np.int64), np.empty(g[1].prod(), np.int64), x.shape[1]
    first, end = samples * share // count, samples * (share + 1) // count
    places, rows = x.shape[0] // max(1, samples), dy.shape[0] // max(1, samples)
    dx[first * places : end * places] = 0
    _first(g, first * rows, at)
    for row in range(first * rows, end * rows):
        n = 0
        for i in range(max(0, -at[0]), min(g[1, 0], g[0, 0] - at[0])):
            for j in range(max(0, -at[1]), min(g[1, 1], g[0, 1] - at[1])):
                for k in range(max(0, -at[2]), min(g[1, 2], g[0, 2] - at[2])):
                    line = (at[3] * g[0, 0] + at[0] + i) * g[0, 1] + at[1] + j
                    seen[n] = (line * g[0, 2] + at[2] + k) * channels
                    n += 1
        _hand_down(
            channels, n, _entries(seen), row * channels, _entries(x), _entries(y), _entries(dy),
            _entries(dx),
        )  # fmt: skip
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
    module["_entries"], module["_hand_down"] = declared()[0], _hands_down()
    for loop in (_first, _next, max_pool_gradient_share):
        module[loop.__name__] = compiled(loop)
    module["_max_pool_task"] = task_of(max_pool_gradient_share)
    module["max_pool_gradient_in_shares"] = compiled(max_pool_gradient_in_shares)


def _hands_down() -> Any:
    """Return ``hand_down(channels, n, seen, row, x, y, dy, dx)`` for compiled code.

    The entries of dy from ``row`` on are added to dx at the first of the places ``seen`` where x is
    the entry of y, channel by channel. All arrays are pointers.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def hand_down(
        context: Any, channels: Any, n: Any, seen: Any, row: Any, x: Any, y: Any, dy: Any, dx: Any
    ) -> Any:
        return types.void(channels, n, seen, row, x, y, dy, dx), _write

    return hand_down


def _write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """Write the instructions: a loop over the vectors of channels; the last one may be shorter."""
    tools: Any = importlib.import_module("numba.core.cgutils")
    channels, n, seen, row, x, y, dy, dx = given
    writer = Writer(builder, tools, (channels, None, None), (x,), (y,), (dy,), (dx,))
    builder.function.attributes.add("noinline")
    zeros = writer.ir.Constant(writer.vector, [0.0] * writer.width)
    left = writer.variable(writer.vector)

    def write(offset: Any, vectors: int) -> None:
        def at(array: Any, start: Any) -> Any:
            return builder.gep(array, [builder.add(start, offset)])

        largest = writer.load(at(y, row), 0, vectors)
        builder.store(writer.load(at(dy, row), 0, vectors), left)
        with writer.loop(n) as i:
            place = builder.load(builder.gep(seen, [i]))
            hit = builder.fcmp_ordered("==", writer.load(at(x, place), 0, vectors), largest)
            rest, target = builder.load(left), at(dx, place)
            term = builder.select(hit, rest, zeros)
            total = builder.fadd(writer.load(target, 0, vectors), term)
            writer.store(total, target, 0, vectors)
            builder.store(builder.select(hit, zeros, rest), left)

    whole = builder.sub(writer.vectors, writer.integer(1))
    with writer.loop(whole) as vector:
        write(builder.mul(vector, writer.integer(writer.width)), 2)
    write(builder.mul(whole, writer.integer(writer.width)), 1)
    return context.get_dummy_value()
