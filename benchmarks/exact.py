"""What exact=True costs: predictions and evaluations of three networks, with and without.

    python -m benchmarks.exact SECONDS ROUNDS THREADS ROWS [ROWS ...]

prints a line of JSON: by network, by method and number of rows, the seconds without and with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS = ((16, 16, 3), (784, 128, 10), (784, 1024, 1024, 10))
ROWS = (1, 32, 10_000)


def run(options: Any) -> dict[str, Any]:
    """Return the output of such a process, with all threads."""
    from benchmarks.turns import environment

    threads = max(options.threads)
    rows = ROWS[:-1] if options.quick else ROWS
    settings = map(str, (options.seconds, options.rounds, threads, *rows))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exact", *settings],
        env=environment("netlayers", threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {"threads": threads, "times": json.loads(done.stdout)}


def measure(seconds: float, rounds: int, counts: list[int]) -> dict[str, Any]:
    """Return the times; each round runs both ways."""
    from benchmarks.peers.ours import make_model

    found: dict[str, Any] = {}
    for sizes in NETWORKS:
        model = make_model(Case("exact", sizes, "relu", 32, "adam"))
        rng = np.random.default_rng(0)
        times: dict[str, tuple[list[float], list[float]]] = {}
        for count in counts:
            x = rng.standard_normal((count, sizes[0]), dtype=np.float32)
            y = rng.integers(0, sizes[-1], count)

            methods: dict[str, Any] = {
                "predict": partial(model.predict, x),
                "evaluate": partial(model.evaluate, x, y, verbose=0),
            }
            for name, method in methods.items():
                taken: tuple[list[float], list[float]] = ([], [])
                for _ in range(rounds):
                    for exact in (False, True):
                        taken[exact].append(mean_time(partial(method, exact=exact), seconds / 4))
                times[f"{name}, {count:,} rows"] = taken
        found["-".join(map(str, sizes))] = times
    return found


def mean_time(call: Callable[[], Any], seconds: float) -> float:
    """Return the mean time of a call over some seconds, after one that warms up."""
    call()
    calls, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds or not calls:
        call()
        calls += 1
    return taken / calls


def main() -> None:
    from benchmarks.worker import confine

    seconds, rounds, threads, *counts = sys.argv[1:]
    confine(int(threads))
    print(json.dumps(measure(float(seconds), int(rounds), list(map(int, counts)))))


if __name__ == "__main__":
    main()
