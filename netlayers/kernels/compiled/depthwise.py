"""Depthwise convolutions with one output for each channel, by the loops of ``convolution.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.kernels import depthwise
from netlayers.kernels.compiled import convolution
from netlayers.kernels.compiled.matrix import BY_COLUMN
from netlayers.kernels.compiled.places import convolution_places, gradient_places

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows


def depthwise_convolve(x: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_convolve`."""
    channels, times = kernel.shape[-2:]
    if not convolution._compiles(x, times):
        depthwise.depthwise_convolve(x, kernel, windows, out)
        return
    places = convolution_places(windows, channels, channels, depthwise=True)
    first, work = convolution.row_of(0, channels, x.dtype), depthwise.work_of(out, kernel)
    convolution.sums(x, places, kernel, first, work, BY_COLUMN)(x, out)


def depthwise_input_gradient(dy: Array, kernel: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_input_gradient`."""
    channels, times = kernel.shape[-2:]
    if not convolution._compiles(dy, times):
        depthwise.depthwise_input_gradient(dy, kernel, windows, out)
        return
    first, work = convolution.row_of(0, channels, dy.dtype), depthwise.work_of(dy, kernel)
    remainders = gradient_places(windows, channels, channels, depthwise=True)
    for places in remainders:
        its = work / len(remainders)
        convolution.sums(dy, places, kernel, first, its, BY_COLUMN)(dy, out)


def depthwise_kernel_gradient(x: Array, dy: Array, windows: Windows, out: Array) -> None:
    """See :func:`netlayers.kernels.depthwise.depthwise_kernel_gradient`."""
    channels, times = out.shape[-2:]
    if not convolution._compiles(x, times):
        depthwise.depthwise_kernel_gradient(x, dy, windows, out)
        return
    places = convolution_places(windows, channels, channels, depthwise=True)
    convolution._kernel_gradient(x, dy, places, out, depthwise.work_of(dy, out), kind=BY_COLUMN)


KERNELS: tuple[Any, ...] = (
    depthwise_convolve,
    depthwise_kernel_gradient,
    depthwise_input_gradient,
)
