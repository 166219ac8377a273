"""Convolution of each channel by itself: sums of products, offset by offset.

The parts of the batch are so small that they stay in the cache of the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.windows import parts_of_samples

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.windows import New, Windows


def depthwise(x: Array, kernel: Array, windows: Windows, out: Array, new: New) -> None:
    """``out[n, p, c, m] = Σ x[n, s p + d q - before, c] kernel[q, c, m]`` over the offsets q.

    Args:
        x: (batch, *sizes, channels).
        kernel: (*kernel, channels, multiplier).
        windows: the windows on x.
        out: (batch, *counts, channels * multiplier), to be filled.
        new: returns scratch memory.
    """
    grouped = out.reshape(*out.shape[:-1], *kernel.shape[-2:])
    for samples, target, scratch in parts_of_samples(x, windows, grouped, new):
        target.fill(0)
        for offset, seeing, seen in windows.offsets():
            for m in range(kernel.shape[-1]):
                goal = target[..., m][seeing]
                term = scratch[: goal.size].reshape(goal.shape)
                np.multiply(x[samples][seen], kernel[offset][:, m], out=term)
                goal += term


def depthwise_input_gradient(
    dy: Array, kernel: Array, windows: Windows, out: Array, new: New
) -> None:
    """``out[n, s p + d q - before, c] = Σ dy[n, p, c, m] kernel[q, c, m]``."""
    grouped = dy.reshape(*dy.shape[:-1], *kernel.shape[-2:])
    for samples, part, scratch in parts_of_samples(out, windows, grouped, new):
        target = out[samples]
        target.fill(0)
        for offset, seeing, seen in windows.offsets():
            for m in range(kernel.shape[-1]):
                given = part[..., m][seeing]
                term = scratch[: given.size].reshape(given.shape)
                np.multiply(given, kernel[offset][:, m], out=term)
                target[seen] += term


def depthwise_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array, new: New) -> None:
    """``out[q, c, m] = Σ x[n, s p + d q - before, c] dy[n, p, c, m]`` over all n and p."""
    grouped = dy.reshape(*dy.shape[:-1], *out.shape[-2:])
    out.fill(0)
    total = new("total", (out.shape[-2],))
    for samples, part, scratch in parts_of_samples(x, windows, grouped, new):
        for offset, seeing, seen in windows.offsets():
            for m in range(out.shape[-1]):
                given = part[..., m][seeing]
                term = scratch[: given.size].reshape(given.shape)
                np.multiply(x[samples][seen], given, out=term)
                channel_sums(term, total, new)
                out[offset][:, m] += total
