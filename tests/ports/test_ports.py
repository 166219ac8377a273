"""Keras's guides, written anew: examples/ports, with small settings.

Only names that Keras has are used, so that little but the import changes; docs/keras.md has the
lines that differ.
"""

import importlib
import sys
from pathlib import Path

import pytest

import netlayers as nl

FOLDER = Path(__file__).parents[2] / "examples" / "ports"


@pytest.fixture(autouse=True)
def kernels_and_seed():
    """Compute with NumPy's kernels, and forget the seed that the examples set."""
    before = nl.kernels_in_use()
    nl.use_kernels("numpy")
    yield
    nl.use_kernels(before)
    nl.random.forget_seed()


def run(monkeypatch, name, **settings):
    """Return what an example measures."""
    monkeypatch.syspath_prepend(FOLDER)
    for module in ("ports_data", name):
        monkeypatch.delitem(sys.modules, module, raising=False)
    example = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    return example, example.main(**settings)


def test_functional_api(monkeypatch):
    example, found = run(monkeypatch, "functional_api", epochs=4)
    assert found["accuracy"] > 0.8
    assert found["residual"] > 0.75
    assert found["same"]
    assert found["difference"] < 1e-6  # of the ensemble from the mean of its members
    assert found["error"] < 0.07
    assert (found["shared"], found["features"], found["own"]) == (16_000, 11, 50)
    assert nl.check_gradients(example.CustomDense(3), [[1.0, 2.0], [3.0, 5.0]]).passed


def test_several_inputs_and_outputs(monkeypatch):
    _, found = run(monkeypatch, "multi_output", epochs=4, rows=1600)
    total = found["priority_loss"] + 0.2 * found["department_loss"]
    assert found["loss"] == pytest.approx(total, rel=1e-4)
    assert found["department_accuracy"] > 0.3  # of four


def test_transfer_learning(monkeypatch):
    _, found = run(monkeypatch, "transfer_learning", epochs=40)
    assert found["counts"] == [(2, 0), (2, 2), (0, 2)]
    assert found["unchanged"]
    assert min(found["accuracy"]) > 0.4  # of five, from forty examples


def test_siamese(monkeypatch):
    example, found = run(monkeypatch, "siamese", epochs=2, count=2000)
    assert found["accuracy"] > 0.8
    predicted, differ = [[0.2], [0.9], [0.4]], [1.0, 0.0, 1.0]
    assert nl.check_gradients(example.Contrastive(0.5), predicted, differ).passed
    model = example.make()[1]
    (x, _), _ = example.digits()
    assert nl.check_gradients(model, (x[:4], x[4:8]), max_entries=20).passed


def test_feature_space(monkeypatch):
    _, found = run(monkeypatch, "feature_space", epochs=5, rows=1500)
    assert found["accuracy"] > 1 - found["late"] + 0.03
    assert found["same"]  # encoded before the model, or in it


def test_wide_and_deep(monkeypatch):
    _, found = run(monkeypatch, "wide_and_deep", epochs=3, rows=3000)
    assert list(found) == ["baseline", "wide_and_deep", "deep_and_cross"]
    assert min(found.values()) > 0.5  # of five


def test_custom_train_step(monkeypatch):
    _, found = run(monkeypatch, "custom_train_step", epochs=3)
    for name in ("plain", "weighted", "own"):
        losses = found[name]["loss"]
        assert losses[-1] < losses[0]
        assert list(found[name]) == ["loss", "mae"]
    assert found["tested"][0] == pytest.approx(found["tested"][1] ** 2, rel=0.9)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_arguments_are_those_of_keras(path):
    text = path.read_text()
    assert ("import netlayers as nl\n" in text) == (path.stem != "ports_data")
    for ours in ("seed=0", "learning_rate_multiplier", "exact=", "read_ahead", "stratify"):
        assert ours not in text or path.stem == "ports_data"
