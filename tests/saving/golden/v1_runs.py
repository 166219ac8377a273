"""The interrupted runs of the golden files of version 1: their scripts, and where they were cut.

``make_v1.py`` wrote the backups; the test resumes from them with the same scripts.
"""

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers, metrics, optimizers
from netlayers.optimizers import schedules
from tests.saving.golden.v1_cases import TARGETS, X, contents, dense


class Cut(Exception):
    """Takes the place of a kill."""


class Knife(callbacks.Callback):
    """Raises at the n-th of its hooks; never if n is 0."""

    def __init__(self, n, hook):
        self.left = n
        setattr(self, hook, self.count)

    def count(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Cut

    def get_state(self):
        return {}


def batches(size=8):
    y = TARGETS["binary"]
    return [(X[i : i + size], y[i : i + size]) for i in range(0, 48, size)]


def chain(*middle, dtype=None):
    return nl.Sequential([dense(6), *middle, dense(1, "sigmoid")], seed=9, dtype=dtype)


def rows_within(folder):
    model = chain(layers.Dropout(0.25), layers.BatchNormalization())
    rule = optimizers.Adam(0.02, use_ema=True, ema_momentum=0.75)
    model.compile(rule, "crossentropy", metrics=["accuracy", metrics.AUC(num_thresholds=20)])
    y = TARGETS["binary"]
    data = {"x": X, "y": y, "batch_size": 8, "epochs": 6, "validation_data": (X[:20], y[:20])}
    stop = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    return model, data, [stop], {"save_freq": 3}


def rows_between(folder):
    model = chain(layers.GaussianNoise(0.125, seed=3), layers.GaussianNoise(0.25), dtype="float64")
    rate = schedules.CosineDecay(0.5, 30)
    rule = optimizers.SGD(rate, momentum=0.75, nesterov=True, global_clipnorm=0.5)
    model.compile(rule, "crossentropy", metrics=["accuracy"])
    data = {"x": X, "y": TARGETS["binary"], "batch_size": 8, "epochs": 5, "validation_split": 0.25}
    data |= {"class_weight": {0: 1.0, 1: 2.0}, "validation_freq": 2}
    best = callbacks.ModelCheckpoint(folder / "best.safetensors", "loss", save_best_only=True)
    return model, data, [best], {"save_freq": "epoch"}


def batches_within(folder):
    model = chain(layers.Dropout(0.25, seed=4))
    rule = optimizers.AdamW(0.02, weight_decay=0.25)
    rule.exclude_from_weight_decay(var_names=["bias"])
    model.compile(rule, "mse", metrics=["mae"])
    data = {"x": batches(), "epochs": 12, "steps_per_epoch": 4, "validation_data": batches(16)}
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True, min_delta=0.01)
    return model, data, [stop], {"save_freq": 2}


def batches_between(folder):
    model = chain(layers.BatchNormalization(), dtype="float64")
    model.compile(optimizers.RMSprop(0.02), "mse")
    data = {"x": batches(), "epochs": 5, "shuffle": False}
    data |= {"validation_data": (X[:20], TARGETS["binary"][:20])}
    slower = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.75)
    return model, data, [slower], {"save_freq": "epoch"}


def accumulating_within(folder):
    model = chain(layers.Dropout(0.25))
    model.compile(optimizers.SGD(0.25, momentum=0.5, gradient_accumulation_steps=3), "mse")
    data = {"x": X, "y": TARGETS["binary"], "batch_size": 10, "epochs": 4}
    data |= {"sample_weight": np.abs(X[:, 0])}
    return model, data, [], {"save_freq": 4}


# Name: the script, the hook at which it was cut, and at which of its calls.
RUNS = {
    "rows_within": (rows_within, "on_train_batch_end", 12),
    "rows_between": (rows_between, "on_epoch_begin", 4),
    "batches_within": (batches_within, "on_train_batch_begin", 12),
    "batches_between": (batches_between, "on_epoch_begin", 3),
    "accumulating_within": (accumulating_within, "on_train_batch_begin", 10),
}


def run(name, folder, cut=False):
    """Do what the script of a run does, from its first line to its last; return its end."""
    script, hook, at = RUNS[name]
    model, data, chosen, often = script(folder)
    if not isinstance(model.optimizer, optimizers.RMSprop):  # its rate is set by hand already
        chosen.append(callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.01))
    chosen.append(callbacks.CSVLogger(folder / "table.csv"))
    keep = callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False, **often)
    knife = Knife(at if cut else 0, hook)
    model.fit(**data, callbacks=[*chosen, knife, keep], verbose=0)
    names = ("best", "best_epoch", "wait", "stopped_epoch", "cooldown_counter")
    logs = {
        "history": model.history.history,
        "epoch": model.history.epoch,
        "callbacks": [{n: getattr(c, n) for n in names if hasattr(c, n)} for c in chosen],
        "table": (folder / "table.csv").read_text().splitlines(),
    }
    return {"prediction": model.predict(X), **contents(model, logs)}
