"""Time an update of each optimizer before and after its moments have decayed towards zero.

If the gradient of a weight stays zero (a dead unit), its moments shrink with each update, down to
denormal numbers, with which many processors compute several times more slowly. This script times
an update right after ordinary training and one after thousands of updates with zero gradients,
alternately, and prints the ratio::

    python benchmarks/denormals.py
    python benchmarks/denormals.py --steps 1000000 --optimizers adam --dtypes float64

The updates with zero gradients run on 10,000 numbers, whose state is then repeated: updates are
elementwise, and 20,000 updates of a million numbers would take minutes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl

SIZE, SMALL = 1_000_000, 10_000
MAKE = {
    "Adam": nl.optimizers.Adam,
    "Adam, amsgrad": lambda: nl.optimizers.Adam(amsgrad=True),
    "AdamW": nl.optimizers.AdamW,
    "AdamW, decay 0.01 a step": lambda: nl.optimizers.AdamW(0.1, weight_decay=0.1),
    "RMSprop": nl.optimizers.RMSprop,
    "RMSprop, momentum": lambda: nl.optimizers.RMSprop(momentum=0.9, centered=True),
    "SGD, momentum": lambda: nl.optimizers.SGD(momentum=0.9),
    "SGD, Nesterov": lambda: nl.optimizers.SGD(momentum=0.9, nesterov=True),
    "Adagrad": nl.optimizers.Adagrad,
    "Adadelta": nl.optimizers.Adadelta,
    "Nadam": nl.optimizers.Nadam,
    "Adamax": nl.optimizers.Adamax,
    "Lion": nl.optimizers.Lion,
    "Lamb": nl.optimizers.Lamb,
    "RAdam": nl.optimizers.RAdam,
    "SGD, averaged": lambda: nl.optimizers.SGD(0.1, weight_decay=0.1, use_ema=True),
}


def parameters(size: int, dtype: str) -> nl.core.parameters.ParameterVector:
    layer = nl.layers.Dense(size // 100, use_bias=False, dtype=dtype)
    layer.build((None, 100))
    return layer.parameters


def train(
    optimizer: nl.optimizers.Optimizer, vector: nl.core.parameters.ParameterVector, steps: int
) -> None:
    """Run some updates with random gradients."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        vector.gradients[...] = rng.normal(0, 1e-3, vector.gradients.size)
        optimizer.step(vector)
    vector.gradients[...] = 0


def aged(
    name: str, dtype: str, steps: int
) -> tuple[nl.optimizers.Optimizer, nl.core.parameters.ParameterVector]:
    """Return an optimizer and its vector after ``steps`` updates with zero gradients."""
    optimizer, small = MAKE[name](), parameters(SMALL, dtype)
    train(optimizer, small, 10)
    for _ in range(steps):
        optimizer.step(small)
    large_optimizer, large = MAKE[name](), parameters(SIZE, dtype)
    large_optimizer.step(large)
    large.values[...] = np.tile(small.values, SIZE // SMALL)
    for key, value in optimizer.state.items():
        large_optimizer.state[key][...] = np.tile(value, SIZE // SMALL)
    large_optimizer.iterations = optimizer.iterations
    return large_optimizer, large


def measure(name: str, dtype: str, steps: int, turns: int) -> tuple[float, float, float]:
    """Return the shortest times of a fresh and an aged update in ms, and the denormal fraction."""
    fresh = MAKE[name](), parameters(SIZE, dtype)
    train(*fresh, 10)
    old = aged(name, dtype, steps)
    tiny = np.finfo(dtype).tiny
    vectors = [old[1].values, *old[0].state.values()]
    denormal = np.mean([np.mean((v != 0) & (np.abs(v) < tiny)) for v in vectors])
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for (optimizer, vector), taken in zip((fresh, old), times, strict=True):
            begin = time.perf_counter()
            optimizer.step(vector)
            taken.append(1e3 * (time.perf_counter() - begin))
    return min(times[0]), min(times[1]), float(denormal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000, help="updates with zero gradients")
    parser.add_argument("--turns", type=int, default=60, help="timed updates of each")
    parser.add_argument("--optimizers", nargs="*", default=[], help="substrings of their names")
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    options = parser.parse_args()
    print(f"An update of {SIZE:,} parameters, ms; after {options.steps:,} zero gradients.")
    print(f"{'optimizer':26}{'dtype':9}{'fresh':>8}{'after':>8}{'ratio':>8}{'denormal':>10}")
    for name in MAKE:
        if options.optimizers and not any(o in name.lower() for o in options.optimizers):
            continue
        for dtype in options.dtypes:
            fresh, old, share = measure(name, dtype, options.steps, options.turns)
            row = f"{name:26}{dtype:9}{fresh:8.2f}{old:8.2f}{old / fresh:8.2f}{share:9.0%}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
