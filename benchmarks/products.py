"""Single products of n x n matrices by NumPy's BLAS, for each number of threads.

    python -m benchmarks.products SECONDS ROUNDS THREADS [THREADS ...]

prints a line of JSON: by size and number of threads, the seconds of a product.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

SIZES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def run(options: Any) -> dict[str, dict[str, list[float]]]:
    """Return the output of such a process; empty without threadpoolctl."""
    from benchmarks.turns import environment

    counts = list(map(str, options.threads))
    command = [sys.executable, "-m", "benchmarks.products", str(options.seconds / 10)]
    done = subprocess.run(
        [*command, str(options.rounds), *counts],
        env=environment("floor", max(options.threads)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def measure(seconds: float, rounds: int, counts: list[int]) -> dict[str, dict[str, list[float]]]:
    """Return the times; each round runs all numbers of threads."""
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController()
    found: dict[str, dict[str, list[float]]] = {}
    for n in SIZES:
        rng = np.random.default_rng(n)
        a, b, c = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(3))
        times: dict[str, list[float]] = {str(count): [] for count in counts}
        for _ in range(rounds):
            for count in counts:
                with pools.limit(limits=count, user_api="blas"):
                    repeats = 1
                    while (taken := timed(a, b, c, repeats)) < seconds / 4:  # also warms up
                        repeats *= 2
                    repeats = max(3, int(repeats * seconds / taken))
                    times[str(count)].append(timed(a, b, c, repeats) / repeats)
        found[str(n)] = times
    return found


def timed(a: np.ndarray, b: np.ndarray, c: np.ndarray, repeats: int) -> float:
    """Return the time of some products."""
    begin = time.perf_counter()
    for _ in range(repeats):
        np.dot(a, b, out=c)
    return time.perf_counter() - begin


def main() -> None:
    from benchmarks.worker import confine

    seconds, rounds, *counts = sys.argv[1:]
    confine(max(map(int, counts)))
    try:
        found = measure(float(seconds), int(rounds), list(map(int, counts)))
    except ImportError:
        print("  threadpoolctl is not installed: no products are timed", file=sys.stderr)
        found = {}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
