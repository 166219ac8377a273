"""Regression with prediction intervals: mean and standard deviation, and quantiles.

    python examples/uncertainty.py                       # print the coverage of the intervals
    python examples/uncertainty.py --plot uncertainty.png

The data are a sine wave with noise that grows from left to right. One network predicts a mean and a
variance (GaussianNLL), the other the 5 %, 50 % and 95 % quantiles (Quantile).

Output:

    mean and variance: 89.3% of 10,000 new points within the 90 % band; RMSE of the line 0.074
    quantiles:         90.1% of 10,000 new points within the 90 % band; RMSE of the line 0.061
    deviation at x = -1.6, 0, 1.6: 0.078 0.216 0.353   (truth: 0.085 0.226 0.367)
    drawn: uncertainty.png
"""

from __future__ import annotations

import argparse

import numpy as np

import netlayers as nl

LEVELS = [0.05, 0.5, 0.95]


def data(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return n points of ``y = sin(3 x) + noise``, of deviation 0.05 + 0.35 (x + 2) / 4."""
    x = rng.uniform(-2, 2, (n, 1))
    return x, np.sin(3 * x) + (0.05 + 0.35 * (x + 2) / 4) * rng.normal(size=(n, 1))


def body() -> list[nl.layers.Layer]:
    """Return the hidden layers of both networks."""
    return [nl.layers.Dense(64, "tanh"), nl.layers.Dense(64, "tanh")]


def gaussian(seed: int) -> nl.Sequential:
    """Return a network with the outputs mean and variance, the latter positive by softplus."""
    heads = [nl.layers.Dense(1, name="mean"), nl.layers.Dense(1, "softplus", name="variance")]
    return nl.Sequential([*body(), nl.layers.Parallel(heads)], seed=seed)


def quantiles(seed: int) -> nl.Sequential:
    """Return a network with one output for each quantile."""
    return nl.Sequential([*body(), nl.layers.Dense(len(LEVELS))], seed=seed)


def train(
    model: nl.Sequential, loss: nl.losses.Loss, x: np.ndarray, y: np.ndarray, epochs: int
) -> None:
    """Train with a learning rate that decays to zero along a cosine."""
    steps = epochs * -(-len(x) // 64)
    rate = nl.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(nl.optimizers.Adam(rate), loss)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)


def draw(path: str, x: np.ndarray, y: np.ndarray, bands: dict[str, tuple[np.ndarray, ...]]) -> None:
    """Draw the data, the predictions and the intervals of both networks."""
    from netlayers.plotting import figures

    figure, plots = figures.new_plots(2, height=3.4, sharey=True)
    grid = np.linspace(-2, 2, 200)
    for axes, (title, (low, middle, high)) in zip(plots, bands.items(), strict=True):
        axes.plot(x[:, 0], y[:, 0], ".", color="0.6", markersize=2, label="data", rasterized=True)
        axes.plot(grid, np.sin(3 * grid), "--", color="black", linewidth=1.2, label="truth")
        axes.plot(grid, middle, "-", color=figures.COLOURS[0], label="network")
        band = {"color": figures.COLOURS[0], "alpha": 0.3, "zorder": 2}
        axes.fill_between(grid, low, high, label="90 % band", **band)
        figures.set_title(axes, title)
        axes.set(xlabel="x", xlim=(-2, 2), ylim=(-2.2, 2.2))
    plots[0].set_ylabel("y")
    handles, labels = axes.get_legend_handles_labels()
    figures.shared_legend(figure, dict(zip(labels, handles, strict=True)))
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Train both networks, print the coverage of the intervals for new points, and draw."""
    parser = argparse.ArgumentParser(description="Regression with uncertainty.")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    (x, y), (x_test, y_test) = data(1500, rng), data(10_000, rng)
    grid = np.linspace(-2, 2, 200)[:, None]

    model = gaussian(seed=0)
    train(model, nl.losses.GaussianNLL(), x, y, arguments.epochs)

    def normal_band(points: np.ndarray) -> tuple[np.ndarray, ...]:
        mean, variance = model.predict(points).T
        deviation = 1.6449 * np.sqrt(variance)  # contains 90 % of a normal distribution
        return mean - deviation, mean, mean + deviation

    other = quantiles(seed=0)
    train(other, nl.losses.Quantile(LEVELS), x, y, arguments.epochs)

    def quantile_band(points: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(other.predict(points).T)

    for name, band in (("mean and variance", normal_band), ("quantiles", quantile_band)):
        low, middle, high = band(x_test)
        t = y_test[:, 0]
        error = np.sqrt(np.mean((middle - np.sin(3 * x_test[:, 0])) ** 2))
        print(
            f"{name + ':':18} {np.mean((low <= t) & (t <= high)):.1%} of 10,000 new points within "
            f"the 90 % band; RMSE of the line {error:.3f}"
        )
    deviation = (normal_band(grid)[2] - normal_band(grid)[1])[[20, 100, 180]] / 1.6449
    true = 0.05 + 0.35 * (grid[[20, 100, 180], 0] + 2) / 4
    print("deviation at x = -1.6, 0, 1.6:", *(f"{d:.3f}" for d in deviation), end="")
    print("   (truth:", *(f"{d:.3f}" for d in true), end=")\n")
    if arguments.plot:
        bands = {"mean and variance": normal_band(grid), "quantiles": quantile_band(grid)}
        draw(arguments.plot, x, y, bands)


if __name__ == "__main__":
    main()
