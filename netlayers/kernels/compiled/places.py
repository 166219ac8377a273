"""The places of a convolution in flat arrays: where lines, windows and terms begin.

They depend on the geometry alone, and are computed once for it.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows


class Places(NamedTuple):
    """Places and distances of a convolution, in entries of flat arrays.

    A window is a sum over offsets, and over the steps of each offset.

    Attributes:
        size: entries of the padded image of a sample; 0 if there is no padding.
        lines: where the lines of a sample begin in the padded image.
        length: entries of a line.
        row: windows in a row of windows.
        windows: where the first window of each row begins in the padded image.
        step: distance between windows of a row.
        offsets: distances of the terms of a window from its place.
        steps: entries of a term.
        distance: distance between the entries of a term.
        terms: where the matrix (steps, filters) of each offset begins in the kernel.
        outs: where each row begins in the output of a sample.
        out_step: distance between windows of a row in the output.
        seen: the first of the offsets at which a row sees lines of the sample, and the number of
            the last plus one: at the others it sees zeros. (rows, 2)
    """

    size: int
    lines: Array
    length: int
    row: int
    windows: Array
    step: int
    offsets: Array
    steps: int
    distance: int
    terms: Array
    outs: Array
    out_step: int
    seen: Array


@functools.lru_cache(maxsize=1024)
def convolution_places(
    windows: Windows, channels: int, filters: int, depthwise: bool = False
) -> Places:
    """Return the places of a convolution; those of its kernel gradient are the same.

    The steps of an offset are the channels, side by side, and with them the last axis of a window
    if it has no gaps. In a depthwise convolution they are the last axis alone.
    """
    padded, lead = windows.padded, slice(-1)
    pitches = _pitches(padded, channels)
    offsets = [range(0, k * d, d) for k, d in zip(windows.kernel, windows.dilation, strict=True)]
    steps, distance = channels, 1
    if depthwise:
        steps, distance = windows.kernel[-1], windows.dilation[-1] * channels
        offsets = offsets[:-1]
    elif windows.dilation[-1] == 1:
        steps, offsets = channels * windows.kernel[-1], offsets[:-1]
    starts = [
        range(0, count * s, s)
        for count, s in zip(windows.counts[lead], windows.strides[lead], strict=True)
    ]
    found, rows = _flat(offsets, pitches), _flat(starts, pitches)
    return Places(
        size=0 if padded == windows.sizes else padded[0] * pitches[0],
        lines=_lines(windows.sizes, windows.before, pitches),
        length=windows.sizes[-1] * channels,
        row=windows.counts[-1],
        windows=rows,
        step=windows.strides[-1] * channels,
        offsets=found,
        steps=steps,
        distance=distance,
        terms=np.arange(found.size) * (steps * filters),
        outs=np.arange(rows.size) * (windows.counts[-1] * filters),
        out_step=filters,
        seen=_seen(rows, found, pitches, windows.before[0], windows.sizes),
    )


@functools.lru_cache(maxsize=1024)
def gradient_places(
    windows: Windows, channels: int, filters: int, depthwise: bool = False
) -> list[Places]:
    """Return the places of the input gradient: a convolution of dy for each remainder.

    The windows ``s p + d q - b = i`` see the place ``i = s u + r`` with the remainder r, hence the
    offsets q for which s divides ``r + b - d q``, and the windows ``p = u + (r + b - d q) / s``.
    For each remainder these are other offsets; the kernel is (*kernel, filters, channels), or
    (*kernel, channels) if ``depthwise``.
    """
    sizes, strides, counts = windows.sizes, windows.strides, windows.counts
    axes = [
        [
            [(q, (r + b - d * q) // s) for q in range(k) if (r + b - d * q) % s == 0]
            for r in range(min(n, s))
        ]
        for n, k, s, d, b, _ in zip(*windows, strict=True)
    ]
    before, padded = [], []
    for axis, n, s, count in zip(axes, sizes, strides, counts, strict=True):
        shifts = [(r, shift) for r, seen in enumerate(axis) for _, shift in seen]
        before.append(max(0, *(-shift for _, shift in shifts), 0))
        ends = [_places_of(n, r, s) + shift for r, shift in shifts]
        padded.append(before[-1] + max(count, *ends, 0))
    pitches, x_pitches = _pitches(padded, filters), _pitches(sizes, channels)
    kernel_pitches = _pitches(windows.kernel, channels if depthwise else filters * channels)
    found: list[Places] = []
    for chosen in itertools.product(*(range(len(axis)) for axis in axes)):
        seen = [axis[r] for axis, r in zip(axes, chosen, strict=True)]
        offsets = [[b + shift for _, shift in one] for one, b in zip(seen, before, strict=True)]
        triples = list(zip(sizes, chosen, strides, strict=True))
        starts = [range(r, n, s) for n, r, s in triples[:-1]]
        rows = _flat([range(_places_of(*t)) for t in triples[:-1]], pitches)
        its = _flat(offsets, pitches)
        found.append(
            Places(
                size=0 if tuple(padded) == counts else padded[0] * pitches[0],
                lines=_lines(counts, before, pitches),
                length=counts[-1] * filters,
                row=_places_of(*triples[-1]),
                windows=rows,
                step=filters,
                offsets=its,
                steps=1 if depthwise else filters,
                distance=1,
                terms=_flat([[q for q, _ in one] for one in seen], kernel_pitches),
                outs=_flat(starts, x_pitches) + chosen[-1] * channels,
                out_step=strides[-1] * channels,
                seen=_seen(rows, its, pitches, before[0], counts),
            )
        )
    return found


def _seen(
    rows: Array, offsets: Array, pitches: Sequence[int], before: int, sizes: Sequence[int]
) -> Array:
    """Return which offsets see lines of the sample along the first axis; see :class:`Places`.

    They follow each other, as places grow or shrink with the offset. A single axis has no lines.
    """
    found = np.empty((rows.size, 2), np.int64)
    found[:] = 0, offsets.size
    if len(sizes) > 1:
        lines = (rows[:, None] + offsets) // pitches[0] - before
        for row, inside in zip(found, (lines >= 0) & (lines < sizes[0]), strict=True):
            at = np.flatnonzero(inside)
            row[:] = (at[0], at[-1] + 1) if at.size else (0, 0)
    return found


def _places_of(size: int, remainder: int, stride: int) -> int:
    """Return how many of ``size`` places have this remainder by the stride."""
    return -(-(size - remainder) // stride)


def _pitches(sizes: Sequence[int], channels: int) -> list[int]:
    """Return the distance of neighbours along each axis, in entries."""
    return [channels * int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]


def _flat(places: Iterable[Iterable[int]], pitches: Iterable[int]) -> Array:
    """Return ``Σ place pitch`` for all combinations of places along the first axes."""
    axes = zip(places, pitches, strict=False)
    distances = [[place * pitch for place in axis] for axis, pitch in axes]
    return np.array([sum(chosen) for chosen in itertools.product(*distances)], np.int64)


def _lines(sizes: Sequence[int], before: Sequence[int], pitches: Sequence[int]) -> Array:
    """Return where the lines of an image begin in the padded one."""
    inside = [range(b, b + n) for b, n in zip(before, sizes, strict=True)]
    return _flat(inside[:-1], pitches) + before[-1] * pitches[-1]
