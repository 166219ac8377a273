"""Exploding gradients through time: the temporal order problem, with and without clipping.

    python examples/temporal_order.py
    python examples/temporal_order.py --lengths 20 50 --starts 1 --plot temporal_order.png

R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML
2013, section 4.1 and figure 7. A series has two marks, A or B, among four other symbols: one in the
second tenth, one in the sixth. At its end the network says which of AA, AB, BA and BB they were
(problem 6a of Hochreiter and Schmidhuber, 1997). 50 tanh units, gradient descent with rate 0.01 and
batches of 20 new series; a run succeeds when fewer than 1 % of 10,000 test series are wrong. As in
the authors' program, the initial weights are normal with standard deviation 0.1 ("basic"), or 0.01
with 15 weights for each unit, scaled to the spectral radius 0.95 ("smart").

The gradient of the marks is a product over half of the steps, which can vanish or explode. With its
norm clipped to 1 (``global_clipnorm``), a step cannot throw the weights away.

Output, with compiled kernels (NETLAYERS_KERNELS=numba), in seconds of processor time:

    smart, length 20, plain    2 of 3 after 11,500, 3,500 updates; 14 s
    smart, length 20, clipped  2 of 3 after 16,000, 5,000 updates; 17 s
    smart, length 30, plain    1 of 3 after 15,500 updates; 29 s
    smart, length 30, clipped  1 of 3 after 12,000 updates; 27 s
    smart, length 50, plain    0 of 3; 41 s
    smart, length 50, clipped  0 of 3; 40 s
    drawn: temporal_order.png

With ``--updates 50000 --lengths 10 20 30 --initial smart basic``, the picture in the documentation:

    smart, length 10, plain    3 of 3 after 500, 500, 1,500 updates; 6 s
    smart, length 10, clipped  3 of 3 after 500, 500, 2,000 updates; 1 s
    basic, length 10, plain    3 of 3 after 500, 500, 1,000 updates; 1 s
    basic, length 10, clipped  3 of 3 after 500, 500, 1,000 updates; 1 s
    smart, length 20, plain    2 of 3 after 11,500, 3,500 updates; 28 s
    smart, length 20, clipped  3 of 3 after 16,000, 5,000, 40,000 updates; 27 s
    basic, length 20, plain    3 of 3 after 3,500, 1,500, 14,000 updates; 8 s
    basic, length 20, clipped  3 of 3 after 6,000, 1,500, 40,500 updates; 22 s
    smart, length 30, plain    1 of 3 after 15,500 updates; 61 s
    smart, length 30, clipped  2 of 3 after 37,500, 12,000 updates; 54 s
    basic, length 30, plain    3 of 3 after 45,500, 5,500, 20,000 updates; 39 s
    basic, length 30, clipped  2 of 3 after 5,000, 2,500 updates; 32 s

With ``--updates 200000``:

    smart, length 20, plain    3 of 3 after 11,500, 3,500, 109,000 updates; 55 s
    smart, length 20, clipped  3 of 3 after 16,000, 5,000, 40,000 updates; 24 s
    smart, length 30, plain    2 of 3 after 15,500, 93,500 updates; 150 s
    smart, length 30, clipped  3 of 3 after 37,500, 12,000, 67,000 updates; 55 s
    smart, length 50, plain    0 of 3; 391 s

Three runs differ by chance: from the "smart" weights clipping solves one more at lengths 20 and 30,
from the "basic" ones one less at 30. The authors' program makes up to 5,000,000 updates, so
longer series are not reproduced yet. examples/wall.py shows what clipping does.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

import netlayers as nl

L = nl.layers
UNITS, BATCH = 50, 20
CLIPPING: dict[str, dict[str, float]] = {"plain": {}, "clipped": {"global_clipnorm": 1.0}}


def make_series(rng: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return series of one-hot symbols (count, length, 6), and the class 0 to 3 of each."""
    symbols = rng.integers(2, 6, (count, length))
    marks = rng.integers(0, 2, (count, 2))
    tenth, rows = length // 10, np.arange(count)
    symbols[rows, rng.integers(tenth, 2 * tenth, count)] = marks[:, 0]
    symbols[rows, rng.integers(5 * tenth, 6 * tenth, count)] = marks[:, 1]
    return np.eye(6, dtype="float32")[symbols], marks @ [2, 1]


class Sparse(nl.initializers.Initializer):
    """Weights from 15 units to each unit, with the spectral radius 0.95."""

    def fill(self, out: np.ndarray, rng: np.random.Generator | None = None) -> None:
        """Fill the recurrent weights (units, units)."""
        rng = rng or np.random.default_rng()
        weights = rng.normal(size=out.shape)
        weights[rng.permuted(np.tile(np.arange(len(out)), (len(out), 1)), axis=1) >= 15] = 0
        out[...] = 0.95 / np.abs(np.linalg.eigvals(weights)).max() * weights


def make_model(initial: str, clipping: dict[str, float], seed: int) -> nl.Sequential:
    """Return the compiled network."""
    normal = nl.initializers.RandomNormal(stddev=0.1 if initial == "basic" else 0.01)
    recurrent = normal if initial == "basic" else Sparse()
    layers = [
        L.SimpleRNN(UNITS, kernel_initializer=normal, recurrent_initializer=recurrent),
        L.Dense(4, kernel_initializer=normal),
    ]
    model = nl.Sequential(layers, seed=seed)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.SGD(0.01, **clipping), loss)
    return model


def wrong(model: nl.Sequential, rng: np.random.Generator, count: int, length: int) -> float:
    """Return the share of new series that the network gets wrong."""
    x, y = make_series(rng, count, length)
    return float(np.mean(model.predict(x, verbose=0).argmax(axis=1) != y))


def train(model: nl.Sequential, length: int, updates: int, seed: int) -> int | None:
    """Return the number of updates until success, ``None`` if there was none."""
    rng = np.random.default_rng(seed)
    for update in range(1, updates + 1):
        try:
            model.train_on_batch(*make_series(rng, BATCH, length))
        except nl.errors.NonFiniteError:
            return None
        # A small test decides when the large one is worth its time.
        tests = (500, 10_000) if update % 500 == 0 else ()
        if tests and all(wrong(model, rng, count, length) < 0.01 for count in tests):
            return update
    return None


def draw(path: str, lengths: list[int], shares: dict[str, dict[str, list[float]]]) -> None:
    """Draw the share of successful runs by length, for each kind of initial weights."""
    from netlayers.plotting import figures

    figure, plots = figures.new_plots(len(shares))
    for axes, (initial, by_title) in zip(plots, shares.items(), strict=True):
        for (title, share), marker in zip(by_title.items(), figures.MARKERS, strict=False):
            axes.plot(lengths, share, marker=marker, label=title)
        axes.set(
            xlabel="length of the series",
            title=f"{initial} weights",
            ylim=(-0.05, 1.05),
            xticks=lengths,
        )
        figures.legend_below(axes)
    plots[0].set(ylabel="share of runs that succeed")
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Train networks for each length, print how many succeed, and draw."""
    parser = argparse.ArgumentParser(description="Temporal order, with and without clipping.")
    parser.add_argument("--lengths", type=int, nargs="+", default=[20, 30, 50])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--updates", type=int, default=20_000, help="at most so many")
    kinds = ["basic", "smart"]
    parser.add_argument("--initial", choices=kinds, nargs="+", default=["smart"])
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    shares: dict[str, dict[str, list[float]]] = {
        initial: {title: [] for title in CLIPPING} for initial in arguments.initial
    }
    for length, initial, title in itertools.product(arguments.lengths, arguments.initial, CLIPPING):
        begun = time.process_time()
        models = [make_model(initial, CLIPPING[title], seed) for seed in range(arguments.starts)]
        found = [train(model, length, arguments.updates, seed) for seed, model in enumerate(models)]
        solved = [updates for updates in found if updates]
        shares[initial][title].append(len(solved) / len(found))
        after = f" after {', '.join(f'{n:,}' for n in solved)} updates" if solved else ""
        print(
            f"{initial}, length {length}, {title:7}  {len(solved)} of {len(found)}{after}; "
            f"{time.process_time() - begun:.0f} s",
            flush=True,
        )
    if arguments.plot:
        draw(arguments.plot, arguments.lengths, shares)


if __name__ == "__main__":
    main()
