"""A convolutional network for sentences: Y. Kim, EMNLP 2014, with vectors that start at random.

    python examples/sentences.py --data folder               # with TREC.train.all and TREC.test.all
    python examples/sentences.py --data folder --reviews     # with rt-polarity.all

Windows of 3, 4 and 5 words, 100 maps each, the maximum over the sentence, dropout of 0.5, and a
softmax layer whose columns have at most the norm 3; 25 passes with Adadelta in batches of 50. A
tenth of the training data is held out, and the epoch that is best there is tested ("Convolutional
neural networks for sentence classification", section 3.1; CNN-rand in table 2).

TREC asks for the kind of answer to a question, of six (X. Li, D. Roth, COLING 2002). The film
reviews of B. Pang and L. Lee (ACL 2005) are positive or negative; their accuracy is that of
ten-fold cross-validation, of which ``--folds`` are run. The paper reports 91.2 and 76.1 %, its
replication by Harvard NLP (https://github.com/harvardnlp/sent-conv-torch) 88.2 and 75.9 %.

Output (193 s of processor time, one thread):

    seed 0: 90.2% of 500 sentences, best epoch 22 of 25, 3,197,106 weights, 1317 s
    mean of 1: 90.2%
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np

import netlayers as nl

L = nl.layers


def make_model(words: int, classes: int, seed: int) -> nl.Model:
    """Return the compiled network, for indices of words."""
    start = nl.initializers.RandomUniform(-0.25, 0.25)
    sentence = nl.Input((None,), dtype="int32")
    vectors = L.Embedding(words, 300, embeddings_initializer=start)(sentence)
    vectors = L.ZeroPadding1D(4)(vectors)
    maps = [L.Conv1D(100, size, activation="relu")(vectors) for size in (3, 4, 5)]
    found = L.Concatenate()([L.GlobalMaxPooling1D()(each) for each in maps])
    limit = nl.constraints.MaxNorm(3)
    p = L.Dense(classes, "softmax", kernel_constraint=limit)(L.Dropout(0.5)(found))
    model = nl.Model(sentence, p, seed=seed)
    model.compile(
        nl.optimizers.Adadelta(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def run(train: tuple, test: tuple, epochs: int, seed: int) -> float:
    """Train, and return the test accuracy of the epoch that is best on held out data."""
    (x, y), (x_test, y_test) = train, test
    longest = max(len(text.split()) for text in x)
    indices = L.TextVectorization(
        standardize=None, split="whitespace", output_sequence_length=longest
    )
    indices.adapt(x)
    model = make_model(indices.vocabulary_size(), int(y.max()) + 1, seed)
    best = nl.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=epochs, restore_best_weights=True
    )
    # It warns that it updates all vectors in each step: the paper does so too.
    warnings.filterwarnings("ignore", message="Adadelta updates all rows")
    order = np.random.default_rng(seed).permutation(len(x))
    start = time.perf_counter()
    model.fit(
        indices(x[order]), y[order],
        batch_size=50, epochs=epochs, validation_split=0.1, callbacks=[best], verbose=0,
    )  # fmt: skip
    accuracy = model.evaluate(indices(x_test), y_test, verbose=0)[1]
    print(
        f"seed {seed}: {accuracy:.1%} of {len(x_test)} sentences, best epoch {best.best_epoch + 1}"
        f" of {epochs}, {model.count_params():,} weights, {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return accuracy


def main() -> None:
    """Train and test, and print the accuracies."""
    parser = argparse.ArgumentParser(description="Kim's convolutional network for sentences.")
    parser.add_argument("--data", default=os.environ.get("NETLAYERS_DATA", "."))
    parser.add_argument("--reviews", action="store_true", help="film reviews in place of TREC")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--folds", type=int, default=1, help="runs, each with another seed")
    arguments = parser.parse_args()
    if arguments.reviews:
        path = Path(arguments.data, "rt-polarity.all")
        x, y = nl.datasets.labelled_lines.load_data(path, encoding="latin-1")
        fold = np.random.default_rng(0).integers(0, 10, len(x))
    accuracies = []
    for seed in range(arguments.folds):
        if arguments.reviews:
            train, test = ((x[part], y[part]) for part in (fold != seed, fold == seed))
        else:
            train, test = nl.datasets.trec.load_data(arguments.data)
        accuracies.append(run(train, test, arguments.epochs, seed))
    print(f"mean of {arguments.folds}: {np.mean(accuracies):.1%}")


if __name__ == "__main__":
    main()
