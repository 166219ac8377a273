"""Metrics against values computed by hand from the tables of outcomes."""

# ruff: noqa: F403, F405

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.metrics import *

SCORES = np.array([0.1, 0.2, 0.4, 0.7, 0.3, 0.5, 0.8, 0.9])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("metric", "expected", "weighted"),
    [  # thresholds between the scores; weights 1 to 8
        (PrecisionAtRecall(0.75), 3 / 4, 21 / 25),
        (PrecisionAtRecall(0.25), 1.0, 1.0),
        (RecallAtPrecision(0.7), 3 / 4, 1.0),
        (RecallAtPrecision(1.0), 1 / 2, 15 / 26),
        (SensitivityAtSpecificity(0.75), 3 / 4, 15 / 26),
        (SensitivityAtSpecificity(0.5), 1.0, 21 / 26),
        (SpecificityAtSensitivity(0.75), 3 / 4, 6 / 10),
        (SpecificityAtSensitivity(1.0), 1 / 2, 3 / 10),
    ],
)
def test_best_value_at_a_limit(metric, expected, weighted):
    assert metric(LABELS, SCORES) == pytest.approx(expected)
    metric.reset_state()
    assert metric(LABELS, SCORES, sample_weight=np.arange(1, 9)) == pytest.approx(weighted)
    assert type(metric)(1.0, num_thresholds=1)(1 - LABELS, SCORES) in (0.0, 0.25)


def test_area_under_the_gains():
    y, p = [0, 1, 1, 0], [0.1, 0.4, 0.6, 0.5]
    # tp 1, 1, 2, 2 and fp 0, 1, 1, 2 from the highest score down, 2 positives and 2 negatives:
    # recall gain 0, 0, 1, 1 and precision gain 1, 0, 1/2, 0.
    assert AUC(curve="PRGAIN")(y, p) == pytest.approx(0.25)
    assert AUC(curve="PRGAIN", thresholds=[0.3, 0.45, 0.55])(y, p) == pytest.approx(0.25)
    assert math.isnan(AUC(curve="PRGAIN")([1, 1], [0.1, 0.2]))
    for thresholds in (None, [0.5]):
        gains = AUC(curve="PRGAIN", thresholds=thresholds)
        assert gains([1, 0], [0.9, 0.1]) == 1  # from precision gain 1 at recall gain 0
        gains.reset_state()
        assert gains([0, 1], [0.9, 0.1]) == 0


def test_thresholds_of_an_area_have_0_and_1():
    metric = AUC(thresholds=[0.5, 0.3])
    assert metric.thresholds == [0.0, 0.3, 0.5, 1.0]
    assert metric.num_thresholds == 4
    assert AUC.from_config(metric.get_config()).thresholds == metric.thresholds


def test_concordance():
    t = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 2.0, 4.0]])
    p = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [0.0, 2.0, 4.0]])
    expected = [4 / 7, 0, 1]  # 2 (2/3) / (2/3 + 2/3 + 1)
    np.testing.assert_allclose(concordance_correlation(t, p), expected)
    assert ConcordanceCorrelation()(t, p, [2, 1, 1]) == pytest.approx((8 / 7 + 1) / 4)


def test_intersection_over_union():
    y, p, w = [0, 1, 2, 2, 9], [0, 1, 1, 2, 0], [1, 2, 3, 4, 5]
    metric = MeanIoU(4, ignore_class=9)
    assert metric(y, p) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)  # class 3 does not occur
    metric.reset_state()
    assert metric(y, p, w) == pytest.approx((1 + 2 / 5 + 4 / 7) / 3)
    with pytest.warns(UserWarning, match="y_true has other.* 0 to 2, such as 9.*ignore_class=9"):
        assert MeanIoU(3)(y, p) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    with pytest.warns(UserWarning, match=r"y_pred has other.* 0 to 1, such as -2; .* out\.$"):
        assert IoU(2, [0, 1])([0, 1, 0], [0, -2, 1], [1, 5, 3]) == pytest.approx(1 / 8)
    for true, predicted in (([0, 0.5], [0, 1]), ([0, 1], [0, 1e30])):
        with pytest.raises(nl.errors.DataError, match="must be class indices from 0 to 1"):
            MeanIoU(2).update_state(true, predicted)
    with pytest.raises(nl.errors.DataError, match="class indices from 0 to 1"):
        BinaryIoU().update_state([-1, 1], [0.2, 0.7])
    assert IoU(3, [2], ignore_class=9)(y, p) == 0.5
    assert BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]) == pytest.approx(1 / 3)
    rows = np.eye(3)
    assert OneHotMeanIoU(3)(rows, rows[[0, 1, 1]]) == pytest.approx((1 + 1 / 2 + 0) / 3)
