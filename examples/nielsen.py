"""Reproduce results of Michael Nielsen's book "Neural Networks and Deep Learning" (2015) on MNIST.

    python examples/nielsen.py                # both experiments, about two minutes
    python examples/nielsen.py --data folder  # a folder with the four IDX files

1. Chapter 1, "Implementing our network to classify digits": [784, 30, 10], sigmoid, quadratic
   loss, stochastic gradient descent with batches of 10 and learning rate 3.0, 30 epochs. The book
   reports 95.42 % on the 10,000 test images at the best epoch, 28.
2. Chapter 3, "Overfitting and regularization": [784, 100, 10], sigmoid, cross-entropy, batches of
   10, learning rate 0.1, L2 with lambda 5.0, 60 epochs. The book reports 98.04 % on the 10,000
   validation images.

The settings are those of the book: it trains on the first 50,000 images and validates on the other
10,000. Its loss of an image is half the squared error summed over the ten outputs (5 times the
mean), and its cross-entropy is summed over the outputs (10 times the mean), so learning rates and
lambda are scaled accordingly. Its regularization is lambda / 2n Σ w² of the weights, not of the
biases, with n = 50,000. Weights and biases are initialized from a normal distribution of variance
1; in chapter 3 the variance of the weights is 1 / fan_in.

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
"""

from __future__ import annotations

import argparse

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


def main() -> None:
    """Run both experiments."""
    parser = argparse.ArgumentParser(description="Reproduce results of Nielsen's book.")
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--epochs", type=int, nargs=2, default=[30, 60])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.mnist.load_data(arguments.data)
    x, x_test = (np.float32(images).reshape(-1, 784) / 255 for images in (x, x_test))
    y, y_test = (np.eye(10, dtype=np.float32)[digits] for digits in (y, y_test))
    train, validation = (x[:N], y[:N]), (x[N:], y[N:])
    experiments = [
        ("chapter 1: [784, 30, 10], quadratic loss", chapter_1, (x_test, y_test), 95.42),
        ("chapter 3: [784, 100, 10], cross-entropy, L2", chapter_3, validation, 98.04),
    ]
    for (title, make, held_out, book), epochs in zip(experiments, arguments.epochs, strict=True):
        print(title, flush=True)
        history = make(arguments.seed).fit(
            *train, batch_size=BATCH, epochs=epochs, validation_data=held_out
        )
        accuracies = history.history["val_accuracy"]
        best = int(np.argmax(accuracies))
        print(
            f"  ours: best {accuracies[best]:.2%} at epoch {best + 1}, last {accuracies[-1]:.2%}; "
            f"the book: {book:.2f}%\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
