"""The cost of backpropagation: compared with numerical differentiation, and by network size.

    python examples/efficiency.py                          # half a minute
    python examples/efficiency.py --plot efficiency.png    # also write a plot

Numerical differentiation needs two forward passes for every weight, backpropagation one forward and
one backward pass for all weights: the ratio grows with the number of weights, which makes training
feasible. A layer computes one matrix product forward (x W) and two backward (xᵀ dz and dz Wᵀ), so
backward / forward should be 2, and the ratio above 2 / (1 + 2) for each weight. Small sizes are
dominated by the overhead of calls, so exponents are also given for the upper half. (Training skips
dz Wᵀ in the first layer, where it is not needed; here all layers compute it.)

Output, with one BLAS thread (processor time, the fastest of 15; exponents are fitted to the
logarithms, with their standard errors):

    numerical differentiation / backpropagation, 2 layers, batch of 32:
             40 weights:          41 times as long, 1.02 for each weight; they agree to 2e-11
            144 weights:         148 times as long, 1.03 for each weight; they agree to 2e-11
            544 weights:         550 times as long, 1.01 for each weight; they agree to 2e-11
          2,112 weights:       2,075 times as long, 0.98 for each weight; they agree to 2e-11
          8,320 weights:       7,210 times as long, 0.87 for each weight; they agree to 2e-11
         33,024 weights:      23,907 times as long, 0.72 for each weight; they agree to 2e-11
        131,584 weights:      95,920 times as long, 0.73 for each weight; they agree to 2e-11
        525,312 weights:     327,136 times as long, 0.62 for each weight; they agree to 1e-11
      2,099,200 weights:   1,227,843 times as long, 0.58 for each weight; they agree to 2e-11
      ratio ~ weights ^ 0.94 ±0.01

    growth with depth (width 256, batch 128):
          1: forward    0.428 ms, backward    0.730 ms, ratio 1.71
          2: forward    0.893 ms, backward    1.367 ms, ratio 1.53
          4: forward    1.680 ms, backward    3.074 ms, ratio 1.83
          8: forward    3.403 ms, backward    6.654 ms, ratio 1.96
         16: forward    7.157 ms, backward   12.783 ms, ratio 1.79
         32: forward   14.333 ms, backward   25.605 ms, ratio 1.79
         64: forward   28.485 ms, backward   51.175 ms, ratio 1.80
      time ~ depth ^ 1.02 ±0.01; the upper half alone: 1.00 ±0.00

    growth with width (depth 4, batch 128):
         16: forward    0.047 ms, backward    0.047 ms, ratio 0.99
         32: forward    0.080 ms, backward    0.088 ms, ratio 1.10
         64: forward    0.171 ms, backward    0.233 ms, ratio 1.37
        128: forward    0.534 ms, backward    0.826 ms, ratio 1.55
        256: forward    1.648 ms, backward    3.127 ms, ratio 1.90
        512: forward    5.971 ms, backward   12.047 ms, ratio 2.02
       1024: forward   22.732 ms, backward   45.730 ms, ratio 2.01
      time ~ width ^ 1.63 ±0.09; the upper half alone: 1.89 ±0.02

    growth with batch (depth 4, width 256):
          8: forward    0.123 ms, backward    0.331 ms, ratio 2.70
         16: forward    0.290 ms, backward    0.531 ms, ratio 1.83
         32: forward    0.473 ms, backward    0.858 ms, ratio 1.81
         64: forward    0.870 ms, backward    1.551 ms, ratio 1.78
        128: forward    1.656 ms, backward    2.905 ms, ratio 1.75
        256: forward    3.220 ms, backward    5.923 ms, ratio 1.84
        512: forward    6.495 ms, backward   12.094 ms, ratio 1.86
       1024: forward   12.905 ms, backward   24.072 ms, ratio 1.87
       2048: forward   26.550 ms, backward   48.328 ms, ratio 1.82
      time ~ batch ^ 0.92 ±0.02; the upper half alone: 1.01 ±0.00
    drawn: efficiency.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

import netlayers as nl

L = nl.layers


class Job:
    """A network of ``depth`` equal layers and a training batch, in float64."""

    def __init__(self, depth: int, width: int, batch: int) -> None:
        rng = np.random.default_rng(0)
        layers = [L.Dense(width, "tanh") for _ in range(depth)]
        self.model = nl.Sequential(layers, seed=0, dtype="float64")
        self.loss = nl.losses.MeanSquaredError()
        self.x, self.y = rng.normal(size=(2, batch, width))
        self.gradient()  # builds the network and its buffers

    def value(self) -> float:
        """Return the loss: one forward pass."""
        return self.loss.forward(self.y, self.model.forward(self.x, training=True))

    def backward(self) -> None:
        """Run a backward pass after a forward pass, with the gradient of the input."""
        self.model.backward(self.loss.backward())

    def gradient(self) -> np.ndarray:
        """Return the gradient of all weights: one forward and one backward pass."""
        self.value()
        self.backward()
        return self.model.parameters.gradients

    def numerical(self, indices: np.ndarray) -> np.ndarray:
        """Return some derivatives by central differences: two forward passes for each."""
        weights, h = self.model.parameters.values, 1e-5
        found = np.empty(len(indices))
        for k, i in enumerate(indices):
            kept = weights[i]
            weights[i] = kept + h
            above = self.value()
            weights[i] = kept - h
            found[k] = (above - self.value()) / (2 * h)
            weights[i] = kept
        return found


def seconds(job: Callable[[], object], repeats: int) -> float:
    """Return the minimum time of the job, which other processes disturb least."""
    start = time.process_time()
    job()
    calls = max(1, int(0.02 / max(1e-7, time.process_time() - start)))
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(calls):
            job()
        times.append((time.process_time() - start) / calls)
    return min(times)


def exponent(sizes: list[int], values: list[float]) -> str:
    """Return b of ``value = a size ** b``, by least squares of the logarithms, as text."""
    (b, _), covariance = np.polyfit(np.log(sizes), np.log(values), 1, cov=True)
    return f"{b:.2f} ±{covariance[0, 0] ** 0.5:.2f}"


def against_differences(widths: list[int], repeats: int) -> tuple[list[int], list[float]]:
    """Print the cost of numerical differentiation and backpropagation; return the ratios."""
    print("numerical differentiation / backpropagation, 2 layers, batch of 32:")
    counts, ratios = [], []
    for width in widths:
        job = Job(2, width, 32)
        count = len(job.model.parameters.gradients)
        some = np.random.default_rng(1).choice(count, min(count, 50), replace=False)
        off = np.abs(job.numerical(some) - job.gradient()[some]).max()
        each = seconds(lambda job=job, some=some: job.numerical(some), repeats) / len(some)
        ratio = count * each / seconds(job.gradient, repeats)
        counts.append(count)
        ratios.append(ratio)
        print(
            f"  {count:9,} weights: {ratio:11,.0f} times as long, {ratio / count:.2f} for each",
            end="",
        )
        print(f" weight; they agree to {off:.0e}", flush=True)
    print(f"  ratio ~ weights ^ {exponent(counts, ratios)}")
    return counts, ratios


Growth = dict[str, tuple[list[int], list[float], list[float]]]


def growth(sizes: dict[str, list[int]], repeats: int) -> Growth:
    """Print how the time of both passes grows with each size; return sizes and both times."""
    usual = {"depth": 4, "width": 256, "batch": 128}
    found: Growth = {}
    for name, values in sizes.items():
        others = ", ".join(f"{key} {value}" for key, value in usual.items() if key != name)
        print(f"\ngrowth with {name} ({others}):")
        forward, backward = [], []
        for value in values:
            job = Job(**{**usual, name: value})
            forward.append(seconds(job.value, repeats))
            both = seconds(job.gradient, repeats)
            backward.append(both - forward[-1])
            print(
                f"  {value:5}: forward {1e3 * forward[-1]:8.3f} ms, backward "
                f"{1e3 * backward[-1]:8.3f} ms, ratio {backward[-1] / forward[-1]:.2f}",
                flush=True,
            )
        found[name] = (values, forward, backward)
        upper = slice(
            -max(3, (len(values) + 1) // 2), None
        )  # a fit with a standard error needs three
        both = [f + b for f, b in zip(forward, backward, strict=True)]
        print(f"  time ~ {name} ^ {exponent(values, both)}", end="")
        print(f"; the upper half alone: {exponent(values[upper], both[upper])}")
    return found


def draw(path: str, counts: list[int], ratios: list[float], grown: Growth) -> None:
    """Draw the ratios and the times on logarithmic axes."""
    from netlayers.plotting import figures

    figure, (first, *others) = figures.new_plots(1 + len(grown), columns=2)
    guide = {"color": figures.REFERENCE, "linestyle": ":", "zorder": 1}
    first.loglog(counts, ratios, "o", label="measured")
    first.loglog(counts, counts, label="number of weights", **guide)
    first.set(xlabel="weights", ylabel="time / time")
    figures.set_title(first, "numerical gradient / backpropagation")
    figures.legend_below(first)
    for axes, (name, (sizes, forward, backward)) in zip(others, grown.items(), strict=True):
        axes.loglog(sizes, 1e3 * np.array(forward), marker="o", markersize=4, label="forward")
        axes.loglog(sizes, 1e3 * np.array(backward), marker="s", markersize=4, label="backward")
        power = 2 if name == "width" else 1
        line = backward[-1] * (np.array(sizes) / sizes[-1]) ** power
        axes.loglog(sizes, 1e3 * line, label=f"~ {name}" + "²" * (power == 2), **guide)
        axes.set(xlabel=name, ylabel="time, ms")
        figures.set_title(axes, f"time by {name}")
        figures.legend_below(axes, 3)
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Measure on one thread, and draw."""
    parser = argparse.ArgumentParser(description="The cost of backpropagation.")
    parser.add_argument(
        "--repeats", type=int, default=15, help="measurements, of which the fastest counts"
    )
    parser.add_argument(
        "--largest", type=int, default=1024, help="width of the largest network, at least 64"
    )
    parser.add_argument("--plot", metavar="FILE", help="write the plot to this file")
    arguments = parser.parse_args()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # set OPENBLAS_NUM_THREADS=1 instead
        threadpool_limits = nullcontext
    top = arguments.largest.bit_length()
    with threadpool_limits(1):
        widths = [2**k for k in range(2, top, 1)]
        counts, ratios = against_differences(widths, max(2, arguments.repeats // 3))
        sizes = {
            "depth": [2**k for k in range(min(7, top - 2))],
            "width": [2**k for k in range(4, top)],
            "batch": [2**k for k in range(3, top + 1)],
        }
        grown = growth(sizes, arguments.repeats)
    if arguments.plot:
        draw(arguments.plot, counts, ratios, grown)


if __name__ == "__main__":
    main()
