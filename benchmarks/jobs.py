"""Part 2: seconds to a given test accuracy on MNIST, with each run in a separate process.

    python -m benchmarks.jobs NAME WAY SEED FOLDER EPOCHS

runs in such a process. It prints a line when it is ready, and the accuracy after each epoch.

With a constant learning rate, the epoch that first reaches the goal varies randomly with the seed.
Therefore each loop runs the same number of epochs with each seed, the accuracy after every epoch
is recorded with its time, and the results are medians over the seeds. For all loops, the learning
rate is divided by ten after two epochs: the accuracy then rises clearly above the goal, and all
loops reach it in about the same epoch.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import RATE, Case
from benchmarks.peers import PEERS

CASE = Case("job", (784, 512, 512, 10), "relu", 128, "adam")
GOAL, EPOCHS = 0.98, 5
# Loop: peer, and the variant of its job.
OURS, NUMBA = "netlayers fit", "netlayers fit, numba"
LOOPS = {
    OURS: ("netlayers", ""),
    NUMBA: ("with numba", ""),
    "Keras fit": ("keras", ""),
    "PyTorch DataLoader": ("torch", "loader"),
    "PyTorch by hand": ("torch", "hand"),
    "torch.compile by hand": ("torch.compile", "compile"),
    "JAX by hand": ("jax", ""),
    "scikit-learn partial_fit": ("sklearn", ""),
}
FILES = ("x", "y", "x_test", "y_test")
# Caches of compiled code between runs, one variable per framework.
CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
KEEP_ALL = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


@dataclass
class Recipe:
    """The settings of a job."""

    way: str
    seed: int
    folder: str
    epochs: int
    case: Case = CASE

    def arrays(self) -> list[np.ndarray]:
        """Return training and test data: float32 rows from 0 to 1, and int64 classes."""
        return [np.load(Path(self.folder) / f"{name}.npy") for name in FILES]

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        return RATE if epoch < 2 else RATE / 10

    def order(self, epoch: int, count: int) -> np.ndarray:
        """Return the order of the samples in an epoch, for loops that do not shuffle themselves."""
        return np.random.default_rng([self.seed, epoch]).permutation(count)


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return the first run of each loop, which compiles, and its runs for all seeds."""
    from benchmarks.turns import environment
    from netlayers.datasets import mnist

    try:
        (x, y), (x_test, y_test) = mnist.load_data(options.data)
    except (FileNotFoundError, ConnectionError) as error:
        print(f"  left out: {error}")
        return {}
    arrays = [rows(x), y.astype(np.int64), rows(x_test), y_test.astype(np.int64)]
    loops = {loop: way for loop, way in LOOPS.items() if way[0] in names}
    found: dict[str, Any] = {loop: {"runs": []} for loop in loops}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in zip(FILES, arrays, strict=True):
            np.save(Path(folder) / f"{name}.npy", array)
        kept = {**dict.fromkeys(CACHES, str(Path(folder) / "compiled")), **KEEP_ALL}
        for seed in range(-1, options.seeds):
            for loop, (peer, way) in loops.items():
                # Before the seeds, one epoch with empty caches.
                epochs = EPOCHS if seed >= 0 else 1
                arguments = [peer, way, str(max(seed, 0)), folder, str(epochs)]
                taken = one(arguments, {**environment(peer, options.threads[-1]), **kept})
                if len(taken["shares"]) < epochs:
                    print(f"  {loop} is left out: its process ended early", flush=True)
                    found.pop(loop, None)
                elif seed < 0:
                    found[loop]["cold"] = taken
                else:
                    found[loop]["runs"].append(taken)
                print(f"  {loop}, seed {seed}: {taken}", flush=True)
            loops = {loop: way for loop, way in loops.items() if loop in found}
    return found


def rows(images: np.ndarray) -> np.ndarray:
    """Return images (n, 28, 28) as float32 rows from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def one(arguments: list[str], env: dict[str, str]) -> dict[str, Any]:
    """Run a job; return the seconds until it is ready and until each epoch ends, and accuracies."""
    times: list[float] = []
    shares: list[float] = []
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.jobs", *arguments]
    error = None if "NETLAYERS_BENCH_DEBUG" in os.environ else subprocess.DEVNULL
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=error, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            times.append(time.perf_counter() - begin)
            shares.append(float(line))
    return {"ready": times[0] if times else None, "ends": times[1:], "shares": shares[1:]}


def seconds_to_goal(taken: dict[str, Any]) -> float:
    """Return the time at which a run reached the goal, or infinity."""
    pairs = zip(taken["ends"], taken["shares"], strict=True)
    return next((end for end, share in pairs if share >= GOAL), float("inf"))


def epochs_to_goal(taken: dict[str, Any]) -> float:
    """Return the epoch, counted from 1, in which a run reached the goal, or infinity."""
    return next((i + 1.0 for i, share in enumerate(taken["shares"]) if share >= GOAL), float("inf"))


def summary(loop: dict[str, Any]) -> dict[str, Any]:
    """Return the medians over the seeds of a loop, and its mean accuracy after each epoch."""
    runs = loop["runs"]
    epochs = [np.diff([r["ready"], *r["ends"]]) for r in runs]
    return {
        "seconds": statistics.median(map(seconds_to_goal, runs)),
        "all_seconds": [seconds_to_goal(r) for r in runs],
        "epochs": [epochs_to_goal(r) for r in runs],
        "ready": statistics.median(r["ready"] for r in runs),
        "first_epoch": statistics.median(float(e[0]) for e in epochs),
        "later_epoch": statistics.median(float(np.median(e[1:])) for e in epochs),
        "whole": [r["ends"][-1] for r in runs],
        "cold": loop["cold"]["ends"][0],
        "warm": statistics.median(r["ends"][0] for r in runs),
        "shares": np.mean([r["shares"] for r in runs], axis=0).tolist(),
    }


def main() -> None:
    from benchmarks.worker import confine

    name, way, seed, folder, epochs = sys.argv[1:]
    confine(int(os.environ["OMP_NUM_THREADS"]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of the framework goes to stderr
    module = importlib.import_module(f"benchmarks.peers.{PEERS[name].module}")
    recipe = Recipe(way, int(seed), folder, int(epochs))
    module.job(recipe, lambda share: print(float(share), file=answers, flush=True))


if __name__ == "__main__":
    main()
