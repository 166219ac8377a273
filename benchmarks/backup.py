"""The time of a backup, compared with `numpy.savez` of the same arrays with fsync.

    python benchmarks/backup.py [folder on the disk to measure]

A network 1024-2048-2048-2048-10 with Adam: 10 million parameters, 30 million numbers in all.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import netlayers as nl

ROUNDS = 9


class Measured(nl.callbacks.BackupAndRestore):
    """Times backups and `numpy.savez` alternately, at the end of an epoch."""

    times: dict[str, list[float]]

    def after_epoch(self, run: Any) -> None:
        """Time both."""
        self.times = {"savez": [], "backup": []}
        path = Path(self.backup_dir) / "plain.npz"
        path.parent.mkdir(exist_ok=True)
        arrays = {p.path: p.value for p in run.model.parameters.all}
        arrays |= run.model.optimizer.state
        self.bytes = sum(a.nbytes for a in arrays.values())
        for _ in range(ROUNDS):
            for name, write in (
                ("savez", lambda: savez(path, arrays)),
                ("backup", lambda: self._backup(run)),
            ):
                begin = time.perf_counter()
                write()
                self.times[name].append(time.perf_counter() - begin)

    def _backup(self, run: Any) -> None:
        self._written = None
        self._write(run)


def savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays with NumPy and flush them to disk."""
    with path.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    layers = [nl.layers.Dense(2048, activation="relu") for _ in range(3)]
    model = nl.Sequential([*layers, nl.layers.Dense(10, activation="softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(64, 1024)).astype(np.float32)
    y = np.arange(64) % 10
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else ".") as folder:
        backup = Measured(Path(folder) / "backup", delete_checkpoint=False)
        model.fit(x, y, callbacks=[backup], verbose=0)
    print(f"{model.count_params():,} parameters, {backup.bytes / 2**20:.0f} MiB, {ROUNDS} rounds")
    for name, times in backup.times.items():
        spread = f"{min(times):.3f} to {max(times):.3f}"
        print(f"{name:7} {statistics.median(times):.3f} s (median; {spread})")
    ratios = [b / s for s, b in zip(*backup.times.values(), strict=True)]
    print(f"ratio   {statistics.median(ratios):.2f} (median of the rounds' ratios)")


if __name__ == "__main__":
    main()
