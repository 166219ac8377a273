"""Metrics where single targets are unknown, or weighted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses, metrics
from netlayers.errors import ShapeError
from tests.metrics.test_batches import NAMED

# The outputs need not be probabilities here.
pytestmark = pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning")

K = 3
# Metrics of the outputs, whatever the weights of others in the sample.
ELEMENTWISE = {
    "mean_squared_error": lambda t, p, w: np.sum(w * (t - p) ** 2) / w.sum(),
    "mae": lambda t, p, w: np.sum(w * np.abs(t - p)) / w.sum(),
    "rmse": lambda t, p, w: np.sqrt(np.sum(w * (t - p) ** 2) / w.sum()),
    "mape": lambda t, p, w: np.sum(w * 100 * np.abs(t - p) / np.maximum(np.abs(t), 1e-7)) / w.sum(),
    "binary_accuracy": lambda t, p, w: np.sum(w * ((p > 0.5) == t)) / w.sum(),
}


def squared(y_true, y_pred):
    return np.square(y_true - y_pred)


def rows_of(seed, rows):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.01, 0.99, (rows, K)), rng.integers(0, 2, (rows, K)).astype(float)
    known = rng.random(y.shape) < 0.6
    known[0] = True
    return x, y, known, rng.integers(1, 4, y.shape) / 2


def evaluated(x, y, batch_size=None, weight=None, loss=None, **chosen):
    model = nl.Sequential([nl.layers.Activation("linear")], dtype="float64")
    model.compile("sgd", loss or losses.BinaryCrossentropy(mask_nan=True), **chosen)
    return model.evaluate(x, y, batch_size, 0, weight, return_dict=True)


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_means_over_known_outputs(seed, rows, batch_size):
    x, y, known, w = rows_of(seed, rows)
    names = [*ELEMENTWISE, squared]
    got = evaluated(
        x, np.where(known, y, np.nan), batch_size, w, metrics=names, weighted_metrics=names
    )  # fmt: skip
    expected = {**ELEMENTWISE, "squared": ELEMENTWISE["mean_squared_error"]}
    for name, function in expected.items():
        assert got[name] == pytest.approx(function(y, x, known), rel=1e-9)
        assert got[f"weighted_{name}"] == pytest.approx(function(y, x, known * w), rel=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.R2Score(class_aggregation=None),
        lambda: metrics.ExplainedVariance(class_aggregation=None),
        lambda: metrics.F1Score(threshold=0.5),
    ],
)
@given(st.integers(0, 99), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_results_of_each_output_are_those_of_its_known_targets(make, seed, batch_size):
    x, y, known, w = rows_of(seed, 9)
    target = np.where(known, y, np.nan)
    got = evaluated(x, target, batch_size, w, metrics=[make()], weighted_metrics=[make()])
    _, plain, weighted = got.values()
    for j in range(K):
        rows = known[:, j]
        alone = make()
        assert plain[j] == pytest.approx(alone(y[rows, j], x[rows, j])[0], rel=1e-9, abs=1e-12)
        alone.reset_state()
        expected = alone(y[rows, j], x[rows, j], w[rows, j])[0]
        assert weighted[j] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.integers(0, 99), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_counts_and_areas_are_those_of_all_known_outputs(seed, batch_size):
    x, y, known, _ = rows_of(seed, 9)
    names = ["auc", "precision", "recall", "true_positives"]
    got = evaluated(x, np.where(known, y, np.nan), batch_size, metrics=names)
    for name in names:
        expected = metrics.get(name)(y[known], x[known])
        np.testing.assert_allclose(got[name], expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*is always 1, as its k")
@pytest.mark.parametrize("name", sorted(NAMED.keys() - {"Mean", "Sum"}))
@given(st.integers(0, 99), st.integers(1, 6))
@settings(max_examples=5, deadline=None)
def test_samples_without_a_known_target_are_left_out(name, seed, batch_size):
    cls = NAMED[name]
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.1, 0.9, (8, K)), np.eye(K)[rng.integers(0, K, 8)]
    unknown = rng.random(8) < 0.5
    unknown[0] = False
    arguments = {**cls.examples()[0][0], "name": "m"}
    expected = cls(**arguments)
    try:
        expected.update_state(y[~unknown], x[~unknown])
    except (ShapeError, nl.errors.DataError):
        return  # not a metric of one-hot rows
    y[unknown] = np.nan
    got = evaluated(x, y, batch_size, metrics=[cls(**arguments)])["m"]
    np.testing.assert_allclose(got, expected.result(), rtol=1e-9, atol=1e-12)


def test_an_output_that_is_never_known_has_no_score():
    x, y, known, _ = rows_of(0, 9)
    known[:, 1] = False
    target = np.where(known, y, np.nan)
    each = metrics.R2Score(class_aggregation=None, name="each")
    got = evaluated(x, target, metrics=[each, "r2"])
    assert np.isnan(got["each"]).tolist() == [False, True, False]
    assert got["r2"] == pytest.approx(got["each"][[0, 2]].mean())


def one_number(y_true, y_pred):
    return float(np.mean(y_true))


def by_sample(y_true, y_pred):
    return y_true.mean(axis=-1)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("cosine_similarity", "'cosine_similarity'.*one value per sample: it cannot weigh single"),
        ("categorical_accuracy", "'categorical_accuracy'.*leave out unknown targets"),
        (by_sample, "'by_sample'.*one value per sample"),
        (one_number, "'one_number'.*one number for the batch.*Return one number per output"),
    ],
)
def test_metrics_of_whole_samples_refuse_parts_of_them(metric, message):
    x, y, known, w = rows_of(0, 9)
    with pytest.raises(ShapeError, match=message):
        evaluated(x, np.where(known, y, np.nan), metrics=[metric])
    with pytest.raises(ShapeError, match=message):
        evaluated(x, y, weight=w, weighted_metrics=[metric])
