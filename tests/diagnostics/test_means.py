"""Means and deviations of what a layer computes, down to a single number and to none."""

import numpy as np
import pytest

from netlayers.diagnostics import layer_statistics


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [([], 0, 0), ([3.0], 3, 0), ([1.0, 4.0], 2.5, 1.5), ([[2.0, 2.0], [2.0, 6.0]], 3, 3**0.5)],
)
def test_mean_and_deviation(values, mean, deviation):
    array = np.array(values, np.float32)
    assert layer_statistics._mean(array) == mean
    if values:
        assert layer_statistics._std(array) == pytest.approx(deviation, rel=1e-6)
