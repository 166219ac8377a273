"""A run in shards, of any number of processes; prints what must be the same for all of them.

``python -m tests.distribution.script NETWORK [options]`` prints, in the first process, digests of
weights, running statistics, optimizer and history.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time

import numpy as np

import netlayers as nl
from netlayers import layers
from netlayers.distribution import DataParallel, set_distribution

SHARDS = 8


def dense():
    """Dropout, noise with a seed of its own, batch normalization, penalties, clipping, weights."""
    its = [
        layers.Dense(20, "relu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.GaussianNoise(0.1, seed=3),
        layers.Dense(3, "softmax"),
    ]
    model = nl.Sequential(its, seed=0)
    optimizer = nl.optimizers.Adam(0.01, clipnorm=1.0)
    metrics = {"metrics": ["accuracy", nl.metrics.AUC()], "weighted_metrics": ["accuracy"]}
    model.compile(optimizer, "sparse_categorical_crossentropy", **metrics)
    return model, ARRAYS["x"], ARRAYS["classes"], {"sample_weight": ARRAYS["weights"]}


def accumulation():
    """Accumulated gradients, a loss with the reduction "sum", rows that are read in blocks."""
    model = nl.Sequential([layers.Dense(9, "tanh"), layers.Dense(2)], seed=1)
    optimizer = nl.optimizers.SGD(0.001, momentum=0.9, gradient_accumulation_steps=3)
    model.compile(optimizer, nl.losses.MeanSquaredError(reduction="sum"))
    return model, ARRAYS["x"], ARRAYS["x"][:, :2], {"shuffle": 30}


def words():
    """Row gradients of an embedding, masks, a recurrent layer."""
    its = [
        layers.Embedding(50, 6, mask_zero=True),
        layers.LSTM(5, recurrent_dropout=0.2),
        layers.Dense(1, "sigmoid"),
    ]
    model = nl.Sequential(its, seed=2)
    model.compile(nl.optimizers.Adagrad(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model, ARRAYS["words"], ARRAYS["classes"] > 0, {}


def images():
    """Convolutions, pooling, batch normalization, augmentation."""
    its = [
        layers.RandomFlip("horizontal"),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(3, "softmax"),
    ]
    model = nl.Sequential(its, seed=3)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, ARRAYS["images"], ARRAYS["classes"], {}


def graph():
    """Two inputs and two outputs, with a metric for each."""
    a, b = nl.Input((12,), name="a"), nl.Input((12,), name="b")
    shared = layers.Dense(6, "relu")
    both = layers.Concatenate()([shared(a), shared(b)])
    outputs = [layers.Dense(1, name="size")(both), layers.Dense(3, name="kind")(both)]
    model = nl.Model([a, b], outputs, seed=4)
    loss = ["mse", nl.losses.SparseCategoricalCrossentropy(from_logits=True)]
    model.compile("rmsprop", loss, metrics=[["mae"], ["accuracy"]])
    x = [ARRAYS["x"], ARRAYS["x"][::-1].copy()]
    return model, x, [ARRAYS["x"].sum(axis=1), ARRAYS["classes"]], {}


def make_arrays(rows=103):
    rng = np.random.default_rng(0)
    words = rng.integers(1, 50, (rows, 7))
    words[np.arange(7) >= rng.integers(1, 8, rows)[:, None]] = 0
    return {
        "x": rng.normal(size=(rows, 12)).astype("f"),
        "classes": rng.integers(0, 3, rows),
        "weights": rng.random(rows),
        "words": words,
        "images": rng.random((rows, 8, 8, 1)).astype("f"),
    }


ARRAYS = make_arrays()
NETWORKS = {f.__name__: f for f in (dense, accumulation, words, images, graph)}


class Disturbance(nl.callbacks.Callback):
    """Fails, sleeps, is killed or gets a signal in one process, at the start of an epoch."""

    part_of_run = False

    def __init__(self, what, rank, epoch):
        self.what, self.rank, self.epoch = what, rank, epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.epoch or self.model.distribution.rank != self.rank:
            return
        if self.what == "fail":
            raise RuntimeError("something happened")
        if self.what == "sleep":
            time.sleep(1)
        if self.what == "weights":
            self.model.layers[0].kernel[0, 0] += 1
        if self.what in ("kill", "term"):
            os.kill(os.getpid(), signal.SIGKILL if self.what == "kill" else signal.SIGTERM)


def slow_down(layer):
    """Let a layer take 5 ms more for each shard."""
    forward = layer.forward

    def slowly(x, training=False):
        time.sleep(0.005)
        return forward(x, training)

    layer.forward = slowly


def digest(*arrays):
    return hashlib.md5(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def run(name, options):
    """Train; return what is the same in all processes."""
    set_distribution(DataParallel(SHARDS, shared_memory=not options.messages))
    model, x, y, given = NETWORKS[name]()
    rank = model.distribution.rank
    callbacks = []
    if options.disturb:
        callbacks.append(Disturbance(options.disturb, options.rank, options.epoch))
    if options.backup:
        callbacks.append(nl.callbacks.BackupAndRestore(options.backup, save_freq=2))
    if options.other == "data" and rank == 1:
        y = [y[0], (y[1] + 1) % 3] if isinstance(y, list) else (y + 1) % 2
    if options.other == "seed":
        model._streams.entropy += rank
    split = {} if name == "graph" else {"validation_split": 0.2}
    if options.slow == rank:
        slow_down(model.layers[0])
    history = model.fit(
        x, y, batch_size=25, epochs=options.epochs, verbose=1, callbacks=callbacks, **given, **split
    )
    evaluated = model.evaluate(x, y, batch_size=40, verbose=0)
    outputs = model.predict(x, batch_size=40)
    predicted = digest(*outputs) if isinstance(outputs, list) else digest(outputs)
    assert model.distribution.processes.gather(predicted) == [predicted] * model.distribution.size
    state = [model.optimizer.state[k] for k in sorted(model.optimizer.state)]
    if options.alone and rank == 0:
        model.evaluate(x, y, verbose=0)
    moved = {"shards": list(map(len, model.distribution.owned))} if options.slow is not None else {}
    return {
        **moved,
        "weights": digest(model.parameters.values, model.parameters.statistics),
        "optimizer": digest(*state),
        "history": digest(np.array(json.dumps(history.history))),
        "loss": history.history["loss"][-1],
        "evaluated": evaluated,
        "predicted": predicted,
    }, rank


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--messages", action="store_true")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--disturb", choices=("fail", "sleep", "kill", "term", "weights"))
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--epoch", type=int, default=1)
    parser.add_argument("--slow", type=int, help="process that is slow")
    parser.add_argument("--alone", action="store_true", help="evaluate in one process alone")
    parser.add_argument("--backup")
    parser.add_argument("--other", choices=("data", "seed"))
    options = parser.parse_args()
    found = {}
    for name in options.networks:
        found[name], rank = run(name, options)
    if rank == 0:
        print(json.dumps(found))  # the last line, after those of fit
    sys.stdout.flush()


if __name__ == "__main__":
    main()
