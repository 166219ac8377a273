"""Files of version 2 load to the numbers that they were written with, and go on from them."""

from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from tests.saving.golden import v2_cases as cases

V2 = Path(__file__).parent / "golden" / "v2"


def load(dtype):
    return nl.load_model(V2 / f"{dtype}.safetensors", cases.CUSTOM)


def compare(dtype, when, model, tolerance):
    """Compare with the stored numbers; rounding may differ between machines, so not bit by bit."""
    start = f"{dtype} {when} "
    with np.load(V2 / "numbers.npz") as file:
        expected = {n[len(start) :]: file[n] for n in file.files if n.startswith(start)}
    got = cases.arrays(model)
    assert sorted(got) == sorted(expected)
    for name, array in expected.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        if array.dtype.kind == "f" and tolerance:
            scale = tolerance * max(1, np.abs(array).max(initial=0))
            np.testing.assert_allclose(got[name], array, rtol=tolerance, atol=scale)
        else:
            assert got[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_it_is_what_was_written_and_goes_on(dtype, tolerance, tmp_path):
    model = load(dtype)
    compare(dtype, "now", model, 0)
    assert model.layers[1].get_assets() == {"words": cases.WORDS, "blob": bytes(range(256))}
    assert model.input_shape == ((None, 4), (None, 4))
    model.save(tmp_path / "again")
    with (
        nl.saving.StoredFile(V2 / f"{dtype}.safetensors") as a,
        nl.saving.StoredFile(tmp_path / "again") as b,
    ):
        assert a.version == b.version == 2
        assert a.description["checksums"] == b.description["checksums"]
        for key in ("random", "states", "assets", "weights", "built"):
            assert a.description[key] == b.description[key]
    compare(dtype, "later", cases.train(model, 3), tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_alone(dtype):
    model = cases.model(dtype)
    model.load_weights(V2 / f"{dtype}_weights.safetensors")
    for p, q in zip(model.declared_parameters, load(dtype).declared_parameters, strict=True):
        assert p.value.tobytes() == q.value.tobytes()


def test_they_are_small():
    assert sum(path.stat().st_size for path in V2.iterdir()) < 100 * 1024
