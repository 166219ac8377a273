"""The digits that come with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from netlayers.datasets import digits

# Rows of each class, 0 to 9, in the test part of the UCI data.
COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_shapes_types_and_ranges() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1437, 8, 8), (1437,))
    assert (x_test.shape, y_test.shape) == ((360, 8, 8), (360,))
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
    for x in (x_train, x_test):
        assert (x.min(), x.max()) == (0, 16)


def test_class_counts_and_stratification() -> None:
    (_, y_train), (_, y_test) = digits.load_data()
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == COUNTS
    # A fifth of each class, to within one row.
    assert np.all(np.abs(np.bincount(y_test) - np.array(COUNTS) / 5) < 1)


def test_the_rows_are_shuffled() -> None:
    (_, y_train), (_, y_test) = digits.load_data()
    for y in (y_train, y_test):
        # Of sorted or cyclic labels all or none of the neighbours would be equal.
        assert 0.05 < np.mean(y[1:] == y[:-1]) < 0.2


def test_content_is_the_one_described() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    stored = b"".join(array.tobytes() for array in (x_train, x_test, y_train, y_test))
    described = Path(digits.__file__).with_name("digits.txt").read_text(encoding="utf-8")
    assert hashlib.sha256(stored).hexdigest() in described


def test_archive_is_small() -> None:
    assert Path(digits.__file__).with_name("digits.npz").stat().st_size < 100_000


def test_each_call_gives_new_writable_arrays() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    for array in (x_train, y_train, x_test, y_test):
        array[...] = 99
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    for array in (x_train, y_train, x_test, y_test):
        assert array.max() < 99


def test_same_rows_as_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    images = np.concatenate([x_train, x_test]).reshape(-1, 64)
    ours = np.column_stack([images, np.concatenate([y_train, y_test])])
    theirs = np.column_stack(datasets.load_digits(return_X_y=True))
    assert sorted(ours.tolist()) == sorted(theirs.tolist())


def test_nearest_neighbour_learns_it() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    a = x_train.reshape(-1, 64).astype(float)
    b = x_test.reshape(-1, 64).astype(float)
    distances = (a**2).sum(axis=1) - 2 * b @ a.T  # but for a constant in each row
    assert np.mean(y_train[distances.argmin(axis=1)] == y_test) > 0.97
