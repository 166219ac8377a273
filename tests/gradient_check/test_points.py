"""Where numerical derivatives are taken, what counts as a kink, and what a check refuses."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.gradient_check.differences import CentralDifferences
from netlayers.gradient_check.report import GradientReport, GradientRow
from tests.golden import check_text
from tests.snapshots import numbers, outcome

L = nl.layers
FUNCTIONS = {
    "square": lambda v: float(v @ v),
    "corner": lambda v: float(np.abs(v).sum()),
    "corner beside": lambda v: float(np.abs(v - 3e-6).sum()),
    "corner far": lambda v: float(np.abs(v - 3e-7).sum()),
    "step": lambda v: float((v > 0).sum()),
    "large": lambda v: 1e9 + float(v.sum()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_points(name):
    """The points at which a function is asked, and what is said of a right and a wrong slope."""
    lines = []
    for start in ([0.0, 0.0], [1.0, 2.5], [-3.0, 1e3]):
        for where in ((0,), (1,), np.array([1.0, -0.5])):
            for analytic in (0.0, 1.0, 2.0 * start[0], 5.0, -1.0, 1.1):
                values, points = np.array(start), []

                def evaluate(values=values, points=points):
                    points.append(values.copy())
                    return FUNCTIONS[name](values)

                central = CentralDifferences(evaluate, FUNCTIONS[name](values), 1e-5)
                floor = central.floor(np.array([analytic, -0.5]))
                error, slope, kink = central.compare(values, where, analytic, floor)
                np.testing.assert_array_equal(values, start)
                steps = np.abs(np.array(points) - start).max(axis=1)
                verdict = "right" if error <= 1e-5 else "wrong"
                lines.append(
                    f"{start} {where} {analytic:g}: {verdict} {slope:.4g} {kink} floor {floor:.4g} "
                    f"steps {' '.join(f'{s:.2e}' for s in steps)}"
                )
    check_text(__file__, f"points-{name.replace(' ', '-')}.txt", "\n".join(lines))


def test_reports():
    rows = [
        GradientRow("right", (2, 3), 6, 0, 1e-9, 1e-8, ((0, 1), 1.0, 1.0), 0, 0.0, "complex"),
        GradientRow("wrong", (2, 3), 6, 0, 0.5, 0.25, ((1, 2), 1.0, 1.5), 0, 0.0, "complex"),
        GradientRow("wrong too", (3,), 3, 0, 0.5, 0.25, ((1,), 1.0, 1.5), 2, 1e-7),
        GradientRow("direction", (300,), 20, 3, 1e-9, 1e-8, ((7,), 1.0, 1.0), 2, 0.125),
        GradientRow("kinks", (2,), 0, 2),
        GradientRow("empty", (0, 3), 0, 0),
        GradientRow("limit", (1,), 1, 0, 1e-5, 1e-5, ((0,), 1.0, 1.0)),
    ]
    lines = []
    for some in ([], rows[:1], rows[1:2], rows[2:3], rows[3:4], rows[4:5], rows[5:], rows):
        report = GradientReport(1e-5, some, ["a note"] * (len(some) > 1))
        lines += [str(report), f"{report.passed} {report.max_relative_error}", ""]
    check_text(__file__, "reports.txt", "\n".join(lines))


def test_what_a_check_refuses():
    x, y = numbers(4, 3), numbers(4, 2)
    model, two = nl.Sequential([L.Dense(2)], name="net", seed=0), L.Dense(2, name="two")

    class Complex(L.Layer):
        def forward(self, x, training=False):
            return np.floor(self.prepare(x).real)

        def backward(self, dy):
            return 0 * dy

    class Infinite(L.Layer):
        def forward(self, x, training=False):
            return np.full_like(self.prepare(x), np.inf)

        def backward(self, dy):
            return dy

    check = nl.check_gradients
    calls = {
        "a class": lambda: check(L.Dense, x),
        "a number": lambda: check(3, x),
        "a loss without targets": lambda: check("mse", x),
        "a loss argument without targets": lambda: check(two, x, loss="mse"),
        "targets without a loss": lambda: check(two, x, y),
        "targets of a model that is not compiled": lambda: check(model, x, y),
        "rows": lambda: check(two, x, y[:2], "mse"),
        "not finite": lambda: check(two, x * np.nan),
        "targets not finite": lambda: check(two, x, y * np.nan, "mse"),
        "infinite": lambda: check(Infinite(), x),
        "complex": lambda: check(Complex(), x, method="complex"),
        "method": lambda: check(two, x, method="forward"),
        "tolerance": lambda: check(two, x, tolerance=0),
        "max_entries": lambda: check(two, x, max_entries=0),
        "max_entries as text": lambda: check(two, x, max_entries="all"),
        "directions": lambda: check(two, x, directions=-1),
        "seed": lambda: check(two, x, seed=-1),
    }
    lines = [
        f"{title}: {outcome(call).partition(' object at')[0]}" for title, call in calls.items()
    ]
    for good in ({"directions": 0}, {"seed": 0}, {"max_entries": 1}, {"max_entries": None}):
        report = check(two, x, **good)
        lines.append(f"{good}: {[(r.name, r.checked, r.directions) for r in report.rows]}")
    check_text(__file__, "refused.txt", "\n".join(lines))
