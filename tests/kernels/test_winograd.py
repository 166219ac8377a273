"""Convolutions in tiles of 2 x 2 outputs, of two or four, against NumPy's."""

import importlib.util
from unittest import mock

import numpy as np
import pytest

from netlayers.kernels import convolution, threads
from netlayers.kernels.windows import Windows

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")


def windows(sizes, before, counts):
    return Windows(sizes, (3, 3), (1, 1), (1, 1), before, counts)


def series(size, kernel, dilation, before):
    """Windows without zeros, or as many as leave the size."""
    count = size if before else size - (kernel - 1) * dilation
    return Windows((size,), (kernel,), (1,), (dilation,), (before,), (count,))


GEOMETRIES = {
    "valid": windows((6, 8), (0, 0), (4, 6)),
    "same": windows((6, 4), (1, 1), (6, 4)),
    "more zeros before": windows((5, 4), (2, 1), (6, 4)),
    "more zeros after": windows((3, 5), (0, 1), (4, 6)),
    "one tile": windows((4, 4), (0, 0), (2, 2)),
    "odd sizes": windows((7, 5), (1, 0), (7, 3)),
    "5 x 5": Windows((6, 5), (5, 5), (1, 1), (1, 1), (2, 3), (6, 4)),
    "series of 3": series(8, 3, 2, 4),
    "series of 5": series(10, 5, 1, 0),
    "series of 7": series(8, 7, 1, 6),
    "every other step": series(12, 7, 2, 6),
    "every fifth step": series(60, 7, 5, 0),
}


@pytest.fixture
def tiles():
    """Return the kernels, with tiles for any number of channels, in small blocks and shares."""
    from netlayers.kernels.compiled import compiled_kernels, winograd

    compiled_kernels()
    with (
        mock.patch.dict(winograd.FEWEST, dict.fromkeys(winograd.FEWEST, 1)),
        mock.patch.object(winograd, "_OUTPUTS", 1),
        mock.patch.object(winograd, "_FEW", 1),
        mock.patch.multiple(winograd, _TIMES=1, _PRODUCTS=1),
        mock.patch.object(winograd, "_BLOCK", 16 * 19 * 5),
        mock.patch.object(threads, "_WORK", 1 << 12),
    ):
        yield winograd


@pytest.mark.slow  # to compile the tiles takes 12 s
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 19), (16, 5), (33, 32)])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_tiles_compute_what_numpy_does(tiles, geometry, sizes, dtype):
    rng, its, (channels, filters) = np.random.default_rng(0), GEOMETRIES[geometry], sizes
    x = rng.normal(size=(3, *its.sizes, channels)).astype(dtype)
    kernel = rng.normal(size=(*its.kernel, channels, filters)).astype(dtype)
    dy = rng.normal(size=(3, *its.counts, filters)).astype(dtype)
    bias = rng.normal(size=filters).astype(dtype)
    assert tiles._suits(kernel, its, 1)
    results = []
    for module in (convolution, tiles):
        y, d_kernel, dx = (np.full_like(a, np.nan) for a in (dy, kernel, x))
        module.convolve(x, kernel, its, y, 1, bias)
        without = np.full_like(y, np.nan)
        module.convolve(x, kernel, its, without)
        rectified = np.full_like(y, np.nan)
        module.convolve(x, kernel, its, rectified, 1, bias, True)
        np.testing.assert_array_equal(rectified, np.maximum(y, 0))
        module.convolve_kernel_gradient(x, dy, its, d_kernel)
        module.convolve_input_gradient(dy, kernel, its, dx)
        results.append((y, without, d_kernel, dx))
    for expected, got in zip(*results, strict=True):
        terms = max(kernel.size // min(channels, filters), 200)
        limit = 40 * np.finfo(dtype).eps * np.sqrt(terms)
        np.testing.assert_allclose(got, expected, rtol=0, atol=limit)


@pytest.mark.slow
@pytest.mark.parametrize("its", [windows((8, 8), (1, 1), (8, 8)), series(64, 7, 1, 3)])
def test_errors_are_no_larger_than_those_of_the_direct_sum(tiles, its):
    from netlayers.kernels.compiled import convolution as direct

    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(4, *its.sizes, 64)), rng.normal(size=(*its.kernel, 64, 64))
    exact = np.empty(x.shape)
    convolution.convolve(x, kernel, its, exact)
    errors = []
    for module in (direct, tiles):
        y = np.empty(x.shape, np.float32)
        module.convolve(x.astype(np.float32), kernel.astype(np.float32), its, y)
        errors.append(np.sqrt(np.mean((y - exact) ** 2)) / exact.std())
    assert errors[1] < 1.5 * errors[0] < 1.5e-6, errors


def test_what_tiles_cannot_compute_is_computed_otherwise(tiles):
    kernel, its = np.ones((3, 3, 4, 4)), GEOMETRIES["same"]
    assert not tiles._suits(kernel, its._replace(counts=(6, 1)), 1)
    assert not tiles._suits(kernel, its, 2)
    assert not tiles._suits(kernel.astype(complex), its, 1)
    assert not tiles._suits(kernel, its._replace(strides=(2, 1)), 1)
    assert not tiles._suits(kernel, its._replace(dilation=(1, 2)), 1)
    kernel = np.ones((7, 4, 4))
    assert tiles._suits(kernel, series(24, 7, 4, 12), 1)
    assert not tiles._suits(kernel, series(12, 7, 4, 12), 1)  # three rows of four
    assert not tiles._suits(kernel, series(22, 7, 4, 12), 1)
    assert not tiles._suits(kernel, series(24, 6, 4, 12), 1)
    assert tiles._suits(kernel, series(28, 7, 4, 12), 1)  # seven rows
    with mock.patch.object(tiles, "_PRODUCTS", 0.55):
        assert not tiles._suits(kernel, series(28, 7, 4, 12), 1)
        assert tiles._suits(kernel, series(32, 7, 4, 12), 1)
    with mock.patch.object(tiles, "_TIMES", 5):
        assert not tiles._suits(kernel, series(28, 7, 4, 12), 1)
