"""The scale of the initial weights: Glorot and Bengio 2010, He et al. 2015.

    python examples/initialization.py                            # MNIST
    python examples/initialization.py --data folder              # a folder with the IDX files
    python examples/initialization.py --plot initialization.png  # also write a plot

X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
AISTATS 2010, figures 6, 7 and 8: five tanh layers of 1,000 units before training. With the standard
initialization, U[-1/√n, 1/√n], activations shrink from the first layer to the last and gradients
from the last to the first, while the gradients of the weights, products of the two, stay constant.
The normalized initialization, U[-√6/√(n+m), √6/√(n+m)], keeps all of them within a factor of 2.3:
each tanh shrinks its input a little, which the paper's analysis of the linear regime neglects. (The
paper uses synthetic images of shapes, this example 300 images of MNIST with mean 0 and variance 1.)

K. He et al., "Delving deep into rectifiers", ICCV 2015, figure 3: with 30 ReLU layers, the Glorot
initialization stalls and theirs converges. Each layer multiplies the gradient by 1/√2, 29 layers by
4.3e-05, as measured here. Here it stalls for two to five epochs and then learns slowly; the network
of the paper, which did not converge, is of another kind (27 convolutions among the 30 layers, on
ImageNet).

Output, on one core, three minutes:

    five tanh layers of 1000 units, 300 images: deviations by layer, first to last,
    mean of 3 starts (in brackets: largest difference from it)
      standard   activations         0.45    0.24    0.14    0.08   0.046   last/first   0.10 (±1%)
      standard   gradients dC/ds   0.0015  0.0031  0.0056  0.0099   0.017   last/first  11.71 (±1%)
      standard   gradients dC/dW    0.064   0.062   0.062   0.062   0.062   last/first   0.97 (±2%)
      normalized activations          0.6    0.47     0.4    0.35    0.32   last/first   0.53 (±1%)
      normalized gradients dC/ds    0.017   0.024   0.029   0.034   0.038   last/first   2.25 (±2%)
      normalized gradients dC/dW     0.71    0.63    0.62    0.62    0.61   last/first   0.87 (±3%)

    30 ReLU layers of 100, 60,000 images, SGD, rate 0.01, batch 128:
      Glorot  first gradient / last: 4.1e-05; loss after 10 epochs: 1.032, 1.204, 0.828
      He      first gradient / last: 1.0e+00; loss after 10 epochs: 0.102, 0.104, 0.112
      best loss of a constant prediction: 2.301
    drawn: initialization.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import netlayers as nl
from netlayers.core.hooks import observed

L = nl.layers
I = nl.initializers  # noqa: E741

# The variance of U[-1/√n, 1/√n] is 1/3n, that of U[-√6/√(n+m), √6/√(n+m)] is 2/(n+m).
STANDARD = I.VarianceScaling(1 / 3, "fan_in", "uniform")
NORMALIZED = I.GlorotUniform()
HE, GLOROT = I.HeNormal(), I.GlorotNormal()  # 2/n, and 2/(n+m), "Xavier" in their paper


def make(
    initializer: I.Initializer, activation: str, hidden: int, width: int, seed: int
) -> nl.Sequential:
    """Return ``hidden`` layers and ten logits; biases are initially zero."""
    layers = [L.Dense(width, activation, kernel_initializer=initializer) for _ in range(hidden)]
    return nl.Sequential([*layers, L.Dense(10, kernel_initializer=initializer)], seed=seed)


def signals(
    model: nl.Sequential, x: np.ndarray, y: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the signals of the hidden layers for one batch, from the first layer to the last.

    Returns:
        The activations, and the gradients dC/ds of the weighted sums s = x W + b.
    """
    activations: list[np.ndarray] = []
    gradients: list[np.ndarray] = []
    hidden = model.layers[:-1]

    def watch(layer: L.Layer, method: str, given: np.ndarray, run: Callable[[], Any]) -> Any:
        result = run()
        # The arrays belong to the layers, which overwrite them: keep copies.
        if layer in hidden and method == "forward":
            activations.append(result.copy())
        elif layer in hidden and method == "backward_logits":
            gradients.insert(0, given.copy())
        return result

    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    with observed(model, watch):
        loss.forward(y, model.forward(x, training=True))
        model.backward(loss.backward() * len(x))  # of the sum, for a gradient per image
    return activations, gradients


def glorot_bengio(
    x: np.ndarray, y: np.ndarray, width: int, starts: int
) -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """Print standard deviations by layer of five tanh layers; return the last signals."""
    names = ["activations", "gradients dC/ds", "gradients dC/dW"]
    found = {}
    print(
        f"five tanh layers of {width} units, {len(x)} images: deviations by layer, first to last,"
    )
    print(f"mean of {starts} starts (in brackets: largest difference from it)")
    for title, initializer in (("standard", STANDARD), ("normalized", NORMALIZED)):
        deviations = []
        for seed in range(starts):
            model = make(initializer, "tanh", 5, width, seed)
            found[title] = signals(model, x, y)
            weights = [layer.d_kernel for layer in model.layers[:-1]]
            deviations.append([[v.std() for v in part] for part in (*found[title], weights)])
        means = np.mean(deviations, axis=0)
        spread = np.abs(deviations / means - 1).max(axis=(0, 2))
        for name, row, off in zip(names, means, spread, strict=True):
            cells = " ".join(f"{value:7.2g}" for value in row)
            print(
                f"  {title:10} {name:16} {cells}   last/first {row[-1] / row[0]:6.2f} (±{off:.0%})"
            )
    return found


def he(
    x: np.ndarray, y: np.ndarray, layers: int, width: int, epochs: int, starts: int
) -> dict[str, np.ndarray]:
    """Train deep ReLU networks and print the results; return losses, (starts, epochs)."""
    print(f"\n{layers} ReLU layers of {width}, {len(x):,} images, SGD, rate 0.01, batch 128:")
    losses = {}
    for title, initializer in (("Glorot", GLOROT), ("He", HE)):
        runs, shares = [], []
        for seed in range(starts):
            model = make(initializer, "relu", layers, width, seed)
            _, gradients = signals(model, x[:300], y[:300])
            shares.append(gradients[0].std() / gradients[-1].std())
            model.compile(
                nl.optimizers.SGD(0.01),
                nl.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            history = model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
            runs.append(history.history["loss"])
        losses[title] = np.array(runs)
        ends = ", ".join(f"{run[-1]:.3f}" for run in runs)
        share = np.exp(np.mean(np.log(shares)))
        print(f"  {title:7} first gradient / last: {share:.1e};", end=" ")
        print(f"loss after {epochs} epochs: {ends}", flush=True)
    shares = np.bincount(y) / len(y)
    shares = shares[shares > 0]
    print(f"  best loss of a constant prediction: {-np.sum(shares * np.log(shares)):.3f}")
    return losses


def draw(
    path: str,
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]],
    losses: dict[str, np.ndarray],
) -> None:
    """Draw the histograms of the paper's figures 6 and 7, and the losses of the deep networks."""
    from netlayers.plotting import figures

    figure, plots = figures.new_plots(6, height=2.9)
    grid = np.reshape(plots, (2, 3))
    for row, (title, parts) in zip(grid, found.items(), strict=True):
        for axes, part, name in zip(row, parts, ("activations", "gradients dC/ds"), strict=False):
            limit = 1.0 if name == "activations" else 3 * found["normalized"][1][-1].std()
            for k, (values, colour) in enumerate(
                zip(part, figures.depth_colours(len(part)), strict=True)
            ):
                heights, edges = np.histogram(values, 60, (-limit, limit), density=True)
                middles = (edges[1:] + edges[:-1]) / 2
                axes.plot(middles, heights, "-", color=colour, label=f"layer {k + 1}")
            figures.set_title(axes, f"{title}: {name}")
            axes.set(yticks=[], ylim=(0, None), ylabel="density")
        # The narrowest curve would flatten the others.
        row[0].set_ylim(0, 2.5)
        row[1].set_ylim(0, 1.2 / found["normalized"][1][0].std())
    figures.legend_below(grid[1, 0], 3, handlelength=1.2)
    colours = {"standard": figures.COLOURS[1], "normalized": figures.COLOURS[0]}
    styles = {"standard": ":", "normalized": "-"}
    for (title, runs), name in zip(losses.items(), colours, strict=True):
        for k, run in enumerate(runs):
            style = {"color": colours[name], "linestyle": styles[name], "marker": "."}
            label = title if k == 0 else None
            grid[0, 2].plot(1 + np.arange(len(run)), run, label=label, **style)
    figures.set_title(grid[0, 2], "deep ReLU networks")
    grid[0, 2].set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    figures.legend_below(grid[0, 2])
    for title, parts in found.items():
        for part, name, marker in zip(parts, ("activations", "gradients"), "os", strict=True):
            sizes = np.array([values.std() for values in part])
            grid[1, 2].plot(
                1 + np.arange(len(sizes)), sizes / sizes.max(), marker=marker, markersize=4,
                linestyle=styles[title], color=colours[title], label=f"{title}, {name}",
            )  # fmt: skip
    figures.set_title(grid[1, 2], "deviation / the largest")
    grid[1, 2].set(xlabel="layer", yscale="log", ylim=(0.02, 1.2), xticks=range(1, 6))
    figures.legend_below(grid[1, 2], 1)
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Measure the networks of both papers, and draw."""
    parser = argparse.ArgumentParser(description="The scale of the initial weights.")
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--width", type=int, default=1000, help="width of the tanh layers")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the ReLU networks")
    parser.add_argument("--samples", type=int, help="number of training images to use")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    (x, y), _ = nl.datasets.mnist.load_data(arguments.data)
    x, y = np.float32(x[: arguments.samples]).reshape(-1, 784), y[: arguments.samples]
    x = (x - x.mean()) / x.std()
    found = glorot_bengio(x[:300], y[:300], arguments.width, arguments.starts)
    losses = he(x, y, 30, 100, arguments.epochs, arguments.starts)
    if arguments.plot:
        draw(arguments.plot, found, losses)


if __name__ == "__main__":
    main()
