"""Reproduce results of Michael Nielsen's book "Neural Networks and Deep Learning" (2015) on MNIST.

    python examples/nielsen.py                # chapters 1 and 3, about two minutes
    python examples/nielsen.py dense one two relu expanded         # those of chapter 6, for hours
    python examples/nielsen.py relu --epochs 3                     # one of them, for fewer epochs
    python examples/nielsen.py --data folder  # a folder with the four IDX files

1. Chapter 1, "Implementing our network to classify digits": [784, 30, 10], sigmoid, quadratic
   loss, stochastic gradient descent with batches of 10 and learning rate 3.0, 30 epochs. The book
   reports 95.42 % on the 10,000 test images at the best epoch, 28.
2. Chapter 3, "Overfitting and regularization": [784, 100, 10], sigmoid, cross-entropy, batches of
   10, learning rate 0.1, L2 with lambda 5.0, 60 epochs. The book reports 98.04 % on the 10,000
   validation images.
3. Chapter 6, "Convolutional neural networks in practice": batches of 10 in a fixed order, learning
   rate 0.1, 60 epochs, the accuracy on the test images at the best epoch on the validation images.
   [784, 100, 10]: 97.80 %; with a convolution of 20 filters of 5 x 5 and pooling: 98.78 %; with a
   second one of 40 filters: 99.06 %; with ReLU, learning rate 0.03 and lambda 0.1: 99.23 %; with
   250,000 images, each moved by one pixel in four directions: 99.37 %.

The settings are those of the book: it trains on the first 50,000 images and validates on the other
10,000. Its loss of an image is half the squared error summed over the ten outputs (5 times the
mean), and its cross-entropy is summed over the outputs (10 times the mean), so learning rates and
lambda are scaled accordingly. Its regularization is lambda / 2n Σ w² of the weights, not of the
biases, with n = 50,000. Weights and biases are initialized from a normal distribution of variance
1; in chapter 3 the variance of the weights is 1 / fan_in, in chapter 6 1 / fan_out, and the softmax
starts at 0.

Output, with seed 0:

    chapter 1: [784, 30, 10], quadratic loss
    Epoch  1/30    0.8 s  loss 0.0339  accuracy 0.7508  val_loss 0.0156  val_accuracy 0.9041
    ...
    Epoch 30/30    0.8 s  loss 0.0050  accuracy 0.9718  val_loss 0.0086  val_accuracy 0.9502
      ours: best 95.16% at epoch 27, last 95.02%; the book: 95.42%

    chapter 3: [784, 100, 10], cross-entropy, L2
    Epoch  1/60    2.3 s  loss 0.0845  accuracy 0.8737  val_loss 0.0536  val_accuracy 0.9276
    ...
    Epoch 60/60    1.2 s  loss 0.0215  accuracy 0.9929  val_loss 0.0286  val_accuracy 0.9787
      ours: best 98.06% at epoch 58, last 97.87%; the book: 98.04%

Of chapter 6, the networks with convolutions, with compiled kernels and one thread on a busy
machine (the second time is that of the processor):

    chapter 6: one convolution, sigmoid
    Epoch  1/60   23.8 s  loss 0.5592  accuracy 0.8150  val_loss 0.2032  val_accuracy 0.9400
    ...
    Epoch 60/60    5.1 s  loss 8.972e-04  accuracy 1.0000  val_loss 0.0567  val_accuracy 0.9867
      ours: best 98.73% at epoch 29, last 98.67%; the book: 98.78%; 327 s (324 s)

    chapter 6: two convolutions, sigmoid
    Epoch  1/60    8.6 s  loss 1.7861  accuracy 0.3311  val_loss 0.3065  val_accuracy 0.9102
    ...
    Epoch 60/60    8.5 s  loss 8.138e-04  accuracy 1.0000  val_loss 0.0451  val_accuracy 0.9888
      ours: best 99.11% at epoch 55, last 98.88%; the book: 99.06%; 510 s (505 s)

    chapter 6: two convolutions, ReLU, L2
    Epoch  1/60   24.9 s  loss 0.2394  accuracy 0.9244  val_loss 0.1071  val_accuracy 0.9716
    ...
    Epoch 57/60   35.5 s  loss 0.0078  accuracy 1.0000  val_loss 0.0632  val_accuracy 0.9915
    ...
    Epoch 60/60     1:33  loss 0.0077  accuracy 1.0000  val_loss 0.0626  val_accuracy 0.9915
      ours: best 99.29% at epoch 57, last 99.15%; the book: 99.23%; 3896 s (846 s)

    chapter 6: the same, 250,000 images
    Epoch  1/60     1:01  loss 0.1120  accuracy 0.9666  val_loss 0.0538  val_accuracy 0.9860
    ...
    Epoch 60/60   43.7 s  loss 0.0047  accuracy 1.0000  val_loss 0.0433  val_accuracy 0.9937
      ours: best 99.31% at epoch 60, last 99.37%; the book: 99.37%; 3746 s (2772 s)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import netlayers as nl

N = 50_000
BATCH = 10


def chapter_1(seed: int) -> nl.Sequential:
    """Return [784, 30, 10] with the quadratic loss, learning rate 3.0."""
    normal = nl.initializers.RandomNormal(stddev=1.0)
    options = {"kernel_initializer": normal, "bias_initializer": normal, "activation": "sigmoid"}
    model = nl.Sequential(
        [nl.layers.Dense(30, **options), nl.layers.Dense(10, **options)], seed=seed
    )
    model.compile(nl.optimizers.SGD(3.0 * 5), loss="mse", metrics=["accuracy"])
    return model


def chapter_3(seed: int) -> nl.Sequential:
    """Return [784, 100, 10] with cross-entropy, learning rate 0.1, lambda 5.0."""
    scaled = nl.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    options = {
        "kernel_initializer": scaled,
        "bias_initializer": nl.initializers.RandomNormal(stddev=1.0),
        "kernel_regularizer": nl.regularizers.L2(5.0 / (2 * N) / 10),
        "activation": "sigmoid",
    }
    layers = [nl.layers.Dense(100, **options), nl.layers.Dense(10, **options)]
    model = nl.Sequential(layers, seed=seed)
    model.compile(nl.optimizers.SGD(0.1 * 10), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def chapter_6(
    seed: int,
    convolutions: int = 0,
    activation: str = "sigmoid",
    rate: float = 0.1,
    l2: float = 0.0,
) -> nl.Sequential:
    """Return a network of chapter 6: convolutions with pooling, 100 units, softmax.

    The book pools before bias and activation; both increase, so the order does not matter.
    """
    normal = nl.initializers.RandomNormal

    def options(n_out: float) -> dict[str, Any]:
        return {
            "kernel_initializer": normal(stddev=n_out**-0.5),
            "bias_initializer": normal(stddev=1.0),
            "kernel_regularizer": nl.regularizers.L2(l2 / 2 / (N / BATCH)) if l2 else None,
        }

    layers: list[nl.layers.Layer] = [nl.Input((28, 28, 1))]
    for filters in (20, 40)[:convolutions]:
        layers.append(nl.layers.Conv2D(filters, 5, **options(filters * 5 * 5 / 4)))
        layers += [nl.layers.MaxPooling2D(2), nl.layers.Activation(activation)]
    last = {**options(10), "kernel_initializer": "zeros", "bias_initializer": "zeros"}
    layers += [nl.layers.Flatten(), nl.layers.Dense(100, activation, **options(100))]
    layers.append(nl.layers.Dense(10, "softmax", **last))
    model = nl.Sequential(layers, seed=seed)
    model.compile(nl.optimizers.SGD(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def moved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 28, 28, 1), and those moved by one pixel in each direction, shuffled."""
    every = [x]
    for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
        image = np.roll(x, step, axis)
        edge: list[Any] = [slice(None)] * 4
        edge[axis] = 0 if step > 0 else -1
        image[tuple(edge)] = 0
        every.append(image)
    order = np.random.default_rng(0).permutation(5 * len(x))
    return np.concatenate(every)[order], np.concatenate([y] * 5)[order]


class Experiment(NamedTuple):
    """An experiment of the book: its network, and the accuracy that the book reports in percent."""

    title: str
    make: Callable[[int], nl.Sequential]
    epochs: int
    book: float


EXPERIMENTS = {
    "1": Experiment("chapter 1: [784, 30, 10], quadratic loss", chapter_1, 30, 95.42),
    "3": Experiment("chapter 3: [784, 100, 10], cross-entropy, L2", chapter_3, 60, 98.04),
    "dense": Experiment("chapter 6: [784, 100, 10], softmax", chapter_6, 60, 97.80),
    "one": Experiment(
        "chapter 6: one convolution, sigmoid", lambda seed: chapter_6(seed, 1), 60, 98.78
    ),
    "two": Experiment(
        "chapter 6: two convolutions, sigmoid", lambda seed: chapter_6(seed, 2), 60, 99.06
    ),
    "relu": Experiment(
        "chapter 6: two convolutions, ReLU, L2",
        lambda seed: chapter_6(seed, 2, "relu", 0.03, 0.1),
        60,
        99.23,
    ),
    "expanded": Experiment(
        "chapter 6: the same, 250,000 images",
        lambda seed: chapter_6(seed, 2, "relu", 0.03, 0.1),
        60,
        99.37,
    ),
}


def main() -> None:
    """Run some of the experiments."""
    parser = argparse.ArgumentParser(description="Reproduce results of Nielsen's book.")
    parser.add_argument(
        "experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; first 1 and 3"
    )
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--epochs", type=int, help="fewer epochs than in the book")
    parser.add_argument("--samples", type=int, help="number of training images to use")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.mnist.load_data(arguments.data)
    x, x_test = (np.float32(images)[..., None] / 255 for images in (x, x_test))
    y, y_test = (np.eye(10, dtype=np.float32)[digits] for digits in (y, y_test))
    for name in arguments.experiments or ["1", "3"]:
        title, make, epochs, book = EXPERIMENTS[name]
        print(title, flush=True)
        n = len(x) * 5 // 6  # the first 50,000 of 60,000
        train = x[:n][: arguments.samples], y[:n][: arguments.samples]
        held_out, test = (x[n:], y[n:]), (x_test, y_test)
        if name == "expanded":
            train = moved(*train)
        if name in ("1", "3"):  # dense networks, judged at the best epoch of these images
            train, held_out, test = ((a.reshape(-1, 784), b) for a, b in (train, held_out, test))
            held_out = test if name == "1" else held_out
        model = make(arguments.seed)
        best = nl.callbacks.EarlyStopping("val_accuracy", patience=1000, restore_best_weights=True)
        start, processor = time.perf_counter(), time.process_time()
        history = model.fit(
            *train,
            batch_size=BATCH,
            epochs=arguments.epochs or epochs,
            shuffle=name in ("1", "3"),
            validation_data=held_out,
            callbacks=[best],
            verbose=2,
        )
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        accuracies = history.history["val_accuracy"]
        at = int(np.argmax(accuracies))
        ours = accuracies[at]
        if name not in ("1", "3"):  # the book's: test images, at the best epoch of validation
            ours = model.evaluate(*test, verbose=0)[1]
        print(
            f"  ours: best {ours:.2%} at epoch {at + 1}, last {accuracies[-1]:.2%}; "
            f"the book: {book:.2f}%; {seconds:.0f} s ({processor:.0f} s of processor time)\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
