"""A small deployment has no SciPy: what needs it says so, and everything else works."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import netlayers as nl
from netlayers.data.batch import Batch
from netlayers.saving.snapshots import save_snapshot

ROOT = Path(nl.__file__).parents[1]
BLOCK = """
import sys
sys.modules["scipy"] = None  # an import of it, or of a part, is an ImportError
import numpy as np, netlayers as nl
def refused(call):
    try:
        call()
    except nl.errors.ConfigurationError as error:
        print(error)
    else:
        raise AssertionError("it was done without SciPy")
rng = np.random.default_rng(0)
x, y = rng.standard_normal((60, 4)).astype("f"), rng.integers(0, 3, 60)
"""


def without_scipy(code, folder):
    """Return what code prints in a process where SciPy cannot be imported."""
    command = [sys.executable, "-W", "error", "-c", BLOCK + code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_saving_and_prediction_need_none(tmp_path):
    code = """
layers = [
    nl.layers.Dense(16, "relu"), nl.layers.BatchNormalization(), nl.layers.Dropout(0.1),
    nl.layers.Dense(8, nl.layers.GELU(approximate=True)), nl.layers.Dense(3),
]
model = nl.Sequential(layers, seed=0)
loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
rate = nl.optimizers.schedules.CosineDecay(0.02, 200)
model.compile(nl.optimizers.Adam(rate), loss, metrics=["accuracy"])
callbacks = [
    nl.callbacks.EarlyStopping("val_loss", patience=30),
    nl.callbacks.ModelCheckpoint("best.safetensors", "val_loss", save_best_only=True),
    nl.callbacks.BackupAndRestore("backup"),
    nl.callbacks.CSVLogger("log.csv"),
]
history = model.fit(x, y, 16, 8, callbacks=callbacks, validation_split=0.2, verbose=0)
assert history.history["loss"][-1] < history.history["loss"][0]
model.save_weights("w.safetensors")
model.save("m.safetensors")
again = nl.load_model("m.safetensors")
again.load_weights("w.safetensors")
np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
print("done", not any(name.startswith("scipy.") for name in sys.modules))
"""
    assert without_scipy(code, tmp_path) == "done True\n"


@pytest.mark.parametrize(
    ("code", "who"),
    [
        ("refused(lambda: nl.layers.GELU().forward(x))", "GELU (exact"),
        (
            "model = nl.Sequential([nl.layers.Dense(1)])\n"
            "model.compile(loss='mse')\n"
            "refused(lambda: model.fit_lbfgs(x, y[:, None], verbose=0))",
            "fit_lbfgs",
        ),
        (
            "from netlayers.saving.snapshots import load_snapshot\n"
            "refused(lambda: load_snapshot('sparse.safetensors'))",
            "sparse",
        ),
    ],
    ids=["exact GELU", "L-BFGS", "sparse snapshot"],
)
def test_what_needs_scipy_names_it(code, who, tmp_path):
    model = nl.Sequential([nl.layers.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    batch = Batch(scipy.sparse.random(8, 4, format="csr", random_state=0), np.ones((8, 2)), None, 8)
    model.fit(*batch[:2], verbose=0)
    save_snapshot(str(tmp_path / "sparse.safetensors"), model, batch, {"epoch": 0, "batch": 0})
    said = without_scipy(code, tmp_path)
    assert who in said
    assert "needs the package SciPy" in said
    assert "pip install scipy" in said
