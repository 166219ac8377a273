"""Affine maps of images: each pixel of the result is interpolated from pixels of the image."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.kernels.axes import New

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
# Entries of a part.
_PART = 1 << 14


def warp(
    x: Array, maps: Array, mode: str, fill: float, nearest: bool, out: Array, new: New
) -> None:
    """``out[n, p] = Σ w x[n, q]`` over the four pixels q around the place ``maps[n] (p, 1)``.

    Args:
        x: images (batch, height, width, channels).
        maps: (batch, 2, 3): row and column of the place, as sums of row, column and 1.
        mode: what lies outside of the image: one of ``FILL_MODES``.
        fill: value outside for ``"constant"``.
        nearest: take the nearest pixel alone.
        out: the result.
        new: returns scratch memory.
    """
    for part, taps in _taps(x.shape, maps, mode, nearest):
        pixels = x[part].reshape(-1, x.shape[-1])
        y = out[part].reshape(pixels.shape)
        term = new("term", pixels.shape)
        y[...] = 0
        for index, weight, outside in taps:
            np.take(pixels, index, axis=0, out=term, mode="clip")
            np.multiply(term, weight.astype(out.dtype)[:, None], out=term)
            np.add(y, term, out=y)
            if outside is not None:
                np.add(y, (fill * outside).astype(out.dtype)[:, None], out=y)


def warp_gradient(dy: Array, maps: Array, mode: str, nearest: bool, out: Array, new: New) -> None:
    """``out[n, q] = Σ w dy[n, p]``: hand each dy to the pixels it was interpolated from."""
    out[...] = 0
    for part, taps in _taps(dy.shape, maps, mode, nearest):
        given = dy[part].reshape(-1, dy.shape[-1])
        dx = out[part].reshape(given.shape)
        term = new("term", given.shape)
        for index, weight, _ in taps:
            np.multiply(given, weight.astype(dy.dtype)[:, None], out=term)
            np.add.at(dx, index, term)


def _taps(
    shape: tuple[int, ...], maps: Array, mode: str, nearest: bool
) -> Iterator[tuple[slice, list[tuple[Array, Array, Array | None]]]]:
    """Yield parts of the samples, with the index of a pixel and its weight for each tap.

    For ``"constant"`` also the weight of what lies outside of the image.
    """
    samples, *sizes, channels = shape
    count = sizes[0] * sizes[1]
    row, column = np.arange(sizes[0])[:, None], np.arange(sizes[1])
    step = max(1, _PART // max(1, count * channels))
    for start in range(0, samples, step):
        part = slice(start, min(start + step, samples))
        m = maps[part, :, :, None, None]
        places = [m[:, i, 0] * row + m[:, i, 1] * column + m[:, i, 2] for i in range(2)]
        first = np.arange(part.stop - start)[:, None, None] * count
        rows, columns = (
            _neighbours(place, size, mode, nearest)
            for place, size in zip(places, sizes, strict=True)
        )
        taps = []
        for (i, v, above), (j, w, beside) in itertools.product(rows, columns):
            index, weight, outside = first + i * sizes[1] + j, v * w, None
            if mode == "constant":
                outside = (weight * ~(above & beside)).ravel()
                weight *= above & beside
            taps.append((index.ravel(), weight.ravel(), outside))
        yield part, taps


def _neighbours(place: Array, size: int, mode: str, nearest: bool) -> list[tuple[Array, Any, Any]]:
    """Return index and weight of the pixels next to places of an axis, and which lie on it."""
    low = np.floor(place + 0.5 if nearest else place)
    index, part = low.astype(np.intp), place - low
    if nearest:
        weighted = [(index, np.ones(place.shape))]
    else:
        weighted = [(index, 1 - part), (index + 1, part)]
    return [(_folded(i, size, mode), w, (i >= 0) & (i < size)) for i, w in weighted]


def _folded(index: Array, size: int, mode: str) -> Array:
    """Return where the pixels of an endless axis lie in the image."""
    if mode == "wrap":
        return index % size
    if mode == "reflect":  # d c b a | a b c d | d c b a
        if len(index) and (index.min() < -size or index.max() >= 2 * size):
            index = index % (2 * size)
        index = np.where(index < 0, -1 - index, index)
        return np.where(index >= size, 2 * size - 1 - index, index)
    return np.clip(index, 0, size - 1)
