"""Two tasks of "Long short-term memory" (Hochreiter and Schmidhuber 1997), beside the paper.

    python examples/long_time_lags.py                       # both, two starts each
    python examples/long_time_lags.py reber --starts 10     # the embedded Reber grammar
    python examples/long_time_lags.py adding

S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

Experiment 1, the embedded Reber grammar (table 1): a string like ``BTBTSXSETE`` is predicted letter
by letter; the last but one repeats the second. There are 256 strings to train with and 256 others,
and a string is right if at every step the letters that the grammar allows get the highest outputs.

Experiment 4, adding (table 7): of 100 to 110 pairs of numbers two are marked, one among the first
ten, both in the first half; the target is 0.5 + (X1 + X2) / 4. An answer is right if it is within
0.04, and training stops when the last 2,000 series were. 2,560 new series are the test.

Other than in the paper, the gradient flows back through all steps, there is a forget gate (Gers et
al. 2000), for adding almost open at first, and Adam takes the place of gradient descent. The
strings come one by one, the series in batches of 20.

Output of the last two lines above; the second with compiled kernels (NETLAYERS_KERNELS=numba):

    embedded Reber grammar: strings until all are right
      LSTM of 8 units: 2,600, 3,600, 1,800, 10,400, 5,400, 5,200, 5,000, 2,200, 2,800, 16,400
      SimpleRNN of 15 units: none, 2,400, none, 6,000, none, none, 16,200, 4,400, 2,600, none
      the paper: LSTM 97 to 100 % of the runs, 8,440 to 39,740; Elman's network 0 %
    83 s of processor time
    adding, 100 steps: series until 2,000 are right in a row
      start 0: 70,280; 3 of 2,560 wrong
      start 1: 97,480; 1 of 2,560 wrong
      the paper: 74,000; 1 of 2,560 wrong
    10 s of processor time

Elman's network was trained without the gradient through time; with it, half of the starts of a
SimpleRNN find the grammar in 20,000 strings. The LSTM has 575 weights (the paper's 264 to 276), for
adding 361 (93). With input gates half open at first, at a rate of 0.01, constant or falling, three
runs of adding did not get there in 80,000 series.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl

L = nl.layers
LETTERS = "BTPSXVE"
# The Reber grammar: for each node the letters that may follow, and the node where each leads.
GRAMMAR: list[dict[str, int]] = [
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
]


def reber_string(rng: np.random.Generator) -> tuple[str, list[str]]:
    """Return a string of the embedded grammar, and for each letter those allowed behind it."""
    outer = str(rng.choice(["T", "P"]))
    inner, allowed, node = "", [], 0
    while node < len(GRAMMAR):
        allowed.append("".join(GRAMMAR[node]))
        inner += str(rng.choice(list(GRAMMAR[node])))
        node = GRAMMAR[node][inner[-1]]
    return f"B{outer}{inner}{outer}E", ["TP", *allowed, outer, "E"]


def one_hot(letters: str | list[str]) -> np.ndarray:
    """Return letters as (steps, 7); a step with several letters has several ones."""
    return np.array([[letter in step for letter in LETTERS] for step in letters], "float32")


def all_right(outputs: np.ndarray, allowed: list[np.ndarray]) -> bool:
    """Return whether all allowed letters of all steps have higher outputs than the others."""
    strings = ((p[: len(a)], a) for p, a in zip(outputs, allowed, strict=True))
    return all(
        np.all(p.min(axis=1, where=a, initial=1) > p.max(axis=1, where=~a, initial=0))
        for p, a in strings
    )


def train_reber(layer: L.Layer, seed: int, limit: int) -> int | None:
    """Return after how many strings all 512 are right, ``None`` if not within the limit."""
    rng = np.random.default_rng(seed)
    model = nl.Sequential([nl.Input((None, 7)), layer, L.Dense(7, "softmax")], seed=seed)
    model.compile(nl.optimizers.Adam(0.01), "categorical_crossentropy")
    strings = [reber_string(rng) for _ in range(512)]
    coded = [one_hot(letters)[None] for letters, _ in strings]
    allowed = [one_hot(sets) > 0 for _, sets in strings]
    # What pads a string at its end has no influence on what comes before.
    padded = nl.utils.pad_sequences([x[0, :-1] for x in coded], padding="post", dtype="float32")
    for count in range(1, limit + 1):
        x = coded[rng.integers(256)]  # the others are for the test
        model.train_on_batch(x[:, :-1], x[:, 1:])
        if count % 200 == 0 and all_right(model.predict(padded, verbose=0), allowed):
            return count
    return None


def adding_series(
    rng: np.random.Generator, count: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return series (count, length, 2), of a length up to 10 % above ``steps``, and targets."""
    length, rows = rng.integers(steps, steps + steps // 10 + 1), np.arange(count)
    numbers, marks = rng.uniform(-1, 1, (count, length)), np.zeros((count, length))
    marks[:, [0, -1]] = -1
    first, second = rng.integers(0, 10, count), rng.integers(0, steps // 2 - 1, count)
    second += second >= first  # not the same
    marks[rows, first] = marks[rows, second] = 1
    # As in the paper, a number in the first place counts as 0.
    x_1, x_2 = (numbers[rows, place] * (place > 0) for place in (first, second))
    return np.float32(np.stack([numbers, marks], axis=2)), np.float32(0.5 + (x_1 + x_2) / 4)[
        :, None
    ]


def train_adding(layer: L.Layer, steps: int, seed: int, limit: int) -> tuple[int | None, int]:
    """Return after how many series 2,000 were right in a row, and how many of 2,560 are wrong."""
    rng = np.random.default_rng(seed)
    model = nl.Sequential([nl.Input((None, 2)), layer, L.Dense(1)], seed=seed)
    # As in the paper, the input gate is almost closed at first. The LSTM of 1997 has no forget
    # gate, which is the same as one that is open.
    layer.bias[: layer.units] = -3
    layer.bias[layer.units : 2 * layer.units] = 5
    rate = nl.optimizers.schedules.ExponentialDecay(0.02, 1000, 0.7)
    loss, optimizer = nl.losses.MeanSquaredError(), nl.optimizers.Adam(rate, global_clipnorm=0.1)
    count = right = 0
    while right < 2000 and count < limit:
        x, y = adding_series(rng, 20, steps)
        answer = model.forward(x, training=True)
        right = right + 20 if np.abs(answer - y).max() < 0.04 else 0
        loss.forward(y, answer)
        model.backward(loss.backward())
        optimizer.step(model.parameters)
        count += 20
    x, y = adding_series(rng, 2560, steps)
    wrong = np.sum(np.abs(model.predict(x, verbose=0) - y) >= 0.04)
    return (count if right >= 2000 else None), int(wrong)


def main() -> None:
    """Run the experiments for several starts, and print the results beside the paper's."""
    parser = argparse.ArgumentParser(description="Two tasks of Hochreiter and Schmidhuber 1997.")
    parser.add_argument("task", nargs="?", choices=["both", "reber", "adding"], default="both")
    parser.add_argument("--starts", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="steps of the series to add")
    parser.add_argument("--limit", type=int, default=140_000, help="series to train with at most")
    arguments = parser.parse_args()
    begun = time.process_time()
    if arguments.task in ("both", "reber"):
        print("embedded Reber grammar: strings until all are right")
        kinds = {"LSTM": (L.LSTM, 8), "SimpleRNN": (L.SimpleRNN, 15)}
        for title, (kind, units) in kinds.items():
            found = [
                train_reber(kind(units, return_sequences=True), seed, min(arguments.limit, 20_000))
                for seed in range(arguments.starts)
            ]
            print(f"  {title} of {units} units: {shown(found)}", flush=True)
        print("  the paper: LSTM 97 to 100 % of the runs, 8,440 to 39,740; Elman's network 0 %")
    if arguments.task in ("both", "adding"):
        print(f"adding, {arguments.steps} steps: series until 2,000 are right in a row")
        for seed in range(arguments.starts):
            count, wrong = train_adding(L.LSTM(8), arguments.steps, seed, arguments.limit)
            print(f"  start {seed}: {shown([count])}; {wrong} of 2,560 wrong", flush=True)
        print("  the paper: 74,000; 1 of 2,560 wrong")
    print(f"{time.process_time() - begun:.0f} s of processor time")


def shown(found: list[int | None]) -> str:
    """Return numbers of series as text."""
    return ", ".join("none" if count is None else f"{count:,}" for count in found)


if __name__ == "__main__":
    main()
