"""Convolutions with about half of the multiplications, by Winograd's minimal filtering.

A tile of two neighbouring outputs, or of 2 x 2 of an image, sees few entries d of the input: 4 x 4
for a kernel g of 3 x 3. With the small constant matrices A, B and G of ``filtering.py``, the tile
and the gradients are::

    V = Bᵀ d B,   U = G g Gᵀ        (for every channel and filter)
    y = Aᵀ M A,   M = Σ U V         product by product, a sum over the channels
    dM = A dy Aᵀ, dU = Σ V dM       a sum over tiles and samples;  dg = Gᵀ dU G

For each of the places, 16 for 3 x 3, the sums over channels, and those over tiles, are matrix
products. The input gradient is a convolution with the reversed kernel, as in
``kernels/convolution.py``. A bias is the first term of a place in M, from where A brings it to all
outputs.

A series is an image with as many columns as the dilation, so that the entries that a window sees
lie under each other; its kernel is one entry wide.

An entry of x that is infinite makes outputs that see it NaN, as differences of infinities. With 5
and 7 entries, the output of the same tile that does not see it can be NaN as well.

The results are at least as accurate as the direct sum, which adds up more terms one after the
other: the largest error, in standard deviations of y, of 3 x 3 with 64 and 128 channels is 3e-6 and
4e-6 in float32, that of the direct sum 8e-6 and 1e-5. Larger tiles would save more and round more.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), equations 8 to
    12.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled import convolution, tiles
from netlayers.kernels.compiled.matrix import PRODUCT, code_of
from netlayers.kernels.compiled.places import convolution_places
from netlayers.kernels.compiled.tiles import KINDS, tile_of
from netlayers.kernels.compiled.workers import gradient_share_count, in_shares, share_count
from netlayers.kernels.convolution import reversed_kernel, work_of
from netlayers.kernels.threads import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.compiled.tiles import Tile
    from netlayers.kernels.windows import Windows

# The kernels that are computed in tiles, series as kernels of one column, and the channels and
# filters from which on the transforms cost less than the products save. The time of the direct sum
# by that of tiles for y, the kernel's gradient and that of x, on two threads:
#
#   3 x 3   16 channels 1.2, 1.1, 1.1; 32 1.6, 1.6, 1.6; 64 1.9, 1.7, 1.9; 128 1.9, 1.7, 1.9
#   5 x 5   16 channels 1.0, 1.0, 1.0; 24 1.3, 1.3, 1.3; 64 1.6, 1.4, 1.5
#   3       32 channels 1.0, 1.0, 1.0; 48 1.1, 1.0, 1.1; 64 1.2, 1.1, 1.2; 128 1.3, 1.2, 1.3
#   5       24 channels 1.1, 1.1, 1.1; 32 1.1, 1.2, 1.1; 64 1.4, 1.3, 1.4; 128 1.6, 1.4, 1.6
#   7       16 channels 1.0, 0.8, 0.9; 24 1.1, 1.1, 1.1; 64 1.5, 1.4, 1.6; 128 1.7, 1.6, 1.7
#
# Where the last tiles of rows and columns overlap those before, 3 x 3 on one thread:
#
#   11 x 11 16 channels 0.8, 0.8, 0.8; 32 1.1, 1.1, 1.1; 64 1.4, 1.4, 1.4
#   7 x 7   16 channels 0.7, 0.7, 0.7; 32 1.0, 1.0, 1.0; 64 1.2, 1.2, 1.2
FEWEST = {(3, 3): 16, (5, 5): 24, (3, 1): 48, (5, 1): 32, (7, 1): 24}
# Where tiles overlap, at least so many times these channels, and at most this part of the direct
# sum's multiplications.
_TIMES, _PRODUCTS = 2, 0.6
# Outputs of a sample, for which U is worth its time even with a single sample.
_OUTPUTS = 16
# Outputs of all samples below which direct sums, in shares of any size, take less time: 11 x 11,
# 32 to 64 channels, 51 µs in tiles, 48 in sums, and half of that on two threads.
_FEW = 512
# Entries of the tiles of a block, of input and output each: 256 KiB in float32; and most tiles.
_BLOCK, _BLOCK_TILES = 1 << 16, 64
_LINE = 16  # entries between places, so that they do not fall on the same lines of the cache


def compiled_winograd(compiled: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Compile the loops and return the kernels by name, after :func:`compiled_convolutions`."""
    tiles.compiled_tiles(compiled)
    return {kernel.__name__: kernel for kernel in KERNELS}


def _suits(kernel: Array, windows: Windows, groups: int) -> Tile | None:
    """Return the tile if tiles are the faster way, and possible."""
    sizes, counts = (*windows.kernel, 1)[:2], _counts(windows)
    if (
        sizes not in FEWEST
        or counts is None
        or min(kernel.shape[-2:]) < FEWEST[sizes]
        or set(windows.strides) != {1}
        or math.prod(counts) < _OUTPUTS
        or not convolution._compiles(kernel, groups)
    ):
        return None
    tile = tile_of(sizes)
    if counts[0] < tile.high or counts[1] < tile.wide:
        return None
    if counts[0] % tile.high or counts[1] % tile.wide:  # the last tiles overlap
        few = min(kernel.shape[-2:]) < _TIMES * FEWEST[sizes]
        products = _tiles(counts, tile) * tile.places
        if few or products > _PRODUCTS * math.prod(counts) * math.prod(sizes):
            return None
    return tile


def _counts(windows: Windows) -> tuple[int, int] | None:
    """Return rows and columns of the output, ``None`` if tiles do not fit; see the module."""
    counts, dilation = windows.counts, windows.dilation
    if len(counts) == 1 and not counts[0] % dilation[0]:
        return counts[0] // dilation[0], dilation[0]
    return counts if len(counts) == 2 and set(dilation) == {1} else None


def _tiles(counts: tuple[int, int], tile: Tile) -> int:
    """Return the number of tiles of a sample; the last ones of a row or column may overlap."""
    return -(-counts[0] // tile.high) * -(-counts[1] // tile.wide)


class _Tiles:
    """Memory and geometry of the tiles, for a number of threads."""

    def __init__(
        self, x: Array, windows: Windows, tile: Tile, channels: int, filters: int, threads: int
    ) -> None:
        places = convolution_places(windows, channels, filters)
        counts: Any = _counts(windows)
        most = max(1, _BLOCK // (tile.places * max(channels, filters)))
        self.block = min(_tiles(counts, tile), most, _BLOCK_TILES)
        images = convolution._images(places, x.dtype, threads)
        self.v, self.m = (
            scratch(name, (threads, tile.places * (self.block * width + _LINE)), x.dtype)
            for name, width in (("tiles of x", channels), ("tiles of y", filters))
        )
        # Those of a series are lines of as many entries as the dilation.
        pitch = (counts[1] if len(windows.sizes) == 1 else windows.padded[1]) * channels
        corners = tiles.corners_of(counts, tile, pitch, channels, filters)
        self.geometry = (
            images, places.lines, places.length, pitch, counts[1], corners, tile, channels
        )  # fmt: skip


def _tile_for(x: Array, kernel: Array, windows: Windows, groups: int) -> Tile | None:
    enough = len(x) * math.prod(windows.counts) >= _FEW
    return _suits(kernel, windows, groups) if enough else None


def prepared_convolve(
    x: Array, kernel: Array, windows: Windows, out: Array, groups: int, *others: Any
) -> Callable[[Array, Array], None] | None:
    """See :meth:`netlayers.kernels.reference.Kernels.prepared_convolve`."""
    if _tile_for(x, kernel, windows, groups) is not None:
        return None
    return convolution.prepared_convolve(x, kernel, windows, out, groups, *others)


def convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
    rectify: bool = False,
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve`."""
    tile = _tile_for(x, kernel, windows, groups)
    if tile is None:
        convolution.convolve(x, kernel, windows, out, groups, bias, rectify)
        return
    channels, filters = kernel.shape[-2:]
    u = scratch("spread kernel", (tile.places * channels * filters,), x.dtype)
    tiles.spread_kernel(np.ascontiguousarray(kernel).reshape(-1), KINDS[tile.kind][1], u, tile)
    firsts = np.zeros((2, filters), x.dtype)
    firsts[1] = 0 if bias is None else bias

    work, code = work_of(out, kernel), code_of(PRODUCT, x.dtype)
    count = share_count(len(x), work)

    def arguments(threads: int) -> tuple[Any, ...]:
        its = _Tiles(x, windows, tile, channels, filters, threads)
        return (
            count, code, x.reshape(-1), len(x), *its.geometry, u, firsts, its.v, its.m, its.block,
            out.reshape(-1), rectify,
        )  # fmt: skip

    in_shares(tiles.convolve_tiles_in_shares, count, arguments, work)


def convolve_input_gradient(
    dy: Array, kernel: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve_input_gradient`."""
    back = windows.reversed()
    if _suits(kernel, back, groups):
        convolve(dy, reversed_kernel(kernel, 1), back, out)
    else:
        convolution.convolve_input_gradient(dy, kernel, windows, out, groups)


def convolve_kernel_gradient(
    x: Array, dy: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve_kernel_gradient`."""
    tile = _suits(out, windows, groups)
    if tile is None:
        convolution.convolve_kernel_gradient(x, dy, windows, out, groups)
        return
    channels, filters = out.shape[-2:]
    size, work = tile.places * channels * filters, work_of(dy, out)
    count = gradient_share_count(len(x), work, size)
    totals = scratch("kernel gradients", (count, size), out.dtype)
    code = code_of(PRODUCT, x.dtype)

    def arguments(threads: int) -> tuple[Any, ...]:
        its = _Tiles(x, windows, tile, channels, filters, threads)
        return (
            count, code, x.reshape(-1), len(x), *its.geometry, dy.reshape(-1), filters, its.v,
            its.m, its.block, totals,
        )  # fmt: skip

    in_shares(tiles.gradient_of_tiles_in_shares, count, arguments, work)
    tiles.gather_kernel(np.add.reduce(totals, axis=0), out.reshape(-1), KINDS[tile.kind][1], tile)


KERNELS: tuple[Any, ...] = (
    prepared_convolve, convolve, convolve_kernel_gradient, convolve_input_gradient,
)  # fmt: skip
