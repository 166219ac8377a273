"""Convolutions and pooling, part by part, against sums written as loops."""

import contextlib
import itertools
import math
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.kernels import threads
from netlayers.kernels import windows as module
from netlayers.kernels.select import kernels
from netlayers.kernels.windows import Windows


@st.composite
def geometries(draw):
    """Return windows with any padding before, some over the end, and sizes of a batch."""
    rank = draw(st.integers(1, 2))
    sizes, kernel, strides, dilation, before, counts = [], [], [], [], [], []
    for _ in range(rank):
        n, k, s, d = (draw(st.integers(1, limit)) for limit in (6, 3, 3, 2))
        reach = (k - 1) * d
        b = draw(st.integers(0, reach))
        for found, value in zip(
            (sizes, kernel, strides, dilation, before), (n, k, s, d, b), strict=True
        ):
            found.append(value)
        counts.append(draw(st.integers(1, max(1, (n + b - 1) // s + 1))))
    return Windows(*map(tuple, (sizes, kernel, strides, dilation, before, counts)))


def pairs(windows):
    """Yield each window, each offset, and the entry seen there, unless it is padding."""
    for p in itertools.product(*map(range, windows.counts)):
        for q in itertools.product(*map(range, windows.kernel)):
            entry = tuple(
                i * s + j * d - b
                for i, j, s, d, b in zip(
                    p, q, windows.strides, windows.dilation, windows.before, strict=True
                )
            )
            if all(0 <= e < n for e, n in zip(entry, windows.sizes, strict=True)):
                yield p, q, entry


# Entries of a part: the usual number, and so few that a part is a few samples or a row of one.
PARTS = st.sampled_from([module._PART, 40, 7])


@contextlib.contextmanager
def small_parts(part):
    """Compute in parts of so many entries, and in shares of a few multiplications."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(module, "_PART", part))
        stack.enter_context(mock.patch.object(threads, "_WORK", part))
        if nl.kernels_in_use() == "numba":
            from netlayers.kernels.compiled import shares

            stack.enter_context(mock.patch.object(shares, "_PART", part))
        yield


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 2), st.sampled_from([1, 3, 5]))


def draw(*shape):
    return np.random.default_rng(math.prod(shape)).normal(size=shape)


@settings(deadline=None)
@given(windows=geometries(), sizes=SIZES, part=PARTS)
def test_convolution(windows, sizes, part):
    samples, groups, channels = sizes
    x = draw(samples, *windows.sizes, groups * channels)
    kernel = draw(*windows.kernel, channels, 2 * groups)
    bias, dy = draw(2 * groups), draw(samples, *windows.counts, 2 * groups)
    y, d_kernel, dx = np.zeros(dy.shape) + bias, np.zeros(kernel.shape), np.zeros(x.shape)
    for p, q, entry in pairs(windows):
        for g in range(groups):
            inputs, outputs = slice(g * channels, (g + 1) * channels), slice(2 * g, 2 * g + 2)
            seen, given_ = x[(slice(None), *entry, inputs)], dy[(slice(None), *p, outputs)]
            y[(slice(None), *p, outputs)] += seen @ kernel[(*q, slice(None), outputs)]
            d_kernel[(*q, slice(None), outputs)] += seen.T @ given_
            dx[(slice(None), *entry, inputs)] += given_ @ kernel[(*q, slice(None), outputs)].T
    found = [np.full(a.shape, np.nan) for a in (y, d_kernel, dx)]
    with small_parts(part):
        kernels.convolve(x, kernel, windows, found[0], groups, bias)
        kernels.convolve_kernel_gradient(x, dy, windows, found[1], groups)
        kernels.convolve_input_gradient(dy, kernel, windows, found[2], groups)
    for array, expected in zip(found, (y, d_kernel, dx), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-10, atol=1e-12)


@settings(deadline=None)
@given(windows=geometries(), sizes=SIZES, part=PARTS)
def test_depthwise_convolution(windows, sizes, part):
    samples, times, channels = sizes
    x, kernel = draw(samples, *windows.sizes, channels), draw(*windows.kernel, channels, times)
    dy = draw(samples, *windows.counts, channels * times)
    grouped = dy.reshape(*dy.shape[:-1], channels, times)
    y, d_kernel, dx = np.zeros(grouped.shape), np.zeros(kernel.shape), np.zeros(x.shape)
    every = slice(None)
    for p, q, entry in pairs(windows):
        y[(every, *p)] += x[(every, *entry)][..., None] * kernel[q]
        d_kernel[q] += (x[(every, *entry)][..., None] * grouped[(every, *p)]).sum(axis=0)
        dx[(every, *entry)] += (grouped[(every, *p)] * kernel[q]).sum(axis=-1)
    found = [np.full(a.shape, np.nan) for a in (dy, kernel, x)]
    with small_parts(part):
        kernels.depthwise_convolve(x, kernel, windows, found[0])
        kernels.depthwise_kernel_gradient(x, dy, windows, found[1])
        kernels.depthwise_input_gradient(dy, kernel, windows, found[2])
    for array, expected in zip(found, (y.reshape(dy.shape), d_kernel, dx), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-10, atol=1e-12)


@settings(deadline=None)
@given(windows=geometries(), sizes=SIZES, part=PARTS)
def test_pooling(windows, sizes, part):
    samples, _, channels = sizes
    windows = windows._replace(  # as the layers make them: each window sees an entry
        counts=tuple(
            min(count, (n + min(b, k - 1) - 1) // s + 1)
            for n, k, s, _, b, count in zip(*windows, strict=True)
        ),
        before=tuple(min(b, k - 1) for b, k in zip(windows.before, windows.kernel, strict=True)),
        dilation=(1,) * len(windows.sizes),
    )
    x = np.round(draw(samples, *windows.sizes, channels), 0)  # some are equal
    dy = draw(samples, *windows.counts, channels)
    every = slice(None)
    best, total, entries = np.full(dy.shape, -np.inf), np.zeros(dy.shape), np.zeros(dy.shape)
    seen = list(pairs(windows))
    for p, _, entry in seen:
        best[(every, *p)] = np.maximum(best[(every, *p)], x[(every, *entry)])
        total[(every, *p)] += x[(every, *entry)]
        entries[(every, *p)] += 1
    assert entries.min() >= 1
    d_best, d_mean, left = np.zeros(x.shape), np.zeros(x.shape), dy.copy()
    for p, _, entry in seen:
        hit = x[(every, *entry)] == best[(every, *p)]
        d_best[(every, *entry)] += np.where(hit, left[(every, *p)], 0)
        left[(every, *p)] = np.where(hit, 0, left[(every, *p)])
        d_mean[(every, *entry)] += dy[(every, *p)] / entries[(every, *p)]
    found = [np.full(a.shape, np.nan) for a in (dy, x, dy, x)]
    with small_parts(part):
        kernels.max_pool(x, windows, found[0])
        kernels.max_pool_gradient(x, best, dy, windows, found[1])
        kernels.average_pool(x, windows, found[2])
        kernels.average_pool_gradient(dy, windows, found[3])
    expected = (best, d_best, total / entries, d_mean)
    for array, answer in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, answer, rtol=1e-10, atol=1e-12)
