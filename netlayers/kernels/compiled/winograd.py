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

The results are at least as accurate as the direct sum, which adds up more terms one after the
other: the largest error, in standard deviations of y, of 3 x 3 with 64 and 128 channels is 3e-6 and
4e-6 in float32, that of the direct sum 8e-6 and 1e-5. Larger tiles would save more and round more.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), equations 8 to
    12.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.kernels.compiled import convolution
from netlayers.kernels.compiled.filtering import BY_LENGTH
from netlayers.kernels.compiled.places import convolution_places
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.compiled.transforms import transform
from netlayers.kernels.convolution import reversed_kernel, shares_of
from netlayers.kernels.threads import run, scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.compiled.filtering import Map
    from netlayers.kernels.windows import Windows

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: tile 88552b7ace22, transforms 3b71bb4f190a,
# filtering d8407c008f31, convolution 192d52f1d8bf.

# The kernels that are computed in tiles, series as kernels of one column, and the channels and
# filters from which on the transforms cost less than the products save. The time of the direct sum
# by that of tiles for y, the kernel's gradient and that of x, on two threads:
#
#   3 x 3   16 channels 1.2, 1.1, 1.1; 32 1.6, 1.6, 1.6; 64 1.9, 1.7, 1.9; 128 1.9, 1.7, 1.9
#   5 x 5   16 channels 1.0, 1.0, 1.0; 24 1.3, 1.3, 1.3; 64 1.6, 1.4, 1.5
#   3       32 channels 1.0, 1.0, 1.0; 48 1.1, 1.0, 1.1; 64 1.2, 1.1, 1.2; 128 1.3, 1.2, 1.3
#   5       32 channels 1.0, 1.0, 1.0; 48 1.2, 1.1, 1.1; 64 1.2, 1.1, 1.2
#   7       16 channels 0.8, 0.6, 0.8; 32 1.1, 1.0, 1.1; 64 1.3, 1.2, 1.3; 128 1.4, 1.3, 1.4
FEWEST = {(3, 3): 16, (5, 5): 24, (3, 1): 48, (5, 1): 48, (7, 1): 32}
KINDS = list(FEWEST)
# Outputs of a sample, for which U is worth its time even with a single sample.
_OUTPUTS = 16
# Entries of the tiles of a block, of input and output each: 256 KiB in float32.
_BLOCK = 1 << 16
_LINE = 16  # entries between places, so that they do not fall on the same lines of the cache

# Set by :func:`compiled_winograd`.
_entries: Any = None
_multiply: Any = None
_pad: Any = None
_spread_input: Any = None
_spread_gradient: Any = None
_spread_kernel: Any = None
_gather_output: Any = None
_gather_kernel: Any = None
_BYTES = 0


class _Tile(NamedTuple):
    """A tile as the loops take it: ``high`` x ``wide`` outputs from ``places`` products.

    Attributes:
        kind: place of the kernel in ``KINDS``.
        high: outputs under each other.
        wide: outputs side by side.
        places: entries of V, U and M.
        columns: those of them side by side.
        brought: the place that A brings to all outputs of a tile, and so a bias.
    """

    kind: int
    high: int
    wide: int
    places: int
    columns: int
    brought: int


@functools.cache
def _tile_of(sizes: tuple[int, int]) -> _Tile:
    """Return the tile for a kernel."""
    (*_, down), (*_, along) = (BY_LENGTH[size] for size in sizes)
    high, wide = len(down[0]), len(along[0])
    brought = down.index((1,) * high) * len(along) + along.index((1,) * wide)
    return _Tile(KINDS.index(sizes), high, wide, len(down) * len(along), len(along), brought)


def winograd_share(
    x: Array,
    samples: int,
    image: Array,
    lines: Array,
    length: int,
    pitch: int,
    across: int,
    tile: _Tile,
    channels: int,
    u: Array,
    firsts: Array,
    v: Array,
    m: Array,
    block: int,
    out: Array,
) -> None:
    """``out = bias + Σ x kernel`` in tiles; all arrays but ``firsts`` are flat.

    Args:
        x: the input; without padding, ``image`` is empty and x itself takes its place.
        samples: number of samples.
        image: memory for a padded sample.
        lines: where the lines of a sample begin in the padded image.
        length: entries of a line of a sample.
        pitch: entries of a line of the padded image; a series has lines of the dilation.
        across: tiles side by side.
        tile: see :class:`_Tile`.
        channels: channels of x.
        u: the kernel, (places, channels, filters).
        firsts: zeros and the bias, (2, filters).
        v: memory for the tiles of the input, for each place ``block`` tiles.
        m: memory for the tiles of the output.
        block: number of tiles in a block.
        out: the output.
    """
    kind, high, wide, places, columns, brought = tile
    filters, nowhere = firsts.shape[1], np.zeros(1, np.int64)
    size, out_size = x.size // max(1, samples), out.size // max(1, samples)
    tiles, width = out_size // (high * wide * filters), _BYTES // x.itemsize
    v_pitch, m_pitch, row = v.size // places, m.size // places, wide * across * filters
    source = _entries(image) if image.size else _entries(x)
    spread, products, target = _entries(v), _entries(m), _entries(out)
    kernel, first, place = _entries(u), _entries(firsts), _entries(nowhere)
    start = 0
    for sample in range(samples):
        if image.size:
            _pad(x, sample * size, lines, length, image)
        else:
            start = sample * size
        for begin in range(0, tiles, block):
            count = min(block, tiles - begin)
            for t in range(count):
                i, j = (begin + t) // across, (begin + t) % across
                at = start + high * i * pitch + wide * j * channels
                _spread_input(
                    kind,
                    channels,
                    (source, at, pitch, channels),
                    (spread, t * channels, columns * v_pitch, v_pitch),
                )
            for p in range(places):
                _multiply(
                    0, count, filters, width, 1, channels,
                    (spread, p * v_pitch, channels, 1, place),
                    (kernel, p * channels * filters, filters, place),
                    (first, filters if p == brought else 0, 0),
                    (products, p * m_pitch, filters),
                )  # fmt: skip
            for t in range(count):
                i, j = (begin + t) // across, (begin + t) % across
                at = sample * out_size + high * i * row + wide * j * filters
                _gather_output(
                    kind,
                    filters,
                    (products, t * filters, columns * m_pitch, m_pitch),
                    (target, at, row, filters),
                )


def winograd_gradient_share(
    x: Array,
    samples: int,
    image: Array,
    lines: Array,
    length: int,
    pitch: int,
    across: int,
    tile: _Tile,
    channels: int,
    dy: Array,
    filters: int,
    v: Array,
    m: Array,
    block: int,
    total: Array,
) -> None:
    """``total = Σ V dM``, (places, channels, filters); see :func:`winograd_share`."""
    kind, high, wide, places, columns, _ = tile
    nowhere = np.zeros(1, np.int64)
    size, dy_size = x.size // max(1, samples), dy.size // max(1, samples)
    tiles, width = dy_size // (high * wide * filters), _BYTES // x.itemsize
    v_pitch, m_pitch, row = v.size // places, m.size // places, wide * across * filters
    source = _entries(image) if image.size else _entries(x)
    spread, gradients, given = _entries(v), _entries(m), _entries(dy)
    sums, place = _entries(total), _entries(nowhere)
    total[:] = 0
    start = 0
    for sample in range(samples):
        if image.size:
            _pad(x, sample * size, lines, length, image)
        else:
            start = sample * size
        for begin in range(0, tiles, block):
            count = min(block, tiles - begin)
            for t in range(count):
                i, j = (begin + t) // across, (begin + t) % across
                at = start + high * i * pitch + wide * j * channels
                _spread_input(
                    kind,
                    channels,
                    (source, at, pitch, channels),
                    (spread, t * channels, columns * v_pitch, v_pitch),
                )
                at = sample * dy_size + high * i * row + wide * j * filters
                _spread_gradient(
                    kind,
                    filters,
                    (given, at, row, filters),
                    (gradients, t * filters, columns * m_pitch, m_pitch),
                )
            for p in range(places):
                matrix = p * channels * filters
                _multiply(
                    0, channels, filters, width, 1, count,
                    (spread, p * v_pitch, 1, channels, place),
                    (gradients, p * m_pitch, filters, place),
                    (sums, matrix, filters),
                    (sums, matrix, filters),
                )  # fmt: skip


def spread_kernel(kernel: Array, along: int, u: Array, tile: _Tile) -> None:
    """``U = G g Gᵀ`` of a kernel with ``along`` entries side by side; all arrays are flat."""
    kind, _, _, places, columns, _ = tile
    size = u.size // places
    source, target = _entries(kernel), _entries(u)
    _spread_kernel(kind, size, (source, 0, along * size, size), (target, 0, columns * size, size))


def gather_kernel(u: Array, kernel: Array, along: int, tile: _Tile) -> None:
    """``g = Gᵀ U G``; see :func:`spread_kernel`."""
    kind, _, _, places, columns, _ = tile
    size = u.size // places
    source, target = _entries(u), _entries(kernel)
    _gather_kernel(kind, size, (source, 0, columns * size, size), (target, 0, along * size, size))


def compiled_winograd(compiled: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Compile the loops and return the kernels by name, after :func:`compiled_convolutions`."""
    module = globals()
    module["_entries"] = declared()[0]
    module["_multiply"], module["_pad"] = convolution._multiply, convolution._pad
    module["_BYTES"] = VECTORS * registers().size
    maps = [[BY_LENGTH[size] for size in sizes] for sizes in KINDS]
    module["_spread_input"] = transform([(down.b, along.b) for down, along in maps])
    module["_spread_kernel"] = transform([(down.g, along.g) for down, along in maps])
    module["_spread_gradient"] = transform([(down.a, along.a) for down, along in maps])
    module["_gather_output"] = transform([(_swap(down.a), _swap(along.a)) for down, along in maps])
    module["_gather_kernel"] = transform([(_swap(down.g), _swap(along.g)) for down, along in maps])
    for loop in (winograd_share, winograd_gradient_share, spread_kernel, gather_kernel):
        module[loop.__name__] = compiled(loop)
    return {kernel.__name__: kernel for kernel in KERNELS}


def _swap(matrix: Map) -> Map:
    """Transpose a matrix."""
    return tuple(zip(*matrix, strict=True))


def _suits(kernel: Array, windows: Windows, groups: int) -> _Tile | None:
    """Return the tile if tiles are the faster way, and possible: even sizes of the output."""
    sizes, counts = windows.kernel, windows.counts
    if len(sizes) == 1 and not counts[0] % windows.dilation[0]:
        sizes, counts = (*sizes, 1), (counts[0] // windows.dilation[0], windows.dilation[0])
    elif set(windows.dilation) != {1}:
        return None
    if (
        sizes not in FEWEST
        or min(kernel.shape[-2:]) < FEWEST[sizes]
        or set(windows.strides) != {1}
        or math.prod(counts) < _OUTPUTS
        or not convolution._compiles(kernel, groups)
    ):
        return None
    tile = _tile_of(sizes)
    return None if counts[0] % tile.high or counts[1] % tile.wide else tile


class _Tiles:
    """Memory and geometry of a share of the batch, in each thread."""

    def __init__(
        self, x: Array, windows: Windows, tile: _Tile, channels: int, filters: int
    ) -> None:
        places = convolution_places(windows, channels, filters)
        tiles = math.prod(windows.counts) // (tile.high * tile.wide)
        self.block = max(1, min(tiles, _BLOCK // (tile.places * max(channels, filters))))
        self.image = convolution._image(places, x.dtype)
        self.v, self.m = (
            scratch(name, (tile.places * (self.block * width + _LINE),), x.dtype)
            for name, width in (("tiles of x", channels), ("tiles of y", filters))
        )
        if len(windows.sizes) == 1:  # lines of as many entries as the dilation
            pitch, across = windows.dilation[0] * channels, windows.dilation[0]
        else:
            pitch, across = windows.padded[1] * channels, windows.counts[1] // tile.wide
        self.geometry = self.image, places.lines, places.length, pitch, across, tile, channels


def convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve`."""
    tile = _suits(kernel, windows, groups)
    if tile is None:
        convolution.convolve(x, kernel, windows, out, groups, bias)
        return
    channels, filters = kernel.shape[-2:]
    u = scratch("spread kernel", (tile.places * channels * filters,), x.dtype)
    spread_kernel(np.ascontiguousarray(kernel).reshape(-1), KINDS[tile.kind][1], u, tile)
    firsts = np.zeros((2, filters), x.dtype)
    firsts[1] = 0 if bias is None else bias

    def compute(samples: slice) -> None:
        part, tiles = x[samples], _Tiles(x, windows, tile, channels, filters)
        winograd_share(
            part.reshape(-1), len(part), *tiles.geometry, u, firsts, tiles.v, tiles.m,
            tiles.block, out[samples].reshape(-1),
        )  # fmt: skip

    run(compute, shares_of(out, kernel))


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
    shares = shares_of(dy, out)
    totals = scratch("kernel gradients", (len(shares), tile.places * channels * filters), out.dtype)

    def compute(samples: slice) -> None:
        part, tiles = x[samples], _Tiles(x, windows, tile, channels, filters)
        winograd_gradient_share(
            part.reshape(-1), len(part), *tiles.geometry, dy[samples].reshape(-1),
            filters, tiles.v, tiles.m, tiles.block, totals[shares.index(samples)],
        )  # fmt: skip

    run(compute, shares)
    gather_kernel(np.add.reduce(totals, axis=0), out.reshape(-1), KINDS[tile.kind][1], tile)


KERNELS: tuple[Any, ...] = (convolve, convolve_kernel_gradient, convolve_input_gradient)
