"""The largest and the mean entry of windows, offset by offset.

Windows side by side, the usual ones, see each entry once. Their entries are copied in the order of
the offsets, so that NumPy computes over long rows, in few calls: two threads wait for each other
between these.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netlayers.kernels.memory import constant
from netlayers.kernels.threads import equal_shares, run, scratch, shares
from netlayers.kernels.windows import parts_of_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlayers._typing import Array, Dtype
    from netlayers.kernels.windows import Windows


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p] = max x[n, s p + q]`` over the offsets q, padding left out."""

    def compute(samples: slice) -> None:
        _reduce(np.maximum, -np.inf, x[samples], windows, out[samples])

    _run(compute, x, windows)


def max_pool_gradient(x: Array, y: Array, dy: Array, windows: Windows, out: Array) -> None:
    """Hand each dy to the entry of its window that was the largest, the first of several."""
    tiles, apart = _tiles(windows), _are_apart(windows)

    def compute(samples: slice) -> None:
        given, largest, target = x[samples], y[samples], out[samples]
        if tiles:
            entries = tiles.gather(given)
            first = _first(entries, largest)
            tiles.scatter(np.multiply(dy[samples], first, out=entries), target)
            return
        left = scratch("left", largest.shape, dy.dtype)
        np.copyto(left, dy[samples])
        target[...] = 0
        for _, seeing, seen in windows.offsets():
            rest = left[seeing]
            found = scratch("found", rest.shape, _BOOL)
            np.equal(given[seen], largest[seeing], out=found)
            term = target[seen] if apart else scratch("term", rest.shape, dy.dtype)
            np.multiply(rest, found, out=term)
            if not apart:
                target[seen] += term
            rest -= term

    _run(compute, x, windows)


def _first(entries: Array, largest: Array) -> Array:
    """Return which entries (offsets, ...) are the first ones that are the largest (...)."""
    found = np.equal(entries, largest, out=scratch("found", entries.shape, _BOOL))
    for before, here in itertools.pairwise(found):
        np.logical_or(before, here, out=here)  # here or before
    first = scratch("first", entries.shape, _BOOL)
    first[0] = found[0]
    np.greater(found[1:], found[:-1], out=first[1:])
    return first


def average_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p]`` is the mean of ``x[n, s p + q]`` over the offsets q, padding left out."""
    weights = _weights(windows, x.dtype)

    def compute(samples: slice) -> None:
        target = out[samples]
        _reduce(np.add, 0, x[samples], windows, target)
        np.multiply(target, weights, out=target)

    _run(compute, x, windows)


def average_pool_gradient(dy: Array, windows: Windows, out: Array) -> None:
    """``out[n, s p + q] = Σ dy[n, p] / entries of the window p``."""
    tiles, apart, weights = _tiles(windows), _are_apart(windows), _weights(windows, dy.dtype)

    def compute(samples: slice) -> None:
        given, target = dy[samples], out[samples]
        term = np.multiply(given, weights, out=scratch("term", given.shape, dy.dtype))
        if tiles:
            tiles.scatter(term, target)
            return
        target[...] = 0
        for _, seeing, seen in windows.offsets():
            if apart:
                target[seen] = term[seeing]
            else:
                target[seen] += term[seeing]

    _run(compute, out, windows)


def _run(compute: Callable[[slice], None], x: Array, windows: Windows) -> None:
    """Call a function of samples for parts of the batch, in threads."""
    if not x.size:  # no samples, or no channels
        return
    work, width = work_of(x, windows), x.shape[-1]
    if _tiles(windows):  # few calls over long rows, of entries and their copies
        cut, width = equal_shares(len(x), work), 2 * width
    else:
        cut = shares(len(x), work)

    def compute_share(share: slice) -> None:
        for samples in parts_of_samples(share, windows, width):
            compute(samples)

    run(compute_share, cut)


def _reduce(ufunc: np.ufunc, initial: float, x: Array, windows: Windows, out: Array) -> None:
    """Reduce the entries of each window by an operation, over the offsets one after the other."""
    tiles, offsets = _tiles(windows), windows.offsets()
    if tiles and x.shape[-1] * x.itemsize <= _NARROW:
        ufunc.reduce(tiles.gather(x), axis=0, out=out)
    elif len(offsets) > 1 and windows.padded == windows.sizes:  # all see entries at all offsets
        total = x[offsets[0][2]]
        for _, _, seen in offsets[1:]:
            total = ufunc(total, x[seen], out=out)
    else:
        out[...] = initial
        for _, seeing, seen in offsets:
            ufunc(out[seeing], x[seen], out=out[seeing])


class _Tiles(NamedTuple):
    """Windows side by side from the first entry on, all inside of the input.

    The channels of a place are copied as one item of no type, which takes 3 ns; to begin a row of
    numbers takes 5.

    Attributes:
        kernel: see :class:`Windows`.
        counts: see :class:`Windows`.
    """

    kernel: tuple[int, ...]
    counts: tuple[int, ...]

    def gather(self, x: Array) -> Array:
        """Copy the entries seen at each offset: (offsets, batch, *counts, channels)."""
        shape = (len(x), *self.counts, x.shape[-1])
        entries = scratch("entries", (math.prod(self.kernel), *shape), x.dtype)
        _items(entries).reshape(*self.kernel, *shape[:-1])[...] = self._places(x)
        return entries

    def scatter(self, entries: Array, out: Array) -> None:
        """Write to where :meth:`gather` reads, and 0 behind the last windows.

        Args:
            entries: those for each offset, or (batch, *counts, channels) for all of them.
            out: is filled, (batch, *sizes, channels).
        """
        out[...] = 0  # all of it: items are then written to the cache of the processor
        last, items = len(self.kernel) - 1, _items(entries)
        columns: Iterable[Array] = itertools.repeat(items)
        if entries.ndim == out.ndim + 1:
            columns = items.reshape(*self.kernel, *items.shape[1:]).swapaxes(0, last)
        # Column by column of the windows, or the innermost loop is over these few columns.
        for places, given in zip(self._places(out).swapaxes(0, last), columns, strict=False):
            places[...] = given

    def _places(self, x: Array) -> Array:
        """View the items of x that windows see: (*kernel, batch, *counts)."""
        x = np.ascontiguousarray(x)  # already so, but for foreign inputs
        batch, *spatial, _ = x.strides
        steps = (stride * k for stride, k in zip(spatial, self.kernel, strict=True))
        shape = (*self.kernel, len(x), *self.counts)
        return np.ndarray(shape, _item(x.shape[-1], x.dtype), x, 0, (*spatial, batch, *steps))


@functools.lru_cache(maxsize=256)
def _tiles(windows: Windows) -> _Tiles | None:
    """Return windows as tiles; ``None`` if they overlap, have gaps, or see padding."""
    if windows.kernel != windows.strides or windows.padded != windows.sizes:
        return None
    return _Tiles(windows.kernel, windows.counts)


def _items(x: Array) -> Array:
    """View the channels of each place as one item."""
    return x.view(_item(x.shape[-1], x.dtype))[..., 0]


@functools.lru_cache(maxsize=256)
def _item(channels: int, dtype: Dtype) -> Dtype:
    """Return the type of the channels of a place."""
    return np.dtype((np.void, channels * dtype.itemsize))


def _are_apart(windows: Windows) -> bool:
    """Return whether no entry is in two windows."""
    return all(k <= s for k, s in zip(windows.kernel, windows.strides, strict=True))


@functools.lru_cache(maxsize=256)
def _weights(windows: Windows, dtype: Dtype) -> Array:
    """Return 1 / number of entries of each window that are no padding, (*counts, 1) or one."""
    if _tiles(windows):
        return constant(1 / math.prod(windows.kernel), (), dtype)
    entries = np.zeros((1, *windows.counts, 1))
    for _, seeing, _ in windows.offsets():
        entries[seeing] += 1
    weights = (1 / entries[0]).astype(dtype)
    weights.flags.writeable = False
    return weights


def work_of(x: Array, windows: Windows) -> int:
    """Return the number of multiplications of a matrix product that take as long.

    An entry takes as long as ten, and to begin a row of channels as long as thirty entries.
    """
    entries = math.prod(windows.counts) * math.prod(windows.kernel) * (x.shape[-1] + 30)
    return 10 * len(x) * entries


_BOOL = np.dtype(bool)
# Bytes of the channels of a place up to which their copies are reduced faster.
_NARROW = 128
