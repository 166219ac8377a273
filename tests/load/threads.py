"""Threads that use one model while another thread trains it.

    python tests/load/threads.py --seconds 60 --seed 1

One thread calls ``fit`` again and again. The others predict, evaluate, copy, pickle, read weights,
save, and select kernels. Each update subtracts exactly 1 from every weight, so that whatever they
get must be of one moment: all weights are the same number, and it is that of the updates. Prints
how often each was done; the exit status is 1 if anything was torn, or raised. ``BusyError`` is
right where two would need the model alone: to train, to evaluate, to save.
"""

from __future__ import annotations

import argparse
import copy
import pickle
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout's

import netlayers as nl

ROWS, FEATURES, PARTS = 16, 4, 6
X = np.ones((ROWS, FEATURES))
Y = np.zeros((ROWS, 8 * PARTS))


class Steady(nl.losses.Loss):
    """The sum of the outputs, whose gradient is 1 for each, shared by the rows."""

    def forward(self, y_true, y_pred, sample_weight=None):
        self._shape, self._dtype = y_pred.shape, y_pred.dtype
        return float(y_pred.sum()) / len(y_pred)

    def backward(self):
        return np.full(self._shape, 1 / self._shape[0], self._dtype)


def make_model() -> nl.Sequential:
    parts = [nl.layers.Dense(8, kernel_initializer="zeros") for _ in range(PARTS)]
    model = nl.Sequential([nl.layers.Parallel(parts, merge="concat")], dtype="float64", seed=0)
    model.compile(nl.optimizers.SGD(1.0), Steady())
    model.build((None, FEATURES))
    return model


def check_weights(weights: list[np.ndarray], updates: int | None = None) -> None:
    """Check that weights are of one moment, and of a number of updates."""
    values = {float(value) for array in weights for value in array.flat}
    assert len(values) == 1, f"torn: weights after {sorted(-v for v in values)} updates"
    (value,) = values
    assert updates is None or value == -updates, f"torn: {updates} updates, weights of {-value}"


class Threads:
    """What the threads do, and what they found."""

    def __init__(self, seconds: float, seed: int, folder: str) -> None:
        self.model, self.seed, self.folder = make_model(), seed, folder
        self.end = time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def fit(self, rng: random.Random) -> None:
        epochs = rng.choice([1, 1, 5, 40])
        self.model.fit(X, Y, batch_size=rng.choice([2, 4, 16]), epochs=epochs, verbose=0)

    def predict(self, rng: random.Random) -> None:
        rows = rng.choice([1, 3, ROWS])
        found = self.model.predict(X[:rows]) / (FEATURES + 1)
        # Of several updates, one after the other, but of no number that was not there.
        assert (found <= 0).all(), "a prediction of weights that there were not"
        assert (found >= -self.model.optimizer.iterations).all(), "a prediction of later weights"

    def evaluate(self, rng: random.Random) -> None:
        loss = self.model.evaluate(X, Y, verbose=0, exact=rng.random() < 0.5)
        assert loss <= 0

    def deepcopy(self, rng: random.Random) -> None:
        other = copy.deepcopy(self.model)
        check_weights(other.get_weights(), other.optimizer.iterations)

    def pickle(self, rng: random.Random) -> None:
        other = pickle.loads(pickle.dumps(self.model))
        check_weights(other.get_weights(), other.optimizer.iterations)
        other.fit(X, Y, verbose=0)
        check_weights(other.get_weights(), other.optimizer.iterations)

    def get_weights(self, rng: random.Random) -> None:
        check_weights(self.model.get_weights())

    def save(self, rng: random.Random) -> None:
        path = Path(self.folder) / f"{threading.get_ident()}.safetensors"
        self.model.save(path)
        other = nl.load_model(path, {"Steady": Steady})
        check_weights(other.get_weights(), other.optimizer.iterations)

    def use_kernels(self, rng: random.Random) -> None:
        nl.use_kernels(rng.choice(KERNELS))
        time.sleep(0.001)

    def repeat(self, work: Callable[[random.Random], None], number: int) -> None:
        """Do one thing until the time is up."""
        rng, name = random.Random(f"{self.seed} {number}"), work.__name__
        while time.monotonic() < self.end:
            try:
                work(rng)
                self.counts[name] += 1
            except nl.errors.BusyError:
                self.counts[f"{name}, busy"] += 1
                if name not in ("fit", "evaluate", "save"):
                    self.failures.append(f"{name} was busy")
            except BaseException:
                self.failures.append(f"{name}: {traceback.format_exc(limit=-3)}")
                return
            time.sleep(rng.choice([0, 0, 0.0005]))

    def run(self) -> None:
        works = [self.fit, self.predict, self.predict, self.evaluate, self.deepcopy, self.pickle]
        works += [self.get_weights, self.save, self.use_kernels]
        threads = [
            threading.Thread(target=self.repeat, args=(work, i), daemon=True)
            for i, work in enumerate(works)
        ]
        before = sys.getswitchinterval(), nl.kernels_in_use()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(max(0.0, self.end - time.monotonic()) + 60)
                if thread.is_alive():
                    self.failures.append("a thread hangs")
        finally:
            sys.setswitchinterval(before[0])
            nl.use_kernels(before[1])
        check_weights(self.model.get_weights(), self.model.optimizer.iterations)


def _kernels() -> list[str]:
    before = nl.kernels_in_use()
    try:
        nl.use_kernels("numba")
    except nl.errors.ConfigurationError:  # not installed
        return ["numpy"]
    nl.use_kernels(before)
    return ["numpy", "numba"]


KERNELS = _kernels()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        threads = Threads(options.seconds, options.seed, folder)
        threads.run()
    for name, count in sorted(threads.counts.items()):
        print(f"| {name} | {count} |")
    updates = threads.model.optimizer.iterations
    print(f"{updates} updates, kernels {KERNELS}, {len(threads.failures)} failures")
    print(*threads.failures, sep="\n")
    return int(bool(threads.failures))


if __name__ == "__main__":
    sys.exit(main())
