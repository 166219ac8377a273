"""Data, networks and runs that the tests of this folder share."""

from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers

HERE = Path(__file__).parent
ROWS = 37
X = np.random.default_rng(1).normal(size=(ROWS, 3))
Y = (X[:, :1] + X[:, 1:2] * X[:, 2:] > 0).astype(float)


class Cut(Exception):
    """Takes the place of a kill: what comes after it never happens."""


class Knife(callbacks.Callback):
    """Raises at the n-th of its hooks, counted from 1; never if n is 0."""

    def __init__(self, n=0, hooks=("on_train_batch_begin", "on_train_batch_end", "on_epoch_end")):
        self.left = n
        for hook in hooks:
            setattr(self, hook, self.count)

    def count(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Cut

    def get_state(self):
        return {}


class Stateful:
    """An iterable with random numbers of its own; it begins anew after ten batches."""

    def __init__(self):
        self.rng, self.given = np.random.default_rng(7), 0

    def __iter__(self):
        while self.given < 10:
            self.given += 1
            rows = self.rng.integers(0, ROWS, 5)
            yield X[rows], Y[rows]
        self.given = 0

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "given": self.given}

    def set_state(self, state):
        self.rng.bit_generator.state, self.given = state["rng"], state["given"]


class Sequence:
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]


class Shuffled(Sequence):
    """A sequence that changes its own order between epochs, and can be asked for it."""

    def __init__(self):
        self.rng, self.order = np.random.default_rng(3), np.arange(6)

    def __getitem__(self, i):
        return super().__getitem__(self.order[i])

    def on_epoch_begin(self):
        self.order = self.rng.permutation(6)

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "order": self.order}

    def set_state(self, state):
        self.rng.bit_generator.state, self.order = state["rng"], state["order"]


SOURCES = {"stateful": Stateful, "sequence": Sequence, "shuffled": Shuffled}


def network():
    middle = [layers.BatchNormalization(), layers.Dropout(0.3), layers.GaussianNoise(0.1, seed=2)]
    ends = layers.Dense(4, activation="tanh"), layers.Dense(1, activation="sigmoid")
    return nl.Sequential([ends[0], *middle, ends[1]], seed=0)


def script(folder, knife=(0,), kind="rows", freq=None, size=8, steps=None, epochs=4, ahead=2):
    """What a user's file does, from its first line to its last."""
    model = network()
    rule = nl.optimizers.Adam(0.05, use_ema=True, gradient_accumulation_steps=2)
    model.compile(rule, "crossentropy", metrics=["auc", "accuracy"])
    chosen = [
        callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1),
        Knife(*knife),
    ]
    if freq is not None:
        chosen.append(callbacks.BackupAndRestore(folder, **freq))
    data = {"x": X, "y": Y, "batch_size": size} if kind == "rows" else {"x": SOURCES[kind]()}
    testing = (X[:9], Y[:9]) if kind == "rows" else Sequence()
    model.fit(
        **data,
        epochs=epochs,
        callbacks=chosen,
        steps_per_epoch=steps,
        validation_data=testing,
        validation_steps=None if kind == "rows" else 2,
        read_ahead=ahead,
        verbose=0,
    )
    return model, chosen


def same(one, other):
    (a, ca), (b, cb) = one, other
    for name in ("values", "statistics"):
        np.testing.assert_array_equal(getattr(a.parameters, name), getattr(b.parameters, name))
    for name, vector in a.optimizer.state.items():
        np.testing.assert_array_equal(vector, b.optimizer.state[name], err_msg=name)
    assert a.optimizer.iterations == b.optimizer.iterations
    assert a.optimizer.accumulated == b.optimizer.accumulated
    assert a.optimizer.learning_rate == b.optimizer.learning_rate
    assert a.history.epoch == b.history.epoch
    np.testing.assert_equal(a.history.history, b.history.history)
    for name in ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter"):
        for one, other in zip(ca, cb, strict=False):
            np.testing.assert_equal(getattr(one, name, 0), getattr(other, name, 0), name)
    streams = [
        {k: g.bit_generator.state for k, g in m._streams._generators.items()} for m in (a, b)
    ]
    assert streams[0] == streams[1]
    for part, other in zip(a._flatten_layers(), b._flatten_layers(), strict=True):
        if part.rng is not None:
            assert part.rng.bit_generator.state == other.rng.bit_generator.state
