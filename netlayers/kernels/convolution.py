"""Convolution as a matrix product, part by part.

The patch of the input under each window is a row of a matrix, and the kernel, with its offsets and
channels in one axis, the other matrix. The patches of a whole batch would take as many times the
memory of the input as the kernel has offsets, so they are copied and multiplied in parts that stay
in the cache of the processor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels import lines, tiles
from netlayers.kernels.exact import EXACT, is_exact, product
from netlayers.kernels.memory import constant
from netlayers.kernels.moments import accumulator_dtype
from netlayers.kernels.rows import wide_rows, widest
from netlayers.kernels.threads import PASS, products, run, scratch, shares
from netlayers.kernels.windows import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# Numbers in a line of a window up to which patches are copied with the windows in the last axis. A
# number takes 0.19 ns then for one channel, 0.35 for more and 0.43 with a stride of 2; in the other
# order a line takes 5 ns.
_FEW_NUMBERS = 12
# Up to this number of channels, what windows add to the input has the windows in the last axis.
FEW_CHANNELS = 4
# From this number on, the input gradient is added up in rows of channels. With fewer, windows side
# by side are added to lines first. In ms, offset by offset and in lines: 5 x 5, 6 channels 6.5 and
# 3.2; 3 x 3, 16 channels, stride 2: 2.6 and 2.9; 32 channels 3.0 and 3.3; 64 channels 33 and 36.
MANY_CHANNELS = 16
# Rows, and entries of a row, of which the sums over channels are one product.
_ROWS, _SUMMED = 512, 1024


def convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
    rectify: bool = False,
) -> None:
    """``out[n, p] = bias + Σ x[n, s p + d q - before] kernel[q]`` over the offsets q.

    Args:
        x: (batch, *sizes, channels).
        kernel: (*kernel, channels of a group, filters).
        windows: the windows on x.
        out: (batch, *counts, filters), to be filled.
        groups: parts of channels and filters that are convolved separately.
        bias: (filters,), or ``None``.
        rectify: write 0 for negative sums.
    """
    for tiled in (tiles, lines):
        if tiled.suits(len(x), kernel, windows, groups):
            tiled.convolve(x, kernel, windows, out, bias)
            if rectify:
                np.maximum(out, constant(0, out.shape[-1:], out.dtype), out=out)
            return
    matrix = _by_group(kernel, groups)
    wide_bias = None if bias is None else widest(bias)

    def compute(samples: slice) -> None:
        share = out[samples]
        for part, patches in _patches(x[samples], windows, groups):
            target = share[part]
            if EXACT and is_exact():
                _exact_products(patches, matrix, _by_group(target, groups))
            else:
                np.matmul(patches, matrix, out=_by_group(target, groups))
            if wide_bias is not None:
                (wide,) = wide_rows(target)
                np.add(wide, wide_bias[: wide.shape[1]], out=wide)
            if rectify:
                np.maximum(target, constant(0, target.shape[-1:], target.dtype), out=target)

    run(compute, _shares(out, kernel))


def _exact_products(a: Array, b: Array, out: Array) -> None:
    for rows, matrix, target in zip(a, b, out, strict=True):
        result = np.empty(target.shape, target.dtype)
        product(np.ascontiguousarray(rows), np.ascontiguousarray(matrix), result)
        target[...] = result


def convolve_kernel_gradient(
    x: Array, dy: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """``out[q] = Σ x[n, s p + d q - before]ᵀ dy[n, p]`` over samples n and windows p."""
    for tiled in (tiles, lines):
        if tiled.suits(len(x), out, windows, groups):
            tiled.convolve_kernel_gradient(x, dy, windows, out)
            return
    slices = _shares(dy, out)
    totals = scratch("kernel gradients", (len(slices), *_by_group(out, groups).shape), out.dtype)

    def compute(samples: slice) -> None:
        total = totals[slices.index(samples)]
        total[...] = 0
        term = scratch("kernel gradient", total.shape, total.dtype)
        share = dy[samples]
        for part, patches in _patches(x[samples], windows, groups):
            products(patches.transpose(0, 2, 1), _by_group(share[part], groups), term)
            total += term

    run(compute, slices)
    np.add.reduce(totals, axis=0, out=_by_group(out, groups))


def convolve_input_gradient(
    dy: Array, kernel: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """``out[n, s p + d q - before] = Σ dy[n, p] kernel[q]ᵀ`` over the windows p and offsets q.

    With a stride of 1 this is a convolution of dy with the kernel reversed along its axes, which is
    the faster way unless there are many more filters than channels. Measured for 3 x 3: 16 to 16
    channels 5.8 against 14 ms; 64 to 128 12 against 9.5.
    """
    back = windows.reversed()
    in_tiles = any(t.suits(len(dy), kernel, back, groups) for t in (tiles, lines))
    if in_tiles or is_a_convolution(kernel, windows, groups):
        convolve(dy, reversed_kernel(kernel, groups), back, out, groups)
        return
    matrix = _by_group(kernel, groups)
    few = kernel.shape[-2] <= FEW_CHANNELS
    in_lines = len(windows.sizes) > 1 and FEW_CHANNELS < kernel.shape[-2] < MANY_CHANNELS

    def compute(samples: slice) -> None:
        share, target = dy[samples], out[samples]
        target[...] = 0
        target = target.reshape(*target.shape[:-1], groups, target.shape[-1] // groups)
        for part in parts(len(share), windows, matrix.shape[1] * groups):
            added, found = _added(share[part], matrix, windows, few), windows
            if in_lines:
                added, found = _lines(added, windows), windows.without_last()
            for offset, seeing, seen in found.offsets(part[1]):
                target[part[0]][seen] += added[offset][seeing]

    run(compute, _shares(dy, kernel))


def _added(dy: Array, matrix: Array, windows: Windows, few: bool) -> Array:
    """Return what each window adds to the entries that it sees.

    Returns:
        An array (*kernel, batch, *windows, groups, channels of a group).
    """
    groups, width, _ = matrix.shape
    rank, rows = len(windows.sizes), _by_group(dy, groups)
    # Views by transpose, as np.moveaxis takes 10 µs in which no other thread executes Python.
    if few:
        columns = scratch("columns", (groups, width, rows.shape[1]), dy.dtype)
        np.matmul(matrix, rows.transpose(0, 2, 1), out=columns)
        added = columns.reshape(groups, *windows.kernel, -1, *dy.shape[:-1])
        kernel, channels, places = range(1, rank + 1), rank + 1, range(rank + 2, 2 * rank + 3)
    else:
        columns = scratch("columns", (groups, rows.shape[1], width), dy.dtype)
        np.matmul(rows, matrix.transpose(0, 2, 1), out=columns)
        added = columns.reshape(groups, *dy.shape[:-1], *windows.kernel, -1)
        places, kernel, channels = range(1, rank + 2), range(rank + 2, 2 * rank + 2), 2 * rank + 2
    return added.transpose(*kernel, *places, 0, channels)


def _lines(added: Array, windows: Windows) -> Array:
    """Add what windows side by side add to the entries of a line.

    Args:
        added: the result of :func:`_added`.
        windows: the windows.

    Returns:
        An array (*kernel but the last, batch, *windows but the last, last size, groups, channels).
    """
    rank = len(windows.sizes)
    size, kernel, stride, dilation, before, count = (sizes[-1] for sizes in windows)
    batch, *counts, _, groups, channels = added.shape[rank:]
    shape = (batch, *counts, *windows.kernel[:-1], windows.padded[-1], groups, channels)
    lines = scratch("lines", shape, added.dtype)
    lines[...] = 0
    kernel_axes, places = range(rank, 2 * rank - 1), range(rank)
    lines = lines.transpose(*kernel_axes, *places, -3, -2, -1)
    last = rank - 1  # the last axis of the kernel: to the end, before groups and channels
    added = added.transpose(*range(last), *range(rank, 2 * rank + 1), last, -2, -1)
    for i in range(count):
        seen = slice(stride * i, stride * i + (kernel - 1) * dilation + 1, dilation)
        lines[..., seen, :, :] += added[..., i, :, :, :]
    return lines[..., before : before + size, :, :]


def _shares(y: Array, kernel: Array) -> list[slice]:
    """Cut the batch for the threads; to copy an entry takes as long as ten multiplications."""
    filters = y.shape[-1]
    return shares(len(y), (filters + 10) * (y.size // filters) * (kernel.size // filters))


def shares_of(y: Array, kernel: Array) -> list[slice]:
    """Cut the batch for the threads, by the multiplications of a convolution with the output y."""
    return shares(len(y), work_of(y, kernel))


def work_of(y: Array, kernel: Array) -> int:
    """Return the number of multiplications of a convolution with the output y."""
    return y.size * (kernel.size // kernel.shape[-1])


def is_a_convolution(kernel: Array, windows: Windows, groups: int) -> bool:
    """Return whether the input gradient is computed as a convolution with the reversed kernel."""
    return set(windows.strides) == {1} and kernel.shape[-1] <= kernel.shape[-2] * groups


def reversed_kernel(kernel: Array, groups: int) -> Array:
    """Return the kernel reversed along its spatial axes, with channels and filters exchanged."""
    *sizes, channels, filters = kernel.shape
    flipped = np.flip(kernel, axis=tuple(range(len(sizes))))
    grouped = flipped.reshape(*sizes, channels, groups, filters // groups)
    swapped = np.swapaxes(grouped, -1, -3)  # (*sizes, filters of a group, groups, channels)
    return np.ascontiguousarray(swapped).reshape(*sizes, filters // groups, groups * channels)


def _patches(
    x: Array, windows: Windows, groups: int
) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """Yield the patches of x part by part, (groups, windows, offsets and channels of a group)."""
    channels, rank = x.shape[-1] // groups, len(windows.sizes)
    width = math.prod(windows.kernel) * channels
    cut = list(parts(len(x), windows, width * groups))
    padded = None
    if windows.padded != windows.sizes:
        most = max((samples.stop - samples.start for samples, _ in cut), default=0)
        padded = scratch("padded", (most, *windows.padded, x.shape[-1]), x.dtype)
        padded[...] = 0
        inside = tuple(slice(b, b + n) for b, n in zip(windows.before, windows.sizes, strict=True))
    few = windows.kernel[-1] * channels <= _FEW_NUMBERS
    place, offset = list(range(1 + rank)), list(range(1 + rank, 1 + 2 * rank))
    group, channel = 1 + 2 * rank, 2 + 2 * rank
    order = [group, *offset, channel, *place] if few else [group, *place, *offset, channel]
    done = None
    for samples, first in cut:
        block = x[samples]
        if padded is not None:
            block = padded[: len(block)]
            if samples != done:
                block[(slice(None), *inside)], done = x[samples], samples
        view = windows.view(block)[:, first]
        if groups == 1 and view.flags.c_contiguous:  # a kernel of one entry, or as large as x
            yield (samples, first), view.reshape(1, -1, width)
            continue
        moved = view.reshape(*view.shape[:-1], groups, channels).transpose(order)
        copy = scratch("patches", moved.shape, x.dtype)
        np.copyto(copy, moved)
        if few:
            yield (samples, first), copy.reshape(groups, width, -1).transpose(0, 2, 1)
        else:
            yield (samples, first), copy.reshape(groups, -1, width)


def _by_group(x: Array, groups: int) -> Array:
    """View (..., channels) as (groups, rows, channels of a group)."""
    return x.reshape(-1, groups, x.shape[-1] // groups).transpose(1, 0, 2)


def channel_sums(x: Array, out: Array) -> None:
    """``out = Σ x[n, p]`` over samples n and places p, (channels,).

    Products with ones, of a few rows each so that they round little, are added up in float64.
    """
    (rows,) = wide_rows(x, width=_SUMMED)
    count = -(-len(rows) // _ROWS)
    sums = np.empty((count, rows.shape[1]), x.dtype)
    ones = constant(1, (_ROWS,), x.dtype)

    def compute(blocks: slice) -> None:
        for i in range(blocks.start, blocks.stop):
            block = rows[_ROWS * i : _ROWS * (i + 1)]
            np.dot(ones[: len(block)], block, out=sums[i])

    run(compute, shares(count, PASS * x.size))
    dtype = accumulator_dtype(x)
    out[...] = np.add.reduce(sums.reshape(-1, x.shape[-1]), axis=0, dtype=dtype)
