"""Convolution of each channel by itself: sums of products, offset by offset.

The parts of the batch are so small that they stay in the cache of the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.threads import run, scratch, shares
from netlayers.kernels.windows import parts_of_samples

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows


def depthwise_convolve(x: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """``out[n, p, c, m] = Σ x[n, s p + d q - before, c] kernel[q, c, m]`` over the offsets q.

    Args:
        x: (batch, *sizes, channels).
        kernel: (*kernel, channels, multiplier).
        windows: the windows on x.
        out: (batch, *counts, channels * multiplier), to be filled.
    """
    grouped = out.reshape(*out.shape[:-1], *kernel.shape[-2:])

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, x.shape[-1]):
            given, target = x[samples], grouped[samples]
            target[...] = 0
            for offset, seeing, seen in windows.offsets():
                for m in range(kernel.shape[-1]):
                    goal = target[..., m][seeing]
                    goal += _product(given[seen], kernel[offset][:, m])

    run(compute, shares_of(out, kernel))


def depthwise_input_gradient(dy: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """``out[n, s p + d q - before, c] = Σ dy[n, p, c, m] kernel[q, c, m]``."""
    grouped = dy.reshape(*dy.shape[:-1], *kernel.shape[-2:])

    def compute(share: slice) -> None:
        for samples in parts_of_samples(share, windows, out.shape[-1]):
            given, target = grouped[samples], out[samples]
            target[...] = 0
            for offset, seeing, seen in windows.offsets():
                for m in range(kernel.shape[-1]):
                    target[seen] += _product(given[..., m][seeing], kernel[offset][:, m])

    run(compute, shares_of(dy, kernel))


def depthwise_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """``out[q, c, m] = Σ x[n, s p + d q - before, c] dy[n, p, c, m]`` over all n and p."""
    grouped = dy.reshape(*dy.shape[:-1], *out.shape[-2:])

    def compute(share: slice) -> Array:
        total = np.zeros_like(out)
        term = np.empty(out.shape[-2], out.dtype)
        for samples in parts_of_samples(share, windows, x.shape[-1]):
            seen_by, given = x[samples], grouped[samples]
            for offset, seeing, seen in windows.offsets():
                for m in range(out.shape[-1]):
                    channel_sums(_product(seen_by[seen], given[..., m][seeing]), term)
                    total[offset][:, m] += term
        return total

    np.add.reduce(run(compute, shares_of(dy, out)), axis=0, out=out)


def _product(a: Array, b: Array) -> Array:
    """Return ``a b`` in scratch memory."""
    return np.multiply(a, b, out=scratch("product", a.shape, a.dtype))


def shares_of(y: Array, kernel: Array) -> list[slice]:
    """Cut the batch for the threads; a multiplication takes ten times that of a matrix product."""
    return shares(len(y), work_of(y, kernel))


def work_of(y: Array, kernel: Array) -> int:
    """Return the number of multiplications of a matrix product that take as long."""
    return 10 * y.size * (kernel.size // (kernel.shape[-1] * kernel.shape[-2]))
