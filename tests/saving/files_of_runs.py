"""Files that runs write, and how each is read again: backups, snapshots, checkpoints.

``fuzz.py`` changes their bytes. Each is a :class:`Case`: what is done with the file in a new
process, which ends well, or with an error that leaves everything as it was.
"""

import contextlib
import copy
import warnings
from pathlib import Path
from unittest import mock

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers
from netlayers.core.calls import generators_of
from netlayers.errors import ConfigurationError, FileError, NonFiniteError

MODELS = ("model", "compile", "optimizer", "built", "checksums", "random", "states", "assets")
ROWS, EPOCHS = 24, 4
X = np.random.default_rng(1).normal(size=(ROWS, 3))
Y = (X[:, :1] > 0).astype(float)
WEIGHTS = np.linspace(0.5, 1.5, ROWS)


class Case:
    """A file, the folder that it is read in, and what reads it."""

    def __init__(self, data, path, use):
        self.data, self.path, self.use = data, Path(path), use

    def outcome(self, data):
        """Read other bytes in place of the file's; return what came of it."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_bytes(data)
        with warnings.catch_warnings(), np.errstate(all="ignore"), mock.patch("os.fsync"):
            warnings.simplefilter("ignore")  # of numbers that no training would give
            found = self.use(self.path)
        if found != "loaded":
            assert self.path.read_bytes() == data, "a refused file has changed"
        return found


def state_of(model):
    """Return all of a model that a refused file must leave as it is."""
    optimizer, streams = model.optimizer, model._streams
    generators = streams._generators | generators_of(model)
    return copy.deepcopy(
        {
            "values": model.parameters.values.tobytes(),
            "statistics": model.parameters.statistics.tobytes(),
            "optimizer": {k: v for k, v in vars(optimizer).items() if type(v) in (int, float)},
            "vectors": {name: vector.tobytes() for name, vector in optimizer.state.items()},
            "generators": {name: repr(g.bit_generator.state) for name, g in generators.items()},
            "config": repr(model.get_config()),
            "rule": repr(optimizer.get_config()),
        }
    )


# Backups ------------------------------------------------------------------------------------------


class Cut(Exception):
    """Takes the place of a kill."""


class Knife(callbacks.Callback):
    """Raises at the n-th batch; counts epochs."""

    def __init__(self, n):
        self.left, self.epochs = n, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs += 1
        assert self.epochs <= EPOCHS, "the run goes on for ever"

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Cut


class Batches:
    """Random batches, five in a pass, of a source that says where it stands."""

    def __init__(self, seed):
        self.rng, self.given = np.random.default_rng(seed), 0

    def __iter__(self):
        while self.given < 5:
            self.given += 1
            rows = self.rng.integers(0, ROWS, 5)
            yield X[rows], Y[rows]
        self.given = 0

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "given": self.given}

    def set_state(self, state):
        if not 0 <= state["given"] <= 5:
            raise ValueError("not a number of batches")
        self.rng.bit_generator.state, self.given = state["rng"], int(state["given"])


class Thaw(callbacks.Callback):
    """A user's callback with a state: unfreezes a layer after some batches."""

    def __init__(self):
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 4:
            self.model.layers[0].trainable = True
            self.model.optimizer.momentum = 0.5

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = int(state["seen"])


def rows_script(folder, cut):
    """Arrays, in the middle of an epoch; callbacks with states and files."""
    parts = [layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.2, seed=3)]
    model = nl.Sequential([*parts, layers.Dense(1, activation="sigmoid")], seed=0)
    rule = nl.optimizers.Adam(0.05, use_ema=True, global_clipnorm=1.0)
    model.compile(rule, "crossentropy", metrics=["auc"], weighted_metrics=["accuracy"])
    chosen = [
        callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1),
        callbacks.ModelCheckpoint(folder / "{epoch}.safetensors", keep_last=1),
        callbacks.CSVLogger(folder / "table.csv"),
        callbacks.TimeBudget(hours=1),
        callbacks.TerminateOnNaN(),
    ]
    data = {"x": X, "y": Y, "sample_weight": WEIGHTS, "batch_size": 8}
    return model, chosen, data | {"validation_data": (X, Y), "epochs": EPOCHS}


def stream_script(folder, cut):
    """Streams with positions, after an epoch; accumulation, a schedule, a user's callback."""
    frozen = layers.Dense(4, activation="tanh", trainable=False)
    model = nl.Sequential([frozen, layers.Residual([layers.Dense(4)]), layers.Dense(1)], seed=0)
    rate = nl.optimizers.schedules.CosineDecay(0.1, 12)
    rule = nl.optimizers.SGD(rate, momentum=0.9, gradient_accumulation_steps=2)
    model.compile(rule, nl.losses.Huber(0.5), metrics=["mae"])
    stop = callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    data = {"x": Batches(1), "validation_data": Batches(2), "steps_per_epoch": 3}
    data |= {"validation_steps": 2, "epochs": EPOCHS, "read_ahead": 0}
    return model, [stop, Thaw(), callbacks.GradientMonitor()], data


class Watched(callbacks.BackupAndRestore):
    """Checks that an error leaves the model, its optimizer and all generators as they were."""

    def find(self, run):
        return self.unchanged(super().find, run)

    def restore(self, run):
        return self.unchanged(super().restore, run)

    def unchanged(self, work, run):
        before = state_of(run.model)
        try:
            return work(run)
        except BaseException:
            assert state_of(run.model) == before, "half of a backup was restored"
            raise


def resumed(script, path):
    """Run a script in the folder of a backup; return what came of it."""
    model, chosen, data = script(path.parent, 0)
    model.build((None, 3))
    before = state_of(model)
    keep = Watched(path.parent, save_freq=5)
    try:
        model.fit(**data, callbacks=[*chosen, Knife(0), keep], verbose=0)
    except (FileError, ConfigurationError) as error:
        for name in ("values", "statistics", "config", "rule"):  # nor did the callbacks
            assert state_of(model)[name] == before[name], "the refused run has changed the model"
        return place_in(error)
    except NonFiniteError:
        pass  # with numbers that have been changed, training fails as any training does
    return "loaded"


def backup(folder, script, cut, previous=False):
    """Return a case of a run that was cut, with the backup before that if ``previous``."""
    folder.mkdir()
    model, chosen, data = script(folder, cut)
    keep = callbacks.BackupAndRestore(folder, save_freq=1, double_checkpoint=True)
    with contextlib.suppress(Cut):
        model.fit(**data, callbacks=[*chosen, Knife(cut), keep], verbose=0)
    path = folder / "backup.safetensors"
    kept = (folder / "previous.safetensors").read_bytes()
    (folder / "previous.safetensors").unlink()

    def use(path):
        if previous:  # deleted with the folder at the end of a run
            (folder / "previous.safetensors").write_bytes(kept)
        return resumed(script, path)

    return Case(path.read_bytes(), path, use)


def place_in(error):
    """Return in short where an error saw a file to be wrong."""
    if not isinstance(error, FileError):
        return "another run"
    known = ("header", "first 8 bytes", "description", "data", "extra", "extra: place", "weights")
    if error.place in known:
        return error.place
    place = error.place.removeprefix("description: ").split(":")[0]
    return place if place in MODELS else "an array"


# Snapshots, checkpoints, weights ------------------------------------------------------------------


def snapshot(folder, sparse):
    """Return a case of a step that gave infinity, with its batch."""
    folder.mkdir()
    path = folder / "nan.safetensors"
    model = nl.Sequential([layers.Dense(3), layers.Dropout(0.2), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    x = X.copy()
    x[3, 0] = 1e25
    if sparse:
        from scipy.sparse import csr_matrix

        x = csr_matrix(x)
    stop = callbacks.TerminateOnNaN(raise_error=True, snapshot=path)
    data = {"x": x, "y": Y, "sample_weight": WEIGHTS, "batch_size": 8, "epochs": 2}
    with contextlib.suppress(NonFiniteError), np.errstate(all="ignore"):
        model.fit(**data, callbacks=[stop], verbose=0)

    def use(path):
        try:
            str(nl.replay_snapshot(path))
        except FileError as error:
            return place_in(error)
        return "loaded"

    return Case(path.read_bytes(), path, use)


def checkpoint(folder, weights_only):
    """Return a case of the best model of a run, with which the next run goes on."""
    folder.mkdir()
    path = folder / "best.safetensors"

    def script():
        model = nl.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
        model.compile("adam", "mse")
        best = callbacks.ModelCheckpoint(
            path, "loss", save_best_only=True, save_weights_only=weights_only
        )
        return model, best

    model, best = script()
    model.fit(X, Y, epochs=1, callbacks=[best], verbose=0)
    data = path.read_bytes()

    def use(path):
        model, best = script()
        model.build((None, 3))
        before, found = state_of(model), "loaded"
        for arguments in ({}, {"strict": True}, {"skip_mismatch": True}):
            try:
                model.load_weights(path, **arguments)
            except FileError as error:
                assert state_of(model) == before, "half of the weights were loaded"
                found = place_in(error)
        changed = path.read_bytes()
        with contextlib.suppress(NonFiniteError):  # of weights that have been changed
            model.fit(X, Y, epochs=2, initial_epoch=1, callbacks=[best], verbose=0)
        path.write_bytes(changed)
        return found

    return Case(data, path, use)


def cases(folder):
    """Return a case of each kind by its name."""
    folder = Path(folder)
    with mock.patch("os.fsync"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "backup within an epoch": backup(folder / "a", rows_script, 6),
            "backup after an epoch": backup(folder / "b", stream_script, 7),
            "backup with a previous one": backup(folder / "c", rows_script, 6, previous=True),
            "snapshot": snapshot(folder / "d", sparse=False),
            "snapshot, sparse": snapshot(folder / "e", sparse=True),
            "checkpoint": checkpoint(folder / "f", weights_only=False),
            "checkpoint of weights": checkpoint(folder / "g", weights_only=True),
        }
