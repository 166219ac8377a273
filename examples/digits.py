"""Train a dense network on the digits that ship with netlayers, and show its predictions.

    python examples/digits.py            # a few seconds
    python examples/digits.py --seeds 5  # the mean of five runs

The data are 1,797 images of 8 x 8 pixels (UCI optical digits). Of the 1,437 training images, the
last tenth is used for validation. The 360 test images are a fixed, stratified split.
The mean accuracy of five runs is 98.61 %: 98.61, 98.89, 97.78, 98.61 and 99.17 %.

Output:

    Epoch  1/40    34 ms  loss 1.4673  accuracy 0.6079  val_loss 0.8028  val_accuracy 0.7917
    ...
    Epoch 40/40     6 ms  loss 0.0043  accuracy 1.0000  val_loss 0.1031  val_accuracy 0.9653

    Test accuracy on 360 images: 98.61%
    ...
"""

from __future__ import annotations

import argparse

import numpy as np

import netlayers as nl


def load() -> tuple[np.ndarray, ...]:
    """Return training and test images, (n, 64) between 0 and 1, and their labels."""
    (x_train, y_train), (x_test, y_test) = nl.datasets.digits.load_data()
    return x_train.reshape(-1, 64) / 16, y_train, x_test.reshape(-1, 64) / 16, y_test


def make_model(seed: int) -> nl.Sequential:
    """Return a compiled network, 64-128-64-10."""
    model = nl.Sequential(
        [
            nl.layers.Dense(128, activation="relu", kernel_initializer="he_normal"),
            nl.layers.Dense(64, activation="relu", kernel_initializer="he_normal"),
            nl.layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(
        optimizer=nl.optimizers.AdamW(2e-3, weight_decay=0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def print_confusion(truth: np.ndarray, answers: np.ndarray) -> None:
    """Print the confusion matrix: true digits in rows, predictions in columns."""
    table = np.zeros((10, 10), int)
    np.add.at(table, (truth, answers), 1)
    print("true \\ answer" + "".join(f"{digit:4d}" for digit in range(10)))
    for digit, row in enumerate(table):
        print(f"{digit:13d}" + "".join(f"{count:4d}" if count else "   ." for count in row))


def print_digits(images: np.ndarray, titles: list[str]) -> None:
    """Draw 8 x 8 images side by side, two characters for each pixel."""
    shades = " .:-=+*#%@"
    print("   ".join(f"{title:<16}" for title in titles).rstrip())
    for line in np.rint(images.reshape(-1, 8, 8) * 9).astype(int).transpose(1, 0, 2):
        print("   ".join("".join(shades[v] * 2 for v in row) for row in line).rstrip())


def main() -> None:
    """Train, and print the results."""
    parser = argparse.ArgumentParser(description="Train on the digits that ship with netlayers.")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1, help="number of runs; the mean is printed")
    arguments = parser.parse_args()
    x_train, y_train, x_test, y_test = load()
    accuracies = []
    for seed in range(arguments.seeds):
        model = make_model(seed)
        verbose = 1 if seed == 0 else 0
        model.fit(x_train, y_train, epochs=arguments.epochs, validation_split=0.1, verbose=verbose)
        accuracies.append(model.evaluate(x_test, y_test, verbose=0)[1])
        if seed:
            continue
        probabilities = model.predict(x_test)
        answers = probabilities.argmax(axis=1)
        print(f"\nTest accuracy on {len(y_test)} images: {accuracies[0]:.2%}\n")
        print_confusion(y_test, answers)
        wrong = np.flatnonzero(answers != y_test)[:2]
        shown = np.concatenate([np.arange(4 - len(wrong)), wrong])
        titles = [
            f"{y_test[i]}: {'says' if answers[i] == y_test[i] else 'WRONG,'} {answers[i]} "
            f"({probabilities[i].max():.0%})"
            for i in shown
        ]
        print()
        print_digits(x_test[shown], titles)
    if arguments.seeds > 1:
        each = ", ".join(f"{a:.2%}" for a in accuracies)
        print(
            f"\nTest accuracy, mean of {arguments.seeds} seeds: {np.mean(accuracies):.2%} ({each})"
        )


if __name__ == "__main__":
    main()
