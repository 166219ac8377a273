"""A recurrent network that writes like Shakespeare, one character after the other.

    python examples/character_rnn.py --data folder        # a folder with tinyshakespeare.txt
    python examples/character_rnn.py --text any_file.txt  # another text

Without ``--data``, the folder is that of the variable NETLAYERS_DATA.

Truncated backpropagation through time: the text is cut into ``batch`` parts that are read side by
side, ``steps`` characters at a time. The layers are stateful, so a window begins with the states
that the window before it left, while the gradient goes back to the beginning of its own window.

The last tenth of the text is held out, as in nanoGPT (A. Karpathy), whose README reports a loss
of 1.88 there for a Transformer with 0.8 million weights after about three minutes on a CPU, and
1.4697 for one of 10.6 million on a GPU. A loss in nats divided by ln 2 is bits per character. The
Transformer sees up to 64 characters, the recurrent network all that its states remember.

Output, 137 s of processor time with compiled kernels, one thread (two cores, shared by many):

    1,115,394 characters, 65 different; 349,569 weights
    epoch  1: loss 2.1656, held out 2.2937 (3.309 bits), 198 s
    epoch  2: loss 1.6611, held out 1.6862 (2.433 bits), 321 s
    epoch  3: loss 1.5503, held out 1.6279 (2.349 bits), 419 s
    epoch  4: loss 1.5005, held out 1.5981 (2.306 bits), 578 s
    epoch  5: loss 1.4791, held out 1.5874 (2.290 bits), 660 s
    ROMEO:
    So six his sword, the foul't sir, sir;
    And so, my companiant the majesting.

    ISABELLA:
    God, too, care of him in my blood that come of his own.

    Shepherd:
    Thou hast, and help from and from his hastes:
    That if you see of back my life are subfe sold.

    AUTOLYCUS:
    Master thee, host put she have the trone;
    And boin a poor trair heavent with a branch.
    ...
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np

import netlayers as nl

L = nl.layers


def windows(codes: np.ndarray, batch: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return characters and the ones that follow them, (windows * batch, steps).

    The text is cut into ``batch`` parts. Rows ``k * batch`` to ``(k + 1) * batch`` are the k-th
    window of each part: with batches of that size, row i continues row i of the batch before.
    """
    count = (len(codes) - 1) // (batch * steps)
    size = count * batch * steps

    def arranged(text: np.ndarray) -> np.ndarray:
        return text[:size].reshape(batch, count, steps).swapaxes(0, 1).reshape(-1, steps)

    return arranged(codes), arranged(codes[1:])


def make_model(
    vocabulary: int, units: int, layers: int, dropout: float, batch: int
) -> nl.Sequential:
    """Return a stateful network: a vector for each character, LSTM layers, logits."""
    stack = [nl.Input((None,), batch_size=batch, dtype="int32"), L.Embedding(vocabulary, 64)]
    for _ in range(layers):
        stack += [L.LSTM(units, return_sequences=True, stateful=True), L.Dropout(dropout)]
    return nl.Sequential([*stack, L.Dense(vocabulary)], seed=0)


def write(
    model: nl.Sequential, chars: str, start: str, length: int, temperature: float, top_p: float
) -> str:
    """Return text that continues ``start``; the model keeps its state between the characters."""
    seed = nl.random.SeedGenerator(0)
    text = start
    model.reset_states()
    logits = model.predict(np.array([[chars.index(char) for char in start]]), verbose=0)[0, -1]
    for _ in range(length):
        code = nl.utils.sample_logits(logits, temperature, top_p=top_p, seed=seed)
        text += chars[code]
        logits = model.predict(np.array([[code]]), verbose=0)[0, -1]
    return text


def main() -> None:
    """Train, print the loss of each epoch, and write."""
    parser = argparse.ArgumentParser(description="A character RNN on tiny Shakespeare.")
    parser.add_argument("--data", default=os.environ.get("NETLAYERS_DATA", "."))
    parser.add_argument("--text", help="a file to learn from in place of tinyshakespeare.txt")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument(
        "--start", default="ROMEO:\n", help="what the text that is written begins with"
    )
    parser.add_argument("--length", type=int, default=500, help="number of characters to write")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=0.95)
    arguments = parser.parse_args()
    path = Path(arguments.text or Path(arguments.data, "tinyshakespeare.txt"))
    codes, chars = nl.datasets.text.load_data(path)
    split = int(0.9 * len(codes))
    batch, steps = arguments.batch, arguments.steps
    x, y = windows(codes[:split], batch, steps)
    x_val, y_val = windows(codes[split:], batch, steps)

    sizes = len(chars), arguments.units, arguments.layers, arguments.dropout
    model = make_model(*sizes, batch)
    rate = nl.optimizers.schedules.CosineDecay(
        arguments.rate, arguments.epochs * len(x) // batch, alpha=0.02
    )
    model.compile(
        nl.optimizers.Adam(rate, global_clipnorm=1.0),
        nl.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    print(f"{len(codes):,} characters, {len(chars)} different; {model.count_params():,} weights")
    start = time.perf_counter()
    for epoch in range(arguments.epochs):
        model.reset_states()
        loss = model.fit(x, y, batch_size=batch, shuffle=False, verbose=0).history["loss"][0]
        model.reset_states()
        held_out = model.evaluate(x_val, y_val, batch_size=batch, verbose=0)
        print(
            f"epoch {epoch + 1:2}: loss {loss:.4f}, held out {held_out:.4f}"
            f" ({held_out / math.log(2):.3f} bits), {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    writer = make_model(*sizes, 1)
    writer.set_weights(model.get_weights())
    how = arguments.temperature, arguments.top_p
    print(write(writer, "".join(chars), arguments.start, arguments.length, *how))


if __name__ == "__main__":
    main()
