"""The largest and the mean entry of windows, offset by offset."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.windows import parts_of_samples

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype
    from netlayers.kernels.windows import New, Windows


def max_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p] = max x[n, s p + q]`` over the offsets q, padding left out."""
    out.fill(-np.inf)
    for _, seeing, seen in windows.offsets():
        target = out[seeing]
        np.maximum(target, x[seen], out=target)


def max_pool_gradient(
    x: Array, y: Array, dy: Array, windows: Windows, out: Array, new: New
) -> None:
    """Hand each dy to the entry of its window that was the largest, the first of several."""
    out.fill(0)
    for samples, rest, scratch in parts_of_samples(x, windows, dy, new):
        left = new("left", rest.shape)
        np.copyto(left, rest)
        for _, seeing, seen in windows.offsets():
            given = left[seeing]
            term = scratch[: given.size].reshape(given.shape)
            np.multiply(given, x[samples][seen] == y[samples][seeing], out=term)
            out[samples][seen] += term
            given -= term


def average_pool(x: Array, windows: Windows, out: Array) -> None:
    """``out[n, p]`` is the mean of ``x[n, s p + q]`` over the offsets q, padding left out."""
    out.fill(0)
    for _, seeing, seen in windows.offsets():
        out[seeing] += x[seen]
    np.multiply(out, _shares(windows, out.dtype), out=out)


def average_pool_gradient(dy: Array, windows: Windows, out: Array, new: New) -> None:
    """``out[n, s p + q] = Σ dy[n, p] / entries of the window p``."""
    out.fill(0)
    shares = _shares(windows, dy.dtype)
    for samples, part, scratch in parts_of_samples(out, windows, dy, new):
        share = scratch[: part.size].reshape(part.shape)
        np.multiply(part, shares, out=share)
        for _, seeing, seen in windows.offsets():
            out[samples][seen] += share[seeing]


@functools.lru_cache(maxsize=256)
def _shares(windows: Windows, dtype: Dtype) -> Array:
    """Return 1 / number of entries of each window that are no padding, (*counts, 1)."""
    entries = np.zeros((1, *windows.counts, 1))
    for _, seeing, _ in windows.offsets():
        entries[seeing] += 1
    shares = (1 / entries[0]).astype(dtype)
    shares.flags.writeable = False
    return shares
