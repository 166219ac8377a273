"""Convolutions of 3 x 3 with 16 instead of 36 multiplications, by Winograd's minimal filtering.

A tile of 2 x 2 outputs sees 4 x 4 entries d of the input. With the kernel g and small constant
matrices A, B and G, the tile and the gradients are::

    V = Bᵀ d B,   U = G g Gᵀ        (4 x 4 each, for every channel and filter)
    y = Aᵀ M A,   M = Σ U V         product by product, a sum over the channels
    dM = A dy Aᵀ, dU = Σ V dM       a sum over tiles and samples;  dg = Gᵀ dU G

For each of the 16 places the sums over channels, and those over tiles, are matrix products. The
input gradient is a convolution with the reversed kernel, as in ``kernels/convolution.py``. A bias
is the first term of place (1, 1) in M, from where A brings it to all four outputs.

The results are at least as accurate as the direct sum, which adds up nine times as many terms one
after the other: the largest error, in standard deviations of y, of 64 and 128 channels is 3e-6 and
4e-6 in float32, that of the direct sum 8e-6 and 1e-5. Larger tiles would save more and round more.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), equations 8 to
    12, with the last row of Bᵀ and the last column of Aᵀ negated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled import convolution
from netlayers.kernels.compiled.places import convolution_places
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.compiled.transforms import transform
from netlayers.kernels.convolution import reversed_kernel, shares_of
from netlayers.kernels.threads import run, scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: tile 88552b7ace22, transforms b2541cabc7b5,
# convolution 192d52f1d8bf.

B = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))  # transposed
G = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
A = ((1, 0), (1, 1), (1, -1), (0, 1))

# From so many channels and filters on, the transforms cost less than the products save. The time of
# the direct sum by that of tiles for y, the kernel's gradient and that of x: 16 to 16 channels on
# 32 x 32 1.3 for x; 32 on 16 x 16 1.6, 1.6, 1.6; 64 on 8 x 8 1.8, 1.6, 1.8; 64 on 32 x 32 1.9, 1.7,
# 1.9; 128 on 16 x 16 1.9, 1.7, 1.9.
FEWEST = 16
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


def winograd_share(
    x: Array,
    samples: int,
    image: Array,
    lines: Array,
    length: int,
    pitch: int,
    across: int,
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
        pitch: entries of a line of the padded image.
        across: tiles side by side.
        channels: channels of x.
        u: the kernel, (16, channels, filters).
        firsts: zeros and the bias, (2, filters).
        v: memory for the tiles of the input, 16 places of ``block`` tiles.
        m: memory for the tiles of the output.
        block: number of tiles in a block.
        out: the output.
    """
    filters, nowhere = firsts.shape[1], np.zeros(1, np.int64)
    size, out_size = x.size // max(1, samples), out.size // max(1, samples)
    tiles, width = out_size // (4 * filters), _BYTES // x.itemsize
    v_pitch, m_pitch = v.size // 16, m.size // 16
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
                at = start + 2 * i * pitch + 2 * j * channels
                _spread_input(
                    channels,
                    (source, at, pitch, channels),
                    (spread, t * channels, 4 * v_pitch, v_pitch),
                )
            for p in range(16):
                _multiply(
                    0, count, filters, width, 1, channels,
                    (spread, p * v_pitch, channels, 1, place),
                    (kernel, p * channels * filters, filters, place),
                    (first, filters if p == 5 else 0, 0),
                    (products, p * m_pitch, filters),
                )  # fmt: skip
            for t in range(count):
                i, j = (begin + t) // across, (begin + t) % across
                row = 2 * across * filters
                at = sample * out_size + 2 * i * row + 2 * j * filters
                _gather_output(
                    filters,
                    (products, t * filters, 4 * m_pitch, m_pitch),
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
    channels: int,
    dy: Array,
    filters: int,
    v: Array,
    m: Array,
    block: int,
    total: Array,
) -> None:
    """``total = Σ V dM``, (16, channels, filters); see :func:`winograd_share`."""
    nowhere = np.zeros(1, np.int64)
    size, dy_size = x.size // max(1, samples), dy.size // max(1, samples)
    tiles, width = dy_size // (4 * filters), _BYTES // x.itemsize
    v_pitch, m_pitch = v.size // 16, m.size // 16
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
                at = start + 2 * i * pitch + 2 * j * channels
                _spread_input(
                    channels,
                    (source, at, pitch, channels),
                    (spread, t * channels, 4 * v_pitch, v_pitch),
                )
                row = 2 * across * filters
                at = sample * dy_size + 2 * i * row + 2 * j * filters
                _spread_gradient(
                    filters,
                    (given, at, row, filters),
                    (gradients, t * filters, 4 * m_pitch, m_pitch),
                )
            for p in range(16):
                matrix = p * channels * filters
                _multiply(
                    0, channels, filters, width, 1, count,
                    (spread, p * v_pitch, 1, channels, place),
                    (gradients, p * m_pitch, filters, place),
                    (sums, matrix, filters),
                    (sums, matrix, filters),
                )  # fmt: skip


def spread_kernel(kernel: Array, u: Array) -> None:
    """``U = G g Gᵀ``: from 9 to 16 matrices, flat."""
    size, target = kernel.size // 9, u.size // 16
    _spread_kernel(
        size, (_entries(kernel), 0, 3 * size, size), (_entries(u), 0, 4 * target, target)
    )


def gather_kernel(u: Array, kernel: Array) -> None:
    """``g = Gᵀ U G``: from 16 to 9 matrices, flat."""
    size = kernel.size // 9
    _gather_kernel(size, (_entries(u), 0, 4 * size, size), (_entries(kernel), 0, 3 * size, size))


def compiled_winograd(compiled: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Compile the loops and return the kernels by name, after :func:`compiled_convolutions`."""
    module = globals()
    module["_entries"] = declared()[0]
    module["_multiply"], module["_pad"] = convolution._multiply, convolution._pad
    module["_BYTES"] = VECTORS * registers().size
    transposed = [tuple(zip(*matrix, strict=True)) for matrix in (A, G)]
    maps = (B, A, G, *transposed)
    names = (
        "_spread_input",
        "_spread_gradient",
        "_spread_kernel",
        "_gather_output",
        "_gather_kernel",
    )
    module.update({name: transform(m) for name, m in zip(names, maps, strict=True)})
    for loop in (winograd_share, winograd_gradient_share, spread_kernel, gather_kernel):
        module[loop.__name__] = compiled(loop)
    return {kernel.__name__: kernel for kernel in KERNELS}


def _suits(kernel: Array, windows: Windows, groups: int) -> bool:
    """Return whether tiles are the faster way, and possible: even sizes of the output."""
    return (
        windows.kernel == (3, 3)
        and windows.strides == windows.dilation == (1, 1)
        and min(kernel.shape[-2:]) >= FEWEST
        and not any(count % 2 for count in windows.counts)
        and math.prod(windows.counts) >= _OUTPUTS
        and convolution._compiles(kernel, groups)
    )


class _Tiles:
    """Memory and geometry of a share of the batch, in each thread."""

    def __init__(self, x: Array, windows: Windows, channels: int, filters: int) -> None:
        places = convolution_places(windows, channels, filters)
        tiles = windows.counts[0] * windows.counts[1] // 4
        self.block = max(1, min(tiles, _BLOCK // (16 * max(channels, filters))))
        self.image = convolution._image(places, x.dtype)
        self.v, self.m = (
            scratch(name, (16 * (self.block * width + _LINE),), x.dtype)
            for name, width in (("tiles of x", channels), ("tiles of y", filters))
        )
        pitch = windows.padded[1] * channels
        self.geometry = self.image, places.lines, places.length, pitch, windows.counts[1] // 2


def convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve`."""
    if not _suits(kernel, windows, groups):
        convolution.convolve(x, kernel, windows, out, groups, bias)
        return
    channels, filters = kernel.shape[-2:]
    u = scratch("spread kernel", (16 * channels * filters,), x.dtype)
    spread_kernel(np.ascontiguousarray(kernel).reshape(-1), u)
    firsts = np.zeros((2, filters), x.dtype)
    firsts[1] = 0 if bias is None else bias

    def compute(samples: slice) -> None:
        part, tiles = x[samples], _Tiles(x, windows, channels, filters)
        winograd_share(
            part.reshape(-1), len(part), *tiles.geometry, channels, u, firsts, tiles.v, tiles.m,
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
    if not _suits(out, windows, groups):
        convolution.convolve_kernel_gradient(x, dy, windows, out, groups)
        return
    channels, filters = out.shape[-2:]
    shares = shares_of(dy, out)
    totals = scratch("kernel gradients", (len(shares), 16 * channels * filters), out.dtype)

    def compute(samples: slice) -> None:
        part, tiles = x[samples], _Tiles(x, windows, channels, filters)
        winograd_gradient_share(
            part.reshape(-1), len(part), *tiles.geometry, channels, dy[samples].reshape(-1),
            filters, tiles.v, tiles.m, tiles.block, totals[shares.index(samples)],
        )  # fmt: skip

    run(compute, shares)
    gather_kernel(np.add.reduce(totals, axis=0), out.reshape(-1))


KERNELS: tuple[Any, ...] = (convolve, convolve_kernel_gradient, convolve_input_gradient)
