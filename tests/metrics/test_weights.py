"""Sample weights that broadcast, in metrics."""

import numpy as np
import pytest

import netlayers as nl

M = nl.metrics


@pytest.mark.parametrize("weight", [2.0, [[3.0, 5.0]], [[3.0], [5.0]], [3.0, 5.0], [[7.0]]])
@pytest.mark.parametrize("make", [M.Sum, M.Mean])
def test_axes_of_length_one_count_for_all(make, weight):
    values = np.array([[1.0, 3.0], [5.0, 7.0]])
    array = np.asarray(weight)
    whole = np.broadcast_to(array[:, None] if array.shape == (2,) else array, values.shape)
    total = (whole * values).sum()
    expected = total if make is M.Sum else total / whole.sum()
    assert make()(values, sample_weight=weight) == pytest.approx(expected)


def test_class_indices_with_other_axes_of_length_one():
    y_pred = np.array([[[0.9, 0.1], [0.2, 0.8]]])
    for shape in (2,), (2, 1), (1, 2), (1, 2, 1):
        metric = M.SparseCategoricalAccuracy()
        assert metric(np.array([0, 0]).reshape(shape), y_pred) == 0.5
    with pytest.raises(nl.errors.ShapeError, match=r"y_true has the shape \(3,\)"):
        metric.update_state(np.zeros(3, int), y_pred)
