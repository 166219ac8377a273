"""Convolutions in tiles of several lines: half of the multiplications, and no patches.

Along one axis, with a kernel g of 3 entries, a tile of four outputs y sees six entries d of the
input. With the matrices A, B and G of minimal filtering::

    V = Bᵀ d,   U = G g,   y = Aᵀ M,   M = U V     a product for each of six places
    dM = A dy,  dU = V dM, dg = Gᵀ dU

An image is filtered like this along its first axis; d, g, y, V and M are lines of images. In a line
of V, neighbouring entries with all their channels are one row of numbers in memory: the window of
the kernel's line. Every third window of three entries is a row of a matrix, without a copy. So the
sums over a window in V are three matrix products for each place, and the transforms are products
with small matrices as well. A kernel of 5 lines has tiles of two outputs, which also see six lines.

A series with a kernel of 7 steps is an image with 3 steps in a line, and its kernel one of 3 x 3.
As a window of a line reaches into the next one, lines of V have 5 steps. With a dilation, the steps
that a window sees are moved next to each other first.

The points, 0, ±2/3, ±3/2 and infinity, round least of 45 such choices for 3 x 3. The root mean
square error of y in float32 is 1.4 times that of a product of patches for 16 channels, 1.9 for 64
and 2.2 for 128 (3 x 3; after a rectifier 1.7, 2.2 and 2.5), 1.5 for a series and 7 steps; that of
the kernel's gradient 1.1 to 1.4. Tiles of two lines, with the points 0, 1, -1 and infinity, have
0.8, 1.1 and 1.3, but need 6 instead of 4.5 multiplications for an output of 3 x 3.

An entry of x that is infinite makes the outputs of its tile NaN.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), section 4.1;
    R. Blahut, "Fast algorithms for signal processing" (2010), section 5.2, for any points.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.rows import wide_rows, widest
from netlayers.kernels.threads import run, scratch, shares
from netlayers.kernels.windows import parts, strided

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Dtype
    from netlayers.kernels.windows import Windows

# The points of the filter for kernels with so many lines; infinity is one more.
_POINTS: dict[int, tuple[float, ...]] = {
    3: (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2),
    5: (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2),
}
# Channels and filters from which on tiles are faster than patches, and than tiles of 2 x 2. Time of
# patches by that of tiles for y, the kernel's gradient and that of x, in one thread (from 64
# channels on of tiles of 2 x 2, or of series as 3, 1 and 3 steps):
#
#   3 x 3   2 to 8 channels 1.8, 1.7, 5.8; 16 2.2, 2.2, 2.3; 32 1.9, 1.9, 1.9; 64 1.3, 1.3, 1.3;
#           128 1.0, 1.0, 1.0; 256 0.9, 0.9, 0.9
#   5 x 5   6 to 16 channels 1.7, 1.7, 2.1; 20 to 40 1.3, 1.2, 1.4; 64 1.5, 1.5, 1.5
#   series  3 steps, 64 channels 1.3, 1.4, 1.3; 5, 32 channels 1.3, 1.3, 1.3; 7, 64 1.1, 1.1, 1.1
#
# With one channel 0.9 to 1.4, the less the more filters there are.
_FEWEST = 2
# Outputs from which on the transforms of the kernel are worth their time.
_OUTPUTS = 512
# Multiplications by those of tiles from which on tiles are faster; 5 x 5 outputs of 3 x 3 have 1.04
# and take 1.0 to 1.1 times as long, 8 x 8 outputs of 5 x 5 have 1.11 and take 0.8.
_SAVED = 1.1
_STEPS = (3, 5, 7)  # steps of the kernel of a series


class Lines(NamedTuple):
    """How an image or a series lies in lines.

    Attributes:
        rows: lines of the kernel.
        steps: steps of a series in a line; 1 for an image.
        dilation: series that are taken apart; 1 for an image.
        above: rows or steps of zeros before the first one.
        left: zeros before the first entry of a row.
        pitch: entries of a row of the image. The zeros behind a row are those before the next one.
        across: outputs of a line.
        width: entries of a window in a line.
        seen: entries of a line of V.
        made: entries of a line of M.
        apart: entries of V between the windows of a matrix; their sums in M are ``width`` apart.
        places: lines that a tile sees, and products for each of its entries.
        outputs: lines of outputs in a tile.
        tile: rows or steps of outputs in a tile.
    """

    rows: int
    steps: int
    dilation: int
    above: int
    left: int
    pitch: int
    across: int
    width: int
    seen: int
    made: int
    apart: int
    places: int
    outputs: int
    tile: int


@functools.lru_cache(maxsize=256)
def lines_of(windows: Windows) -> Lines:
    """Return the lines in which the windows are computed."""
    size, length, _, dilation, before, count = (sizes[-1] for sizes in windows)
    series = len(windows.sizes) == 1
    rows = 3 if series else windows.kernel[0]
    places = len(_POINTS[rows]) + 1
    outputs = places + 1 - rows
    if series:
        steps = -(-length // 3)
        seen, above = 2 * steps - 1, before // dilation
        lines = (rows, steps, dilation, above, 0, 1, steps, steps, seen, steps, seen)
        return Lines(*lines, places, outputs, outputs * steps)
    end = count + length - 1
    pitch = max(min(before + size, end), end - max(0, before), count)
    lines = (rows, 1, 1, windows.before[0], before, pitch, count, length, pitch, pitch, length)
    return Lines(*lines, places, outputs, outputs)


def suits(samples: int, kernel: Array, windows: Windows, groups: int) -> bool:
    """Return whether tiles are possible and the faster way."""
    rank, dilation = len(windows.sizes), windows.dilation[0]
    if rank == 1:
        steps = (windows.sizes[0], windows.before[0], windows.counts[0])
        possible = windows.kernel[0] in _STEPS and not any(n % dilation for n in steps)
    else:
        possible = rank == 2 and windows.kernel[0] in _POINTS and set(windows.dilation) == {1}
    return (
        possible
        and {*windows.strides, groups} == {1}
        and min(kernel.shape[-2:]) >= _FEWEST
        and samples * math.prod(windows.counts) >= _OUTPUTS
        and _saved(windows) >= _SAVED
        and not (EXACT and is_exact())
    )


@functools.lru_cache(maxsize=256)
def _saved(windows: Windows) -> float:
    """Return the multiplications of the windows by those of tiles, which reach over the edge."""
    lines = lines_of(windows)
    tiles = -(-windows.counts[0] // (lines.dilation * lines.tile)) * lines.dilation
    needed = math.prod(windows.counts) * math.prod(windows.kernel)
    return needed / max(1, tiles * lines.places * lines.made * lines.width)


@functools.lru_cache(maxsize=16)
def matrices(rows: int, dtype: Dtype) -> tuple[Array, Array, Array]:
    """Return Aᵀ, Bᵀ and G for a kernel with a number of lines.

    For the points p, the last one being infinity, ``A[p, i] = pⁱ`` and ``G[p, i] = pⁱ / Π (p - q)``
    with the other points q, and Bᵀ has the coefficients of the polynomials ``Π (z - q)``.
    """
    points = _POINTS[rows]
    places = len(points) + 1
    a, g, b = (np.zeros((places, n)) for n in (places + 1 - rows, rows, places))
    for i, p in enumerate(points):
        others = [q for q in points if q != p]
        a[i] = p ** np.arange(a.shape[1])
        g[i] = p ** np.arange(rows) / np.prod([p - q for q in others])
        b[i, :-1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return np.ascontiguousarray(a.T, dtype), b.astype(dtype), g.astype(dtype)


def convolve(x: Array, kernel: Array, windows: Windows, out: Array, bias: Array | None) -> None:
    """``out[n, p] = bias + Σ x[n, p + q - before] kernel[q]``, see ``convolution.py``."""
    lines, filters = lines_of(windows), kernel.shape[-1]
    a, _, g = matrices(lines.rows, x.dtype)
    u = np.matmul(g, _kernel_lines(kernel, lines)).reshape(lines.places, 1, -1, filters)
    wide_bias = None if bias is None else widest(bias)

    def compute(share: slice) -> None:
        for samples, tiles in _blocks(share, windows, kernel):
            v = _spread(x[samples], lines, tiles)
            y, target = _tiled(out[samples], lines, tiles)
            m, by_tile = _sums(y, lines, filters)
            seen, sums = _windows(v, m, lines)
            np.matmul(seen, u, out=sums)
            np.matmul(a, by_tile, out=y)
            if wide_bias is not None:
                (wide,) = wide_rows(y.reshape(-1, filters))
                np.add(wide, wide_bias[: wide.shape[1]], out=wide)
            if target is not None:
                target[...] = _untiled(y, target)

    run(compute, _shares(out, kernel))


def convolve_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """``out[q] = Σ x[n, p + q - before]ᵀ dy[n, p]`` over samples n and windows p."""
    lines, (channels, filters) = lines_of(windows), out.shape[-2:]
    a, _, g = matrices(lines.rows, x.dtype)
    slices = _shares(dy, out)
    shape = (lines.places, lines.width, lines.width * channels, filters)
    totals = scratch("places of kernels", (len(slices), shape[0], *shape[2:]), out.dtype)

    def compute(share: slice) -> None:
        total = totals[slices.index(share)]
        total[...] = 0
        terms = scratch("places of a kernel", shape, out.dtype)
        for samples, tiles in _blocks(share, windows, out):
            v = _spread(x[samples], lines, tiles)
            given, part = _tiled(dy[samples], lines, tiles)
            if part is not None:
                given[...] = 0
                _untiled(given, part)[...] = part
            m, by_tile = _sums(given, lines, filters)
            _clear(m, lines, given)
            np.matmul(a.T, given, out=by_tile)
            seen, sums = _windows(v, m, lines)
            np.matmul(seen.swapaxes(2, 3), sums, out=terms)
            total += np.add.reduce(terms, axis=1)

    run(compute, slices)
    total = np.add.reduce(totals, axis=0).reshape(lines.places, -1)
    found = np.matmul(g.T, total).reshape(-1, channels, filters)
    out[...] = found[: math.prod(windows.kernel)].reshape(out.shape)


def _kernel_lines(kernel: Array, lines: Lines) -> Array:
    """View the kernel as lines; what that of a series lacks is 0."""
    entries, (channels, filters) = lines.rows * lines.width, kernel.shape[-2:]
    flat = kernel.reshape(-1, channels * filters)
    if len(flat) < entries:
        flat = np.concatenate([flat, np.zeros((entries - len(flat), flat.shape[1]), flat.dtype)])
    return flat.reshape(lines.rows, -1)


def _spread(x: Array, lines: Lines, tiles: slice) -> Array:
    """Return V of some tiles, (places, entries of all lines, channels)."""
    count, channels = tiles.stop - tiles.start, x.shape[-1]
    rows = x.reshape(len(x), -1, lines.dilation, math.prod(x.shape[2:-1]), channels)
    longer = lines.seen - lines.pitch * lines.steps  # what lines of V have from the next line
    high = lines.tile * count + (lines.rows - 1 + (longer > 0)) * lines.steps
    image = scratch("image", (len(x), lines.dilation, high, lines.pitch, channels), x.dtype)
    above, left = lines.above - lines.tile * tiles.start, lines.left
    top, bottom = max(0, -above), min(rows.shape[1], high - above)
    first, last = max(0, -left), min(rows.shape[3], lines.pitch - left)
    if top < bottom and first < last:
        inside = image[:, :, top + above : bottom + above]
        entries = rows[:, top:bottom, :, first:last].swapaxes(1, 2)
        inside[:, :, :, first + left : last + left] = entries
        image[:, :, : top + above] = 0
        image[:, :, bottom + above :] = 0
        inside[:, :, :, : first + left] = 0
        inside[:, :, :, last + left :] = 0
    else:
        image[...] = 0
    batch, line = len(x) * lines.dilation, lines.steps * lines.pitch * channels
    image = image.reshape(batch, -1, line)
    filled = batch * count * lines.seen
    length = (_count(filled, lines) - 1) * lines.apart + 2 * lines.width - 1
    v = scratch("places of x", (lines.places, length, channels), x.dtype)
    v[:, filled:] = 0
    target = v[:, :filled].reshape(lines.places, batch, count, -1).transpose(1, 2, 0, 3)
    _, b, _ = matrices(lines.rows, x.dtype)
    np.matmul(b, _seen(image, 0, line, count, lines), out=target[..., :line])
    if longer > 0:
        begin = _seen(image, 1, longer * channels, count, lines)
        np.matmul(b, begin, out=target[..., line:])
    return v


def _seen(image: Array, first: int, numbers: int, count: int, lines: Lines) -> Array:
    """View an image (batch, lines, numbers), from a line on, as (batch, tiles, places, numbers)."""
    batch, line, number = image.strides
    shape = (len(image), count, lines.places, numbers)
    strides = (batch, lines.outputs * line, line, number)
    return strided(image.reshape(-1)[first * image.shape[2] :], shape, strides)


def _tiled(y: Array, lines: Lines, tiles: slice) -> tuple[Array, Array | None]:
    """Return some tiles of an output.

    Returns:
        An array (batch, tiles, lines of a tile, entries and filters of a line), and the part of y
        that it stands for; ``None`` if the array is a view of y.
    """
    count = tiles.stop - tiles.start
    rows = y.reshape(len(y), -1, lines.dilation, math.prod(y.shape[2:-1]), y.shape[-1])
    rows = rows[:, lines.tile * tiles.start : lines.tile * tiles.stop]
    shape = (len(y) * lines.dilation, count, lines.outputs, lines.across * y.shape[-1])
    if lines.dilation == 1 and rows.shape[1] == lines.tile * count:
        return rows.reshape(shape), None
    return scratch("tiles of y", shape, y.dtype), rows.swapaxes(1, 2)


def _untiled(y: Array, part: Array) -> Array:
    """View tiles as the part of an output that they stand for."""
    samples, dilation, rows, *entries = part.shape
    return y.reshape(samples, dilation, -1, *entries)[:, :, :rows]


def _sums(y: Array, lines: Lines, filters: int) -> tuple[Array, Array]:
    """Return an array for M, (places, entries of all lines, filters), and a view on it by tile."""
    batch, count = y.shape[:2]
    filled = batch * count * lines.made
    length = _count(batch * count * lines.seen, lines) * lines.width
    m = scratch("places of y", (lines.places, length, filters), y.dtype)
    by_tile = m[:, :filled].reshape(lines.places, batch, count, -1).transpose(1, 2, 0, 3)
    return m, by_tile[..., : y.shape[-1]]


def _clear(m: Array, lines: Lines, y: Array) -> None:
    """Set what M has beside the outputs to 0."""
    filled = y.shape[0] * y.shape[1] * lines.made
    m[:, filled:] = 0
    m[:, :filled].reshape(lines.places, -1, lines.made, m.shape[-1])[:, :, lines.across :] = 0


def _count(entries: int, lines: Lines) -> int:
    """Return the number of windows in a matrix, for so many entries of V."""
    return -(-entries // lines.apart)


def _windows(v: Array, m: Array, lines: Lines) -> tuple[Array, Array]:
    """View V and M as matrices of windows, (places, windows side by side, windows, numbers)."""
    sums = m.reshape(lines.places, -1, lines.width, m.shape[-1]).swapaxes(1, 2)
    place, entry, number = v.strides
    shape = (lines.places, lines.width, sums.shape[2], lines.width * v.shape[-1])
    strides = (place, entry, lines.apart * entry, number)
    return strided(v, shape, strides), sums


def _blocks(share: slice, windows: Windows, kernel: Array) -> Iterator[tuple[slice, slice]]:
    """Yield slices of the samples and of the tiles under each other.

    V and M of a block have together as many entries as a part of patches.
    """
    lines = lines_of(windows)
    tiles = windows._replace(counts=(-(-windows.counts[0] // (lines.dilation * lines.tile)),))
    width = lines.places * lines.dilation * lines.seen * sum(kernel.shape[-2:])
    for samples, rows in parts(share.stop - share.start, tiles, width):
        yield slice(share.start + samples.start, share.start + samples.stop), rows


def _shares(y: Array, kernel: Array) -> list[slice]:
    """Cut the batch for the threads; half of the multiplications are left."""
    outputs = y.size // y.shape[-1]
    return shares(len(y), min(y.size * (kernel.size // kernel.shape[-1]) // 2, 8192 * outputs))
