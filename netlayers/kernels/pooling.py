"""The largest and the mean entry of windows, offset by offset."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.threads import run, scratch, shares
from netlayers.kernels.windows import parts_of_samples

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype
    from netlayers.kernels.windows import Windows


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p] = max x[n, s p + q]`` over the offsets q, padding left out."""

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, x.shape[-1]):
            given, target = x[samples], out[samples]
            target.fill(-np.inf)
            for _, seeing, seen in windows.offsets():
                np.maximum(target[seeing], given[seen], out=target[seeing])

    run(compute, shares_of(x, windows))


def max_pool_gradient(x: Array, y: Array, dy: Array, windows: Windows, out: Array) -> None:
    """Hand each dy to the entry of its window that was the largest, the first of several."""
    apart = _are_apart(windows)

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, x.shape[-1]):
            given, largest, target = x[samples], y[samples], out[samples]
            left = scratch("left", largest.shape, dy.dtype)
            np.copyto(left, dy[samples])
            target.fill(0)
            for _, seeing, seen in windows.offsets():
                rest = left[seeing]
                found = scratch("found", rest.shape, _BOOL)
                np.equal(given[seen], largest[seeing], out=found)
                term = target[seen] if apart else scratch("term", rest.shape, dy.dtype)
                np.multiply(rest, found, out=term)
                if not apart:
                    target[seen] += term
                rest -= term

    run(compute, shares_of(x, windows))


def average_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p]`` is the mean of ``x[n, s p + q]`` over the offsets q, padding left out."""

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, x.shape[-1]):
            given, target = x[samples], out[samples]
            target.fill(0)
            for _, seeing, seen in windows.offsets():
                target[seeing] += given[seen]
            np.multiply(target, _weights(windows, x.dtype), out=target)

    run(compute, shares_of(x, windows))


def average_pool_gradient(dy: Array, windows: Windows, out: Array) -> None:
    """``out[n, s p + q] = Σ dy[n, p] / entries of the window p``."""
    apart = _are_apart(windows)

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, out.shape[-1]):
            given, target = dy[samples], out[samples]
            term = scratch("term", given.shape, dy.dtype)
            np.multiply(given, _weights(windows, dy.dtype), out=term)
            target.fill(0)
            for _, seeing, seen in windows.offsets():
                if apart:
                    target[seen] = term[seeing]
                else:
                    target[seen] += term[seeing]

    run(compute, shares_of(out, windows))


def _are_apart(windows: Windows) -> bool:
    """Return whether no entry is in two windows."""
    return all(k <= s for k, s in zip(windows.kernel, windows.strides, strict=True))


@functools.lru_cache(maxsize=256)
def _weights(windows: Windows, dtype: Dtype) -> Array:
    """Return 1 / number of entries of each window that are no padding, (*counts, 1)."""
    entries = np.zeros((1, *windows.counts, 1))
    for _, seeing, _ in windows.offsets():
        entries[seeing] += 1
    weights = (1 / entries[0]).astype(dtype)
    weights.flags.writeable = False
    return weights


def shares_of(x: Array, windows: Windows) -> list[slice]:
    """Cut the batch for the threads, by :func:`work_of`."""
    return shares(len(x), work_of(x, windows))


def work_of(x: Array, windows: Windows) -> int:
    """Return the number of multiplications of a matrix product that take as long.

    An entry takes as long as ten, and to begin a row of channels as long as thirty entries.
    """
    entries = math.prod(windows.counts) * math.prod(windows.kernel) * (x.shape[-1] + 30)
    return 10 * len(x) * entries


_BOOL = np.dtype(bool)
