"""Windows that slide over the spatial axes of an array (batch, sizes..., channels)."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array

    Slices = tuple[slice, ...]

# Entries of a part: 4 MiB in float32. Smaller ones are no faster alone, and in two threads slower:
# a step of a network of four convolutions took 418 ms, and 472 with a quarter of it.
_PART = 1 << 20


class Windows(NamedTuple):
    """The windows of a kernel on the spatial axes of an input.

    Attributes:
        sizes: sizes of the axes.
        kernel: entries of a window along each axis.
        strides: distance between neighbouring windows.
        dilation: distance between neighbouring entries of a window.
        before: zeros before the first entry of each axis.
        counts: windows along each axis, which is the size of the output.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def padded(self) -> tuple[int, ...]:
        """Sizes with the zeros that the windows reach into, on both sides."""
        return _padded(self)

    def view(self, x: Array) -> Array:
        """Return the patches of a padded x as a view: (batch, *counts, *kernel, channels)."""
        batch, *spatial, channel = x.strides
        steps = [stride * s for stride, s in zip(spatial, self.strides, strict=True)]
        inner = [stride * d for stride, d in zip(spatial, self.dilation, strict=True)]
        shape = (len(x), *self.counts, *self.kernel, x.shape[-1])
        return strided(x, shape, (batch, *steps, *inner, channel))

    def offsets(self, first: slice | None = None) -> list[tuple[tuple[int, ...], Slices, Slices]]:
        """Return for each offset in the kernel which windows see which entries of the input there.

        Windows that see padding at this offset are left out.

        Args:
            first: the windows along the first axis; by default all.

        Returns:
            The offset, the windows as slices, and the entries as slices of the same sizes.
        """
        return _offsets(self, (first.start, first.stop) if first else (0, self.counts[0]))

    def without_last(self) -> Windows:
        """Return the windows along all axes but the last one."""
        return Windows(*(sizes[:-1] for sizes in self))

    def reversed(self) -> Windows:
        """Return the windows on the output in which each entry of the input is seen.

        They are those of the input gradient for a stride of 1.
        """
        return _reversed(self)


@functools.lru_cache(maxsize=1024)
def _offsets(
    windows: Windows, first: tuple[int, int]
) -> list[tuple[tuple[int, ...], Slices, Slices]]:
    found = []
    limits = [first, *((0, count) for count in windows.counts[1:])]
    for offset in itertools.product(*map(range, windows.kernel)):
        seeing, seen = [], []
        for q, n, s, d, b, (start, stop) in zip(
            offset,
            windows.sizes,
            windows.strides,
            windows.dilation,
            windows.before,
            limits,
            strict=True,
        ):
            shift = q * d - b  # of the entry that window 0 sees
            low = max(start, -(shift // s))
            high = max(low, min(stop, (n - 1 - shift) // s + 1))
            seeing.append(slice(low - start, high - start))
            seen.append(slice(low * s + shift, max(0, (high - 1) * s + shift + 1), s))
        if all(part.stop > part.start for part in seeing):
            found.append((offset, (slice(None), *seeing), (slice(None), *seen)))
    return found


@functools.lru_cache(maxsize=256)
def _reversed(windows: Windows) -> Windows:
    sizes = zip(windows.kernel, windows.dilation, windows.before, strict=True)
    before = tuple((k - 1) * d - b for k, d, b in sizes)
    return windows._replace(sizes=windows.counts, before=before, counts=windows.sizes)


@functools.lru_cache(maxsize=256)
def _padded(windows: Windows) -> tuple[int, ...]:
    return tuple(
        max(b + n, (count - 1) * s + (k - 1) * d + 1) if count else b + n
        for n, k, s, d, b, count in zip(*windows, strict=True)
    )


def strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """View x with such strides in bytes.

    NumPy's ``as_strided`` takes ten times as long, in which no other thread executes Python.
    """
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, 0, strides)
    return as_strided(x, shape, strides, writeable=False)


def parts(samples: int, windows: Windows, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of the samples and of the first spatial axis of the windows.

    Each part has at most ``_PART`` entries, ``width`` for each window, but at least one sample, or
    one row of windows of one sample.
    """
    row = math.prod(windows.counts[1:]) * width
    whole = windows.counts[0] * row
    if whole <= _PART:
        step = _PART // max(1, whole)
        for start in range(0, samples, step):
            yield slice(start, min(start + step, samples)), slice(0, windows.counts[0])
        return
    step = max(1, _PART // row)
    for sample in range(samples):
        for start in range(0, windows.counts[0], step):
            yield (
                slice(sample, sample + 1),
                slice(start, min(start + step, windows.counts[0])),
            )


def parts_of_samples(samples: slice, windows: Windows, channels: int) -> Iterator[slice]:
    """Cut samples into parts whose input and output have at most ``_PART`` entries, or one."""
    largest = max(math.prod(windows.counts), math.prod(windows.sizes))
    step = max(1, _PART // max(1, largest * channels))
    for start in range(samples.start, samples.stop, step):
        yield slice(start, min(start + step, samples.stop))
