"""Runs that are killed: `python training.py CASE FOLDER`, with `--backup` as often as it takes.

Each case trains a small network in some way, and writes all that the run ended with into
FOLDER/end.npz. With `--backup` it keeps backups in FOLDER/backup.
"""

import argparse
import csv
import json
import struct
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from more_cases import MORE

import netlayers as nl
from netlayers import callbacks, layers, optimizers
from netlayers.saving.values import states_of

ROWS, FEATURES = 300, 6
PAUSE = 0.004  # seconds after each batch: a run lasts long enough to be killed within


class Jitter:
    """An endless source with random numbers of its own, which says where it stands."""

    def __init__(self, x, y):
        self.x, self.y, self.rng = x, y, np.random.default_rng(11)

    def __iter__(self):
        return self

    def __next__(self):
        rows = self.rng.integers(0, len(self.x), 24)
        return self.x[rows] + self.rng.normal(0, 0.1, (24, self.x.shape[1])), self.y[rows]

    def get_state(self):
        return self.rng.bit_generator.state

    def set_state(self, state):
        self.rng.bit_generator.state = state


class Batches:
    """A sequence of batches."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return 13

    def __getitem__(self, i):
        return self.x[i * 23 : i * 23 + 23], self.y[i * 23 : i * 23 + 23]


def network(*middle, dtype=None):
    return nl.Sequential(
        [
            layers.Dense(12, activation="relu"),
            *middle,
            layers.Dense(8, activation="tanh"),
            layers.Dense(1, activation="sigmoid"),
        ],
        seed=3,
        dtype=dtype,
    )


def rows(x, y, **more):
    return {"x": x, "y": y, "batch_size": 20, "epochs": 12, "validation_split": 0.2, **more}


def adam(x, y, folder):
    """Adam with averages of the weights, dropout, batch normalization, early stopping, AUC."""
    model = network(layers.BatchNormalization(), layers.Dropout(0.3))
    rule = optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(
        rule, "crossentropy", metrics=["accuracy", nl.metrics.AUC(), nl.metrics.F1Score()]
    )
    stop = callbacks.EarlyStopping(patience=4, restore_best_weights=True, start_from_epoch=3)
    return model, rows(x, y, epochs=30), [stop], {"save_freq": 3}


def sgd(x, y, folder):
    """SGD with Nesterov momentum, a schedule, ReduceLROnPlateau, accumulation and clipping."""
    model = network(layers.LayerNormalization(), layers.Dropout(0.2, seed=5))
    rate = optimizers.schedules.CosineDecay(0.2, 200, warmup_steps=10, warmup_target=0.3)
    rule = optimizers.SGD(
        rate, momentum=0.9, nesterov=True, gradient_accumulation_steps=3, global_clipnorm=0.5
    )
    model.compile(rule, "mse", metrics=["mae"])
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.7, patience=1, min_delta=0.01)
    more = {"steps_per_epoch": 11, "validation_split": 0.0}
    return model, rows(x, y, **more), [plateau, callbacks.TerminateOnNaN()], {"save_freq": 1}


def rmsprop(x, y, folder):
    """RMSprop, noise with a seed of its own, a rate for each epoch, a table, backups by epoch."""
    model = network(layers.GaussianNoise(0.1, seed=9), layers.BatchNormalization())
    model.compile(
        optimizers.RMSprop(0.02, momentum=0.5, centered=True), "crossentropy", metrics=["auc"]
    )
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    table = callbacks.CSVLogger(folder / "table.csv")
    return model, rows(x, y, validation_freq=2), [halve, table], {"save_freq": "epoch"}


def nadam(x, y, folder):
    """Nadam on a generator that says where it stands, read ahead; backups by the clock; files."""
    model = network(layers.AlphaDropout(0.1), layers.BatchNormalization(), dtype="float64")
    model.compile(optimizers.Nadam(0.01), "crossentropy", metrics=["accuracy"])
    files = callbacks.ModelCheckpoint(
        folder / "files" / "{epoch:02d}.safetensors", keep_last=2, save_best_only=True
    )
    more = {"steps_per_epoch": 12, "epochs": 12, "validation_data": (x[:50], y[:50])}
    return model, {"x": Jitter(x, y), **more}, [files], {"seconds": 0.05}


def lamb(x, y, folder):
    """LAMB on a sequence in random order, steps across its end, two backups in turns."""
    model = network(layers.GaussianDropout(0.2), layers.BatchNormalization())
    rule = optimizers.Lamb(0.02, weight_decay=0.01, use_ema=True, ema_overwrite_frequency=7)
    model.compile(rule, "mse", metrics=["r2_score"])
    more = {"steps_per_epoch": 9, "epochs": 16}
    return model, {"x": Batches(x, y), **more}, [], {"save_freq": 5, "double_checkpoint": True}


def adamw(x, y, folder):
    """AdamW with AMSGrad, one sequence per epoch, a time budget, ReduceLROnPlateau."""
    model = network(layers.Dropout(0.4), layers.BatchNormalization())
    model.compile(
        optimizers.AdamW(0.02, amsgrad=True, clipvalue=0.1), "crossentropy", metrics=["accuracy"]
    )
    plateau = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, cooldown=1)
    more = {"epochs": 12, "validation_data": Batches(x, y), "validation_steps": 4}
    others = [plateau, callbacks.TimeBudget(hours=1)]
    return model, {"x": Batches(x, y), **more}, others, {"save_freq": 4}


CASES = {case.__name__: case for case in (adam, sgd, rmsprop, nadam, lamb, adamw, *MORE)}
COMPILED = ("adam", "sgd", "nadam", "settings", "board", "outputs", "blocks", "own_callback")
SCRIPTS = [*CASES, *(f"{name}, numba" for name in COMPILED)]


class Pause(callbacks.Callback):
    """Says that the training is under way, and makes each batch take its time."""

    def on_train_begin(self, logs=None):
        print("training", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(PAUSE)


def rows_of_board(folder):
    """Return the scalars in the files of TensorBoard, each as (run, tag, step, value)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in folder.glob("*/events*"):
        data = path.read_bytes()
        while data:  # a record is its length, a checksum of that, the event, its checksum
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                shown = value.simple_value if kind == "simple_value" else kind
                found.append([path.parent.name, value.tag, event.step, shown])
    return sorted(found, key=repr)


def end_of(model, others, folder):
    """Return all that a run ended with, as arrays."""
    optimizer, history = model.optimizer, model.history
    generators = {f"stream {name}": g for name, g in model._streams._generators.items()}
    generators |= {
        f"rng {part.path}": part.rng for part in model._flatten_layers() if part.rng is not None
    }
    own = [c for c in others if hasattr(c, "get_state") and not hasattr(c, "filename")]
    numbers = {
        "iterations": optimizer.iterations,
        "skipped": optimizer.skipped,
        "accumulated": optimizer.accumulated,
        "factor": optimizer.learning_rate_factor,
        "rate": float(optimizer.learning_rate),
        "epochs": history.epoch,
        "generators": {name: g.bit_generator.state for name, g in generators.items()},
        "counters": [
            {name: getattr(c, name) for name in ("best", "wait", "best_epoch") if hasattr(c, name)}
            for c in others
        ],
        "callbacks": [c.get_state() for c in own if not type(c).__module__.startswith("netlayers")],
        "settings": [thing.get_config() for thing in (model, optimizer, *_losses(model))],
    }
    found = {f"history {name}": np.array(value) for name, value in history.history.items()}
    found |= {f"optimizer {name}": vector for name, vector in optimizer.state.items()}
    found |= {
        f"state {n}": s.value for n, (_, s) in states_of(model).items() if s.value is not None
    }
    found["weights"], found["statistics"] = model.parameters.values, model.parameters.statistics
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            numbers[path.name] = list(csv.reader(file))
    if (folder / "board").exists():
        numbers["board"] = rows_of_board(folder / "board")
    for path in sorted(folder.glob("files/*")):
        with nl.saving.StoredFile(path) as file:
            weights = [file.read(name).ravel() for name in file.section.texts("weights")]
        found[f"file {path.name}"] = np.concatenate(weights)
    return {**found, "numbers": np.array(json.dumps(numbers, sort_keys=True))}


def _losses(model):
    return [model.loss] if hasattr(model.loss, "get_config") else []


def run(script, folder, backup=False):
    """Run a case, with `, numba` behind its name under compiled kernels."""
    case, _, compiled = script.partition(", ")
    if compiled:
        nl.use_kernels(compiled)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES))
    y = ((x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(0, 0.3, ROWS)) > 0).astype(float)[:, None]
    model, calls, others, freq = CASES[case](x, y, folder)
    several = isinstance(calls, list)
    for i, data in enumerate(calls if several else [calls]):
        chosen = list(others)
        if backup:
            keep = {"delete_checkpoint": False} if several else {}
            place = folder / (f"backup{i}" if several else "backup")
            chosen += [callbacks.BackupAndRestore(place, **freq, **keep), Pause()]
        model.fit(**data, callbacks=chosen, verbose=0)
    np.savez(folder / "end.npz", **end_of(model, others, folder))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backup", action="store_true")
    arguments = parser.parse_args()
    run(arguments.script, arguments.folder, arguments.backup)


if __name__ == "__main__":
    main()
