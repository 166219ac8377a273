"""Sums and means of rows, in every way that they are computed."""

import numpy as np
import pytest

from netlayers.kernels.rows import flat_indices, row_means, row_sums, sums_by_index

SHAPES = [(1, 1), (5, 3), (4, 8193), (2, 3, 5), (2, 0, 3)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F", "reversed"])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_means_are_those_of_float64(shape, order, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    x = {"C": x, "F": np.asfortranarray(x), "reversed": x[..., ::-1]}[order]
    before = x.copy()
    wide = x.astype(np.float64)
    limit = 20 * np.finfo(dtype).eps * np.abs(wide).sum(axis=-1).max(initial=0)
    for got, expected in (
        (row_sums(x), wide.sum(axis=-1)),
        (row_means(x), wide.mean(axis=-1)),
    ):
        assert got.dtype == dtype
        assert got.shape == shape[:-1]
        np.testing.assert_allclose(got, expected, rtol=0, atol=limit)
    np.testing.assert_array_equal(x, before)


def test_long_rows_lose_no_digits():
    x = np.full((2, 1 << 22), 0.1, np.float32)  # added up one by one, 0.1 is soon rounded
    np.testing.assert_allclose(row_means(x), 0.1, rtol=1e-5)


def test_what_is_not_finite_stays_in_its_row():
    x = np.ones((4, 3), np.float32)
    x[1, 2], x[2, 0] = np.nan, np.inf
    np.testing.assert_array_equal(row_sums(x), [3, np.nan, np.inf, 3])
    np.testing.assert_array_equal(row_means(x), [1, np.nan, np.inf, 1])


def test_places_find_one_number_of_each_row():
    x = np.arange(24.0).reshape(2, 3, 4)
    t = np.array([[0, 3, 1], [2, 2, 0]])
    expected = np.take_along_axis(x, t[..., None], axis=-1)[..., 0]
    np.testing.assert_array_equal(x.reshape(-1)[flat_indices(t, 4)].reshape(t.shape), expected)


@pytest.mark.kernels
@pytest.mark.parametrize("count", [0, 1, 7, 300])
@pytest.mark.parametrize("different", [1, 5, 10_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_by_index_are_those_of_add_at(count, different, dtype):
    rng = np.random.default_rng(count + different)
    index = rng.integers(0, different, count)
    values = rng.normal(size=(count, 3)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = -0.0
    table = np.zeros((different, 3), dtype)
    np.add.at(table, index, values)
    expected = np.unique(index)
    for in_use in [sums_by_index, *compiled()]:
        rows, sums = in_use(index, values)
        np.testing.assert_array_equal(rows, expected)
        assert sums.tobytes() == table[expected].tobytes()
        assert sums.dtype == dtype
        assert in_use(index, np.asfortranarray(values))[1].tobytes() == sums.tobytes()


def compiled():
    """The compiled kernel, where numba is installed."""
    try:
        from netlayers.kernels.compiled import compiled_kernels

        return [compiled_kernels()["sums_by_index"]]
    except ImportError:
        return []
