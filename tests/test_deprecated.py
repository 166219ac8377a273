"""What users could import in an earlier release works for one more, with a warning."""

import importlib
import pkgutil
import warnings

import pytest

import netlayers as nl
from netlayers._deprecated import moved

# Old module, name: new module. Names that the documentation of 0.1.0 showed.
MOVED = {
    ("netlayers.checking", "check_gradients"): "netlayers.gradient_check",
    ("netlayers.checking", "GradientReport"): "netlayers.gradient_check",
    ("netlayers.checking", "GradientRow"): "netlayers.gradient_check",
    ("netlayers.inspection", "ActivationHistograms"): "netlayers.diagnostics",
    ("netlayers.inspection", "Diagnosis"): "netlayers.diagnostics",
    ("netlayers.inspection", "Finding"): "netlayers.diagnostics",
    ("netlayers.inspection", "LayerActivations"): "netlayers.diagnostics",
    ("netlayers.inspection", "LossSurface"): "netlayers.diagnostics",
    ("netlayers.inspection", "NonFiniteOrigin"): "netlayers.diagnostics",
    ("netlayers.inspection", "ProfileReport"): "netlayers.diagnostics",
    ("netlayers.inspection", "Trace"): "netlayers.trace",
    ("netlayers.rates", "LearningRateCurve"): "netlayers.diagnostics.lr_finder",
    ("netlayers.rates", "find_learning_rate"): "netlayers.diagnostics.lr_finder",
    ("netlayers.replaying", "Replay"): "netlayers.diagnostics.replay",
    ("netlayers.replaying", "replay_snapshot"): "netlayers.diagnostics.replay",
    ("netlayers.core.random", "KeyedStreams"): "netlayers.random",
    ("netlayers.core.spec", "InputSpec"): "netlayers.arrays.spec",
}
NAMES = [m.name for m in pkgutil.walk_packages(nl.__path__, "netlayers.")]
FINDERS = {
    name: find
    for name in NAMES
    if hasattr(find := vars(importlib.import_module(name)).get("__getattr__"), "removed_in")
}


@pytest.mark.parametrize(("old", "name"), MOVED)
def test_an_old_place_warns_and_gives_what_is_at_the_new_one(old, name):
    new = MOVED[old, name]
    expected = getattr(importlib.import_module(new), name)
    with pytest.warns(DeprecationWarning, match="is deprecated") as caught:
        exec(f"from {old} import {name}", found := {})
    assert found[name] is expected
    (warning,) = caught
    assert str(warning.message) == (
        f"{old}.{name} is deprecated and will be removed in netlayers 0.3: use {new}.{name}."
    )
    assert warning.filename == "<string>"  # the line of the user, so that Python shows it


def test_every_old_place_is_tested():
    assert set(FINDERS) == {old for old, _ in MOVED}


def test_the_root_still_has_the_old_modules():
    for name in ("checking", "inspection", "rates", "replaying"):
        assert getattr(nl, name) is importlib.import_module(f"netlayers.{name}")
    assert "inspection" not in nl.__all__
    with pytest.raises(AttributeError, match="module 'netlayers' has no attribute 'inspections'"):
        _ = nl.inspections


def test_what_is_nowhere_is_an_error_without_a_warning():
    with warnings.catch_warnings(), pytest.raises(AttributeError, match=r"'netlayers\.rates' has"):
        _ = importlib.import_module("netlayers.rates").learning_rate


def release(text):
    return tuple(map(int, text.split(".")))[:2]


def test_old_places_go_when_their_time_is_over():
    assert release("0.3") > release("0.2.7")
    for name, find in FINDERS.items():
        assert release(find.removed_in) > release(nl.__version__), f"delete {name}"


def test_the_modules_are_searched_in_order():
    find = moved("old", "math", "cmath", removed_in="9.0")
    import cmath
    import math

    with pytest.warns(DeprecationWarning, match=r"use math\.sqrt"):
        assert find("sqrt") is math.sqrt
    with pytest.warns(DeprecationWarning, match=r"use cmath\.phase"):
        assert find("phase") is cmath.phase
