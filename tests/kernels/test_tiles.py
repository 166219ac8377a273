"""Convolutions in tiles are those of patches, and so is their rounding, nearly."""

import numpy as np
import pytest

from netlayers.kernels import convolution, lines, tiles
from netlayers.kernels import windows as module
from netlayers.kernels.windows import Windows
from tests.kernels.test_windows import draw, small_parts


@pytest.mark.parametrize("part", [module._PART, 3000, 50])
@pytest.mark.parametrize(
    ("sizes", "before", "counts"),
    [
        ((8, 8), (1, 1), (8, 8)),
        ((7, 9), (1, 1), (7, 9)),
        ((7, 6), (0, 0), (5, 4)),
        ((5, 5), (2, 2), (7, 7)),
        ((4, 5), (2, 0), (3, 4)),
        ((3, 3), (0, 1), (1, 2)),
        ((1, 1), (1, 1), (1, 1)),
        ((6, 5), (2, 1), (8, 6)),
    ],
)
def test_tiles_are_the_convolution(monkeypatch, sizes, before, counts, part):
    for tiled in (tiles, lines):
        windows = Windows(sizes, (3, 3), (1, 1), (1, 1), before, counts)
        check_tiles(monkeypatch, tiled, windows, part)


@pytest.mark.parametrize("kernel", [(5, 5), (3, 1), (5, 2)])
def test_lines_of_other_kernels_are_the_convolution(monkeypatch, kernel):
    windows = Windows((9, 7), kernel, (1, 1), (1, 1), (2, 0), (9, 6))
    check_tiles(monkeypatch, lines, windows, 3000)


@pytest.mark.parametrize(
    ("size", "length", "dilation", "before", "count"),
    [
        (8, 3, 1, 1, 8),
        (8, 7, 1, 3, 8),
        (16, 7, 2, 6, 16),
        (14, 7, 1, 0, 8),
        (16, 3, 4, 4, 16),
        (8, 7, 4, 24, 8),
        (28, 7, 2, 0, 16),
        (20, 5, 1, 2, 20),
        (50, 5, 2, 4, 50),
    ],
)
def test_tiles_of_series_are_the_convolution(monkeypatch, size, length, dilation, before, count):
    windows = Windows((size,), (length,), (1,), (dilation,), (before,), (count,))
    check_tiles(monkeypatch, lines, windows, module._PART)


def check_tiles(monkeypatch, tiled, windows, part):
    """Compare the three sums in tiles, if there are whole ones, with those of patches."""
    x, dy = draw(3, *windows.sizes, 2), draw(3, *windows.counts, 3)
    kernel, bias = draw(*windows.kernel, 2, 3), draw(3)
    results = []
    monkeypatch.setattr(tiles, "_TILES", 1)
    monkeypatch.setattr(lines, "_OUTPUTS", 1)
    monkeypatch.setattr(lines, "_SAVED", 0)
    with small_parts(part):
        for fewest in (1000, 1):
            for other in (tiles, lines):
                monkeypatch.setattr(other, "_FEWEST", fewest if other is tiled else 1000)
            assert tiled.suits(3, kernel, windows, 1) == (fewest == 1)
            results.append([np.full(a.shape, np.nan) for a in (dy, kernel, x)])
            y, d_kernel, dx = results[-1]
            convolution.convolve(x, kernel, windows, y, 1, bias)
            rectified = np.full(y.shape, np.nan)
            convolution.convolve(x, kernel, windows, rectified, 1, bias, rectify=True)
            np.testing.assert_array_equal(rectified, np.maximum(y, 0))
            convolution.convolve_kernel_gradient(x, dy, windows, d_kernel)
            convolution.convolve_input_gradient(dy, kernel, windows, dx)
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_many_channels_are_computed_in_tiles():
    windows = Windows((16, 16), (3, 3), (1, 1), (1, 1), (1, 1), (16, 16))
    for tiled, channels in ((tiles, 256), (lines, 2)):
        kernel = draw(3, 3, channels, channels)
        assert tiled.suits(4, kernel, windows, 1)
        assert not tiled.suits(1, kernel, windows, 1)  # few tiles
        assert not tiled.suits(4, kernel[:, :, :1], windows, 1)
        assert not tiled.suits(4, kernel, windows, 2)
        assert not tiled.suits(4, kernel, windows._replace(strides=(2, 1)), 1)
        assert not tiled.suits(4, kernel, windows._replace(dilation=(1, 2)), 1)
        assert not tiled.suits(4, kernel[:2], windows._replace(kernel=(2, 3)), 1)
        volume = Windows(*(2 * n[:1] + n[1:] for n in windows))
        assert not tiled.suits(4, draw(3, 3, 3, channels, channels), volume, 1)
    small = windows._replace(sizes=(2, 2), counts=(2, 2))
    assert not lines.suits(1000, draw(3, 3, 2, 2), small, 1)  # most of a tile is over the edge


@pytest.mark.parametrize("channels", [16, 64])
def test_lines_round_little_more_than_the_product_of_patches(monkeypatch, channels):
    windows = Windows((16, 16), (3, 3), (1, 1), (1, 1), (1, 1), (16, 16))
    x, kernel = draw(4, 16, 16, channels), draw(3, 3, channels, channels)
    exact, y = np.empty(x.shape), np.empty(x.shape, np.float32)
    errors = []
    for fewest in (1, 1000):
        monkeypatch.setattr(lines, "_FEWEST", fewest)
        convolution.convolve(x, kernel, windows, exact)
        convolution.convolve(x.astype("float32"), kernel.astype("float32"), windows, y)
        errors.append(np.sqrt(np.mean((y - exact) ** 2)) / exact.std())
    assert errors[0] < 2.2 * errors[1] < 2e-6, errors


def test_series_are_computed_in_lines():
    windows, kernel = Windows((512,), (7,), (1,), (2,), (6,), (512,)), draw(7, 64, 64)

    def suits(given=kernel, groups=1, **changes):
        return lines.suits(1, given, windows._replace(**changes), groups)

    assert suits()
    assert not suits(given=kernel[:, :1])
    assert not suits(groups=2)
    assert not suits(strides=(2,))
    assert not suits(before=(5,))  # no multiple of the dilation
    assert not suits(counts=(256,))  # few outputs
    assert not suits(kernel=(6,))
