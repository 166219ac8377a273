"""A run that is killed resumes, and ends with the same bits as an uninterrupted run.

    python examples/resume.py

Trains a network in a separate process, kills it by SIGKILL three times, restarts the same script
each time, and compares the weights with those of an uninterrupted run.

Output:

    kill 1: in the middle
    kill 2: in the middle
    kill 3: in the middle
    the same bits in all 5,066 weights: True
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import netlayers as nl


def train(folder: str, backup: bool) -> None:
    """Train with a backup after every ten batches, and save the model, as a user's script does."""
    (x, y), _ = nl.datasets.digits.load_data()
    x = x.reshape(-1, 64) / 16
    model = nl.Sequential(
        [
            nl.layers.Dense(64, "relu"),
            nl.layers.BatchNormalization(),
            nl.layers.Dropout(0.3),
            nl.layers.Dense(10),
        ],
        seed=0,
    )
    rate = nl.optimizers.schedules.CosineDecay(1e-2, 1200)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.AdamW(rate, use_ema=True), loss, metrics=["accuracy"])
    callbacks: list[nl.callbacks.Callback] = [nl.callbacks.EarlyStopping(patience=20)]
    if backup:
        callbacks.append(nl.callbacks.BackupAndRestore(Path(folder) / "backup", save_freq=10))
    model.fit(x, y, epochs=30, validation_split=0.1, callbacks=callbacks, verbose=0)
    model.save(Path(folder) / "model.safetensors")


def run(folder: str, *options: str) -> subprocess.Popen[bytes]:
    """Start this script in a new process, to train."""
    return subprocess.Popen([sys.executable, __file__, "--train", folder, *options])


def main() -> None:
    """Kill and restart the run, then compare the weights."""
    if "--train" in sys.argv:
        train(sys.argv[2], backup="--backup" in sys.argv)
        return
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
        start = time.perf_counter()
        run(whole).wait()
        seconds = time.perf_counter() - start
        backup, result = Path(killed) / "backup", Path(killed) / "model.safetensors"
        for number in range(1, 4):
            process = run(killed, "--backup")
            while not any(backup.glob("*.safetensors")) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.05, 0.25) * seconds)
            process.kill()
            process.wait()
            print(f"kill {number}: {'too late' if result.exists() else 'in the middle'}")
        run(killed, "--backup").wait()
        models = [nl.load_model(Path(d) / "model.safetensors") for d in (whole, killed)]
        one, other = (model.parameters for model in models)
        same = np.array_equal(one.values, other.values)
        same = same and np.array_equal(one.statistics, other.statistics)
        print(f"the same bits in all {models[0].count_params():,} weights: {same}")


if __name__ == "__main__":
    main()
