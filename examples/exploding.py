"""Exploding gradients, and the effect of each kind of gradient clipping.

    python examples/exploding.py                         # the digits that ship with the package
    python examples/exploding.py --plot exploding.png    # also write a plot

A factor of 1.3 on the weights of each of 20 ReLU layers multiplies the gradient by 1.3 ** 20 = 190
in the backward pass (and the signal in the forward pass), so the first step of gradient descent
makes the weights diverge. R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training
recurrent neural networks", ICML 2013, algorithm 1, scale such a gradient down to a maximum norm;
here this is global_clipnorm. clipnorm scales each weight matrix and each bias separately, clipvalue
clips every entry. All three learn. A learning rate that is small enough for the first steps is far
too small for the others; the right initialization needs no clipping.

Output: the median norm of all gradients (before clipping -> after it) at three steps, and the mean
and standard deviation of the accuracy, for five initializations:

    20 layers           rate          step 1        step 100       step 1760   test accuracy
      no clipping         0.1            1.8e+03               -               -  stops at step 3
      clipvalue 0.01      0.1       1.8e+03 -> 2         33 -> 2      7.8 -> 1.2  95.1% ±0.9%
      clipnorm 0.25       0.1     1.8e+03 -> 1.6       25 -> 1.6      3.2 -> 1.1  93.5% ±0.8%
      global_clipnorm 1.0 0.1       1.8e+03 -> 1         33 -> 1        1.8 -> 1  95.1% ±0.4%
      a smaller rate      0.0001         1.8e+03         1.2e+02              47  58.7% ±5.5%
      a better start      0.01               4.3               8            0.13  96.5% ±0.5%
    drawn: exploding.png
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import netlayers as nl

L = nl.layers

# Title, gain of the weights, learning rate, clipping.
KINDS: list[tuple[str, float, float, dict[str, float]]] = [
    ("no clipping", 1.3, 0.1, {}),
    ("clipvalue", 1.3, 0.1, {"clipvalue": 0.01}),
    ("clipnorm", 1.3, 0.1, {"clipnorm": 0.25}),
    ("global_clipnorm", 1.3, 0.1, {"global_clipnorm": 1.0}),
    ("a smaller rate", 1.3, 1e-4, {}),
    ("a better start", 1.0, 0.01, {}),
]


class Run(NamedTuple):
    """Result of one training: norm of all gradients by step, and the final accuracy."""

    before: np.ndarray
    after: np.ndarray
    accuracy: float  # on test data; NaN if the gradients became non-finite


def make(depth: int, gain: float, seed: int) -> nl.Sequential:
    """Return ``depth`` ReLU layers of 64 whose weights are ``gain`` times those of He.

    He's variance of 2 / fan_in preserves the scale of activations and gradients. A factor on all
    weights multiplies both in every layer, so they grow like ``gain ** depth``.
    """
    start = nl.initializers.VarianceScaling(2 * gain**2, "fan_in")
    layers = [L.Dense(64, "relu", kernel_initializer=start) for _ in range(depth)]
    return nl.Sequential([*layers, L.Dense(10)], seed=seed)


def train(
    model: nl.Sequential,
    optimizer: nl.optimizers.Optimizer,
    train_data: tuple[np.ndarray, np.ndarray],
    test_data: tuple[np.ndarray, np.ndarray],
    epochs: int,
    seed: int,
) -> Run:
    """Train in an explicit loop, to measure the gradients before and after clipping."""
    x, y = train_data
    rng = np.random.default_rng(seed)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    before, after = [], []
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // 32):
            with np.errstate(all="ignore"):  # the optimizer reports it
                loss.forward(y[rows], model.forward(x[rows], training=True))
                model.backward(loss.backward())
            before.append(np.linalg.norm(np.float64(model.parameters.gradients)))
            try:
                optimizer.step(model.parameters)  # clips the gradients in place, then updates
            except nl.errors.NonFiniteError:  # its message names the layer and a remedy
                return Run(np.array(before), np.array(after), math.nan)
            after.append(np.linalg.norm(np.float64(model.parameters.gradients)))
    right = model.predict(test_data[0]).argmax(axis=1) == test_data[1]
    return Run(np.array(before), np.array(after), float(np.mean(right)))


def cell(runs: list[Run], step: int, clipped: bool) -> str:
    """Return the median norms at a step as text: before -> after clipping."""
    there = [run for run in runs if len(run.after) >= step]
    if not there:
        return "-".rjust(15)
    before = np.median([run.before[step - 1] for run in there])
    after = np.median([run.after[step - 1] for run in there])
    return (f"{before:.2g} -> {after:.2g}" if clipped else f"{before:.2g}").rjust(15)


def summary(runs: list[Run]) -> str:
    """Return the mean accuracy and its deviation, or the step with non-finite gradients."""
    broke = [len(run.before) for run in runs if math.isnan(run.accuracy)]
    text = f"stops at step {max(broke)}" if broke else ""
    accuracies = [run.accuracy for run in runs if not math.isnan(run.accuracy)]
    if not accuracies:
        return text
    means = f"{np.mean(accuracies):.1%} ±{np.std(accuracies):.1%}"
    return f"{means}, {len(broke)} times {text}" if broke else means


def medians(values: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return the medians of parts of a curve that have the same width on a logarithmic axis."""
    edges = np.unique(np.geomspace(1, len(values) + 1, 50).astype(int))
    return edges[:-1], [float(np.median(values[a - 1 : b - 1])) for a, b in pairwise(edges)]


def draw(path: str, runs: dict[str, Run], depth: int) -> None:
    """Draw the norms by step, before and after clipping."""
    from netlayers.plotting import figures

    figure, (left, right) = figures.new_plots(2, height=3.6)
    entries = {}
    for k, (title, run) in enumerate(runs.items()):
        style = {"marker": figures.MARKERS[k], "markersize": 4, "markevery": (0, 4)}
        style |= {"color": figures.COLOURS[k], "linestyle": figures.DASHES[k]}
        (entries[title],) = left.plot(*medians(run.before), **style)
        if title.startswith(("clip", "global")):
            right.plot(*medians(run.after), **style)
    figures.set_title(left, f"{depth} layers: before clipping, medians")
    left.set(xlabel="step", xscale="log", ylabel="norm of all gradients", yscale="log")
    left.set_ylim(1e-2, 1e5)  # without clipping, the norms are far beyond
    figures.set_title(right, "after clipping, medians")
    right.set(xlabel="step", xscale="log", ylim=(0, None))
    figures.shared_legend(figure, entries, 3)
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Train several networks with and without clipping, and draw."""
    parser = argparse.ArgumentParser(description="Exploding gradients and clipping.")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.digits.load_data()
    x, x_test = (np.float32(images).reshape(-1, 64) / 16 for images in (x, x_test))
    first: dict[str, Run] = {}
    steps = (1, 100, arguments.epochs * (len(x) // 32))
    head = "".join(f"step {n}".rjust(16) for n in steps)
    print(f"{arguments.depth} layers           rate{head}   test accuracy")
    for title, gain, rate, clip in KINDS:
        runs = []
        for seed in range(arguments.starts):
            model = make(arguments.depth, gain, seed)
            optimizer = nl.optimizers.SGD(rate, **clip)
            runs.append(train(model, optimizer, (x, y), (x_test, y_test), arguments.epochs, seed))
        first[title] = runs[0]
        cells = [cell(runs, n, bool(clip)) for n in steps]
        name = f"{title} {max(clip.values(), default='')}"
        print(f"  {name:19} {rate:<6g}", *cells, "", summary(runs), flush=True)
    if arguments.plot:
        draw(arguments.plot, first, arguments.depth)


if __name__ == "__main__":
    main()
