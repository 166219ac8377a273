"""What is measured of rows: how far inputs go with targets, and which rows are in two sets."""

import numpy as np
import pytest
import scipy.sparse

import netlayers as nl
from netlayers.data.arrays import column
from netlayers.diagnostics import diagnose_rows as rows
from netlayers.diagnostics.evidence import _sizes
from tests.golden import check_text
from tests.snapshots import numbers, shown

GAPS = numbers(30, 3)
GAPS[[2, 5, 7], [0, 0, 2]] = np.nan, np.inf, -np.inf
GAPS[:, 1] = np.round(2 * GAPS[:, 1])
SPARSE = scipy.sparse.random(40, 600, 0.05, format="csr", random_state=0)
INPUTS = {
    "plain": numbers(30, 4),
    "images": numbers(30, 2, 3),
    "two": (numbers(30, 2), 9 + numbers(30)),
    "gaps": GAPS,
    "constant": np.c_[numbers(30), np.ones(30), 1e-9 * numbers(30, first=1), np.zeros(30)],
    "huge": 1e200 * numbers(30, 2),
    "booleans": numbers(30, 2) > 0,
    "wide": numbers(30, 700),
    "sparse": SPARSE,
    "sparse beside": (SPARSE, numbers(40, 2)),
}
TARGETS = {
    "numbers": numbers(30),
    "several": numbers(30, 3),
    "many": numbers(30, 40),
    "classes": np.arange(30) % 3,
    "uneven classes": np.r_[np.zeros(20), np.ones(6), [2, 2, 3, 3]],
    "many classes": np.arange(30) % 14,
    "twelve": np.arange(30) % 12,
    "gaps": np.r_[np.nan, numbers(29)],
}


def test_columns():
    lines = [f"{name}: {shown(rows._features(x))}" for name, x in INPUTS.items()]
    for loss in (nl.losses.MeanSquaredError(), nl.losses.SparseCategoricalCrossentropy()):
        lines += [f"{loss.name} {n}: {shown(rows._targets(y, loss))}" for n, y in TARGETS.items()]
    for count in (1, 2, 5, 6, 7):
        lines.append(f"{count}: {rows._some(np.arange(12).reshape(2, 6), count)[0].tolist()}")
    check_text(__file__, "rows-columns.txt", "\n".join(lines))


@pytest.mark.parametrize("count", [30, 300])
def test_measures(count):
    """Each measure of each order; with 300 rows, the neighbours are found in two parts."""
    orders = np.stack([np.roll(np.arange(count), shift) for shift in range(3)])
    wide, lines = numbers(count, 150), []
    for title, x in (
        ("few", wide[:, :3]),
        ("one", wide[:, :1]),
        ("none", wide[:, :0]),
        ("steps", np.c_[np.round(2 * wide[:, :3]), wide[:, 3]]),  # no two distances are the same
        ("wide", wide),
    ):
        x = rows._standardized(x)
        for targets in (numbers(count, first=2.0)[:, None], np.c_[x[:, :1], wide[:, 5]]):
            y = rows._standardized(targets)[orders].transpose(1, 2, 0).astype(np.float32)
            if x.shape[1]:
                found = [*rows._connections(x, y), rows._bins(x, y), rows._agreement(x, y)]
            else:
                found = list(rows._correlations(x, y))
            lines += [title, *(" ".join(f"{v:.4g}" for v in values) for values in found)]
    check_text(__file__, f"rows-measures-{count}.txt", "\n".join(lines))


def test_rows_in_two_sets(monkeypatch):
    x = numbers(12, 3)
    sets = {
        "none": (x[:6], x[6:]),
        "some": (x[:8], x[5:]),
        "repeated": (np.r_[x[:5], x[:2], x[:1]], x[4:]),
        "whole": (np.round(3 * x), np.round(3 * x[::-1])),
        "signs of 0": (np.zeros((2, 3)), -np.zeros((3, 3))),
        "one feature": (x[:, :1], x[:3, :1]),
        "two features": (x[:, :2], x[:3, :2]),
        "half whole": (np.c_[x[:, 0], np.arange(12)], np.c_[x[:, 1], np.arange(12)]),
        "few numbers": (np.round(x, 1)[[0, 1, 2, 0, 1, 2]], x),
        "images": (numbers(6, 2, 2), numbers(4, 2, 2)),
        "sparse": (SPARSE[:9], SPARSE[7:]),
        "two inputs": ((x[:8], x[:8]), (x[5:], x[5:])),
        "nothing": (x[:, :0], x[:2, :0]),
    }
    lines = []
    for block in (2**20, 7, 1):
        monkeypatch.setattr(rows, "_BLOCK", block)
        for title, (train, validation) in sets.items():
            columns = [column(part, np.dtype("float64")) for part in (train, validation)]
            lines.append(f"{title} {block}: {tuple(map(int, rows.overlap(*columns)))}")
    check_text(__file__, "rows-shared.txt", "\n".join(lines))


def test_sizes_of_features():
    x = np.array([[3.0, 0, 0, -1], [4, 0, 2, 1], [0, 0, 0, 1]])
    expected = [np.sqrt(12.5), 2, 1]
    np.testing.assert_allclose(_sizes(x), expected)
    np.testing.assert_allclose(_sizes(x.reshape(3, 1, 4)), expected)
    np.testing.assert_allclose(_sizes(scipy.sparse.csr_matrix(x)), expected)
