"""Losses, held against Keras and hand calculations."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.losses import *  # noqa: F403

ARRAYS = {
    "t": [[1.0, 0, 0], [0, 1.0, 0]],
    "b": [[1.0, 0, 1], [0, 1, 0]],
    "p": [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]],
    "p2": [[1.4, 0.4, 0.2], [0.2, 0.6, 1.2]],
    "z": [[2.0, -1.0, 0.5], [0.3, 0.2, -3.0]],
}
# Loss, targets, predictions, value, value with the weights [1, 3]: Keras 3.15.1, JAX backend.
KERAS = [
    ("CategoricalCrossentropy()", "t", "p", 0.7803238741, 1.9842966785),
    ("CategoricalCrossentropy(from_logits=True)", "t", "z", 0.5024428882, 1.2660173679),
    (
        "CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
        "t",
        "z",
        0.6291095549,
        1.4960173679,
    ),
    ("CategoricalCrossentropy(label_smoothing=0.2)", "t", "p2", 0.900461815, 2.1314656265),
    ("BinaryCrossentropy()", "b", "p", 0.8513379693, 1.5932126641),
    ("BinaryCrossentropy(from_logits=True)", "b", "z", 0.4025580287, 0.9029185176),
    ("BinaryCrossentropy(label_smoothing=0.1)", "b", "p", 0.8595115244, 1.6171272695),
    ("MeanSquaredError()", "b", "z", 1.9966666698, 5.2400000095),
    ("MeanAbsoluteError()", "b", "z", 1.1000000238, 2.4666666985),
    ("Huber(1.5)", "b", "z", 0.8108333349, 2.0575000048),
    ("MeanSquaredError('sum')", "b", "z", 3.9933333397, 10.4800000191),
    ("MeanSquaredError('mean_with_sample_weight')", "b", "z", 1.9966666698, 2.6200000048),
]


@pytest.mark.parametrize(("loss", "t", "p", "value", "weighted"), KERAS)
def test_same_numbers_as_keras(loss, t, p, value, weighted):
    t, p, loss = np.array(ARRAYS[t]), np.array(ARRAYS[p]), eval(loss)
    assert loss.forward(t, p) == pytest.approx(value, rel=1e-6)
    assert loss.forward(t, p, [1.0, 3.0]) == pytest.approx(weighted, rel=1e-6)
    if isinstance(loss, nl.losses.CategoricalCrossentropy) and not loss.label_smoothing:
        sparse = nl.losses.SparseCategoricalCrossentropy(from_logits=loss.from_logits)
        assert sparse.forward(t.argmax(1), p) == pytest.approx(value, rel=1e-6)
        assert sparse.forward(t.argmax(1), p, [1.0, 3.0]) == pytest.approx(weighted, rel=1e-6)


def test_a_probability_of_zero_is_clipped_as_in_keras():
    assert BinaryCrossentropy().forward([[1.0]], [[0.0]]) == pytest.approx(16.118, abs=1e-3)  # noqa: F405


def test_sum_over_batch_size_divides_by_samples_not_by_weights():
    y, p, w = np.zeros((4, 1)), np.ones((4, 1)), [1, 0, 0, 0]
    assert MeanSquaredError().forward(y, p, w) == 0.25  # noqa: F405
    assert MeanSquaredError("mean_with_sample_weight").forward(y, p, w) == 1.0  # noqa: F405


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_from_logits_is_finite_and_right_for_huge_logits(dtype, size):
    z = np.array([[size, -size], [-size, size]], dtype)
    for loss, right, wrong in [
        (SparseCategoricalCrossentropy(True), [0, 1], [1, 0]),  # noqa: F405
        (BinaryCrossentropy(True), [[1, 0], [0, 1]], [[0, 1], [1, 0]]),  # noqa: F405
    ]:
        assert loss.forward(right, z) == 0
        assert np.all(loss.backward() == 0)
        expected = 2 * size if loss.link == "softmax" else size
        assert loss.forward(wrong, z) == pytest.approx(expected, rel=1e-6)
        assert np.isfinite(loss.backward()).all()
        assert np.abs(loss.backward()).max() > 0.1


def test_ignored_class_counts_nothing():
    z = np.array([[2.0, -1.0], [0.3, 0.2], [1.0, 1.0]])
    loss = SparseCategoricalCrossentropy(True, ignore_class=-1)  # noqa: F405
    part = SparseCategoricalCrossentropy(True).forward([0, 1], z[:2])  # noqa: F405
    assert loss.forward([0, 1, -1], z) == pytest.approx(part)
    assert np.all(loss.backward()[2] == 0)


def test_one_column_of_targets_never_becomes_a_square():
    p = np.arange(4.0)[:, None]
    for y in (np.zeros(4), np.zeros((4, 1))):
        assert MeanSquaredError().forward(y, p) == 3.5  # noqa: F405
        assert MeanSquaredError().forward(y, p[:, 0]) == 3.5  # noqa: F405
