"""Part 2: seconds to a share of right answers on MNIST, each run in a process of its own.

    python -m benchmarks.jobs NAME WAY SEED FOLDER EPOCHS

is such a process. It prints a line of JSON when it is ready, and one after each epoch.
"""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.peers import PEERS

CASE = Case("job", (784, 512, 512, 10), "relu", 128, "adam")
GOAL, EPOCHS, SEEDS = 0.98, 20, 3
# Loop: peer, and the way that its job is told.
LOOPS = {
    "netlayers fit": ("netlayers", ""),
    "Keras fit": ("keras", ""),
    "PyTorch DataLoader": ("torch", "loader"),
    "PyTorch by hand": ("torch", "hand"),
    "torch.compile by hand": ("torch.compile", "compile"),
    "JAX by hand": ("jax", ""),
    "scikit-learn partial_fit": ("sklearn", ""),
}
FILES = ("x", "y", "x_test", "y_test")


@dataclass
class Recipe:
    """What a job is told."""

    way: str
    seed: int
    folder: str
    epochs: int
    case: Case = CASE

    def arrays(self) -> list[np.ndarray]:
        """Return training and test data: rows of float32 from 0 to 1, and int64 classes."""
        return [np.load(Path(self.folder) / f"{name}.npy") for name in FILES]


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return for each loop what :func:`one` found for each seed; loops take turns."""
    from benchmarks.turns import environment
    from netlayers.datasets import mnist

    try:
        (x, y), (x_test, y_test) = mnist.load_data(options.data)
    except (FileNotFoundError, ConnectionError) as error:
        print(f"  left out: {error}")
        return {}
    arrays = [rows(x), y.astype(np.int64), rows(x_test), y_test.astype(np.int64)]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in zip(FILES, arrays, strict=True):
            np.save(Path(folder) / f"{name}.npy", array)
        for seed in range(1 if options.rounds < 5 else SEEDS):
            for loop, (peer, way) in LOOPS.items():
                if peer in names:
                    arguments = [peer, way, str(seed), folder, str(EPOCHS)]
                    env = environment(peer, options.threads[-1])
                    taken = one(arguments, env)
                    found.setdefault(loop, []).append(taken)
                    print(f"  {loop}, seed {seed}: {taken}", flush=True)
    return found


def rows(images: np.ndarray) -> np.ndarray:
    """Return (n, 28, 28) bytes as rows from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def one(arguments: list[str], env: dict[str, str]) -> dict[str, float]:
    """Return seconds from the start of a process to the goal, those before training, and so on."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.jobs", *arguments]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        ready, ends, share = float("nan"), [], 0.0
        for line in process.stdout:
            now = time.perf_counter() - begin
            share = json.loads(line)
            if share < 0:
                ready = now
                continue
            ends.append(now)
            if share >= GOAL:
                break
        process.kill()
    epochs = np.diff([ready, *ends])
    later = epochs[1:] if len(epochs) > 1 else epochs
    return {
        "seconds": ends[-1] if share >= GOAL else float("inf"),
        "ready": ready,
        "first_epoch": float(epochs[0]) if len(epochs) else float("nan"),
        "epoch": statistics.median(later) if len(later) else float("nan"),
        "epochs": len(ends),
        "share": share,
    }


def main() -> None:
    from benchmarks.worker import confine

    name, way, seed, folder, epochs = sys.argv[1:]
    import os

    confine(int(os.environ["OMP_NUM_THREADS"]))
    module = importlib.import_module(f"benchmarks.peers.{PEERS[name].module}")
    for event in module.job(Recipe(way, int(seed), folder, int(epochs))):
        print(-1 if event == "ready" else event(), flush=True)


if __name__ == "__main__":
    main()
