"""Metrics against the values of Keras and scikit-learn, and against values computed by hand."""

# ruff: noqa: F403, F405

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.metrics import *

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2], [0.25, 0.35, 0.4]], "f4")
DATA = {
    "T": (np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], "f4"), P, [1, 3, 2, 0.5]),
    "ML": (np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]], "f4"), P, [1, 3, 2, 0.5]),
    "B": (
        np.array([0, 0, 1, 1, 1, 0]),
        np.array([0.1, 0.4, 0.35, 0.8, 0.4, 0.7], "f4"),
        [1, 2, 1, 0.5, 3, 1],
    ),
}
# Metric, data, result, result with weights: Keras 3.15.1, JAX backend. Its F-scores have 1e-7 added
# to each denominator.
KERAS = [
    ("Precision()", "T", 0.5, 0.25),
    ("Precision()", "ML", 1.0, 1.0),
    ("Recall()", "T", 0.25, 0.15384616),
    ("Recall()", "ML", 0.2857143, 0.31999999),
    ("Precision(thresholds=[0.2,0.35])", "T", [0.5, 0.60000002], [0.51999998, 0.41176471]),
    ("Precision(thresholds=[0.2,0.35])", "ML", [0.75, 1.0], [0.92000002, 1.0]),
    ("Recall(thresholds=[0.2,0.35])", "T", [1.0, 0.75], [1.0, 0.53846157]),
    ("Recall(thresholds=[0.2,0.35])", "ML", [0.85714287, 0.71428573], [0.92000002, 0.68000001]),
    ("Precision(top_k=2)", "T", 0.5, 0.5),
    ("Precision(top_k=2)", "ML", 0.75, 0.88461536),
    ("Recall(top_k=2)", "T", 1.0, 1.0),
    ("Recall(top_k=2)", "ML", 0.85714287, 0.92000002),
    ("Precision(class_id=1, thresholds=0.25)", "T", 0.66666669, 0.90909094),
    ("Precision(class_id=1, thresholds=0.25)", "ML", 0.66666669, 0.90909094),
    ("TruePositives(0.3)", "T", 3.0, 3.5),
    ("TruePositives(0.3)", "ML", 5.0, 8.5),
    ("FalsePositives(0.3)", "T", 3.0, 5.5),
    ("FalsePositives(0.3)", "ML", 1.0, 0.5),
    ("TrueNegatives(0.3)", "T", 5.0, 7.5),
    ("TrueNegatives(0.3)", "ML", 4.0, 6.5),
    ("FalseNegatives(0.3)", "T", 1.0, 3.0),
    ("FalseNegatives(0.3)", "ML", 2.0, 4.0),
    ("F1Score()", "T", [0.66666657, 0.66666657, 0.66666657], [0.49999997, 0.57142854, 0.24999997]),
    ("F1Score()", "ML", [1.0, 0.66666657, 0.79999995], [1.0, 0.57142854, 0.87499994]),
    ("F1Score('macro')", "T", 0.66666663, 0.44047618),
    ("F1Score('macro')", "ML", 0.82222217, 0.81547618),
    ("F1Score('micro', threshold=0.3)", "T", 0.59999996, 0.45161286),
    ("F1Score('micro', threshold=0.3)", "ML", 0.76923066, 0.79069757),
    ("FBetaScore('weighted', beta=2.0)", "T", 0.69444442, 0.49450549),
    ("FBetaScore('weighted', beta=2.0)", "ML", 0.75056696, 0.71484143),
    (
        "FBetaScore(beta=0.5, threshold=0.3)",
        "T",
        [0.55555546, 0.49999988, 0.55555546],
        [0.38461536, 0.66666657, 0.1724138],
    ),
    (
        "FBetaScore(beta=0.5, threshold=0.3)",
        "ML",
        [0.99999994, 0.49999988, 0.90909076],
        [0.99999994, 0.66666657, 0.94594586],
    ),
    ("AUC(200)", "T", 0.8125, 0.68639052),
    ("AUC(200)", "ML", 0.84285718, 0.92000002),
    ("AUC(200, curve='PR')", "T", 0.66681528, 0.50689495),
    ("AUC(200, curve='PR')", "ML", 0.91957295, 0.96350282),
    ("AUC(200, multi_label=True)", "T", 0.80555552, 0.76666665),
    ("AUC(200, multi_label=True)", "ML", 0.80555558, 0.85925931),
    ("AUC(200, multi_label=True, label_weights=[1.0,2.0,0.5])", "T", 0.80952376, 0.8142857),
    ("AUC(200, multi_label=True, label_weights=[1.0,2.0,0.5])", "ML", 0.80952376, 0.8539682),
    ("AUC(num_thresholds=5, curve='PR', summation_method='majoring')", "T", 0.55357146, 0.49679488),
    (
        "AUC(num_thresholds=5, curve='PR', summation_method='majoring')",
        "ML",
        0.97959185,
        0.99666667,
    ),
    ("AUC(thresholds=[0.15,0.3,0.5], summation_method='minoring')", "T", 0.59375, 0.48224851),
    ("AUC(thresholds=[0.15,0.3,0.5], summation_method='minoring')", "ML", 0.65714288, 0.75714284),
    ("AUC(from_logits=True, num_thresholds=20)", "T", 0.71875, 0.59911239),
    ("AUC(from_logits=True, num_thresholds=20)", "ML", 0.7571429, 0.84714282),
    ("CategoricalAccuracy()", "T", 0.5, 0.23076923),
    ("TopKCategoricalAccuracy(2)", "T", 1.0, 1.0),
    ("TopKCategoricalAccuracy(1)", "T", 0.75, 0.53846157),
    ("CategoricalCrossentropy()", "T", 0.84830731, 0.96297228),
    ("BinaryCrossentropy(label_smoothing=0.1)", "T", 0.54995888, 0.61613297),
    ("BinaryCrossentropy(label_smoothing=0.1)", "ML", 0.71475077, 0.69882959),
    ("MeanSquaredError()", "T", 0.17541669, 0.21089746),
    ("MeanSquaredError()", "ML", 0.24208333, 0.24166666),
    ("RootMeanSquaredError()", "T", 0.41882777, 0.45923573),
    ("RootMeanSquaredError()", "ML", 0.49201965, 0.49159604),
    ("MeanAbsoluteError()", "T", 0.36666673, 0.40000004),
    ("MeanAbsoluteError()", "ML", 0.43333334, 0.43076926),
    ("CosineSimilarity()", "T", 0.68564433, 0.60821432),
    ("CosineSimilarity()", "ML", 0.83298236, 0.89397937),
    ("PearsonCorrelation()", "T", 0.53226256, 0.31102616),
    ("PearsonCorrelation()", "ML", 0.72952366, 0.7916984),
    ("R2Score()", "T", 0.17694446, -0.82256079),
    ("R2Score()", "ML", -0.12055548, -0.21484661),
    ("R2Score(class_aggregation='variance_weighted_average')", "T", 0.15800002, -0.67070329),
    ("R2Score(class_aggregation='variance_weighted_average')", "ML", -0.05636358, -0.13449077),
    (
        "R2Score(class_aggregation=None)",
        "T",
        [0.56999993, -0.01249993, -0.02666664],
        [0.44306815, -0.9857502, -1.92500019],
    ),
    (
        "R2Score(class_aggregation=None)",
        "ML",
        [0.47749996, -0.01249993, -0.82666647],
        [0.46065474, -0.9857502, -0.11944437],
    ),
    ("AUC(200)", "B", 0.6111111, 0.5),
    ("AUC(200, curve='PR')", "B", 0.68457103, 0.55972815),
    ("AUC(num_thresholds=10, curve='PR')", "B", 0.70990443, 0.58448613),
    ("AUC(num_thresholds=10)", "B", 0.66666669, 0.55555558),
    ("AUC(num_thresholds=10, summation_method='majoring')", "B", 0.77777773, 0.77777779),
    (
        "AUC(thresholds=[0.37], curve='PR', summation_method='minoring')",
        "B",
        0.16666666,
        0.11764706,
    ),
    ("Precision(0.35)", "B", 0.5, 0.53846157),
    ("Recall(0.35)", "B", 0.66666669, 0.77777779),
]


def results(expression, data):
    y_true, y_pred, weight = DATA[data]
    metric = eval(expression)
    plain = metric(y_true, y_pred)
    metric.reset_state()
    return plain, metric(y_true, y_pred, weight)


@pytest.mark.parametrize(("expression", "data", "plain", "weighted"), KERAS)
def test_same_numbers_as_keras(expression, data, plain, weighted):
    got = results(expression, data)
    np.testing.assert_allclose(got[0], plain, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got[1], weighted, rtol=1e-6, atol=1e-7)
    assert type(got[0]) is (np.ndarray if isinstance(plain, list) else float)


# The same of scikit-learn 1.9.1: roc_auc_score, average_precision_score, confusion_matrix,
# explained_variance_score.
SKLEARN = [
    ("AUC()", "B", 11 / 18, 0.5),
    ("AUC(curve='PR')", "B", 0.7, 0.6034188034188035),
    ("AUC(multi_label=True)", "T", 0.8055555555555557, 0.7666666666666666),
    ("AUC()", "ML", 0.8428571428571429, 0.92),
    ("ExplainedVariance()", "ML", 0.2726388888888889, 0.3502380952380954),
    ("ExplainedVariance('variance_weighted_average')", "ML", 0.285, 0.3733333333333335),
    (
        "ExplainedVariance(None)",
        "ML",
        [0.553125, 0.128125, 0.41 / 3],
        [0.5707142857142857, 0.155, 0.325],
    ),
    (
        "ConfusionMatrix('true')",
        "T",
        [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]],
        [[1, 0, 0], [0.4, 0, 0.6], [0, 0, 1]],
    ),
]


@pytest.mark.parametrize(("expression", "data", "plain", "weighted"), SKLEARN)
def test_same_numbers_as_scikit_learn(expression, data, plain, weighted):
    got = results(expression, data)
    np.testing.assert_allclose(got[0], plain, rtol=2e-6)
    np.testing.assert_allclose(got[1], weighted, rtol=2e-6)


def test_mean_and_sum():  # Keras's docstrings
    assert Mean()([1, 3, 5, 7]) == 4.0
    assert Sum()([1, 3, 5, 7], [1, 1, 0, 0]) == 4.0
    assert Mean()([[1.0, 3], [5, 7]], sample_weight=[3, 1]) == 3.0
    mean = Mean()
    assert mean.result() == 0.0
    mean.add(2.0, 3)
    assert mean([6.0]) == 3.0
    mean.reset_state()
    assert mean.result() == 0.0


@pytest.mark.parametrize("y", [[1, 2, 0], [[1], [2], [0]]])
def test_class_numbers_count_as_one_hot_rows(y):
    p = np.array([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.5, 0.2, 0.3]])
    rows = np.eye(3)[np.ravel(y)]
    for expression in (
        "Precision(0.4)",
        "Recall(class_id=2)",
        "F1Score()",
        "AUC()",
        "AUC(30, multi_label=True)",
        "ConfusionMatrix()",
        "TrueNegatives(0.4)",
    ):
        one, other = eval(expression), eval(expression)
        np.testing.assert_array_equal(one(y, p, [1, 2, 3]), other(rows, p, [1, 2, 3]))
        one.reset_state(), other.reset_state()
        # A second axis of samples, such as time, is one more of the batch.
        again = one(np.reshape(y, (1, 3, *np.shape(y)[1:])), p[None])
        np.testing.assert_array_equal(again, other(rows, p))


def test_top_k_counts_equal_outputs_all_in():
    p = [[0.3, 0.3, 0.3, 0.1]]
    assert TopKCategoricalAccuracy(1)([[0, 0, 1, 0]], p) == 1.0
    assert SparseTopKCategoricalAccuracy(3)([3], p) == 0.0
    assert SparseTopKCategoricalAccuracy(4)([[3]], p) == 1.0
    assert SparseTopKCategoricalAccuracy(1)([0], [[np.nan, 1.0]]) == 0.0
    ids = SparseTopKCategoricalAccuracy(2, from_sorted_ids=True)
    assert ids([2, 3], [[1, 2, 3], [1, 2, 3]]) == 0.5
    # Of equal outputs, the first are the top k of a precision.
    assert Precision(top_k=1)([[0, 1, 0, 0]], p) == 0.0
    assert Precision(top_k=9)([[0, 1, 0, 0]], p) == 0.25


def test_f_score_of_one_output_has_a_threshold():
    y, p = [0, 1, 1, 0], [0.1, 0.6, 0.4, 0.7]
    assert F1Score("micro")(y, p) == 0.5
    assert F1Score("micro", from_logits=True)(y, np.log(p) - np.log1p(-np.array(p))) == 0.5
    assert F1Score("micro")([[1, 0]], [[0.0, 0.0]]) == 0.0
    assert F1Score()(y, p).shape == (1,)


@pytest.mark.parametrize("curve", ["ROC", "PR"])
@pytest.mark.parametrize("options", [{}, {"num_thresholds": 7}, {"thresholds": [0.5]}])
def test_area_without_a_class_is_nan(curve, options):
    metric = AUC(curve=curve, **options)
    assert math.isnan(metric.result())
    assert math.isnan(metric([0, 0, 0], [0.1, 0.8, 0.3]))
    assert metric([0, 1, 0], [0.1, 0.9, 0.3]) > 0
    metric.reset_state()
    only_positives = metric([1, 1], [0.1, 0.8])
    assert only_positives == 1.0 if curve == "PR" else math.isnan(only_positives)
    metric = AUC(curve=curve, multi_label=True, **options)
    y, p = np.array([[1, 0], [0, 0], [0, 0]]), np.array([[0.9, 0.1], [0.2, 0.1], [0.2, 0.3]])
    assert metric(y, p) == 1.0  # the second output has no positives
    metric.reset_state()
    assert math.isnan(metric([1, 0], [0.2, 0.4], [0.0, 1.0]))


def test_area_by_hand():
    # Scores 4 3 2 1 with labels 1 0 1 0: of the four pairs, three are in order.
    y, p = [1, 0, 1, 0], [4.0, 3, 2, 1]
    assert AUC(from_logits=True)(y, p) == 0.75
    assert AUC(curve="PR")(y, p) == pytest.approx((1 + 2 / 3) / 2)
    assert AUC(summation_method="majoring")(y, [1.0, 1, 1, 0]) == 1.0
    assert AUC(summation_method="minoring")(y, [1.0, 1, 1, 0]) == 0.5
    assert AUC(curve="PR", summation_method="minoring")(y, p) == 0.75
    assert AUC(curve="PR", summation_method="majoring")(y, p) == pytest.approx(5 / 6)
    assert math.isnan(AUC()(y, [1.0, np.nan, 2, 3]))


def test_logits_are_not_rounded_to_probabilities():
    y, z = [0, 1, 0, 1], np.array([900.0, 1000.0, -1000.0, -900.0], "f4")  # sigmoid: 1 1 0 0
    assert AUC(from_logits=True)(y, z) == 0.75
    assert AUC(from_logits=True)([1, 0], [[1e30, -1e30], [900.0, 0.0]]) == 0.375
    assert Precision(from_logits=True)(y, z) == 0.5
    assert Recall([0.0, 1.0], from_logits=True)(y, z).tolist() == [1.0, 0.0]
    # softmax of (0, log 3) is (1/4, 3/4)
    logits = np.array([[0.0, math.log(3.0)]])
    for threshold, count in ((0.74, 1), (0.76, 0)):
        assert TruePositives(threshold, from_logits=True)([1], logits) == count
    assert ConfusionMatrix(threshold=0.7, from_logits=True)([1], [0.84]).tolist() == [
        [0, 0],
        [1, 0],
    ]
    assert ConfusionMatrix(threshold=0.7, from_logits=True)([1], [0.86]).tolist() == [
        [0, 0],
        [0, 1],
    ]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e4, 1e30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_of_any_size(scale, dtype):
    y, p = np.array([[0.0], [1], [3]], dtype), np.array([[1.0], [1], [1]], dtype)
    y, p = y * np.asarray(scale, dtype), p * np.asarray(scale, dtype)
    unit = float(np.asarray(scale, dtype))
    for expression, expected in (
        ("MeanSquaredError()", 5 / 3 * unit**2),
        ("RootMeanSquaredError()", math.sqrt(5 / 3) * unit),
        ("MeanAbsoluteError()", unit),
        ("R2Score()", 1 - 15 / 14),
        ("ExplainedVariance()", 0.0),
        ("CosineSimilarity()", 2 / 3),
    ):
        assert eval(expression)(y, p) == pytest.approx(expected, rel=1e-6, abs=1e-14), expression


def test_no_digits_are_lost_to_an_offset():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(1000, 2))
    p = y + 0.5 * rng.normal(size=y.shape)
    for cls in (R2Score, ExplainedVariance):
        for offset in (0.0, 1e6, -1e9):
            metric = cls()
            for i in range(0, 1000, 7):  # 1e9 + y is itself rounded, to 1e-7
                metric.update_state(y[i : i + 7] + offset, p[i : i + 7] + offset)
            expected = cls()(y, p)
            assert metric.result() == pytest.approx(expected, rel=1e-14 + abs(offset) * 1e-16)


def test_variance_of_equal_targets():
    for cls in (R2Score, ExplainedVariance):
        assert math.isnan(cls().result())
        assert cls(None).result().shape == (0,)
        assert cls()([2.0, 2.0], [2.0, 2.0]) == 1.0
        assert cls()([2.0, 2.0], [2.0, 3.0]) == 0.0
        assert cls("variance_weighted_average")([2.0, 2.0], [2.0, 3.0]) == 0.0
    assert ExplainedVariance()([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]) == 1.0
    assert R2Score()([1.0, 2, 3], [1.0, 2, 4], [0, 0, 0]) != 1
    y, p = np.array([1.0, 2, 3, 4, 6]), np.array([1.0, 2, 3, 5, 5])
    r2 = 1 - 2 / 14.8  # mean 3.2
    assert R2Score()(y, p) == pytest.approx(r2)
    assert R2Score(num_regressors=2)(y, p) == pytest.approx(1 - (1 - r2) * 4 / 2)
    assert math.isnan(R2Score(num_regressors=4)(y, p))


def test_percentage_and_cosine_by_hand():
    mape = MeanAbsolutePercentageError()
    assert mape([[100.0], [50.0]], [[110.0], [40.0]]) == pytest.approx(15.0)
    mape.reset_state()
    assert mape([0.0], [1.0]) == pytest.approx(1e9)
    cosine = CosineSimilarity()
    assert cosine([[3.0, 4.0]], [[4.0, 3.0]]) == pytest.approx(24 / 25)
    cosine.reset_state()
    assert cosine([[0.0, 0.0]], [[4.0, 3.0]]) == 0.0
    assert PearsonCorrelation()([[0.1, 0.1, 0.1]], [[1.0, 2.0, 3.0]]) == 0.0
    y, p = np.array([[1.0, 2.0, 4.0]]), np.array([[3.0, 1.0, 2.0]])
    for offset in (0.0, 1e6):
        near = pytest.approx(-1 / math.sqrt(28 / 3), rel=1e-9)
        assert PearsonCorrelation()(y + offset, p - offset) == near
    y = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    assert CosineSimilarity(axis=1)(y, y) == 1.0


def test_ignored_classes_are_left_out():
    p = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    metric = SparseCategoricalCrossentropy(ignore_class=-1)
    assert metric([0, 1, -1], p) == pytest.approx(-math.log(0.5 * 0.75) / 2)
    metric.reset_state()
    assert metric([[0], [1], [-1]], p, [1, 3, 9]) == pytest.approx(
        -(math.log(0.5) + 3 * math.log(0.75)) / 4
    )


# Metric, its name, the value on the arrays below, and with the weights [1, 3]: Keras 3.15.1.
FORMS = [
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", 0.042262431, 0.05193739),
    # log(cosh(p - t)) by NumPy in float64; Keras's float32 gives 0.042254023 and 0.051847592.
    ("LogCoshError", "logcosh", 0.0422539799, 0.0518475481),
    ("Poisson", "poisson", 0.50830364, 0.53634298),
    ("KLDivergence", "kl_divergence", 0.52490819, 0.60902619),
    ("Hinge", "hinge", 0.93333334, 0.9666667),
    ("SquaredHinge", "squared_hinge", 1.02, 1.0733334),
    ("CategoricalHinge", "categorical_hinge", 0.64999998, 0.72500002),
]


@pytest.mark.parametrize(("name", "key", "plain", "weighted"), FORMS)
def test_losses_as_metrics_give_the_same_numbers_as_keras(name, key, plain, weighted):
    metric = getattr(nl.metrics, name)()
    assert metric.name == key
    t, p = [[0.0, 1, 0], [1, 0, 0]], [[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]
    assert metric(t, p) == pytest.approx(plain, rel=1e-6)
    metric.reset_state()
    assert metric(t, p, [1, 3]) == pytest.approx(weighted, rel=1e-6)


@pytest.mark.parametrize(("metric", "expected"), [("Precision", 1 / 2), ("Recall", 1 / 3)])
def test_arrays_with_one_axis_are_one_sample_of_the_largest_outputs(metric, expected):
    y_true, y_pred = [1, 0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2, 0.3]
    one = getattr(nl.metrics, metric)(top_k=2)
    many = getattr(nl.metrics, metric)(top_k=2)
    assert one(y_true, y_pred) == many([y_true], [y_pred]) == pytest.approx(expected)
    assert one(y_true, y_pred, sample_weight=3.0) == pytest.approx(expected)
    assert one([y_true], [y_pred]) == pytest.approx(expected)
