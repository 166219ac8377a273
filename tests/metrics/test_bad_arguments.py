"""Data and arguments that metrics refuse."""

# ruff: noqa: F403, F405

import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError
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


BAD = [
    ("Precision()", [0, 2], [0.1, 0.2], DataError, "0 or 1"),
    ("AUC()", [-1, 0], [0.1, 0.2], DataError, r"0 or 1 \(or -1 or 1\) for each output, got -1"),
    ("F1Score()", [0, 3], np.ones((2, 3)), DataError, "from 0 to 2"),
    ("ConfusionMatrix()", [0, -1], np.ones((2, 3)), DataError, "from 0 to 2"),
    ("ConfusionMatrix()", [0, np.nan], np.ones((2, 3)), DataError, "from 0 to 2"),
    ("SparseTopKCategoricalAccuracy()", [0, 1.5], np.ones((2, 3)), DataError, "1.5"),
    ("AUC()", [0, 1, 1], [0.1, 0.2], ShapeError, r"\(3,\)"),
    ("MeanSquaredError()", np.ones(3), np.ones((2, 1)), ShapeError, r"\(3,\)"),
    ("R2Score()", np.ones(3), np.ones((3, 2)), ShapeError, r"\(3, 2\)"),
    ("Precision(class_id=3)", [[0, 1]], [[0.1, 0.2]], ShapeError, "class_id=3"),
    ("AUC(label_weights=[1.0])", [[0, 1]], [[0.1, 0.2]], ShapeError, "expected 1"),
    ("CosineSimilarity(axis=0)", [[0, 1]], [[0.1, 0.2]], ShapeError, "axis=0"),
]


@pytest.mark.parametrize(("expression", "y_true", "y_pred", "error", "part"), BAD)
def test_data_that_do_not_fit(expression, y_true, y_pred, error, part):
    metric = eval(expression)
    with pytest.raises(error, match=f"{metric.name}.*{part}"):
        metric.update_state(np.asarray(y_true), np.asarray(y_pred))


@pytest.mark.parametrize("weight", [[1.0, 1.0], np.ones((2, 2)), np.ones((3, 1, 2))])
@pytest.mark.parametrize("expression", ["Accuracy()", "AUC()", "R2Score()", "F1Score()", "Mean()"])
def test_weights_that_do_not_fit(expression, weight):
    metric = eval(expression)
    y = np.array([0, 1, 1])
    with pytest.raises(ShapeError, match=r"sample_weight.*expected \(3,\)"):
        metric(*([y] if expression == "Mean()" else [y, y]), sample_weight=weight)


@pytest.mark.parametrize("expression", ["F1Score()", "R2Score()", "ConfusionMatrix()"])
def test_the_number_of_outputs_can_not_change(expression):
    metric = eval(expression)
    metric(np.eye(3), np.eye(3))
    with pytest.raises(ShapeError, match="reset_state"):
        metric(np.eye(2), np.eye(2))
    metric.reset_state()
    metric(np.eye(2), np.eye(2))


ARGUMENTS = [
    ("Precision", "thresholds", [-0.1, 2.0, "x", [], [0.5, 3]]),
    ("Recall", "top_k", [0, 1.5]),
    ("Recall", "class_id", [-1, "x"]),
    ("FBetaScore", "beta", [0, -1.0]),
    ("FBetaScore", "average", ["mean", []]),
    ("F1Score", "threshold", [0, 1.5]),
    ("AUC", "curve", ["roc", None]),
    ("AUC", "num_thresholds", [1, 2.5]),
    ("AUC", "num_labels", [3, 0]),
    ("AUC", "label_weights", [[-1.0]]),
    ("AUC", "summation_method", ["mean"]),
    ("AUC", "from_logits", ["yes"]),
    ("R2Score", "class_aggregation", ["mean"]),
    ("R2Score", "num_regressors", [-1]),
    ("ConfusionMatrix", "normalize", ["rows"]),
    ("TopKCategoricalAccuracy", "k", [0]),
    ("BinaryCrossentropy", "label_smoothing", [2.0]),
    ("MeanMetricWrapper", "fn", [3, int]),
    ("Mean", "name", [3, ""]),
]


@pytest.mark.parametrize(("cls", "argument", "values"), ARGUMENTS)
def test_bad_arguments(cls, argument, values):
    for value in values:
        with pytest.raises(ConfigurationError, match=argument):
            getattr(nl.metrics, cls)(**{argument: value})


def test_extreme_scores_give_no_warning():
    y = np.array([0, 1, 0, 1])
    for dtype in ("f4", "f8"):
        for scale in (1e4, 1e30):
            z = np.array([-1, 1, -2, 2], dtype) * np.asarray(scale, dtype)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for cls in (AUC, Precision, F1Score, BinaryCrossentropy):
                    expected = 0.0 if cls is BinaryCrossentropy else 1.0
                    assert cls(from_logits=True)(y, z) == expected
