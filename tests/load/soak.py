"""How much memory a process takes while it trains and predicts for a long time.

    python tests/load/soak.py                  # 200,000 steps and 20,000 predictions, minutes
    python tests/load/soak.py --runs "fit, arrays" --steps 1000000 --seed 1
    NETLAYERS_KERNELS=numba python tests/load/soak.py --steps 20000 --predictions 2000

Prints the anonymous resident memory (RssAnon of Linux) at points of each run, its growth from the
first hundredth to the end, and from the half to the end, when caches have filled. The last column
is what the History of the run takes, and the table of GradientMonitor: they grow with the number of
epochs, as they must.
"""

from __future__ import annotations

import argparse
import gc
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout's

import netlayers as nl

CLASSES = 4
SEED = 0  # of the data and of the model; --seed sets it


def resident() -> int:
    """Return the bytes of anonymous memory that this process has in use."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status).group(1))  # type: ignore[union-attr]


def make_model(metrics: list[str] | None = None) -> nl.Sequential:
    layers = nl.layers
    model = nl.Sequential(
        [
            layers.Dense(16, "relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Residual([layers.Dense(16, "tanh"), layers.ActivityRegularization(l2=1e-3)]),
            layers.Parallel([layers.Dense(8, "gelu"), layers.Dense(8)], merge="concat"),
            layers.Dense(CLASSES, "softmax"),
        ],
        seed=SEED,
    )
    optimizer = nl.optimizers.Adam(global_clipnorm=1.0, use_ema=True, gradient_accumulation_steps=2)
    model.compile(optimizer, "crossentropy", metrics=["accuracy", *(metrics or ())])
    model.build((None, 8))
    return model


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(rows, 8)).astype(np.float32), rng.integers(0, CLASSES, rows)


def size_of(value: object, seen: set[int]) -> int:
    """Return the bytes of an object and of what is in it, each counted once."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    parts = inner if isinstance(inner, list) else []
    return sys.getsizeof(value) + sum(size_of(part, seen) for part in parts)


class Notes(list[int]):
    """The memory at points of a run.

    Attributes:
        history: the bytes of its History, and of other tables that the user reads.
    """

    history = 0


class Watch(nl.callbacks.Callback):
    """Count batches, and note the memory every so often."""

    def __init__(self, every: int) -> None:
        self.every, self.seen, self.notes = every, 0, Notes()

    def get_state(self) -> dict:
        return {}  # the memory of a process is not resumed

    def on_train_end(self, logs: dict | None = None) -> None:
        history = self.model.history
        kept, seen = (history.history, history.epoch, history._when), set()
        self.notes.history = sum(size_of(part, seen) for part in kept)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen += 1
        if self.seen % self.every == 0:
            self.notes.append(resident())


def callbacks(watch: Watch) -> list[nl.callbacks.Callback]:
    return [
        watch,
        nl.callbacks.EarlyStopping("loss", patience=10**9, restore_best_weights=True),
        nl.callbacks.ReduceLROnPlateau("loss", patience=10**9),
        nl.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: None),
        nl.callbacks.TerminateOnNaN(),
    ]


def fit_arrays(steps: int, every: int) -> Notes:
    """One ``fit`` on arrays, with callbacks and validation."""
    watch, (x, y) = Watch(every), data(8 * 500)
    kwargs = {"validation_data": data(64), "callbacks": callbacks(watch), "verbose": 0}
    make_model().fit(x, y, batch_size=8, epochs=steps // 500, **kwargs)
    return watch.notes


def fit_stream(steps: int, every: int) -> Notes:
    """One ``fit`` on a generator, read ahead by a thread, with batches of 200 sizes."""
    watch, (x, y) = Watch(every), data(200)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(SEED + 1)
        while True:
            rows = int(rng.integers(1, 200))
            yield x[:rows], y[:rows]

    kwargs = {"callbacks": callbacks(watch), "verbose": 0}
    make_model().fit(batches(), steps_per_epoch=500, epochs=steps // 500, **kwargs)
    return watch.notes


def fit_files(steps: int, every: int) -> Notes:
    """One ``fit`` that writes a backup, a checkpoint and logs after each epoch."""
    watch, (x, y), monitor = Watch(every), data(8 * 500), nl.callbacks.GradientMonitor()
    with tempfile.TemporaryDirectory() as folder:
        chosen = [
            *callbacks(watch),
            nl.callbacks.ModelCheckpoint(f"{folder}/best.safetensors", save_best_only=True),
            nl.callbacks.CSVLogger(f"{folder}/table.csv"),
            monitor,
            nl.callbacks.BackupAndRestore(f"{folder}/backup", double_checkpoint=True),
        ]
        try:
            chosen.append(nl.callbacks.TensorBoard(f"{folder}/board"))
        except nl.errors.ConfigurationError as error:
            print(f"without TensorBoard: {error}", file=sys.stderr)
        kwargs = {"validation_data": data(64), "callbacks": chosen, "verbose": 0}
        make_model().fit(x, y, batch_size=8, epochs=steps // 500, **kwargs)
    watch.notes.history += size_of([monitor.steps, monitor.epochs, monitor.values], set())
    return watch.notes


def many_fits(steps: int, every: int) -> Notes:
    """A ``fit`` of 20 steps again and again on one model."""
    model, notes, (x, y) = make_model(), Notes(), data(160)
    for i in range(0, steps, 20):
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[nl.callbacks.TerminateOnNaN()])
        model.evaluate(x, y, verbose=0)
        if (i + 20) % every == 0:
            notes.append(resident())
    return notes


def train_on_batch(steps: int, every: int) -> Notes:
    """``train_on_batch`` with batches of 1,500 sizes in turn."""
    model, notes, (x, y) = make_model(), Notes(), data(1500)
    for i in range(1, steps + 1):
        rows = (
            1500 - (i - 1) * 7919 % 1500
        )  # the largest first: later ones are slices of its buffers
        model.train_on_batch(x[:rows], y[:rows])
        if i % every == 0:
            notes.append(resident())
    return notes


def predict(steps: int, every: int) -> Notes:
    """``predict`` of one size."""
    model, notes, (x, _) = make_model(), Notes(), data(100)
    for i in range(1, steps + 1):
        model.predict(x)
        if i % every == 0:
            notes.append(resident())
    return notes


def predict_sizes(steps: int, every: int) -> Notes:
    """``predict`` and ``predict_on_batch`` of 3,000 sizes in turn, with ever new batch sizes."""
    model, notes, (x, _) = make_model(), Notes(), data(3000)
    for i in range(1, steps + 1):
        rows = 1 + i * 7919 % 3000
        model.predict(x[:rows], batch_size=1 + i % 900)
        model.predict_on_batch(x[: rows % 100 + 1])
        if i % every == 0:
            notes.append(resident())
    return notes


RUNS: dict[str, tuple[Callable[[int, int], Notes], str]] = {
    "fit, arrays": (fit_arrays, "steps"),
    "fit, backups and logs": (fit_files, "steps"),
    "fit, stream of 200 sizes": (fit_stream, "steps"),
    "fit of 20 steps, repeated": (many_fits, "steps"),
    "train_on_batch, 1,500 sizes": (train_on_batch, "steps"),
    "predict": (predict, "predictions"),
    "predict, 3,000 sizes": (predict_sizes, "predictions"),
}


def measure(name: str, count: int, points: int = 100) -> tuple[Notes, float]:
    """Return the memory at 100 points of a run, the first at its first hundredth, and seconds."""
    gc.collect()
    begin = time.perf_counter()
    notes = RUNS[name][0](count, count // points)
    return notes, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--predictions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", nargs="*", default=[], help="parts of their names")
    options = parser.parse_args()
    global SEED
    SEED = options.seed
    names = ("run", "count", "1 %", "50 %", "100 %", "growth", "from 50 %", "History", "time")
    print("{:30}{:>9}{:>10}{:>10}{:>10}{:>12}{:>12}{:>12}{:>8}".format(*names))
    for name, (_, what) in RUNS.items():
        if options.runs and not any(part in name for part in options.runs):
            continue
        notes, seconds = measure(name, getattr(options, what))
        first, half, last = (notes[i] / 2**20 for i in (0, 49, -1))
        row = f"{first:7.2f} MiB{half:6.2f} MiB{last:6.2f} MiB"
        row += f"{last - first:+8.3f} MiB{last - half:+8.3f} MiB{notes.history / 2**20:8.3f} MiB"
        print(f"{name:30}{getattr(options, what):9,}{row}{seconds:6.0f} s", flush=True)


if __name__ == "__main__":
    main()
