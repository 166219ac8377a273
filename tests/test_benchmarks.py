"""The parts of the benchmarks that measure nothing: ratios, fits, checks, the report."""

import math

import pytest

from benchmarks import peers, report, stats
from benchmarks.cases import CASES, TARGETS, data, weights


def test_a_ratio_is_that_of_the_same_round():
    found = stats.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.median, found.low, found.high) == (2.0, 1.0, 4.0)
    assert str(found) == "2.00 (1.00 to 4.00)"


@pytest.mark.parametrize("slope", [-0.5, 1.0, 1.05, 2.0])
def test_a_known_exponent_is_found(slope):
    x = [1.0, 3.0, 10.0, 50.0]
    found = stats.exponent(x, [7 * v**slope for v in x])
    assert found.slope == pytest.approx(slope)
    assert found.factor == pytest.approx(7)
    assert found.error == pytest.approx(0, abs=1e-7)


def test_the_standard_error_is_that_of_scipy():
    from scipy.stats import linregress

    x, y = [1.0, 2.0, 4.0, 8.0, 16.0], [1.1, 1.9, 4.3, 7.5, 17.0]
    known = linregress([math.log(v) for v in x], [math.log(v) for v in y])
    found = stats.exponent(x, y)
    assert found.slope == pytest.approx(known.slope)
    assert found.error == pytest.approx(known.stderr)


@pytest.mark.parametrize("points", [([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 0]), ([1, 2, 3], [1, 2])])
def test_points_without_a_line(points):
    with pytest.raises(ValueError, match="three or more"):
        stats.exponent(*points)


def test_agreement():
    ours = [2.0, 1.0, 0.5, 0.25]
    assert stats.agreement([2.0, 1.0, 0.5, 0.252], ours, random=False)[1]
    apart, agrees = stats.agreement([2.0, 1.0, 0.5, 0.3], ours, random=False)
    assert (apart, agrees) == (pytest.approx(0.025), False)
    assert stats.agreement([9.0, 9.0, 0.4, 0.35], ours, random=True)[1]  # its second half counts
    assert not stats.agreement([2.0, 1.0, 0.7, 0.25], ours, random=True)[1]


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jax" else 1)
    assert peers.missing("torch") == []
    assert peers.missing("keras") == ["jax"]
    line = peers.missing_line("keras", ["jax"])
    assert line == "keras is left out: jax is not installed."


@pytest.mark.parametrize("case", CASES.values(), ids=lambda c: c.name)
def test_cases_are_dealt_the_same_each_time(case):
    for a, b in zip(data(case), data(case), strict=True):
        assert (a == b).all()
    dealt = weights(case)
    assert all(
        (a == b).all()
        for x, y in zip(dealt, weights(case), strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert [w.shape for w, _ in dealt] == list(zip(case.sizes, case.sizes[1:], strict=False))


def test_the_targets():
    assert TARGETS["jax"]["regularized"] == 1.1
    assert "regularized" not in TARGETS["sklearn"]


def test_the_report_of_a_run():
    times = {"netlayers": [1e-4, 2e-4, 1e-4], "torch": [4e-4, 9e-4, 3e-4]}
    checks = {"netlayers": {"apart": 0.0, "agrees": True}, "torch": {"apart": 0.5, "agrees": False}}
    text = report.markdown(
        {
            "machine": {
                "processor": "P",
                "cores": 2,
                "system": "S",
                "python": "3.11",
                "threads": [1, 2],
                "versions": {"torch": "2.13"},
                "environment": {"OPENBLAS_CORETYPE": "Zen"},
                "load": [0.5, 0, 0],
            },
            "missing": ["jax is left out: jax is not installed."],
            "steps": {
                "cases": {"tiny": {"times": times, "checks": checks}},
                "idle": {"torch": 0.001},
                "threads": 2,
            },
            "inference": {"1": times},
            "footprint": {
                "netlayers": {"size": 100.0, "seconds": 0.1, "memory": 30.0, "training": 50.0}
            },
        }
    )
    assert "| torch | 4.00 (3.00 to 4.50) / 4 |" in text
    assert "| netlayers, µs | 100 |" in text
    assert "| torch | **5e-01** |" in text  # losses that do not agree stand out
    assert "`OPENBLAS_CORETYPE=Zen`" in text
    assert "jax is left out" in text
    assert "| 1 rows | 100 | 4.00 (3.00 to 4.50) |" in text
    assert "| netlayers | 100.0 | 0.1 | 30.0 | 50.0 |" in text
