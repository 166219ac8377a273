"""A part of the planted faults; all of them: ``python tests/mutation/faults.py``."""

import importlib.util
from pathlib import Path

import pytest

import netlayers as nl

_spec = importlib.util.spec_from_file_location("faults", Path(__file__).parent / "faults.py")
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


@pytest.mark.slow
def test_planted_faults_are_caught():
    rows = tool.run(every=17)
    real = [row for row in rows if row[4] != "equivalent"]
    missed = [row for row in real if row[4] == "survived"]
    assert len(real) > 40
    assert len(missed) <= 0.01 * len(real), missed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clean_code_passes(seed):
    for cls in {c for classes in tool.uses().values() for c in classes}:
        for thing, x, y, weight in tool.cases(cls, seed):
            report = nl.check_gradients(thing, x, y, sample_weight=weight, seed=seed)
            assert report.passed, f"{thing}\n{report}"
