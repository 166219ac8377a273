"""What release 0.1.0 wrote loads, predicts and goes on to the bits that its own code went on to.

The bits can be told only where products and functions are rounded as on the machine that wrote the
files, which ``probe`` finds out. Elsewhere, and with compiled kernels, the digits that all machines
agree on are compared. The names of the tests say which it was: ``bits`` or ``digits``.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from tests.saving.golden import make_v1
from tests.saving.golden import v1_cases as cases
from tests.saving.golden import v1_runs as runs

V1 = Path(__file__).parent / "golden" / "v1"

_then, _now = json.loads((V1 / "probe.json").read_text()), make_v1.probe()
OTHERWISE = [name for name in _then if _now[name] != _then[name]]
SAME_MACHINE = not OTHERWISE
# A backup goes on with the kernels that it was written with; models go on with those in use.
BITS = SAME_MACHINE and nl.kernels_in_use() == "numpy"
SAME = "bits" if BITS else "digits"
SAME_RUN = "bits" if SAME_MACHINE else "digits"


def close(got, expected, how):
    """Compare numbers, arrays of them, and plain data that they are in."""
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for name, value in expected.items():
            close(got[name], value, how)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            close(one, other, how)
    elif isinstance(expected, str) and "," in expected:  # a line of a table
        close(
            [number(text) for text in got.split(",")], list(map(number, expected.split(","))), how
        )
    elif how == "bits" or not isinstance(expected, (float, np.ndarray)):
        assert type(got) is type(expected)
        np.testing.assert_array_equal(got, expected)
    else:
        # In results of many operations the dtype of the model cannot be seen any more.
        single = np.float32 if how == "digits" else np.float64
        eps = np.finfo(getattr(expected, "dtype", single)).eps
        scale = np.max(np.abs(expected), initial=0)
        tolerance = {"digits": 1e-5 if eps > 1e-10 else 1e-10, "ulps": 4 * eps}[how]
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def compare(name, got, how):
    with np.load(V1 / f"{name}.npz") as file:
        expected = dict(file)
    assert sorted(got) == sorted(expected)
    plain, known = (json.loads(str(d.pop("numbers"))) for d in (got, expected))
    plain["optimizer"].pop("denominators", None)  # of accumulated gradients; 0.1.0 had none
    for part in ("random", "optimizer", "built", "weights"):  # no rounding in it
        assert plain.pop(part) == known.pop(part)
    if name == "rows_between":  # 0.1.0 counted class weights in metrics too
        for logs in (plain, known):
            logs["restored"] = logs["history"].pop("accuracy")[:3]  # the epochs before the cut
            columns = logs["table"][0].split(",")
            place = columns.index("accuracy")
            for i, line in enumerate(logs["table"]):
                cells = line.split(",")
                logs["table"][i] = ",".join(cells[:place] + cells[place + 1 :])
    for part, array in expected.items():
        assert got[part].dtype == array.dtype
        close(got[part], array, how)
    # What is reported (losses, metrics) are quotients of sums now, penalties apart; with sample
    # weights the sums are float32. The binary cross-entropy adds its terms in another order.
    rounded = "digits" if name in ("accumulating_within", "customized", "rows_within") else "ulps"
    close(plain, known, rounded if how == "bits" or name == "accumulating_within" else how)


def how_close(name, same):
    """Return how exactly to compare: "bits", "digits", or a few units in the last place.

    0.1.0 divided by the number of samples in each batch, and by that of batches once they were
    gathered. A single division at the end is as good, and moves the last bits. Its normalizations
    centred all rows again where one needed it, and its binary focal loss lost large predictions.
    """
    if same == "bits" and name.startswith(("normalizations", "measured")):
        return "digits"
    return "ulps" if same == "bits" and name.startswith("accumulating") else same


def load(name):
    return nl.load_model(V1 / f"{name}.safetensors", {"cube": cases.cube})


def test_the_machine_rounds_as_the_one_that_wrote_the_files():
    if OTHERWISE:
        pytest.skip(f"digits are compared, not bits: {', '.join(OTHERWISE)} are rounded otherwise")
    if not BITS:
        pytest.skip(f"models go on with {nl.kernels_in_use()} kernels: digits are compared")


@pytest.mark.parametrize("name", cases.MODELS)
def test_what_is_loaded_is_written_again(name, tmp_path):
    """Weights, vectors, streams and counters: the same on every machine."""
    load(name).save(tmp_path / "again")
    (arrays, rest), (again, same) = (
        cases.state(path) for path in (V1 / f"{name}.safetensors", tmp_path / "again")
    )
    assert same == rest
    assert list(again) == list(arrays)
    for part, array in arrays.items():
        assert again[part].tobytes() == array.tobytes()


@pytest.mark.parametrize("name", cases.MODELS, ids=lambda name: f"{name}-{SAME}")
def test_a_model_goes_on(name):
    compare(name, cases.go_on(name, load(name)), how_close(name, SAME))


@pytest.mark.parametrize("name", cases.WEIGHTS)
def test_weights_alone(name):
    model = load(name)
    expected = [np.array(w) for w in model.get_weights()]
    model.set_weights([w * 0 for w in expected])
    model.load_weights(V1 / f"{name}_weights.safetensors")
    for got, weight in zip(model.get_weights(), expected, strict=True):
        assert got.tobytes() == weight.tobytes()


@pytest.mark.filterwarnings("ignore:BackupAndRestore. the run was begun with NumPy")
@pytest.mark.parametrize("name", runs.RUNS, ids=lambda name: f"{name}-{SAME_RUN}")
def test_a_run_goes_on(name, tmp_path):
    before = nl.kernels_in_use()
    shutil.copytree(V1 / name, tmp_path / name)
    nl.use_kernels("numpy")
    try:
        got = runs.run(name, tmp_path / name)
    finally:
        nl.use_kernels(before)
    compare(name, got, how_close(name, SAME_RUN))


def test_they_are_small():
    assert sum(path.stat().st_size for path in V1.rglob("*") if path.is_file()) < 400 * 1024
