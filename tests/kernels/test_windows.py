"""Convolutions and pooling, part by part, against sums written as loops."""

import contextlib
import importlib
import itertools
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlayers.kernels import convolution, depthwise, pooling, threads
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
        rectified = np.full(y.shape, np.nan)
        kernels.convolve(x, kernel, windows, rectified, groups, bias, rectify=True)
        np.testing.assert_array_equal(rectified, np.maximum(found[0], 0))
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
    check_pooling(windows, samples, channels, part)


@st.composite
def tiles_of_windows(draw):
    """Return windows side by side, and sizes with some entries behind the last ones."""
    kernel, counts, sizes = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        k, count = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        kernel.append(k)
        counts.append(count)
        sizes.append(k * count + draw(st.integers(0, k - 1)))
    ones, zeros = (1,) * len(sizes), (0,) * len(sizes)
    return Windows(*map(tuple, (sizes, kernel, kernel, ones, zeros, counts)))


@settings(deadline=None, max_examples=30)
@given(windows=tiles_of_windows(), channels=st.sampled_from([1, 3, 40]), part=PARTS)
def test_pooling_of_windows_side_by_side(windows, channels, part):
    check_pooling(windows, 3, channels, part)


def check_pooling(windows, samples, channels, part):
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


@pytest.mark.parametrize(("samples", "channels"), [(0, 3), (2, 0)])
def test_pooling_of_nothing(samples, channels):
    windows = Windows((4, 4), (2, 2), (2, 2), (1, 1), (0, 0), (2, 2))
    x, y = np.ones((samples, 4, 4, channels)), np.ones((samples, 2, 2, channels))
    pooling.max_pool(x, windows, y)
    pooling.max_pool_gradient(x, y, y, windows, x)
    pooling.average_pool(x, windows, y)
    pooling.average_pool_gradient(y, windows, x)


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("channels", [1, 2, 70])
def test_pooling_of_ties_and_nan_of_any_memory(channels, before):
    """Of NumPy's kernels: windows side by side, or with padding, of an x with gaps between."""
    x = np.full((1, 3, 5, channels, 2), 7, "float32")[..., 1]
    x[0, :, :, -1] = [[2, 2, 1, 0, 9], [2, 2, 4, 4, 9], [9, 9, 9, 9, np.nan]]
    windows = Windows((3, 5), (2, 2), (2, 2), (1, 1), (before,) * 2, (1 + before, 2 + before))
    y, dx = np.full((1, *windows.counts, channels), 5, "float32"), np.full_like(x, 5)
    dy = np.arange(1, y.size + 1, dtype="float32").reshape(y.shape)
    pooling.max_pool(x, windows, y)
    pooling.max_pool_gradient(x, y, dy, windows, dx)
    its = dy[0, ..., -1]
    if before:
        nan = np.nan
        assert np.array_equal(y[0, ..., -1], [[2, 2, 9], [9, 9, nan]], equal_nan=True)
        expected = [
            [its[0, 0], its[0, 1], 0, 0, its[0, 2]],
            [0] * 5,
            [its[1, 0], its[1, 1], 0, 0, 0],
        ]
    else:
        assert y[0, ..., -1].tolist() == [[2, 4]]
        expected = [[its[0, 0], 0, 0, 0, 0], [0, 0, its[0, 1], 0, 0], [0] * 5]
    assert dx[0, ..., -1].tolist() == expected
    assert dx.sum() == (dy.sum() - its[1, 2] if before else dy.sum())


def test_sums_of_channels_round_once():
    x = np.random.default_rng(4).uniform(size=(600, 9, 9, 3)).astype("float32")
    sums = np.empty(3, "float32")
    convolution.channel_sums(x, sums)
    np.testing.assert_allclose(sums, x.sum((0, 1, 2), dtype="float64"), rtol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", [1, 16, 37])
def test_rows_and_filters_of_several_tiles(filters, dtype):
    """Compiled kernels compute tiles of some rows and columns; NumPy's know no tiles."""
    windows = Windows((3, 29), (2, 3), (1, 1), (1, 1), (1, 1), (4, 29))
    x, kernel = draw(2, 3, 29, 9).astype(dtype), draw(2, 3, 9, filters).astype(dtype)
    dy = draw(2, 4, 29, filters).astype(dtype)
    found = [np.full_like(a, np.nan) for a in (dy, kernel, x)]
    kernels.convolve(x, kernel, windows, found[0])
    kernels.convolve_kernel_gradient(x, dy, windows, found[1])
    kernels.convolve_input_gradient(dy, kernel, windows, found[2])
    expected = [np.full_like(a, np.nan) for a in (dy, kernel, x)]
    convolution.convolve(x, kernel, windows, expected[0])
    convolution.convolve_kernel_gradient(x, dy, windows, expected[1])
    convolution.convolve_input_gradient(dy, kernel, windows, expected[2])
    x, kernel = draw(2, 3, 29, filters).astype(dtype), draw(2, 3, filters, 1).astype(dtype)
    found += [np.full_like(a, np.nan) for a in (dy, kernel, x)]
    kernels.depthwise_convolve(x, kernel, windows, found[3])
    kernels.depthwise_kernel_gradient(x, dy, windows, found[4])
    kernels.depthwise_input_gradient(dy, kernel, windows, found[5])
    expected += [np.full_like(a, np.nan) for a in (dy, kernel, x)]
    depthwise.depthwise_convolve(x, kernel, windows, expected[3])
    depthwise.depthwise_kernel_gradient(x, dy, windows, expected[4])
    depthwise.depthwise_input_gradient(dy, kernel, windows, expected[5])
    windows = windows._replace(dilation=(1, 1))
    found += [np.full_like(dy, np.nan), np.full_like(dy[:, :2, :27], np.nan)]
    kernels.max_pool(x, windows, found[6])
    kernels.average_pool(x, windows._replace(before=(0, 0), counts=(2, 27)), found[7])
    expected += [np.full_like(dy, np.nan), np.full_like(dy[:, :2, :27], np.nan)]
    pooling.max_pool(x, windows, expected[6])
    pooling.average_pool(x, windows._replace(before=(0, 0), counts=(2, 27)), expected[7])
    x[0, 1, 7, 0] = np.nan
    kernels.max_pool(x, windows, found[0])
    seen = np.isnan(found[0])
    assert seen[0, 1:3, 6:9, 0].all()  # the windows that see it
    assert seen.sum() == 6
    found, expected = found[1:], expected[1:]
    for array, answer in zip(found, expected, strict=True):
        assert array.dtype == dtype
        scale = np.abs(answer).max()
        np.testing.assert_allclose(array, answer, rtol=0, atol=30 * np.finfo(dtype).eps * scale)


@pytest.mark.kernels
@pytest.mark.slow
@pytest.mark.parametrize(("size", "rows"), [(16, 6), (32, 6), (64, 12)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_column", [False, True])
def test_tiles_of_other_processors(monkeypatch, size, rows, dtype, by_column):
    """Every number of rows and columns, for registers of all sizes."""
    numba = pytest.importorskip("numba")
    tile = importlib.import_module("netlayers.kernels.compiled.tile")
    monkeypatch.setattr(tile, "registers", lambda: tile.Registers(size, rows))
    entries, *tiles, _ = tile.declared()
    write_tile = tiles[by_column]

    @numba.njit
    def compute(rows, columns, a, a_places, b, b_places, first, out):
        write_tile(
            rows, columns, a_places.size, 3,
            (entries(a), 1, 5, 2, entries(a_places)), (entries(b), 2, columns, entries(b_places)),
            (entries(first), 0, 0), (entries(out), 1, columns + 1),
        )  # fmt: skip

    a_places, b_places = np.array([0, 7]), np.array([100, 5])
    steps = np.arange(3)
    for height in range(1, rows + 1):
        for columns in range(1, tile.VECTORS * size // np.dtype(dtype).itemsize + 1):
            a, b, first = (draw(count).astype(dtype) for count in (120, 300, columns))
            out = np.full(2 + height * (columns + 1), 7, dtype)
            compute(height, columns, a, a_places, b, b_places, first, out)
            for r in range(height):
                at, end = 1 + r * (columns + 1), 1 + r * (columns + 1) + columns
                terms = []
                for i, j in zip(a_places, b_places, strict=True):
                    above = b[2 + j :][: 3 * columns].reshape(3, columns)
                    left = a[1 + i + 5 * r + 2 * steps[:, None] + by_column * np.arange(columns)]
                    terms.append((left * above).sum(axis=0))
                np.testing.assert_allclose(out[at:end], first + sum(terms), rtol=1e-4, atol=1e-5)
                assert out[end] == 7  # nothing is written behind a row
