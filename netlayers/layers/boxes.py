"""Rectangles at random places of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array

Box = tuple[slice, slice]


def draw_boxes(
    rng: np.random.Generator, sizes: tuple[int, int], heights: Array, widths: Array
) -> list[Box]:
    """Return a rectangle for each image, all places inside of it equally likely.

    Args:
        rng: the random generator.
        sizes: height and width of the images.
        heights: height of each rectangle as a fraction of that of the image.
        widths: the same for the width.
    """
    rows, columns = (
        _spans(rng, size, part) for size, part in zip(sizes, (heights, widths), strict=True)
    )
    return list(zip(rows, columns, strict=True))


def _spans(rng: np.random.Generator, size: int, parts: Array) -> list[slice]:
    """Return spans of an axis: the entries from a start, drawn for each, up to its end."""
    lengths = parts * size
    starts = rng.random(len(parts)) * (size - lengths)
    first, last = np.ceil(starts).astype(int), np.ceil(starts + lengths).astype(int)
    return [slice(int(a), int(b)) for a, b in zip(first, last, strict=True)]


def area(box: Box) -> int:
    """Return the number of pixels of a rectangle."""
    rows, columns = box
    return (rows.stop - rows.start) * (columns.stop - columns.start)
