"""How kept texts are compared: words exactly, numbers to their last digit, noise not at all."""

import pytest

from tests.golden import same


@pytest.mark.parametrize(
    ("kept", "now"),
    [
        ("mean  0.12  dead 3", "mean  0.12  dead 3"),
        ("mean  0.12", "mean  0.13"),
        ("mean  -1.8e-09  1", "mean   8.4e-09  1"),
    ],
)
def test_rounding_is_overlooked(kept, now):
    assert same(kept, now)


@pytest.mark.parametrize(
    ("kept", "now"),
    [
        ("mean  0.12", "mean  0.14"),
        ("mean  0.12", "mean   0.12"),
        ("mean  -1.8e-09  1", "mean   8.4e-09  2"),
        ("mean  -1.8e-09", "median  8.4e-09"),
        ("mean  1.8e-09", "mean  1.8e-03"),
        ("mean  -0.12", "mean   0.12"),
        ("dead 3", "dead 4"),
    ],
)
def test_other_differences_are_seen(kept, now):
    assert not same(kept, now)
