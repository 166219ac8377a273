"""Convolutions of images with 3 x 3 in tiles of 2 x 2 outputs: 16 instead of 36 multiplications.

A tile of outputs y sees 4 x 4 entries d of the input. With the kernel g and the matrices A, B and G
of minimal filtering::

    V = Bᵀ d B,   U = G g Gᵀ        (for every channel and filter)
    y = Aᵀ M A,   M = Σ U V         product by product, a sum over the channels
    dM = A dy Aᵀ, dU = Σ V dM       a sum over tiles and samples;  dg = Gᵀ dU G

    Bᵀ d: d0 - d2, d1 + d2, d2 - d1, d3 - d1
    G g:  g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2
    Aᵀ m: m0 + m1 + m2, m1 - m2 + m3

For each of the 16 places, the sums over the channels, and those over tiles, are matrix products.
The others are passes over arrays, along one axis after the other. So the tiles are computed in
blocks, that neither leave the cache nor are so small that threads wait for each other between
calls of NumPy.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), equations 8 to
    12, with the last row of Bᵀ and the last column of Aᵀ negated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.threads import run, scratch, shares
from netlayers.kernels.windows import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# Channels and filters from which on the passes cost less than the products save. The time of
# patches by that of tiles for y, the kernel's gradient and that of x, on two threads:
#
#   32 to 32, 16 x 16    1.0, 1.0, 1.0
#   64 to 64, 8 x 8      1.1, 1.0, 1.1
#   64 to 64, 32 x 32    1.2, 1.1, 1.2
#   128 to 128, 16 x 16  1.4, 1.3, 1.4
_FEWEST = 256
# Tiles from which on the transforms of the kernel are worth their time.
_TILES = 256
_PLACES = 4 * 4
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def suits(samples: int, kernel: Array, windows: Windows, groups: int) -> bool:
    """Return whether tiles are possible and the faster way."""
    high, wide = _tiles(windows) if len(windows.sizes) == 2 else (0, 0)
    return (
        windows.kernel == (3, 3)
        and {*windows.strides, *windows.dilation, groups} == {1}
        and min(kernel.shape[-2:]) >= _FEWEST
        and samples * high * wide >= _TILES
        and not (EXACT and is_exact())
    )


def convolve(x: Array, kernel: Array, windows: Windows, out: Array, bias: Array | None) -> None:
    """``out[n, p] = bias + Σ x[n, p + q - before] kernel[q]``, see ``convolution.py``."""
    channels, filters = kernel.shape[-2:]
    lines = np.matmul(G.astype(kernel.dtype), kernel.reshape(3, -1)).reshape(4, 3, -1)
    u = np.matmul(G.astype(kernel.dtype), lines).reshape(_PLACES, channels, filters)

    def compute(share: slice) -> None:
        for samples, rows in _blocks(share, windows, max(channels, filters)):
            v = _spread(x[samples], windows, rows)
            m = scratch("tiles of y", (*v.shape[:-1], filters), x.dtype)
            np.matmul(v.reshape(_PLACES, -1, channels), u, out=m.reshape(_PLACES, -1, filters))
            if bias is not None:
                m[1, 1] += bias  # the place that is in all outputs of a tile, with the factor 1
            lines = scratch("lines of y", (2, *m.shape[1:]), x.dtype)
            outputs(m, lines)
            target = out[samples, 2 * rows.start : 2 * rows.stop]
            for i in range(2):
                outputs(lines[i], [target[:, i::2, j::2] for j in range(2)])

    run(compute, _shares(out, channels))


def convolve_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """``out[q] = Σ x[n, p + q - before]ᵀ dy[n, p]`` over samples n and windows p."""
    channels, filters = out.shape[-2:]
    slices = _shares(dy, channels)
    totals = scratch("tiles of kernels", (len(slices), _PLACES, channels, filters), out.dtype)

    def compute(share: slice) -> None:
        total = totals[slices.index(share)]
        total[...] = 0
        term = scratch("tiles of a kernel", total.shape, out.dtype)
        for samples, rows in _blocks(share, windows, max(channels, filters)):
            v = _spread(x[samples], windows, rows).reshape(_PLACES, -1, channels)
            m = _spread_gradient(dy[samples, 2 * rows.start : 2 * rows.stop])
            np.matmul(v.transpose(0, 2, 1), m.reshape(_PLACES, -1, filters), out=term)
            total += term

    run(compute, slices)
    lines = np.matmul(G.T.astype(out.dtype), np.add.reduce(totals, axis=0).reshape(4, -1))
    out[...] = np.matmul(G.T.astype(out.dtype), lines.reshape(3, 4, -1)).reshape(out.shape)


def _spread(x: Array, windows: Windows, rows: slice) -> Array:
    """Return V of some rows of tiles, (4, 4, batch, rows, tiles of a row, channels)."""
    count, (_, across), channels = rows.stop - rows.start, _tiles(windows), x.shape[-1]
    height, width = windows.sizes
    above, left = windows.before[0] - 2 * rows.start, windows.before[1]
    # The columns of a line: the even ones, then the odd ones, so that passes are over long rows.
    image = scratch("image", (len(x), 2 * count + 2, 2, across + 1, channels), x.dtype)
    image[...] = 0
    low, high = max(0, -above), min(height, 2 * count + 2 - above)
    for odd in range(2):
        begin = max(0, (left - odd + 1) // 2)
        end = min(across + 1, (width + left - odd + 1) // 2)
        seen = slice(2 * begin + odd - left, 2 * end + odd - left, 2)
        image[:, low + above : high + above, odd, begin:end] = x[:, low:high, seen]
    lines = scratch("lines of x", (4, len(x), count, 2, across + 1, channels), x.dtype)
    inputs([image[:, i : i + 2 * count : 2] for i in range(4)], lines)
    v = scratch("tiles of x", (4, 4, len(x), count, across, channels), x.dtype)
    columns = [lines[..., j % 2, j // 2 : j // 2 + across, :] for j in range(4)]
    inputs(columns, v.swapaxes(0, 1))
    return v


def _spread_gradient(dy: Array) -> Array:
    """Return dM, (4, 4, batch, rows, tiles of a row, filters); what a tile lacks is 0."""
    batch, height, width, filters = dy.shape
    count, across = -(-height // 2), -(-width // 2)
    split = scratch("outputs", (2, batch, count, 2, across, filters), dy.dtype)
    if height % 2 or width % 2:
        split[...] = 0
    for i in range(2):
        for j in range(2):
            part = dy[:, i::2, j::2]
            split[i, :, : part.shape[1], j, : part.shape[2]] = part
    lines = scratch("lines of dy", (4, *split.shape[1:]), dy.dtype)
    gradients(split, lines)
    m = scratch("tiles of y", (4, 4, batch, count, across, filters), dy.dtype)
    gradients([lines[..., j, :, :] for j in range(2)], m.swapaxes(0, 1))
    return m


def inputs(d: Sequence[Array], out: Array) -> None:
    """``out = Bᵀ d``."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[3], d[1], out=out[3])


def outputs(m: Array, out: Sequence[Array] | Array) -> None:
    """``out = Aᵀ m``, without what a tile has over the edge; overwrites m."""
    np.add(m[0], m[1], out=m[0])
    np.subtract(m[1], m[2], out=m[1])
    for target, first, second in ((out[0], m[0], m[2]), (out[1], m[1], m[3])):
        *_, height, width, _ = target.shape
        np.add(first[..., :height, :width, :], second[..., :height, :width, :], out=target)


def gradients(dy: Sequence[Array] | Array, out: Array) -> None:
    """``out = A dy``."""
    np.copyto(out[0], dy[0])
    np.add(dy[0], dy[1], out=out[1])
    np.subtract(dy[0], dy[1], out=out[2])
    np.copyto(out[3], dy[1])


def _tiles(windows: Windows) -> tuple[int, int]:
    """Return the numbers of tiles under each other and side by side."""
    return -(-windows.counts[0] // 2), -(-windows.counts[1] // 2)


def _blocks(share: slice, windows: Windows, channels: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of the samples and of the rows of tiles.

    A block has a fourth of the entries of a part of patches, as several arrays are as large.
    """
    tiles = windows._replace(counts=_tiles(windows))
    for samples, rows in parts(share.stop - share.start, tiles, 4 * _PLACES * channels):
        yield slice(share.start + samples.start, share.start + samples.stop), rows


def _shares(y: Array, channels: int) -> list[slice]:
    return shares(len(y), 4 * y.size * channels)
