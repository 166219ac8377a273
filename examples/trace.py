"""One training step with all its numbers: a textbook network, and a part of a large one.

    python examples/trace.py                 # print both, and write HTML pages
    python examples/trace.py --folder pages

The first network is that of M. Mazur, "A step by step backpropagation example" (2015),
<https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/>: 2-2-2, sigmoid, learning
rate 0.5. The output compares our numbers with his. (He does not update the biases, so his loss
after the step differs.) The second is 784-512-512-10 on a batch of 128, with the corners of each
array.

Open `trace.html` or `trace_large.html` in a browser, and step with the arrow keys.

Output:

    One training step of '2-2-2'

    ──── THE BATCH ─────────────────────────────────────────────────────────────────────────────
      1 sample, one in each row: inputs x and targets t. The network has 12 numbers to learn.
        x  (1 × 2)               │  t  (1 × 2)
        0.050000000 0.100000000  │  0.010000000 0.990000000

    ──── FORWARD ───────────────────────────────────────────────────────────────────────────────

    1 hidden: Weighted sums; Activation: sigmoid
      z¹ = x W¹ + b¹
      a¹ = 1/(1 + e^(−z¹))
        W¹  (2 × 2)              │  b¹  (2)                  │  z¹  (1 × 2)
    ...

    ──── BACKWARD ──────────────────────────────────────────────────────────────────────────────

    2 output: Back through sigmoid; Gradients of the weights
      σ'(z²) = a² ⊙ (1 − a²)
      ∂L/∂z² = ∂L/∂a² ⊙ σ'(z²)
      ∂L/∂W² = a¹ᵀ ∂L/∂z²
      ∂L/∂b² = ∑ ∂L/∂z²
      ∂L/∂a¹ = ∂L/∂z² W²ᵀ
        σ'(z²)  (1 × 2)          │  ∂L/∂z²  (1 × 2)           │  ∂L/∂W²  (2 × 2)
        0.186815602 0.175510053  │  0.138498562 -0.038098237  │  0.0821670406 -0.0226025405
                                 │                            │  0.0826676278 -0.0227402422
        ∂L/∂b²  (2)               │  ∂L/∂a¹  (1 × 2)
        0.138498562 -0.038098237  │  0.0363503064 0.0413703226

    ...

    Compared with Mazur:
      total error  0.298371109  his 0.298371109
      dE/dw5       0.082167041  his 0.082167041
      w5 new       0.358916480  his 0.35891648
      w1 new       0.149780716  his 0.149780716

    One training step of '784-512-512-10'
    ...

    ──── BACKWARD ──────────────────────────────────────────────────────────────────────────────

    3 digits: Gradients of the weights
      ∂L/∂W³ = a²ᵀ ∂L/∂z³
      ∂L/∂b³ = ∑ ∂L/∂z³
      ∂L/∂a² = ∂L/∂z³ W³ᵀ
        ∂L/∂W³  (512 × 10)                    │  ∂L/∂b³  (10)
        0.00974 -0.02686 … -0.06766 -0.00745  │  0.0049 -0.0470 … -0.1095 -0.0127
        0.00680 -0.00996 … -0.03460 -0.00483  │  min -0.1095  max 0.1084  norm 0.1914
              …        … …        …        …  │
        0.00190 -0.00893 … -0.01418  0.00462  │
        0.00183  0.00131 … -0.00903  0.00136  │
        min -0.1235  max 0.1214  norm 1.235   │
        ∂L/∂a²  (128 × 512)
         5.512e-04  1.880e-04 … -2.010e-05  4.132e-04
        -7.127e-04 -6.325e-04 … -1.274e-04 -7.093e-05
                 …          … …          …          …
        -6.549e-04  6.015e-05 …  3.187e-04  1.849e-04
         2.640e-04 -7.474e-04 … -3.687e-05  1.310e-04
        min -0.001206  max 0.001222  norm 0.1189

    ...

    written: trace.html, trace.md, trace_large.html
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import netlayers as nl


def textbook() -> nl.Sequential:
    """Return Mazur's network with his weights."""
    layers = [
        nl.layers.Dense(2, "sigmoid", name="hidden"),
        nl.layers.Dense(2, "sigmoid", name="output"),
    ]
    model = nl.Sequential(layers, name="2-2-2", dtype="float64")
    model.compile(
        nl.optimizers.SGD(0.5), "mse"
    )  # the mean of two squares is half of their sum, his loss
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
    """Trace a step of both networks."""
    parser = argparse.ArgumentParser(description="Trace one training step of two networks.")
    parser.add_argument("--folder", default=".", help="folder for the files")
    folder = Path(parser.parse_args().folder)
    folder.mkdir(parents=True, exist_ok=True)
    trace = textbook().trace([[0.05, 0.10]], [[0.01, 0.99]], digits=9)
    print(trace)
    print("\nCompared with Mazur:")
    hidden, output = trace["hidden"].weights["kernel"], trace["output"].weights["kernel"]
    assert output.gradient is not None
    for name, ours, his in [
        ("total error", trace.loss.total, 0.298371109),
        ("dE/dw5", output.gradient[0, 0], 0.082167041),
        ("w5 new", output.after[0, 0], 0.35891648),
        ("w1 new", hidden.after[0, 0], 0.149780716),
    ]:
        print(f"  {name:<12} {ours:.9f}  his {his}")
    trace.digits = 4  # fewer digits in the files
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
