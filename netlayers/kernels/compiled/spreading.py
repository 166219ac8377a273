"""The gradient of the input of a convolution without padding, window by window.

The products of a window and a row of the kernel are entries of dx that lie side by side, those of
neighbouring columns and all channels::

    dx[stride i + dilation q, stride j ... + columns] += dy[i, j] kernel[q]ᵀ

So the columns of the tile of ``tile.py`` are few channels of many columns, where the sum of
``convolution.py`` has one vector for each column; and only windows are computed, no places at the
edges of which few windows see anything. The rows of a tile are windows under each other, which
add to different lines.

Time of the sum and of this, one thread, ms: 5 x 5, 10 samples of 8 x 8 x 40 to 12 x 12 x 20: 0.56,
0.29; 128 of 10 x 10 x 16 to 14 x 14 x 6: 2.2, 0.88; 3 x 3, 128 of 11 x 11 x 64 to 13 x 13 x 32:
9.6, 5.7; with stride 2, 64 of 7 x 7 x 32 to 15 x 15 x 16: 0.41, 0.33.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.matrix import PRODUCT, code_of, multiply
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.compiled.workers import in_shares, share_count, task_of, together
from netlayers.kernels.convolution import work_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# Compiled with the functions of tile 88552b7ace22, matrix 288754b6b11f, workers 7288e169d825.

# Set by :func:`compiled_spreading`.
_entries: Any = None
_multiply: Any = None
_task: Any = None
_BYTES = 0


def spread_share(
    share: int,
    thread: int,
    count: int,
    code: int,
    dy: Array,
    samples: int,
    transposed: Array,
    high: int,
    wide: int,
    line: int,
    down: int,
    along: int,
    apart: int,
    out: Array,
) -> None:
    """``out = Σ dy kernelᵀ``, for a part of the samples; ``dy`` and ``out`` are flat.

    Args:
        share: the share to compute.
        thread: not used.
        count: number of shares.
        code: address of the code for the tiles, see ``matrix.py``.
        dy: gradient of the output.
        samples: number of samples.
        transposed: the kernel, (rows, filters, columns and channels).
        high: windows under each other.
        wide: windows side by side.
        line: entries of a line of x.
        down: distance of windows under each other, in entries of x.
        along: distance of windows side by side.
        apart: distance of the rows of the kernel.
        out: gradient of the input.
    """
    rows, filters, columns = transposed.shape
    size, dy_size, width = out.size // max(1, samples), high * wide * filters, _BYTES // dy.itemsize
    nowhere = np.zeros(1, np.int64)
    given, kernel, target, place = (
        _entries(dy),
        _entries(transposed),
        _entries(out),
        _entries(nowhere),
    )
    for sample in range(samples * share // count, samples * (share + 1) // count):
        out[sample * size : (sample + 1) * size] = 0
        for q in range(rows):
            for j in range(wide):
                to = (target, sample * size + q * apart + j * along, down)
                _multiply(
                    code, high, columns, width, 1, filters,
                    (given, sample * dy_size + j * filters, wide * filters, 1, place),
                    (kernel, q * filters * columns, columns, place),
                    to,
                    to,
                )  # fmt: skip


def spread_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _task(args), args)


def compiled_spreading(compiled: Callable[..., Any]) -> None:
    """Compile the loop."""
    module = globals()
    module["_entries"], module["_multiply"] = declared()[0], multiply()
    module["_BYTES"] = VECTORS * registers().size
    module["spread_share"] = compiled(spread_share)
    module["_task"] = task_of(spread_share)
    module["spread_in_shares"] = compiled(spread_in_shares)


def suits(dy: Array, kernel: Array, windows: Windows) -> bool:
    """Return whether this is possible and takes fewer vectors than the sum."""
    if len(windows.sizes) != 2 or windows.padded != windows.sizes or windows.dilation[1] != 1:
        return False
    _, across, channels, _ = kernel.shape
    entries = registers().size // dy.itemsize
    vectors = windows.counts[1] * -(-across * channels // entries)
    others = windows.sizes[1] * across * -(-channels // entries) / windows.strides[1]
    return bool(vectors < 0.95 * others)


def input_gradient(dy: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.convolution.convolve_input_gradient`; one group."""
    rows, across, channels, filters = kernel.shape
    transposed = np.ascontiguousarray(
        kernel.reshape(rows, across * channels, filters).swapaxes(1, 2)
    )
    line, work = windows.sizes[1] * channels, work_of(dy, kernel)
    count = share_count(len(dy), work)
    args = (
        count, code_of(PRODUCT, dy.dtype), dy.reshape(-1), len(dy), transposed, *windows.counts,
        line, windows.strides[0] * line, windows.strides[1] * channels,
        windows.dilation[0] * line, out.reshape(-1),
    )  # fmt: skip
    in_shares(spread_in_shares, count, lambda threads: args, work)
