"""A result belongs to the samples, not to how they were cut into batches or in which order."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl

M = nl.metrics


def mean_error(y_true, y_pred):
    return np.abs(y_true - y_pred).mean(axis=-1)


# Metrics that take 0 or 1 for each of three outputs, class numbers for them, and single outputs.
DENSE = {
    "Accuracy": M.Accuracy,
    "BinaryAccuracy": M.BinaryAccuracy,
    "CategoricalAccuracy": M.CategoricalAccuracy,
    "TopK": lambda: M.TopKCategoricalAccuracy(2),
    "MeanSquaredError": M.MeanSquaredError,
    "RootMeanSquaredError": M.RootMeanSquaredError,
    "MeanAbsoluteError": M.MeanAbsoluteError,
    "MeanAbsolutePercentageError": M.MeanAbsolutePercentageError,
    "CosineSimilarity": M.CosineSimilarity,
    "PearsonCorrelation": M.PearsonCorrelation,
    "R2Score": lambda: M.R2Score(None),
    "ExplainedVariance": M.ExplainedVariance,
    "BinaryCrossentropy": M.BinaryCrossentropy,
    "CategoricalCrossentropy": M.CategoricalCrossentropy,
    "function": lambda: M.get(mean_error),
}
COUNTING = {
    "Precision": lambda: M.Precision([0.6, 0.3]),
    "Recall top 2": lambda: M.Recall(top_k=2),
    "FalseNegatives": lambda: M.FalseNegatives(0.4),
    "F1Score": M.F1Score,
    "F1Score weighted": lambda: M.F1Score("weighted", 0.4),
    "ConfusionMatrix": M.ConfusionMatrix,
    "AUC": M.AUC,
    "AUC PR": lambda: M.AUC(curve="PR", multi_label=True),
    "AUC of thresholds": lambda: M.AUC(11, multi_label=True),
}
SPARSE = {
    "SparseCategoricalAccuracy": M.SparseCategoricalAccuracy,
    "SparseTopK": lambda: M.SparseTopKCategoricalAccuracy(2),
    "SparseCategoricalCrossentropy": lambda: M.SparseCategoricalCrossentropy(ignore_class=1),
}
CASES = [
    (name, make, sparse)
    for group, forms in ((DENSE, [False]), (COUNTING, [False, True]), (SPARSE, [True]))
    for name, make in group.items()
    for sparse in forms
]
each_metric = pytest.mark.parametrize(
    ("make", "sparse"),
    [pytest.param(m, s, id=f"{n}-{'sparse' if s else 'dense'}") for n, m, s in CASES],
)


def data(seed, rows, sparse):
    """Scores with many ties, so that those are tried too."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 6, (rows, 3)).astype("f4") / 8 + 0.0625
    y = rng.integers(0, 3, rows)
    return (y if sparse else np.eye(3, dtype="f4")[y]), p, rng.integers(0, 4, rows).astype("f4")


@each_metric
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    weighted=st.booleans(),
)
def test_any_cut_and_any_order_gives_the_same(make, sparse, seed, sizes, weighted):
    rows = sum(sizes)
    y, p, w = data(seed, rows, sparse)
    whole = make()
    whole.update_state(y, p, w if weighted else None)
    cut, order = make(), np.random.default_rng(seed).permutation(rows)
    cut.update_state(y[:1], p[:1])  # of another epoch
    cut.result()
    cut.reset_state()
    for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
        at = order[stop - size : stop]
        cut.update_state(y[at], p[at], w[at] if weighted else None)
        if seed % 2:
            cut.result()  # looking at it changes nothing
    np.testing.assert_allclose(cut.result(), whole.result(), rtol=1e-12, atol=1e-13)


@each_metric
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), rows=st.integers(2, 30))
def test_a_weight_is_a_number_of_copies(make, sparse, seed, rows):
    y, p, w = data(seed, rows, sparse)
    weighted, copies = make(), make()
    times = w.astype(int)
    if not times.any():
        return
    weighted.update_state(y, p, w)
    copies.update_state(np.repeat(y, times, axis=0), np.repeat(p, times, axis=0))
    np.testing.assert_allclose(weighted.result(), copies.result(), rtol=1e-12, atol=1e-13)


@each_metric
def test_no_array_is_changed_or_kept(make, sparse):
    y, p, w = data(1, 40, sparse)
    before = [a.tobytes() for a in (y, p, w)]
    frozen, free = make(), make()
    for a in (y, p, w):
        a.flags.writeable = False
    expected = frozen(y, p, w)
    assert [a.tobytes() for a in (y, p, w)] == before
    y, p, w = y.copy(), p.copy(), w.copy()
    free.update_state(y, p, w)
    y[...], p[...], w[...] = 0, 0, 0
    result = free.result()
    np.testing.assert_array_equal(result, expected)
    if np.ndim(result):
        result[...] = 7
        np.testing.assert_array_equal(free.result(), expected)


@each_metric
def test_a_metric_under_way_can_be_copied(make, sparse):
    y, p, _ = data(2, 40, sparse)
    metric = make()
    if isinstance(metric, M.MeanMetricWrapper):
        return
    metric.update_state(y[:25], p[:25])
    for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        again.update_state(y[25:], p[25:])
        whole = make()
        np.testing.assert_allclose(again.result(), whole(y, p), rtol=1e-12)


@each_metric
def test_other_axes_are_more_samples(make, sparse):
    y, p, _ = data(3, 24, sparse)
    flat, steps = make(), make()
    w = np.arange(8.0)
    expected = flat(y, p, np.repeat(w, 3))
    got = steps(y.reshape(8, 3, *y.shape[1:]), p.reshape(8, 3, 3), w)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_exact_area_keeps_five_bytes_for_a_score():
    metric, rng = nl.metrics.AUC(), np.random.default_rng(0)
    y, p = rng.integers(0, 2, (1000, 1)).astype("f4"), rng.random((1000, 1), dtype="f4")
    tracemalloc.start()
    try:
        for _ in range(100):
            metric.update_state(y, p)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 500_000 <= kept < 600_000


@pytest.mark.parametrize("name", ["mse", "auc", "precision", "f1_score", "binary_crossentropy"])
def test_a_bounded_metric_does_not_grow(name):
    metric = M.AUC(200) if name == "auc" else M.get(name)
    y, p = np.eye(2, dtype="f4")[[0, 1] * 500], np.full((1000, 2), 0.5, "f4")
    for _ in range(3):
        metric.update_state(y, p)
    tracemalloc.start()
    try:
        for _ in range(20):
            metric.update_state(y, p)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 20_000
