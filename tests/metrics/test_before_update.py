"""What a metric says before the first update, and again after a reset."""

import numpy as np
import pytest

import netlayers as nl

M = nl.metrics
NAN = float("nan")
ABSTRACT = {"LossMetric", "MeanMetric", "MeanMetricWrapper", "Metric", "MetricFunction"}
NAMES = [n for n in M.__all__ if isinstance(getattr(M, n), type) and n not in ABSTRACT]
# Where it is not the number 0: nothing is known, or there is a value for each output.
OTHERS = {
    "AUC": NAN,
    "ConfusionMatrix": np.zeros((0, 0), int),
    "ExplainedVariance": NAN,
    "F1Score": np.zeros(0),
    "FBetaScore": np.zeros(0),
    "R2Score": NAN,
}
WITH_ARGUMENTS = [
    (lambda: M.Precision([0.2, 0.7]), [0.0, 0.0]),
    (lambda: M.Recall([0.2, 0.7]), [0.0, 0.0]),
    (lambda: M.TruePositives([0.2, 0.7]), [0.0, 0.0]),
    (lambda: M.FalsePositives([0.2]), [0.0]),
    (lambda: M.Precision(top_k=2), 0.0),
    (lambda: M.Recall(class_id=0), 0.0),
    (lambda: M.F1Score("macro"), 0.0),
    (lambda: M.F1Score("micro"), 0.0),
    (lambda: M.F1Score("weighted"), 0.0),
    (lambda: M.AUC(11), NAN),
    (lambda: M.AUC(multi_label=True), NAN),
    (lambda: M.R2Score(None), np.zeros(0)),
    (lambda: M.get(lambda t, p: np.abs(t - p)), 0.0),
]


def compared(got, expected):
    assert type(got) is (np.ndarray if np.ndim(expected) else float)
    np.testing.assert_array_equal(got, expected)
    if np.ndim(expected):
        assert got.dtype == np.asarray(expected).dtype


def new(name):
    """The metric with as few arguments as it takes."""
    cls = getattr(M, name)
    return cls(**cls.examples()[0][0])


def data(metric):
    """Targets and predictions that the metric takes."""
    if isinstance(metric, M.IoU) and metric.sparse_y_true:
        return np.array([0, 1, 1]), np.array([0, 1, 0])
    if type(metric) in (M.Sum, M.Mean):
        return (np.array([1.0, 2.0]),)
    p = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    y = np.array([1, 0, 1, 2])
    if type(metric) is M.Accuracy:  # counts equal numbers
        return np.eye(3)[y], np.eye(3)[[1, 0, 2, 2]]
    return (y if "Sparse" in type(metric).__name__ else np.eye(3)[y], p)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric(name):
    metric = new(name)
    expected = OTHERS.get(name, 0.0)
    compared(metric.result(), expected)
    first = metric(*data(metric))
    assert np.size(first) != np.size(expected) or not np.array_equal(first, expected)
    metric.reset_state()
    if name not in ("ConfusionMatrix", "F1Score", "FBetaScore"):  # they know the outputs by now
        compared(metric.result(), expected)
    assert not np.any(np.nan_to_num(metric.result()))


@pytest.mark.parametrize(("make", "expected"), WITH_ARGUMENTS)
def test_with_arguments(make, expected):
    metric = make()
    compared(metric.result(), expected)
    metric.update_state(*data(metric))
    assert np.any(metric.result())
    metric.reset_state()
    assert not np.any(np.nan_to_num(metric.result()))


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_zero_are_like_no_update(name):
    metric = new(name)
    values = data(metric)
    metric.update_state(*values, sample_weight=np.zeros(len(values[0])))
    result = np.nan_to_num(metric.result())
    assert not np.any(result), metric.result()
