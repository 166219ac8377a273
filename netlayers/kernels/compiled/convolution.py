"""Convolutions without copies of patches: sums of products over the places of a padded image.

Neighbouring windows of a row see entries at a constant distance in the image, the entries of a
window under each other are rows further, and the channels of a place lie side by side. So all three
sums of ``kernels/convolution.py`` are matrices of sums of products of entries at computed places,
which the tile of ``tile.py`` adds up in registers::

    y        for a row of windows:  Σ over offsets, channels   x[window + offset] kernel[offset]
    d_kernel for an offset:         Σ over rows, windows       x[offset + window] dy[window]
    dx       for a row of places:   Σ over offsets, filters    dy[place - offset] kernel[offset]ᵀ

The first two are the same with rows and offsets exchanged. Places of the image whose remainder by
the stride is the same see the same offsets; dx is computed for one remainder after the other, by
the sum of the first kind. Only one padded image of a share of the batch is copied.

Source:
    M. Dukhan, "The indirect convolution algorithm" (2019): places instead of patches; E. Georganas
    et al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (2018):
    the gradients by the same sums.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import convolution
from netlayers.kernels.compiled import spreading
from netlayers.kernels.compiled.matrix import LARGEST, PRODUCT, code_of, compiled_matrix, multiply
from netlayers.kernels.compiled.places import Places, convolution_places, gradient_places
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.compiled.workers import (
    gradient_share_count,
    in_shares,
    share_count,
    task_of,
    together,
)
from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.threads import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.kernels.windows import Windows

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: tile 88552b7ace22, matrix 288754b6b11f,
# workers 7288e169d825.


# Set by :func:`compiled_convolutions`: functions of ``tile.py`` and ``matrix.py``, and the columns
# of a tile in bytes.
_entries: Any = None
_multiply: Any = None
_convolve_task: Any = None
_kernel_gradient_task: Any = None
_BYTES = 0


def _pad(x: Array, start: int, lines: Array, length: int, image: Array) -> None:
    """Copy the lines of a sample to their places in the padded image."""
    for i in range(lines.size):
        source = x[start + i * length : start + (i + 1) * length]
        target = image[lines[i] : lines[i] + length]
        for j in range(length):
            target[j] = source[j]


def _rectify(y: Array, start: int, end: int) -> None:
    """Replace negative numbers, which are in the cache; NaN stays.

    An index that may be negative for all that the compiler knows would prevent vectors.
    """
    zero, first = y.dtype.type(0), np.uint64(start)
    for i in range(np.uint64(end - start)):
        y[first + i] = zero if y[first + i] <= zero else y[first + i]


# Arguments of the loops that a :class:`Places` holds: from lines to seen.


def convolve_share(
    share: int,
    thread: int,
    count: int,
    code: int,
    x: Array,
    samples: int,
    images: Array,
    lines: Array,
    length: int,
    row: int,
    windows: Array,
    step: int,
    offsets: Array,
    steps: int,
    distance: int,
    terms: Array,
    outs: Array,
    out_step: int,
    seen: Array,
    kernel: Array,
    first: Array,
    out: Array,
    rectify: bool,
) -> None:
    """``out = first + Σ x kernel``, row by row; all arrays but the images are flat.

    A share of ``count`` is a part of the rows of windows of all samples. Each thread has a padded
    image; without padding, they are empty and x itself takes their place. ``code`` is the address
    of the code for the tiles, see ``matrix.py``: depthwise convolutions and maxima have other sums.
    """
    rows, image, padded = windows.size, images[thread], -1
    size, out_size = x.size // max(1, samples), out.size // max(1, samples)
    filters, width = first.size, _BYTES // x.itemsize
    source, matrix = _entries(image) if image.size else _entries(x), _entries(kernel)
    start, bias, target = 0, _entries(first), _entries(out)
    for line in range(samples * rows * share // count, samples * rows * (share + 1) // count):
        sample, i = line // rows, line % rows
        if not image.size:
            start = sample * size
        elif sample != padded:
            _pad(x, sample * size, lines, length, image)
            padded = sample
        begin, end, at = seen[i, 0], seen[i, 1], sample * out_size + outs[i]
        _multiply(
            code,
            row,
            filters,
            width,
            end - begin,
            steps,
            (source, start + windows[i], step, distance, _entries(offsets[begin:end])),
            (matrix, 0, filters, _entries(terms[begin:end])),
            (bias, 0, 0),
            (target, at, out_step),
        )
        if rectify:
            _rectify(out, at, at + row * out_step)


def kernel_gradient_share(
    share: int,
    thread: int,
    count: int,
    code: int,
    x: Array,
    samples: int,
    images: Array,
    lines: Array,
    length: int,
    row: int,
    windows: Array,
    step: int,
    offsets: Array,
    steps: int,
    distance: int,
    terms: Array,
    outs: Array,
    out_step: int,
    seen: Array,
    dy: Array,
    totals: Array,
) -> None:
    """``totals[share] = Σ x dy``, offset by offset, for a part of the samples."""
    image, total = images[thread], totals[share]
    size, dy_size = x.size // max(1, samples), dy.size // max(1, samples)
    filters, width = out_step, _BYTES // x.itemsize
    window_places, row_places = _entries(windows), _entries(outs)
    source, given = _entries(image) if image.size else _entries(x), _entries(dy)
    start, sums = 0, _entries(total)
    total[:] = 0
    for sample in range(samples * share // count, samples * (share + 1) // count):
        if image.size:
            _pad(x, sample * size, lines, length, image)
        else:
            start = sample * size
        for t in range(offsets.size):
            _multiply(
                code,
                steps,
                filters,
                width,
                windows.size,
                row,
                (source, start + offsets[t], distance, step, window_places),
                (given, sample * dy_size, filters, row_places),
                (sums, terms[t], filters),
                (sums, terms[t], filters),
            )


def convolve_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _convolve_task(args), args)


def kernel_gradient_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _kernel_gradient_task(args), args)


def compiled_convolutions(compiled: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Compile the loops and return the kernels by name.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    module = globals()
    compiled_matrix(compiled)
    module["_entries"], module["_multiply"] = declared()[0], multiply()
    module["_BYTES"] = VECTORS * registers().size
    for loop in (_pad, _rectify, convolve_share, kernel_gradient_share):
        module[loop.__name__] = compiled(loop)
    module["_convolve_task"] = task_of(convolve_share)
    module["_kernel_gradient_task"] = task_of(kernel_gradient_share)
    for task in (convolve_in_shares, kernel_gradient_in_shares):
        module[task.__name__] = compiled(task)
    spreading.compiled_spreading(compiled)
    return {kernel.__name__: kernel for kernel in KERNELS}


def _compiles(x: Array, groups: int) -> bool:
    """Return whether the loops can compute this: real numbers, one group, no exact products."""
    return groups == 1 and x.dtype.kind == "f" and not (EXACT and is_exact())


def _images(places: Places, dtype: Any, threads: int, padding: float = 0) -> Array:
    """Return memory for a padded image in each thread, filled with the padding."""
    if not places.size:
        return _no_images(threads, dtype)
    images = scratch("images", (threads, places.size), dtype)
    images.fill(padding)
    return images


@functools.lru_cache(maxsize=64)
def _no_images(threads: int, dtype: Any) -> Array:
    return np.empty((threads, 0), dtype)


@functools.lru_cache(maxsize=256)
def row_of(value: float, channels: int, dtype: Any) -> Array:
    """Return a row that is shared and not written to; compiled code knows no such arrays."""
    return np.full(channels, value, dtype)


def sums(
    x: Array,
    places: Places,
    kernel: Array,
    first: Array,
    work: float,
    kind: int = PRODUCT,
    rectify: bool = False,
) -> Callable[[Array, Array], None]:
    """Return the function of arrays like x and an output that computes a sum of the first kind.

    Args:
        x: the input.
        places: its places and those of the output.
        kernel: the kernel.
        first: what the sums start with.
        work: number of multiplications in all.
        kind: kind of the tiles.
        rectify: write 0 for negative sums.
    """
    samples, dtype, flat = len(x), x.dtype, kernel.reshape(-1)
    code = code_of(kind, dtype)
    count = share_count(samples * places.windows.size, work)
    padding = -np.inf if kind == LARGEST else 0

    def compute(x: Array, out: Array) -> None:
        def arguments(threads: int) -> tuple[Any, ...]:
            images = _images(places, dtype, threads, padding)
            return (
                count, code, x.reshape(-1), samples, images, *places[1:], flat, first,
                out.reshape(-1), rectify,
            )  # fmt: skip

        in_shares(convolve_in_shares, count, arguments, work)

    return compute


def prepared_convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
    rectify: bool = False,
) -> Callable[[Array, Array], None] | None:
    """See :meth:`netlayers.kernels.reference.Kernels.prepared_convolve`."""
    if not _compiles(x, groups):
        return None
    places = convolution_places(windows, *kernel.shape[-2:])
    first = row_of(0, len(kernel.T), x.dtype) if bias is None else bias
    work = convolution.work_of(out, kernel)
    return sums(x, places, kernel, first, work, PRODUCT, rectify)


def convolve(
    x: Array,
    kernel: Array,
    windows: Windows,
    out: Array,
    groups: int = 1,
    bias: Array | None = None,
    rectify: bool = False,
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve`."""
    compute = prepared_convolve(x, kernel, windows, out, groups, bias, rectify)
    if compute is None:
        convolution.convolve(x, kernel, windows, out, groups, bias, rectify)
    else:
        compute(x, out)


def convolve_input_gradient(
    dy: Array, kernel: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve_input_gradient`."""
    if not _compiles(dy, groups):
        convolution.convolve_input_gradient(dy, kernel, windows, out, groups)
        return
    if spreading.suits(dy, kernel, windows):
        spreading.input_gradient(dy, kernel, windows, out)
        return
    channels, filters = kernel.shape[-2:]
    transposed = np.ascontiguousarray(np.swapaxes(kernel, -1, -2))
    first, work = row_of(0, channels, dy.dtype), convolution.work_of(dy, kernel)
    remainders = gradient_places(windows, channels, filters)
    for places in remainders:
        sums(dy, places, transposed, first, work / len(remainders))(dy, out)


def convolve_kernel_gradient(
    x: Array, dy: Array, windows: Windows, out: Array, groups: int = 1
) -> None:
    """See :func:`netlayers.kernels.convolution.convolve_kernel_gradient`."""
    if not _compiles(x, groups):
        convolution.convolve_kernel_gradient(x, dy, windows, out, groups)
        return
    places = convolution_places(windows, *out.shape[-2:])
    _kernel_gradient(x, dy, places, out, convolution.work_of(dy, out))


def _kernel_gradient(
    x: Array, dy: Array, places: Places, out: Array, work: float, kind: int = PRODUCT
) -> None:
    count = gradient_share_count(len(x), work, out.size)
    totals = scratch("kernel gradients", (count, out.size), out.dtype)
    code = code_of(kind, x.dtype)

    def arguments(threads: int) -> tuple[Any, ...]:
        its = count, code, x.reshape(-1), len(x), _images(places, x.dtype, threads)
        return (*its, *places[1:], dy.reshape(-1), totals)

    in_shares(kernel_gradient_in_shares, count, arguments, work)
    np.add.reduce(totals, axis=0, out=out.reshape(-1))


KERNELS: tuple[Any, ...] = (convolve, convolve_kernel_gradient, convolve_input_gradient)
