"""The ``addition_rnn`` example of Keras: an LSTM reads "23+58", another writes "81".

    python examples/addition_rnn.py                              # two digits, 5,000 questions
    python examples/addition_rnn.py --digits 3 --questions 50000 --epochs 100

The encoder reads a question from its end to its beginning (I. Sutskever, O. Vinyals, Q. V. Le,
"Sequence to sequence learning with neural networks", 2014, turn the source around too),
RepeatVector hands its last output to the decoder once for each character of the answer. A tenth
of the questions is held out; no two questions have the same two numbers.

Keras's example reports "99% train/test accuracy in 55 epochs". Keras 3.15 on JAX, with the same
data and settings, reached 99.32 % of the characters and 96.80 % of those held out, in 38 s of
processor time.

Output, 33 s of processor time (one thread):

    ...
    epoch   5: accuracy of a character 51.56%, held out 49.20%; whole answers 3.4%; 11 s
    epoch  10: accuracy of a character 59.50%, held out 58.87%; whole answers 10.2%; 25 s
    ...
    epoch  45: accuracy of a character 98.13%, held out 96.40%; whole answers 91.2%; 102 s
    epoch  50: accuracy of a character 91.97%, held out 89.33%; whole answers 72.4%; 112 s
    epoch  55: accuracy of a character 99.39%, held out 97.07%; whole answers 92.0%; 123 s
    41+62 = 103
    39+98 = 137
    42+36 = 78
    73+32 = 105
    34+68 = 102
    4+3 = 6 (wrong: 7)
    33+39 = 72
    8+62 = 70
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import netlayers as nl

L = nl.layers
CHARS = "0123456789+ "


def questions(count: int, digits: int, rng: np.random.Generator) -> dict[str, str]:
    """Return different questions with their answers.

    Each number has 1 to ``digits`` digits, all lengths equally often.
    """
    found: dict[tuple[int, int], tuple[str, str]] = {}
    while len(found) < count:
        lengths = rng.integers(1, digits + 1, (count, 2))
        for a, b in rng.integers(0, 10**lengths).tolist():
            found.setdefault((min(a, b), max(a, b)), (f"{a}+{b}", str(a + b)))
    return dict(list(found.values())[:count])


def one_hot(texts: list[str], length: int) -> np.ndarray:
    """Return texts, filled up with spaces, as (texts, length, characters)."""
    indices = [[CHARS.index(char) for char in text.ljust(length)] for text in texts]
    return np.eye(len(CHARS), dtype="float32")[indices]


def make_model(digits: int, seed: int) -> nl.Sequential:
    """Return the compiled network of the example."""
    model = nl.Sequential(
        [
            nl.Input((2 * digits + 1, len(CHARS))),
            L.LSTM(128),
            L.RepeatVector(digits + 1),
            L.LSTM(128, return_sequences=True),
            L.Dense(len(CHARS), activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def answers(model: nl.Sequential, x: np.ndarray) -> list[str]:
    """Return what the model says."""
    indices = model.predict(x, verbose=0).argmax(axis=2)
    return ["".join(CHARS[i] for i in row).rstrip() for row in indices]


def main() -> None:
    """Train, and print the results."""
    parser = argparse.ArgumentParser(description="The addition_rnn example of Keras.")
    parser.add_argument("--digits", type=int, default=2)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=55)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    digits, numbers = arguments.digits, 10**arguments.digits
    if arguments.questions > (most := numbers * (numbers + 1) // 2):
        parser.error(f"there are only {most} different questions of {digits} digits")
    asked = questions(arguments.questions, digits, np.random.default_rng(arguments.seed))
    pairs = np.random.default_rng(arguments.seed).permutation(list(asked.items()))
    texts, sums = pairs[:, 0].tolist(), pairs[:, 1].tolist()
    x, y = one_hot(texts, 2 * digits + 1)[:, ::-1], one_hot(sums, digits + 1)
    held_out = slice(len(x) - len(x) // 10, None)
    train = slice(held_out.start)
    model = make_model(digits, arguments.seed)
    model.summary()
    start = time.perf_counter()
    for epoch in range(0, arguments.epochs, 5):
        last = min(epoch + 5, arguments.epochs)
        model.fit(
            x[train], y[train], batch_size=32, epochs=last, initial_epoch=epoch, verbose=0
        )  # fmt: skip
        said = answers(model, x[held_out])
        right = np.mean([a == b for a, b in zip(said, sums[held_out], strict=True)])
        scores = [model.evaluate(x[part], y[part], verbose=0)[1] for part in (train, held_out)]
        print(
            f"epoch {last:3}: accuracy of a character {scores[0]:.2%}, held out {scores[1]:.2%};"
            f" whole answers {right:.1%}; {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    for text, answer, correct in list(zip(texts[held_out], said, sums[held_out], strict=True))[:8]:
        print(f"{text} = {answer}" + ("" if answer == correct else f" (wrong: {correct})"))


if __name__ == "__main__":
    main()
