"""The vanishing gradient of Nielsen's "Neural Networks and Deep Learning" (2015), chapter 5.

    python examples/vanishing.py                         # MNIST; two minutes
    python examples/vanishing.py --data folder           # a folder with the four IDX files
    python examples/vanishing.py --plot vanishing.png    # also write a plot

The book's experiment: [784, 30, ..., 30, 10], sigmoid, cross-entropy, the first 1,000 images of
MNIST, weights of variance 1 / fan_in, biases of variance 1. The speed of learning of a layer is the
norm of dC/db over these images. The book reports one random initialization; here are the mean and
the standard deviation of 100. All values of the book are within two standard deviations. (Settings
that the text omits are those of fig/generate_gradient.py in the book's repository: learning rate
0.1, full batches, lambda 5.) Over 500 epochs the speeds remain separated, as in the book.

The second part shows the remedies: ReLU with He initialization (He et al. 2015), batch
normalization (Ioffe and Szegedy 2015), residual blocks (He et al. 2016). With 12 hidden layers, the
first sigmoid layer learns twenty million times slower than the last one, and the network predicts a
constant.

Output, on one core:

    speeds of the hidden layers at the start: mean ± deviation of 100 starts
      2 hidden, ours   0.0591 ±0.0172   0.2882 ±0.0644
          the book    0.07             0.31
          each layer slower than the one after it: 100% of the starts
      3 hidden, ours   0.0120 ±0.0037   0.0583 ±0.0153   0.2876 ±0.0661
          the book    0.012            0.06             0.283
          each layer slower than the one after it: 100% of the starts
      4 hidden, ours   0.0025 ±0.0009   0.0122 ±0.0037   0.0600 ±0.0160   0.3078 ±0.0708
          the book    0.003            0.017            0.07             0.285
          each layer slower than the one after it: 100% of the starts

    remedies: |dC/dW| of the first hidden layer / the last one at the start, and accuracy
    after 5 epochs of 60,000 images: SGD, rate 0.03, batch 32, 3 starts
       4 hidden  sigmoid       1.6e-02   accuracy 13.7% ±2.0%
       4 hidden  relu          1.9e+00   accuracy 95.9% ±0.2%
       4 hidden  normalized    3.6e+00   accuracy 94.9% ±0.2%
       4 hidden  residual      1.0e+00   accuracy 93.3% ±0.2%
      12 hidden  sigmoid       5.1e-08   accuracy 11.0% ±0.5%
      12 hidden  relu          6.0e-01   accuracy 95.3% ±0.4%
      12 hidden  normalized    3.4e+00   accuracy 94.2% ±1.1%
      12 hidden  residual      5.1e-01   accuracy 94.0% ±0.2%
    drawn: vanishing.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import netlayers as nl

L = nl.layers

# The speeds that the book reports for one initialization, from the first hidden layer to the last.
BOOK = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}

# The initialization of the book: normal, weights of variance 1 / fan_in, biases of variance 1.
START: dict[str, Any] = {
    "kernel_initializer": nl.initializers.VarianceScaling(1, "fan_in", "untruncated_normal"),
    "bias_initializer": nl.initializers.RandomNormal(stddev=1.0),
}
# The loss of the book, from logits: cross-entropy of ten sigmoids. The book sums over the ten and
# this loss takes their mean, so speeds and learning rates are multiplied by ten below.
LOSS = nl.losses.BinaryCrossentropy(from_logits=True)


def sigmoid() -> list[L.Layer]:
    """Return a hidden layer of the book."""
    return [L.Dense(30, "sigmoid", **START)]


def relu() -> list[L.Layer]:
    """Return ReLU with He initialization: twice the variance, as half of the signal is cut off."""
    return [L.Dense(30, "relu", kernel_initializer="he_normal")]


def normalized() -> list[L.Layer]:
    """Return a sigmoid layer with inputs of mean 0 and variance 1."""
    return [L.Dense(30, use_bias=False), L.BatchNormalization(), L.Activation("sigmoid")]


def residual() -> list[L.Layer]:
    """Return the layer of the book with a skip connection: ``y = x + sigmoid(x W + b)``."""
    return [L.Residual(sigmoid())]


def make(block: Callable[[], list[L.Layer]], hidden: int, seed: int = 0) -> nl.Sequential:
    """Return a network [784, 30, ..., 30, 10] with ``hidden`` hidden layers; it returns logits."""
    first = sigmoid() if block is residual else block()  # no skip connection from 784 to 30
    rest = [layer for _ in range(hidden - 1) for layer in block()]
    return nl.Sequential([*first, *rest, L.Dense(10, **START)], seed=seed)


def speeds(model: nl.Sequential, x: np.ndarray, y: np.ndarray, of: str = "bias") -> np.ndarray:
    """Return the norm of dC/db (or dC/dW) of each hidden layer, with all images as one batch."""
    LOSS.forward(y, model.forward(x, training=True))
    model.backward(LOSS.backward())
    found = [p.gradient for p in model.declared_parameters if p.name == of]
    return np.array([10 * np.linalg.norm(gradient) for gradient in found[:-1]])


def reproduce(x: np.ndarray, y: np.ndarray, starts: int) -> None:
    """Print the speeds before training, and those of the book."""
    print(f"speeds of the hidden layers at the start: mean ± deviation of {starts} starts")
    for hidden, theirs in BOOK.items():
        ours = np.array([speeds(make(sigmoid, hidden, seed), x, y) for seed in range(starts)])
        falls = np.mean(np.all(np.diff(ours) > 0, axis=1))
        cells = zip(ours.mean(axis=0), ours.std(axis=0), strict=True)
        print(f"  {hidden} hidden, ours", *(f"  {m:.4f} ±{s:.4f}" for m, s in cells))
        print("      the book ", *(f"  {value:<14}" for value in theirs))
        print(f"      each layer slower than the one after it: {falls:.0%} of the starts")


def follow(x: np.ndarray, y: np.ndarray, hidden: int, steps: int) -> np.ndarray:
    """Return the speeds during gradient descent as in the book, (steps, hidden).

    Full batches, learning rate 0.1, L2 with lambda 5 of the weights but not of the biases.
    """
    model = make(sigmoid, hidden)
    optimizer = nl.optimizers.SGD(0.1 * 10)
    history = []
    for _ in range(steps):
        history.append(speeds(model, x, y))
        for layer in model.layers:
            layer.d_kernel += 5.0 / len(x) * layer.kernel / 10
        optimizer.step(model.parameters)
    return np.array(history)


def compare_remedies(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    depths: list[int],
    starts: int,
    epochs: int,
) -> dict[str, np.ndarray]:
    """Print the speed of the first layer relative to the last one, and the test accuracy.

    The speed is that of the weights here, |dC/dW|: there are no biases before batch normalization.

    Returns:
        The mean speeds of the deepest networks before training.
    """
    x, y = train
    print("\nremedies: |dC/dW| of the first hidden layer / the last one at the start, and accuracy")
    print(f"after {epochs} epochs of {len(x):,} images: SGD, rate 0.03, batch 32, {starts} starts")
    found = {}
    for hidden in depths:
        for block in (sigmoid, relu, normalized, residual):
            at_start, accuracies = [], []
            for seed in range(starts):
                model = make(block, hidden, seed)
                at_start.append(speeds(model, x[:1000], y[:1000], "kernel"))
                model.compile(nl.optimizers.SGD(0.03 * 10), LOSS)
                model.fit(x, y, epochs=epochs, verbose=0)
                answers = model.predict(test[0]).argmax(axis=1)
                accuracies.append(np.mean(answers == test[1]))
            means = np.exp(
                np.mean(np.log(at_start), axis=0)
            )  # geometric: they differ by orders of magnitude
            print(
                f"  {hidden:2} hidden  {block.__name__:10} {means[0] / means[-1]:10.1e}"
                f"   accuracy {np.mean(accuracies):.1%} ±{np.std(accuracies):.1%}",
                flush=True,
            )
            found[block.__name__] = means
    return found


def draw(path: str, history: np.ndarray, remedies: dict[str, np.ndarray]) -> None:
    """Draw the speeds during training, and the speeds by layer with each remedy."""
    from netlayers.plotting import figures

    figure, (left, right) = figures.new_plots(2, height=3.6)
    for k, (curve, colour) in enumerate(zip(history.T, figures.depth_colours(4), strict=True)):
        left.plot(curve, "-", color=colour, label=f"hidden layer {k + 1}")
        left.plot(0, BOOK[len(history.T)][k], "o", color=colour, clip_on=False)
    figures.set_title(left, "four hidden layers; dots: the book's start")
    left.set(yscale="log", xlabel="epoch", ylabel="speed of learning, |dC/db|")
    figures.legend_below(left)
    for (name, values), marker in zip(remedies.items(), figures.MARKERS, strict=False):
        right.plot(1 + np.arange(len(values)), values, marker=marker, markersize=3.5, label=name)
    figures.set_title(right, f"{len(values)} hidden layers, at the start")
    right.set(yscale="log", xlabel="hidden layer", ylabel="|dC/dW|")
    figures.legend_below(right)
    figures.save(figure, path)
    print(f"drawn: {path}")


def main() -> None:
    """Measure the speeds, compare the remedies, and draw."""
    parser = argparse.ArgumentParser(description="The vanishing gradient.")
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--starts", type=int, default=100, help="initializations of the first part")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--samples", type=int, help="number of training images to use")
    parser.add_argument("--plot", metavar="FILE", help="draw the speeds into this file")
    arguments = parser.parse_args()
    (x, digits), (x_test, digits_test) = nl.datasets.mnist.load_data(arguments.data)
    x, digits = x[: arguments.samples], digits[: arguments.samples]
    x, x_test = (np.float32(images).reshape(-1, 784) / 255 for images in (x, x_test))
    y = np.eye(10, dtype=np.float32)[digits]
    first = x[:1000], y[:1000]  # as in the book
    reproduce(*first, arguments.starts)
    starts = min(3, arguments.starts)
    remedies = compare_remedies((x, y), (x_test, digits_test), [4, 12], starts, arguments.epochs)
    if arguments.plot:
        draw(arguments.plot, follow(*first, hidden=4, steps=500), remedies)


if __name__ == "__main__":
    main()
