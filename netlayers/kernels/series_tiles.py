"""Convolutions of series with 3 or 7 steps in tiles of two outputs: 4 instead of 6 multiplications.

A kernel of 7 is a kernel of 3, a single step and another kernel of 3, whose sums are added up: 10
instead of 14 multiplications. The second kernel of 3 begins an even number of steps later, so that
it sees the tiles of the first one. The matrices are those of ``tiles.py``, along the only axis.

With a dilation, a series is an image with as many columns as the dilation, so that the entries that
a window sees lie under each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.threads import run, scratch, shares
from netlayers.kernels.tiles import G, gradients, inputs, outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# The kernels: where their parts of three steps begin, and where single steps are.
_PARTS: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {3: ((0,), ()), 7: ((0, 4), (3,))}
# Channels and filters from which on the passes cost less than the products save. With 64 of them,
# the time of patches by that of tiles for y and the kernel's gradient, in one thread: 3 steps 1.1
# and 1.1, 7 steps 1.2 and 1.25.
_FEWEST = 64
# Tiles from which on the transforms of the kernel are worth their time.
_TILES = 256
_LONGEST = 1 << 13  # steps of a series, as a block has at least one
_BLOCK = 1 << 17  # entries of the tiles in a block


def suits(samples: int, kernel: Array, windows: Windows, groups: int) -> bool:
    """Return whether tiles are possible and the faster way."""
    if len(windows.sizes) != 1:
        return False
    size, length, stride, dilation, before, count = (sizes[0] for sizes in windows)
    return (
        length in _PARTS
        and stride == groups == 1
        and not (size % dilation or before % dilation or count % (2 * dilation))
        and min(kernel.shape[-2:]) >= _FEWEST
        and count <= _LONGEST
        and samples * count >= 2 * _TILES
        and not (EXACT and is_exact())
    )


def convolve(x: Array, kernel: Array, windows: Windows, out: Array, bias: Array | None) -> None:
    """``out[n, p] = bias + Σ x[n, p + d q - before] kernel[q]``, see ``convolution.py``."""
    length, channels, filters = kernel.shape
    threes, ones = _PARTS[length]
    g = [kernel[q : q + 3].reshape(3, -1) for q in threes]
    u = [np.matmul(G.astype(x.dtype), part).reshape(4, 1, channels, filters) for part in g]

    def compute(share: slice) -> None:
        for samples in _blocks(share, windows, max(channels, filters)):
            spread, seen = _spread(x[samples], windows)
            target = _pairs(out[samples], windows)
            shape = (len(target[0]), windows.counts[0] // 2, filters)
            m = scratch("tiles of y", (4, *shape), x.dtype)
            term = scratch("tiles of a part", m.shape, x.dtype)
            np.matmul(spread(0), u[0], out=m)
            for q, matrices in zip(threes[1:], u[1:], strict=True):
                m += np.matmul(spread(q), matrices, out=term)
            for q in ones:
                for i in range(2):  # the places 0 and 3 are in one output each
                    m[3 * i] += np.matmul(seen(q + i), kernel[q], out=term[i])
            if bias is not None:
                m[1] += bias  # this one is in both, with the factor 1
            outputs(m.reshape(4, *target[0].shape), target)

    run(compute, _shares(out, channels))


def convolve_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """``out[q] = Σ x[n, p + d q - before]ᵀ dy[n, p]`` over samples n and windows p."""
    length, channels, filters = out.shape
    threes, ones = _PARTS[length]
    slices = _shares(dy, channels)
    shape = (len(slices), 4 * len(threes) + len(ones), channels, filters)
    totals = scratch("tiles of kernels", shape, out.dtype)

    def compute(share: slice) -> None:
        total = totals[slices.index(share)]
        total.fill(0)
        for samples in _blocks(share, windows, max(channels, filters)):
            spread, seen = _spread(x[samples], windows)
            given = _pairs(dy[samples], windows)
            m = scratch("tiles of y", (4, *given[0].shape), dy.dtype)
            gradients(given, m)
            m = m.reshape(4, len(given[0]), -1, filters)
            for i, q in enumerate(threes):
                term = np.matmul(spread(q).swapaxes(-1, -2), m)
                total[4 * i : 4 * i + 4] += np.add.reduce(term, axis=1)
            for i, q in enumerate(ones):
                for j in range(2):
                    term = np.matmul(seen(q + j).swapaxes(-1, -2), m[3 * j])
                    total[4 * len(threes) + i] += np.add.reduce(term, axis=0)

    run(compute, slices)
    total = np.add.reduce(totals, axis=0)
    for i, q in enumerate(threes):
        g = np.matmul(G.T.astype(out.dtype), total[4 * i : 4 * i + 4].reshape(4, -1))
        out[q : q + 3] = g.reshape(3, channels, filters)
    for i, q in enumerate(ones):
        out[q] = total[4 * len(threes) + i]


def _spread(x: Array, windows: Windows) -> tuple[Callable[[int], Array], Callable[[int], Array]]:
    """Return V from an even step of the kernel on, and what the first outputs of tiles see.

    Returns:
        A function of the step, for (4, batch, tiles, channels), and another one for (batch, tiles,
        channels).
    """
    size, length, _, dilation, before, count = (sizes[0] for sizes in windows)
    lines, above, tiles = size // dilation, before // dilation, count // (2 * dilation)
    batch, channels = len(x), x.shape[-1]
    rows = tiles + (length - 1) // 2
    # The even lines, then the odd ones.
    image = scratch("image", (2, batch, rows, dilation, channels), x.dtype)
    image.fill(0)
    given = x.reshape(batch, lines, dilation, channels)
    for odd in range(2):
        begin = max(0, (above - odd + 1) // 2)
        end = min(rows, (lines + above - odd + 1) // 2)
        image[odd, :, begin:end] = given[:, 2 * begin + odd - above : 2 * end + odd - above : 2]
    v = scratch("tiles of x", (4, batch, rows - 1, dilation, channels), x.dtype)
    inputs([image[i % 2, :, i // 2 : i // 2 + rows - 1] for i in range(4)], v)

    def spread(q: int) -> Array:
        return v[:, :, q // 2 : q // 2 + tiles].reshape(4, batch, -1, channels)

    def seen(q: int) -> Array:
        return image[q % 2, :, q // 2 : q // 2 + tiles].reshape(batch, -1, channels)

    return spread, seen


def _pairs(y: Array, windows: Windows) -> list[Array]:
    """View (batch, length, filters) as the first and second outputs of the tiles."""
    dilation = windows.dilation[0]
    pairs = y.reshape(len(y), -1, 2, dilation, y.shape[-1])
    return [pairs[:, :, i] for i in range(2)]


def _blocks(share: slice, windows: Windows, channels: int) -> Iterator[slice]:
    """Yield slices of the samples, in which the tiles have some number of entries."""
    step = max(1, _BLOCK // (2 * windows.counts[0] * channels))
    for start in range(share.start, share.stop, step):
        yield slice(start, min(start + step, share.stop))


def _shares(y: Array, channels: int) -> list[slice]:
    return shares(len(y), 4 * y.size * channels)
