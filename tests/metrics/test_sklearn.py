"""Metrics beside scikit-learn's, on random data with ties and weights."""

import numpy as np
import pytest

import netlayers as nl

sk = pytest.importorskip("sklearn.metrics")
M = nl.metrics


def fed(metric, y, p, w):
    for i in range(0, len(y), 17):
        metric.update_state(y[i : i + 17], p[i : i + 17], None if w is None else w[i : i + 17])
    return metric.result()


@pytest.fixture(params=[0, 1, 2])
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture(params=["plain", "weighted"])
def w(request, rng):
    return None if request.param == "plain" else rng.exponential(size=300)


@pytest.fixture(params=["distinct", "ties"])
def p(request, rng):
    p = rng.dirichlet(np.ones(4), 300)
    return p if request.param == "distinct" else np.round(p, 1)


def test_areas(rng, p, w):
    y, classes = rng.integers(0, 2, (300, 4)), rng.integers(0, 4, 300)
    for curve, theirs in (("ROC", sk.roc_auc_score), ("PR", sk.average_precision_score)):
        one = fed(M.AUC(curve=curve), y[:, 0], p[:, 0], w)
        assert one == pytest.approx(theirs(y[:, 0], p[:, 0], sample_weight=w), rel=1e-12)
        for multi, average in ((True, "macro"), (False, "micro")):
            got = fed(M.AUC(curve=curve, multi_label=multi), y, p, w)
            expected = theirs(y, p, average=average, sample_weight=w)
            assert got == pytest.approx(expected, rel=1e-12)
            got = fed(M.AUC(curve=curve, multi_label=multi), classes, p, w)
            expected = theirs(np.eye(4)[classes], p, average=average, sample_weight=w)
            assert got == pytest.approx(expected, rel=1e-12)


def test_fine_thresholds_come_near_the_exact_area(rng, w):
    y, p = rng.integers(0, 2, 300), rng.random(300)
    # The interpolation of a PR curve runs a little under the steps of the average precision.
    for curve, near in (("ROC", 5e-3), ("PR", 1e-2)):
        exact = fed(M.AUC(curve=curve), y, p, w)
        assert fed(M.AUC(5000, curve=curve), y, p, w) == pytest.approx(exact, abs=near)


def test_area_of_logits(rng, w):
    z, classes = 20 * rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    softmax = e / e.sum(axis=1, keepdims=True)
    softmax /= softmax.sum(axis=1, keepdims=True)
    # scikit-learn sees the probabilities, of which some near 1 are rounded to ties.
    expected = sk.roc_auc_score(classes, softmax, multi_class="ovr", sample_weight=None)
    got = fed(M.AUC(multi_label=True, from_logits=True), classes, z, None)
    assert got == pytest.approx(expected, rel=1e-4)


def test_counts(rng, p, w):
    y, classes = rng.integers(0, 2, (300, 4)), rng.integers(0, 4, 300)
    best = p.argmax(axis=1)
    matrix = fed(M.ConfusionMatrix(), classes, p, w)
    np.testing.assert_allclose(matrix, sk.confusion_matrix(classes, best, sample_weight=w))
    for normalize in ("true", "pred", "all"):
        theirs = sk.confusion_matrix(classes, best, sample_weight=w, normalize=normalize)
        np.testing.assert_allclose(fed(M.ConfusionMatrix(normalize), classes, p, w), theirs)
    tn, fp, fn, tp = sk.confusion_matrix(y[:, 1], p[:, 1] > 0.25, sample_weight=w).ravel()
    for cls, expected in (
        (M.TrueNegatives, tn),
        (M.FalsePositives, fp),
        (M.FalseNegatives, fn),
        (M.TruePositives, tp),
    ):
        assert fed(cls(0.25), y[:, 1], p[:, 1], w) == pytest.approx(expected)
    flat = y.ravel(), p.ravel() > 0.25
    weights = None if w is None else np.repeat(w, 4)
    precision = sk.precision_score(*flat, sample_weight=weights)
    assert fed(M.Precision(0.25), y, p, w) == pytest.approx(precision)
    assert fed(M.Recall(0.25), y, p, w) == pytest.approx(
        sk.recall_score(*flat, sample_weight=weights)
    )
    top = sk.top_k_accuracy_score(classes, p + 1e-9 * np.arange(4), k=2, sample_weight=w)
    if len(np.unique(p)) == p.size:
        assert fed(M.SparseTopKCategoricalAccuracy(2), classes, p, w) == pytest.approx(top)
        assert fed(M.TopKCategoricalAccuracy(2), np.eye(4)[classes], p, w) == pytest.approx(top)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_scores(rng, p, w, average, beta):
    y, classes = rng.integers(0, 2, (300, 4)), rng.integers(0, 4, 300)
    got = fed(M.FBetaScore(average, beta, 0.25), y, p, w)
    kwargs = {"beta": beta, "average": average, "sample_weight": w}
    np.testing.assert_allclose(got, sk.fbeta_score(y, p > 0.25, **kwargs))
    largest = p == p.max(axis=1, keepdims=True)
    got = fed(M.FBetaScore(average, beta), classes, p, w)
    np.testing.assert_allclose(got, sk.fbeta_score(np.eye(4)[classes], largest, **kwargs))
    if beta == 1.0:
        np.testing.assert_array_equal(got, fed(M.F1Score(average), classes, p, w))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_regression(rng, w, offset):
    y = rng.normal(size=(300, 3)) * [1, 5, 0.1] + offset
    p = y + rng.normal(size=(300, 3)) + 0.3
    names = {
        None: "raw_values",
        "uniform_average": "uniform_average",
        "variance_weighted_average": "variance_weighted",
    }
    for ours, theirs in names.items():
        kwargs = {"multioutput": theirs, "sample_weight": w}
        np.testing.assert_allclose(fed(M.R2Score(ours), y, p, w), sk.r2_score(y, p, **kwargs))
        expected = sk.explained_variance_score(y, p, **kwargs)
        np.testing.assert_allclose(fed(M.ExplainedVariance(ours), y, p, w), expected)
    for metric, theirs in (
        (M.MeanSquaredError(), sk.mean_squared_error),
        (M.MeanAbsoluteError(), sk.mean_absolute_error),
    ):
        assert fed(metric, y, p, w) == pytest.approx(theirs(y, p, sample_weight=w))
    # Their percentage is a share. Their root is taken of each output, ours of the mean.
    share = sk.mean_absolute_percentage_error(y, p, sample_weight=w)
    assert fed(M.MeanAbsolutePercentageError(), y, p, w) == pytest.approx(100 * share)
    root = sk.root_mean_squared_error(y[:, 0], p[:, 0], sample_weight=w)
    assert fed(M.RootMeanSquaredError(), y[:, 0], p[:, 0], w) == pytest.approx(root)
