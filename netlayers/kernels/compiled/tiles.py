"""The loops of ``winograd.py``: blocks of tiles, transformed, multiplied and transformed back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.kernels.compiled import convolution
from netlayers.kernels.compiled.filtering import BY_KERNEL
from netlayers.kernels.compiled.matrix import multiply
from netlayers.kernels.compiled.prefetch import LINE, compiled_prefetch
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.compiled.transforms import transform
from netlayers.kernels.compiled.workers import task_of, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlayers._typing import Array
    from netlayers.kernels.compiled.filtering import Map

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: tile 88552b7ace22, matrix 288754b6b11f,
# transforms e2d18f10cc32, filtering 7d4692aeaa10, convolution 53957937743e, workers 7288e169d825,
# prefetch 82fd26954b3f.

KINDS = list(BY_KERNEL)

# Set by :func:`compiled_tiles`.
_entries: Any = None
_multiply: Any = None
_pad: Any = None
_rectify: Any = None
_fetch: Any = None
_spread_input: Any = None
_spread_gradient: Any = None
_spread_kernel: Any = None
_gather_output: Any = None
_gather_kernel: Any = None
_task: Any = None
_gradient_task: Any = None
_BYTES = 0


class Tile(NamedTuple):
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
def tile_of(sizes: tuple[int, int]) -> Tile:
    """Return the tile for a kernel."""
    down, along = (_product(stage.a for stage in stages) for stages in BY_KERNEL[sizes])
    high, wide = len(down[0]), len(along[0])
    brought = down.index([1] * high) * len(along) + along.index([1] * wide)
    return Tile(KINDS.index(sizes), high, wide, len(down) * len(along), len(along), brought)


def _product(stages: Iterable[Map]) -> list[list[float]]:
    product: Any = functools.reduce(lambda first, second: np.matmul(second, first), stages)
    return np.array(product).tolist()


@functools.lru_cache(maxsize=256)
def corners_of(
    counts: tuple[int, int], tile: Tile, pitch: int, channels: int, filters: int
) -> Array:
    """Return where the tiles of a sample are, (6, tiles).

    The first rows are the places of their first entries in the padded image, in y, V and M. The
    last tiles of rows and columns begin earlier, so that they end inside; the last two rows say how
    many of a tile's rows and columns are others'.
    """
    (down, across), (_, high, wide, *_) = counts, tile
    rows, columns = (np.arange(0, n, step) for n, step in ((down, high), (across, wide)))
    i, j = np.meshgrid(rows, columns, indexing="ij")
    first, begin = np.minimum(i, down - high), np.minimum(j, across - wide)
    t = np.arange(i.size).reshape(i.shape)
    image, y = first * pitch + begin * channels, (first * across + begin) * filters
    found = image, y, t * channels, t * filters, i - first, j - begin
    return np.array(found, np.int64).reshape(len(found), -1)


def convolve_tiles(
    share: int,
    thread: int,
    count: int,
    code: int,
    x: Array,
    samples: int,
    images: Array,
    lines: Array,
    length: int,
    pitch: int,
    across: int,
    corners: Array,
    tile: Tile,
    channels: int,
    u: Array,
    firsts: Array,
    vs: Array,
    ms: Array,
    block: int,
    out: Array,
    rectify: bool,
) -> None:
    """``out = bias + Σ x kernel`` in tiles; arrays without a shape here are flat.

    Args:
        share: the share of the samples to compute.
        thread: whose memory to use.
        count: number of shares.
        code: address of the code for the tiles, see ``matrix.py``.
        x: the input; without padding, ``images`` are empty and x itself takes their place.
        samples: number of samples.
        images: memory for a padded sample, (threads, size).
        lines: where the lines of a sample begin in the padded image.
        length: entries of a line of a sample.
        pitch: entries of a line of the padded image; a series has lines of the dilation.
        across: outputs side by side.
        corners: see :func:`corners_of`.
        tile: see :class:`Tile`.
        channels: channels of x.
        u: the kernel, (places, channels, filters).
        firsts: zeros and the bias, (2, filters).
        vs: memory for the tiles of the input, for each place ``block`` tiles, (threads, size).
        ms: memory for the tiles of the output.
        block: number of tiles in a block.
        out: the output.
        rectify: replace its negative numbers by 0.
    """
    kind, _, _, places, columns, brought = tile
    filters, nowhere = firsts.shape[1], np.zeros(1, np.int64)
    image, v, m = images[thread], vs[thread], ms[thread]
    size, out_size = x.size // max(1, samples), out.size // max(1, samples)
    row, width, line = across * filters, _BYTES // x.itemsize, LINE // x.itemsize
    v_pitch, m_pitch = v.size // places, m.size // places
    source = _entries(image) if image.size else _entries(x)
    spread, products, target, given = _entries(v), _entries(m), _entries(out), _entries(x)
    kernel, first, place = _entries(u), _entries(firsts), _entries(nowhere)
    start, parts = 0, places * corners.shape[1]
    for sample in range(samples * share // count, samples * (share + 1) // count):
        if image.size:
            _pad(x, sample * size, lines, length, image)
        else:
            start = sample * size
        for begin in range(0, corners.shape[1], block):
            number = min(block, corners.shape[1] - begin)
            _spread_input(
                kind, channels, number,
                (source, start, _entries(corners[0, begin:]), pitch, channels),
                (spread, 0, _entries(corners[2]), columns * v_pitch, v_pitch),
            )  # fmt: skip
            for p in range(places):
                done = begin * places + p * number
                _fetch(given, line, (sample + 1) * size, size, done, number, parts)
                _fetch(target, line, sample * out_size, out_size, done, number, parts)
                _multiply(
                    code, number, filters, width, 1, channels,
                    (spread, p * v_pitch, channels, 1, place),
                    (kernel, p * channels * filters, filters, place),
                    (first, filters if p == brought else 0, 0),
                    (products, p * m_pitch, filters),
                )  # fmt: skip
            _gather_output(
                kind, filters, number,
                (products, 0, _entries(corners[3]), columns * m_pitch, m_pitch),
                (target, sample * out_size, _entries(corners[1, begin:]), row, filters),
            )  # fmt: skip
        if rectify:
            _rectify(out, sample * out_size, (sample + 1) * out_size)


def _copy_own(
    dy: Array, at: int, row: int, high: int, wide: int, above: int, before: int, own: Array
) -> None:
    """Copy a tile of dy, with zeros for the rows ``above`` and the columns ``before``."""
    filters = own.size // (high * wide)
    own[:] = 0
    for i in range(above, high):
        for j in range(before, wide):
            source, target = at + i * row + j * filters, (i * wide + j) * filters
            for k in range(filters):  # to a slice, numba would compile 2 s longer
                own[target + k] = dy[source + k]


def gradient_of_tiles(
    share: int,
    thread: int,
    count: int,
    code: int,
    x: Array,
    samples: int,
    images: Array,
    lines: Array,
    length: int,
    pitch: int,
    across: int,
    corners: Array,
    tile: Tile,
    channels: int,
    dy: Array,
    filters: int,
    vs: Array,
    ms: Array,
    block: int,
    totals: Array,
) -> None:
    """``totals[share] = Σ V dM``, (places, channels, filters); see :func:`convolve_tiles`."""
    image, v, m, total = images[thread], vs[thread], ms[thread], totals[share]
    kind, high, wide, places, columns, _ = tile
    nowhere, own = np.zeros(1, np.int64), np.zeros(high * wide * filters, dy.dtype)
    size, dy_size = x.size // max(1, samples), dy.size // max(1, samples)
    row, width, line = across * filters, _BYTES // x.itemsize, LINE // x.itemsize
    v_pitch, m_pitch = v.size // places, m.size // places
    source = _entries(image) if image.size else _entries(x)
    spread, gradients, given = _entries(v), _entries(m), _entries(dy)
    sums, place, copied = _entries(total), _entries(nowhere), _entries(own)
    total[:] = 0
    start, parts = 0, places * corners.shape[1]
    for sample in range(samples * share // count, samples * (share + 1) // count):
        if image.size:
            _pad(x, sample * size, lines, length, image)
        else:
            start = sample * size
        for begin in range(0, corners.shape[1], block):
            number = min(block, corners.shape[1] - begin)
            _spread_input(
                kind, channels, number,
                (source, start, _entries(corners[0, begin:]), pitch, channels),
                (spread, 0, _entries(corners[2]), columns * v_pitch, v_pitch),
            )  # fmt: skip
            _spread_gradient(
                kind, filters, number,
                (given, sample * dy_size, _entries(corners[1, begin:]), row, filters),
                (gradients, 0, _entries(corners[3]), columns * m_pitch, m_pitch),
            )  # fmt: skip
            for t in range(number):
                above, before = corners[4, begin + t], corners[5, begin + t]
                if above or before:
                    at = sample * dy_size + corners[1, begin + t]
                    _copy_own(dy, at, row, high, wide, above, before, own)
                    _spread_gradient(
                        kind, filters, 1,
                        (copied, 0, place, wide * filters, filters),
                        (gradients, t * filters, place, columns * m_pitch, m_pitch),
                    )  # fmt: skip
            for p in range(places):
                done = begin * places + p * number
                _fetch(_entries(x), line, (sample + 1) * size, size, done, number, parts)
                _fetch(given, line, (sample + 1) * dy_size, dy_size, done, number, parts)
                matrix = p * channels * filters
                _multiply(
                    code, channels, filters, width, 1, number,
                    (spread, p * v_pitch, 1, channels, place),
                    (gradients, p * m_pitch, filters, place),
                    (sums, matrix, filters),
                    (sums, matrix, filters),
                )  # fmt: skip


def convolve_tiles_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _task(args), args)


def gradient_of_tiles_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _gradient_task(args), args)


def spread_kernel(kernel: Array, along: int, u: Array, tile: Tile) -> None:
    """``U = G g Gᵀ`` of a kernel with ``along`` entries side by side; all arrays are flat."""
    kind, _, _, places, columns, _ = tile
    size = u.size // places
    nowhere = np.zeros(1, np.int64)
    source, target, place = _entries(kernel), _entries(u), _entries(nowhere)
    _spread_kernel(
        kind, size, 1,
        (source, 0, place, along * size, size), (target, 0, place, columns * size, size),
    )  # fmt: skip


def gather_kernel(u: Array, kernel: Array, along: int, tile: Tile) -> None:
    """``g = Gᵀ U G``; see :func:`spread_kernel`."""
    kind, _, _, places, columns, _ = tile
    size = u.size // places
    nowhere = np.zeros(1, np.int64)
    source, target, place = _entries(u), _entries(kernel), _entries(nowhere)
    _gather_kernel(
        kind, size, 1,
        (source, 0, place, columns * size, size), (target, 0, place, along * size, size),
    )  # fmt: skip


def compiled_tiles(compiled: Callable[..., Any]) -> None:
    """Compile the loops, after ``compiled_convolutions``."""
    module = globals()
    module["_entries"], module["_multiply"] = declared()[0], multiply()
    module["_pad"], module["_rectify"] = convolution._pad, convolution._rectify
    module["_fetch"] = compiled_prefetch(compiled)
    module["_BYTES"] = VECTORS * registers().size
    b, g, a = ([_stages(kernel, i) for kernel in KINDS] for i in range(3))
    module["_spread_input"], module["_spread_kernel"] = transform(b), transform(g)
    module["_spread_gradient"] = transform(a)
    module["_gather_output"], module["_gather_kernel"] = transform(_back(a)), transform(_back(g))
    for loop in (_copy_own, convolve_tiles, gradient_of_tiles, spread_kernel, gather_kernel):
        module[loop.__name__] = compiled(loop)
    module["_task"] = task_of(convolve_tiles)
    module["_gradient_task"] = task_of(gradient_of_tiles)
    for shared in (convolve_tiles_in_shares, gradient_of_tiles_in_shares):
        module[shared.__name__] = compiled(shared)


def _stages(kernel: tuple[int, int], matrix: int) -> tuple[list[Map], list[Map]]:
    """Return the stages of b, g or a, by number, down and along."""
    down, along = BY_KERNEL[kernel]
    return [stage[matrix] for stage in down], [stage[matrix] for stage in along]


def _back(maps: list[tuple[list[Map], list[Map]]]) -> list[tuple[list[Map], list[Map]]]:
    """Return the transposes of maps, whose stages follow in the other order."""

    def transposed(stages: list[Map]) -> list[Map]:
        return [tuple(zip(*stage, strict=True)) for stage in reversed(stages)]

    return [(transposed(down), transposed(along)) for down, along in maps]
