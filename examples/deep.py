"""Fifty layers: a plain network does not learn; residual and normalized networks do.

    python examples/deep.py                      # the digits that ship with the package
    python examples/deep.py --plot pictures      # also write plots to a folder

Output, on two cores:

    50 hidden layers        gradient, first / last   test accuracy
    plain                              2.2e-32               10.0%      3 s
    normalized                         7.4e-01               92.5%     11 s
    residual                           1.7e+00               94.4%      3 s
    drawn: pictures/training.png, pictures/network.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import netlayers as nl

L = nl.layers


def plain(width: int) -> list[L.Layer]:
    """Return two sigmoid layers."""
    return [L.Dense(width, "sigmoid"), L.Dense(width, "sigmoid")]


def normalized(width: int) -> list[L.Layer]:
    """Return two sigmoid layers, each with batch normalization before the sigmoid."""
    pair = [L.Dense(width, use_bias=False), L.BatchNormalization(), L.Activation("sigmoid")]
    again = [L.Dense(width, use_bias=False), L.BatchNormalization(), L.Activation("sigmoid")]
    return [*pair, *again]


def residual(width: int) -> list[L.Layer]:
    """Return a block ``y = x + W sigmoid(x V + b)``; W = 0 at first, so it is the identity."""
    return [L.Residual([L.Dense(width, "sigmoid"), L.Dense(width, kernel_initializer="zeros")])]


def make(
    block: Callable[[int], list[L.Layer]], blocks: int, width: int = 32, dtype: str = "float32"
) -> nl.Sequential:
    """Return a compiled network of 2 x ``blocks`` hidden layers."""
    hidden = [layer for _ in range(blocks) for layer in block(width)]
    model = nl.Sequential([L.Dense(width), *hidden, L.Dense(10)], seed=0, dtype=dtype)
    model.compile(
        nl.optimizers.Adam(1e-3),
        nl.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def first_gradient(model: nl.Sequential, x: np.ndarray, y: np.ndarray) -> float:
    """Return the gradient norm of the first layer divided by that of the last layer."""
    model.train_on_batch(x, y)
    first, last = (np.linalg.norm(model.layers[i].d_kernel) for i in (0, -1))
    return float(first / last)


def main() -> None:
    """Train each kind of network, and print the results."""
    parser = argparse.ArgumentParser(description="Fifty layers deep.")
    parser.add_argument("--blocks", type=int, default=25, help="number of blocks of two layers")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--plot", metavar="FOLDER", help="draw a network and its training")
    arguments = parser.parse_args()
    (x, y), (x_test, y_test) = nl.datasets.digits.load_data()
    x, x_test = x.reshape(-1, 64) / 16, x_test.reshape(-1, 64) / 16
    print(f"{2 * arguments.blocks} hidden layers        gradient, first / last   test accuracy")
    for block in (plain, normalized, residual):
        model = make(block, arguments.blocks)
        # Before training; in float64, because float32 cannot represent such small numbers.
        ratio = first_gradient(make(block, arguments.blocks, dtype="float64"), x[:256], y[:256])
        start = time.perf_counter()
        history = model.fit(x, y, epochs=arguments.epochs, validation_split=0.1, verbose=0)
        accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
        seconds = time.perf_counter() - start
        print(f"{block.__name__:24}{ratio:18.1e}{accuracy:20.1%}   {seconds:4.0f} s", flush=True)
    if arguments.plot:
        folder = Path(arguments.plot)
        folder.mkdir(parents=True, exist_ok=True)
        history.plot(to_file=folder / "training.png")
        small = make(residual, 2)
        small.build((None, 64))
        small.plot(to_file=folder / "network.png")
        print(f"drawn: {folder / 'training.png'}, {folder / 'network.png'}")


if __name__ == "__main__":
    main()
