"""One training step with all its numbers: a textbook's network, and a cut-out of a large one.

    python examples/trace.py                 # prints both, and writes pages to step through
    python examples/trace.py --folder pages

The first network is that of M. Mazur, "A step by step backpropagation example" (2015),
https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/: 2-2-2, sigmoid, learning
rate 0.5. His figures stand beside ours. (He leaves the biases as they are, so his loss after the
step is another one.) The second is 784-512-512-10 on a batch of 128: of each array the corners.

`trace.html`, `trace_large.html`: open one in a browser, and step with the arrow keys.

Output:

@@@
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import netlayers as nl


def textbook() -> nl.Sequential:
    """Return Mazur's network, with his weights."""
    layers = [
        nl.layers.Dense(2, "sigmoid", name="hidden"),
        nl.layers.Dense(2, "sigmoid", name="output"),
    ]
    model = nl.Sequential(layers, name="2-2-2", dtype="float64")
    model.compile(nl.optimizers.SGD(0.5), "mse")  # the mean of two squares is half their sum
    model.build((None, 2))
    # A column holds the weights of a neuron: w1 and w2 lead into h1, w3 and w4 into h2.
    model.set_weights(
        [
            [[0.15, 0.25], [0.20, 0.30]],
            [0.35, 0.35],
            [[0.40, 0.50], [0.45, 0.55]],
            [0.60, 0.60],
        ]
    )
    return model


def large() -> nl.Sequential:
    """Return 784-512-512-10 for images of digits."""
    layers = [
        nl.layers.Dense(512, "relu", name="hidden_1"),
        nl.layers.Dense(512, "relu", name="hidden_2"),
        nl.layers.Dense(10, "softmax", name="digits"),
    ]
    model = nl.Sequential(layers, name="784-512-512-10", seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def main() -> None:
    """Trace both."""
    parser = argparse.ArgumentParser(description="Trace one training step of two networks.")
    parser.add_argument("--folder", default=".", help="where the files go")
    folder = Path(parser.parse_args().folder)
    folder.mkdir(parents=True, exist_ok=True)
    trace = textbook().trace([[0.05, 0.10]], [[0.01, 0.99]], digits=9)
    print(trace)
    print("\nBeside Mazur's figures:")
    hidden, output = trace["hidden"].weights["kernel"], trace["output"].weights["kernel"]
    assert output.gradient is not None
    for name, ours, his in [
        ("total error", trace.loss.total, 0.298371109),
        ("dE/dw5", output.gradient[0, 0], 0.082167041),
        ("w5 new", output.after[0, 0], 0.35891648),
        ("w1 new", hidden.after[0, 0], 0.149780716),
    ]:
        print(f"  {name:<12} {ours:.9f}  his {his}")
    trace.digits = 4  # for the wall
    trace.save(folder / "trace.html")
    trace.save(folder / "trace.md")
    rng = np.random.default_rng(0)
    images, digits = rng.uniform(size=(128, 784)), rng.integers(0, 10, 128)
    cut_out = large().trace(images, digits, rows=4, columns=4)
    print(f"\n{cut_out}")
    cut_out.save(folder / "trace_large.html")
    print("\nwritten: trace.html, trace.md, trace_large.html")


if __name__ == "__main__":
    main()
