"""Polyphonic music: recurrent networks that predict the keys of the next step.

    python examples/music.py JSB_Chorales.mat    # SimpleRNN, LSTM and GRU of about one size
    python examples/music.py Nottingham.mat --clipping --epochs 12 --batch 4

The negative log-likelihood per step, the sum over 88 keys, of the test pieces in the epoch that is
best on the validation pieces. The files are those of ``nl.datasets.piano_rolls``; a file without a
path is looked for in the folder ``NETLAYERS_DATA``.

Of S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling", 2018, table 1: the recurrent networks on the JSB chorales. Of R.
Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML
2013, table 1: gradient descent on Nottingham and Piano-midi, with and without clipping, and with
their regularizer Ω against vanishing gradients.

Output of both, the first with compiled kernels (NETLAYERS_KERNELS=numba), in seconds of processor
time:

    JSB_Chorales: 229 pieces, 13,807 steps
      SimpleRNN   validation 8.85, test 8.86 in epoch 37, published 8.91; 21 s
      LSTM        validation 8.25, test 8.28 in epoch 45, published 8.45; 18 s
      GRU         validation 8.42, test 8.49 in epoch 46, published 8.43; 26 s

    Nottingham: 694 pieces, 176,561 steps
      plain     rate 0.03   validation 4.34, test 4.36 in epoch 12, published 3.80; 25 s
      plain     rate 0.1    validation 3.82, test 3.85 in epoch 11, published 3.80; 24 s
      clipped   rate 0.3    validation 3.73, test 3.76 in epoch 12, published 3.48; 25 s
      clipped   rate 1      validation 4.08, test 4.14 in epoch 6, published 3.48; 24 s
      with Ω    rate 0.3    validation 3.76, test 3.77 in epoch 12, published 3.36; 40 s
      with Ω    rate 1      validation 4.44, test 4.47 in epoch 4, published 3.36; 37 s

Piano_midi.mat as Nottingham.mat, with compiled kernels:

    Piano_midi: 87 pieces, 75,911 steps
      plain     rate 0.03   validation 9.57, test 9.18 in epoch 12, published 7.56; 9 s
      plain     rate 0.1    validation 8.81, test 8.22 in epoch 12, published 7.56; 9 s
      clipped   rate 0.3    validation 8.87, test 8.31 in epoch 12, published 7.53; 9 s
      clipped   rate 1      validation 8.77, test 8.03 in epoch 10, published 7.53; 8 s
      with Ω    rate 0.3    validation 8.99, test 8.45 in epoch 12, published 7.46; 16 s
      with Ω    rate 1      validation 8.81, test 8.10 in epoch 10, published 7.46; 16 s

Most runs by gradient descent still get better in their last epoch. Ω, with the factor 0.5, does not
help within 12 epochs; other factors were not tried.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import netlayers as nl

L = nl.layers
KEYS, DROPOUT = 88, 0.2
# For gradient descent: the maximum norm of the gradient, the factor of Ω, and the rates to try.
CLIPPING: dict[str, tuple[float | None, float, tuple[float, ...]]] = {
    "plain": (None, 0.0, (0.03, 0.1)),
    "clipped": (1.0, 0.0, (0.3, 1.0)),
    "with Ω": (1.0, 0.5, (0.3, 1.0)),
}
PUBLISHED = {
    ("JSB_Chorales", "SimpleRNN"): 8.91,
    ("JSB_Chorales", "LSTM"): 8.45,
    ("JSB_Chorales", "GRU"): 8.43,
    ("Nottingham", "plain"): 3.80,
    ("Nottingham", "clipped"): 3.48,
    ("Nottingham", "with Ω"): 3.36,
    ("Piano_midi", "plain"): 7.56,
    ("Piano_midi", "clipped"): 7.53,
    ("Piano_midi", "with Ω"): 7.46,
}
Batches = list[tuple[np.ndarray, np.ndarray]]


def make_batches(pieces: list[np.ndarray], count: int, window: int | None = None) -> Batches:
    """Return batches of pieces of similar length: the steps, and the steps behind them.

    Args:
        pieces: arrays (steps, 88).
        count: pieces in a batch.
        window: cut pieces into parts of so many steps.
    """
    parts = [
        piece[start : start + (window or len(piece)) + 1]
        for piece in pieces
        for start in range(0, len(piece) - 1, window or len(piece))
    ]
    parts.sort(key=len)
    groups = [parts[i : i + count] for i in range(0, len(parts), count)]
    options = {"padding": "post", "value": -1, "dtype": "float32"}  # -1: no step, see Masking
    return [
        (
            nl.utils.pad_sequences([part[:-1] for part in group], **options),
            np.maximum(nl.utils.pad_sequences([part[1:] for part in group], **options), 0),
        )
        for group in groups
    ]


def likelihood(model: nl.Sequential, batches: Batches) -> float:
    """Return the negative log-likelihood of a step."""
    total = steps = 0.0
    for x, y in batches:
        z = np.float64(model.predict(x, batch_size=len(x), verbose=0))
        losses = (np.logaddexp(0, z) - y * z).sum(axis=2)
        there = x[:, :, 0] >= 0
        total, steps = total + losses[there].sum(), steps + there.sum()
    return total / steps


def omega(dh: np.ndarray, dz: np.ndarray, u: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how much the gradient changes from a step to the one before, and dΩ/du.

    ``Ω = mean (|dz[t] uᵀ|² / |dh[t]|² - 1)²``: ``dz uᵀ`` is what of ``dh[t]`` reaches ``h[t-1]``.
    As in the paper, dh and dz count as constants in the derivative (its "immediate" part). The mean
    is over the steps and samples that have a gradient, and the norms are squared, as in the
    authors' program.

    Args:
        dh: dL/dh[t] of the states, (steps, batch, units).
        dz: dL/dz[t], with ``h[t] = tanh(z[t])``.
        u: the recurrent weights (units, units).
    """
    before = dz @ u.T
    norm = (dh**2).sum(axis=2, keepdims=True)
    there = norm >= 1e-20
    excess = (
        np.where(there, (before**2).sum(axis=2, keepdims=True) / np.where(there, norm, 1), 1) - 1
    )
    count = max(1, there.sum())
    d_before = 4 * excess * before / np.where(there, norm, 1) / count
    d_u = np.tensordot(d_before, dz, axes=((0, 1), (0, 1)))
    return float((excess**2).sum() / count), d_u


class RegularizedRNN(L.SimpleRNN):
    """A SimpleRNN that adds ``alpha Ω`` to the loss, against a gradient that vanishes in time.

    Pascanu et al., section 3.3. The layer returns all steps, and padding is at the end.
    """

    def __init__(self, units: int, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.alpha = alpha

    def forward(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the states (batch, steps, units), and keep them for :meth:`backward`."""
        y = super().forward(x, training, **options)
        if training:
            self.cache.states = y.swapaxes(0, 1)
        return y

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """``dh[t] = dy[t] + dz[t+1] uᵀ`` and ``dz[t] = dh[t] (1 - h[t]²)``, and Ω of them."""
        dx = super().backward(dy, input_gradient)
        h, u = self.cache.states, self.recurrent_kernel
        dh = dy.swapaxes(0, 1).copy()
        dz = dh * (1 - h**2)
        for t in range(len(h) - 2, -1, -1):
            dh[t] += dz[t + 1] @ u.T
            dz[t] = dh[t] * (1 - h[t] ** 2)
        _, d_u = omega(dh[1:], dz[1:], u)
        self.d_recurrent_kernel += self.alpha * d_u
        return dx


class Result(NamedTuple):
    """Likelihoods in the epoch that is best on the validation pieces."""

    validation: float
    test: float
    epoch: int


def train(
    layer: L.Layer,
    optimizer: nl.optimizers.Optimizer,
    parts: tuple[Batches, Batches, Batches],
    epochs: int,
    dropout: float = 0.0,
) -> Result:
    """Train a network with a recurrent layer, and return its best result."""
    model = nl.Sequential(
        [nl.Input((None, KEYS)), L.Masking(-1), layer, L.Dropout(dropout), L.Dense(KEYS)], seed=0
    )
    model.compile(optimizer, nl.losses.BinaryCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    best = Result(np.inf, np.inf, 0)
    for epoch in range(1, epochs + 1):
        try:
            for i in rng.permutation(len(parts[0])):
                model.train_on_batch(*parts[0][i])
        except nl.errors.NonFiniteError:
            break
        found = likelihood(model, parts[1])
        if found < best.validation:
            best = Result(found, likelihood(model, parts[2]), epoch)
    return best


def compare_layers(parts: tuple[Batches, Batches, Batches], arguments: argparse.Namespace) -> None:
    """Train SimpleRNN, LSTM and GRU of about as many weights, by Adam with clipped gradients."""
    for kind, units, rate in ((L.SimpleRNN, 350, 0.001), (L.LSTM, 150, 0.004), (L.GRU, 180, 0.004)):
        begun = time.process_time()
        layer = kind(units, return_sequences=True, dropout=DROPOUT)
        optimizer = nl.optimizers.Adam(arguments.rate or rate, global_clipnorm=1.0)
        result = train(layer, optimizer, parts, arguments.epochs, DROPOUT)
        report(arguments.file, kind.__name__, result, begun)


def compare_clipping(
    parts: tuple[Batches, Batches, Batches], arguments: argparse.Namespace
) -> None:
    """Train a SimpleRNN by gradient descent, with and without clipping."""
    for title, (norm, alpha, rates) in CLIPPING.items():
        for rate in [arguments.rate] if arguments.rate else rates:
            begun = time.process_time()
            layer: L.Layer = L.SimpleRNN(200, return_sequences=True)
            # The loss is the mean of 88 keys: the rate of their sum is a rate 88 times as large.
            if alpha:
                layer = RegularizedRNN(200, alpha / KEYS, return_sequences=True)
            optimizer = nl.optimizers.SGD(KEYS * rate, global_clipnorm=norm and norm / KEYS)
            result = train(layer, optimizer, parts, arguments.epochs)
            report(arguments.file, title, result, begun, f"rate {rate:<5g}")


def report(file: str, kind: str, result: Result, begun: float, more: str = "") -> None:
    """Print a result, the published one and the time."""
    published = PUBLISHED.get((Path(file).stem, kind))
    beside = f", published {published:.2f}" if published else ""
    print(
        f"  {kind:9} {more}  validation {result.validation:.2f}, test {result.test:.2f} in epoch "
        f"{result.epoch}{beside}; {time.process_time() - begun:.0f} s",
        flush=True,
    )


def main() -> None:
    """Train, and print the likelihoods beside the published ones."""
    parser = argparse.ArgumentParser(description="Recurrent networks for polyphonic music.")
    parser.add_argument("file", help="a MAT file of piano rolls")
    parser.add_argument("--clipping", action="store_true", help="compare with and without clipping")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=2, help="pieces of a batch")
    parser.add_argument("--rate", type=float, help="the learning rate, in place of the usual ones")
    parser.add_argument("--pieces", type=int, help="pieces of each part to use")
    arguments = parser.parse_args()
    file = Path(arguments.file)
    if not file.exists():
        file = Path(os.environ.get("NETLAYERS_DATA", ".")) / file
    train_pieces, *others = (
        part[: arguments.pieces] for part in nl.datasets.piano_rolls.load_data(file)
    )
    parts = (
        make_batches(train_pieces, arguments.batch, window=200),
        *(make_batches(pieces, 20) for pieces in others),
    )
    print(f"{file.stem}: {len(train_pieces)} pieces, {sum(map(len, train_pieces)):,} steps")
    compare = compare_clipping if arguments.clipping else compare_layers
    compare(parts, arguments)


if __name__ == "__main__":
    main()
