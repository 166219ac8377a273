"""A run in shards, of any number of processes; prints what must be the same for all of them.

``python -m tests.distribution.script NETWORK [options]`` prints, in the first process, digests of
weights, running statistics, optimizer, history and the stream of the order of the samples.
"""

import argparse
import hashlib
import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers.distribution import DataParallel, set_distribution
from tests.distribution.networks import NETWORKS

SHARDS = 8
ALL = -1  # for --rank


class Disturbance(nl.callbacks.Callback):
    """Fails, sleeps or gets a signal in one process, at the start of an epoch."""

    part_of_run = False

    def __init__(self, what, rank, epoch):
        self.what, self.rank, self.epoch = what, rank, epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.epoch:
            return
        if self.model.distribution.rank != self.rank and self.rank != ALL:
            if self.what == "fail alone":
                time.sleep(1000)  # does not wait for the others in a function of MPI
            return
        if self.what.startswith("fail"):
            raise RuntimeError("something happened")
        if self.what == "sleep":
            time.sleep(10)
        if self.what == "weights":
            self.model.layers[0].kernel[0, 0] += 1
        if self.what in ("kill", "term", "stop"):
            os.kill(os.getpid(), getattr(signal, f"SIG{self.what.upper()}"))


def slow_down(layer):
    """Let a layer take 5 ms more for each shard."""
    forward = layer.forward

    def slowly(x, training=False):
        time.sleep(0.005)
        return forward(x, training)

    layer.forward = slowly


def digest(*arrays):
    return hashlib.md5(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def text_digest(value):
    return hashlib.md5(json.dumps(value).encode()).hexdigest()


class Batches:
    """A source that has fewer or smaller batches in one process than in the others."""

    def __init__(self, x, y, what, rank):
        self.x, self.y, self.what, self.rank = x, y, what, rank

    def __iter__(self):
        ends = [0, 25, 50, 75, len(self.x)]
        if self.rank == 1:
            ends = ends[:-1] if self.what == "fewer batches" else [0, 25, 40, 75, len(self.x)]
        for start, stop in itertools.pairwise(ends):
            yield self.x[start:stop], self.y[start:stop]


def run(name, options):
    """Train; return what is the same in all processes."""
    set_distribution(DataParallel(SHARDS, shared_memory=not options.messages))
    model, x, y, given = NETWORKS[name]()
    rank = model.distribution.rank
    callbacks = []
    if options.disturb:
        callbacks.append(Disturbance(options.disturb, options.rank, options.epoch))
    if options.backup:
        callbacks.append(nl.callbacks.BackupAndRestore(options.backup, save_freq=options.save_freq))
    if options.other == "data" and rank == 1:
        y = [y[0], (y[1] + 1) % 3] if isinstance(y, list) else (y + 1) % 2
    if options.other == "seed":
        model._streams.entropy += rank
    if options.other == "epochs":
        options.epochs += rank
    if options.slow == rank:
        slow_down(model.layers[0])
    size = {} if y is None else {"batch_size": 25}  # else the source makes the batches
    given = given | {"epochs": options.epochs, "callbacks": callbacks, "verbose": 1}
    if options.other in ("fewer batches", "smaller batches"):
        history = model.fit(Batches(x, y, options.other, rank), **given)
    else:
        split = {} if name in ("graph", "stateful") or y is None else {"validation_split": 0.2}
        history = model.fit(x, y, **size, **given, **split)
    evaluated = model.evaluate(x, y, verbose=0, **size)
    outputs = model.predict(x, **size)
    predicted = digest(*outputs) if isinstance(outputs, list) else digest(outputs)
    assert model.distribution.processes.gather(predicted) == [predicted] * model.distribution.size
    state = [model.optimizer.state[k] for k in sorted(model.optimizer.state)]
    if options.alone and rank == 0:
        model.evaluate(x, y, verbose=0)
    moved = {"shards": list(map(len, model.distribution.owned))} if options.slow is not None else {}
    order = model._streams.get("shuffle").bit_generator.state
    return {
        **moved,
        "weights": digest(model.parameters.values, model.parameters.statistics),
        "optimizer": digest(*state),
        "history": text_digest(history.history),
        "order": text_digest(order),
        "loss": history.history["loss"][-1],
        "evaluated": evaluated,
        "predicted": predicted,
    }, rank


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--messages", action="store_true")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--disturb", choices=("fail", "fail alone", "sleep", "kill", "term", "stop", "weights")
    )
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--epoch", type=int, default=1)
    parser.add_argument("--slow", type=int, help="process that is slow")
    parser.add_argument("--alone", action="store_true", help="evaluate in one process alone")
    parser.add_argument("--backup")
    parser.add_argument("--save-freq", type=int, default=2)
    others = ("data", "seed", "epochs", "fewer batches", "smaller batches")
    parser.add_argument("--other", choices=others)
    parser.add_argument("--numbers", help="folder where each process leaves its number")
    options = parser.parse_args()
    if options.numbers:
        Path(options.numbers, str(os.getpid())).touch()
    found = {}
    for name in options.networks:
        found[name], rank = run(name, options)
    if rank == 0:
        print(json.dumps(found))  # the last line, after those of fit
    sys.stdout.flush()


if __name__ == "__main__":
    main()
