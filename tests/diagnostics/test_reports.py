"""Reports as they are printed, of numbers that are given."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.profiling import ProfileReport, ProfileRow
from netlayers.gradient_check.report import GradientReport, GradientRow
from netlayers.training.nonfinite import NonFiniteOrigin
from tests.golden import check_text


def test_a_profile():
    rows = [
        ProfileRow("dense", "Dense", 12.5e-6, 30e-6, 0.0, 2_500_000),
        ProfileRow("dense (ReLU)", "ReLU", 1e-6, 0.5e-6),
        ProfileRow("nothing", "Dense", flop=1000),
        ProfileRow("optimizer", "Adam", update=1.5e-3),
    ]
    report = ProfileReport(2048, 30, 1.6e-3, 2.5e-5, rows)
    assert report.seconds == pytest.approx(1.544e-3)
    assert report.share(rows[0]) == pytest.approx(42.5e-6 / 1.544e-3)
    check_text(__file__, "profile.txt", str(report))
    empty = ProfileReport(1, 1, 0.0, 0.0)
    assert empty.share(rows[2]) == 0
    check_text(__file__, "profile-empty.txt", str(empty))


def test_a_check_of_gradients():
    right = GradientRow("dense/kernel", (3, 4), 12, 0, 1e-12, 2e-11, None, 2, 3e-11, "complex")
    few = GradientRow("dense/bias", (4,), 2, 2, 1e-9, 9e-6, ((1,), 0.5, 0.5000001), 2, 1e-7)
    wrong = GradientRow("out/kernel", (3, 1), 3, 0, 0.25, 0.2, ((2, 0), 1.25, 1.0), 2, 1e-6)
    along = GradientRow("out/scale", (5,), 5, 0, 1e-9, 1e-9, None, 2, 0.01, "complex")
    unseen = GradientRow("out/bias", (1,))
    empty = GradientRow("none", (0, 3))
    stepped = GradientRow("x", (2,), 2, 0, 0.5, 0.3, ((1,), 3.0, 2.0), 0, 0.0, "complex")
    for name, rows, passed in (
        ("right", [right, few, empty], True),
        ("wrong", [right, wrong, stepped], False),
        ("direction", [along], False),
        ("unseen", [right, unseen], False),
        ("nothing", [], True),
    ):
        report = GradientReport(1e-5, rows, ["a note"] if name == "right" else [])
        assert report.passed is passed
        check_text(__file__, f"gradients-{name}.txt", str(report))
    at_the_limit = GradientRow("w", (1,), 1, 0, 0.0, 1e-5, None, 1, 1e-5)
    assert GradientReport(1e-5, [at_the_limit]).passed
    assert GradientReport(1e-5, [at_the_limit, few]).max_relative_error == 1e-5
    assert GradientReport(1e-5).max_relative_error == 0


@pytest.mark.parametrize("count", [3, 20, 45])
def test_a_curve_of_learning_rates(count):
    rates = np.geomspace(1e-6, 1, count)
    losses = 2 - np.linspace(0, 1, count) ** 2
    for suggestion in (float(rates[count // 3]), None):
        curve = nl.LearningRateCurve(rates, losses, losses + 0.5, suggestion, None, "it was over")
        name = "found" if suggestion else "none"
        check_text(__file__, f"learning-rates-{count}-{name}.txt", str(curve))


def test_where_numbers_became_infinite():
    directions = ("forward", "loss", "backward", "update", "input", "weights")
    lines = [NonFiniteOrigin(d, "dense", "the output", "NaN", 3, 20) for d in directions]
    several = {
        "direction": "forward",
        "layer": "f (call 2)",
        "what": "the output",
        "kind": "infinite",
    }
    rows = ([], [4], [1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5], list(range(20)))
    lines += [NonFiniteOrigin(**several, count=1, size=1, rows=r, row_count=20) for r in rows]
    lines.append(NonFiniteOrigin(**several, count=1, size=2, epoch=0, batch=4))
    lines.append(NonFiniteOrigin(**several, count=1, size=2, epoch=1))
    lines.append(NonFiniteOrigin(**several, count=1, size=2, batch=0))
    check_text(__file__, "not-finite.txt", "\n".join(map(str, lines)))
