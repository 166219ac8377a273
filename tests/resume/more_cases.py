"""More cases for ``training.py``: settings, logs, data and objects of a user's own.

Each returns the model, the arguments of ``fit`` (a list for several calls), the callbacks, and the
arguments of ``BackupAndRestore``.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers, optimizers

sys.path.append(str(Path(__file__).parents[2]))  # in a process of its own

from tests.user_layers import Embed, Gate, Leaky

STEPS = 15  # of 20 rows in an epoch of 300


def model_of(*parts, rule="adam", loss="crossentropy", dtype=None, **compiled):
    model = nl.Sequential([*parts, layers.Dense(1, activation="sigmoid")], seed=4, dtype=dtype)
    model.compile(rule, loss, **compiled)
    return model


def arrays(x, y, **more):
    return {"x": x, "y": y, "batch_size": 20, "epochs": 10, **more}


# Sources of data --------------------------------------------------------------------------------


class Draws:
    """An iterator without end over random batches, which says where it stands."""

    def __init__(self, x, y, seed):
        self.x, self.y, self.rng = x, y, np.random.default_rng(seed)

    def __iter__(self):
        return self

    def __next__(self):
        rows = self.rng.integers(0, len(self.x), 16)
        return self.x[rows], self.y[rows]

    def get_state(self):
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, state):
        self.rng.bit_generator.state = state["rng"]


class Chunks:
    """A pass over some batches, which can be continued in the middle."""

    def __init__(self, x, y, count):
        self.x, self.y, self.count, self.given = x, y, count, 0

    def __iter__(self):
        while self.given < self.count:
            self.given += 1
            start = self.given * 17 % (len(self.x) - 16)
            yield self.x[start : start + 16], self.y[start : start + 16]
        self.given = 0

    def get_state(self):
        return self.given

    def set_state(self, state):
        self.given = state


# Settings and validation ------------------------------------------------------------------------


class Changes(callbacks.Callback):
    """Changes a setting in each epoch, as a user's script does; it keeps nothing itself."""

    def on_epoch_begin(self, epoch, logs=None):
        parts, rule = self.model.layers, self.model.optimizer
        if epoch == 1:
            parts[0].trainable = True
        elif epoch == 2:
            rule.momentum = 0.5
        elif epoch == 3:
            parts[1].stddev = 0.3
        elif epoch == 4:
            parts[2].layers[0].learning_rate_multiplier = 0.2
        elif epoch == 5:
            rule.global_clipnorm = 0.05
        elif epoch == 6:
            rule.weight_decay = 0.02
        elif epoch == 7:
            parts[0].trainable = False
            self.model.loss.delta = 0.2


def settings(x, y, folder):
    """A callback unfreezes a layer and changes momentum, noise, rates, clipping, decay and loss."""
    parts = [layers.Dense(8, activation="tanh", trainable=False), layers.GaussianNoise(0.1, seed=8)]
    rule = optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0, weight_decay=0.001)
    residual = layers.Residual([layers.Dense(8, activation="relu")])
    model = model_of(*parts, residual, rule=rule, loss=nl.losses.Huber())
    return model, arrays(x, y), [Changes()], {"save_freq": 2}


def validation(x, y, folder):
    """Validation by an iterator without end; early stopping and a plateau on its results."""
    model = model_of(layers.Dense(8, activation="gelu"), layers.Dropout(0.3), metrics=["auc"])
    data = arrays(x, y, epochs=14, validation_data=Draws(x, y, 5), validation_steps=3)
    stop = callbacks.EarlyStopping(patience=6, restore_best_weights=True)
    return model, data, [stop, callbacks.ReduceLROnPlateau(patience=1)], {"save_freq": 4}


def passes(x, y, folder):
    """Training and validation by passes that can be continued, both read ahead."""
    model = model_of(layers.Dense(8, activation="swish"), layers.BatchNormalization())
    data = {"x": Chunks(x, y, 14), "validation_data": Chunks(x, y, 5), "epochs": 11}
    return model, {**data, "validation_freq": 2, "read_ahead": 3}, [], {"save_freq": 3}


# Files of callbacks -----------------------------------------------------------------------------


def board(x, y, folder):
    """TensorBoard after each batch with histograms, a table, and a table of gradients."""
    model = model_of(layers.Dense(8, activation="elu"), layers.BatchNormalization())
    logs = [
        callbacks.TensorBoard(folder / "board", histogram_freq=2, update_freq="batch"),
        callbacks.CSVLogger(folder / "table.csv"),
        callbacks.GradientMonitor(every=4, csv=folder / "norms.csv"),
    ]
    return model, arrays(x, y, epochs=6, validation_split=0.2), logs, {"save_freq": 1}


def tables(x, y, folder):
    """A table that goes on behind the lines of another run, and TensorBoard after each epoch."""
    model = model_of(layers.Dense(8, activation="selu"), layers.AlphaDropout(0.1))
    table = folder / "table.csv"
    if not table.exists():
        table.write_text("epoch,loss,val_loss\n0,0.9,1.0\n1,0.8,0.9\n")
    logs = [callbacks.CSVLogger(table, append=True), callbacks.TensorBoard(folder / "board")]
    return model, arrays(x, y, validation_split=0.1), logs, {"save_freq": 1}


def best(x, y, folder):
    """The best weights in a file, epochs of one batch, and each third epoch in a file."""
    model = model_of(layers.Dense(8, activation="tanh"), layers.LayerNormalization())
    (folder / "files").mkdir(exist_ok=True)
    kept = [
        callbacks.ModelCheckpoint(
            folder / "files/best.safetensors", "loss", save_best_only=True, save_weights_only=True
        ),
        callbacks.ModelCheckpoint(folder / "files/{epoch:03d}.safetensors", keep_last=3),
        callbacks.EarlyStopping("loss", patience=50, restore_best_weights=True),
    ]
    return model, arrays(x, y, batch_size=300, epochs=50), kept, {"save_freq": "epoch"}


# Losses, weights and data -----------------------------------------------------------------------


def outputs(x, y, folder):
    """Two outputs with unknown targets, a weight for each, metrics of each part."""
    split = nl.losses.SplitLoss(
        [nl.losses.MeanSquaredError(mask_nan=True, name="height"), nl.losses.Huber(name="width")],
        sizes=[1, 2],
        weights=[1.0, 0.3],
    )
    parts = [layers.Dense(8, activation="relu"), layers.Dropout(0.2), layers.Dense(3)]
    model = nl.Sequential(parts, seed=1)
    model.compile(optimizers.Nadam(0.01), split, metrics={"width": ["mae"]})
    targets = np.concatenate([x[:, :1] ** 2, x[:, 1:3] + y], axis=1)
    targets[::3, 0] = np.nan
    weights = np.linspace(0.1, 2, len(x))
    return model, arrays(x, targets, sample_weight=weights), [], {"save_freq": 2}


def weights(x, y, folder):
    """Weights of samples and classes, weighted metrics, no incomplete batch, a stratified split."""
    metrics = {"metrics": ["accuracy"], "weighted_metrics": ["auc", "mse"]}
    model = model_of(layers.Dense(8, activation="mish"), rule=optimizers.RAdam(0.01), **metrics)
    more = {"class_weight": {0: 1.0, 1: 2.5}, "sample_weight": np.linspace(0.5, 2, len(x))}
    data = arrays(x, y[:, 0].astype(int), drop_last=True, validation_split=0.25, stratify=True)
    return model, {**data, **more, "batch_size": 16}, [], {"save_freq": 5}


def sparse(x, y, folder):
    """A sparse matrix in batches, with the learning rate of each batch count."""
    from scipy.sparse import csr_matrix

    model = model_of(layers.Dense(8, activation="softplus"), rule=optimizers.Adagrad(0.1))
    x = csr_matrix(np.where(np.abs(x) > 0.7, x, 0))
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.95)
    return model, arrays(x, y, steps_per_epoch=9), [halve], {"seconds": 0.03}


def two_inputs(x, y, folder):
    """Two inputs by position, from a memory map, into a gate."""
    path = folder / "x.npy"
    if not path.exists():
        np.save(path, x)
    rows = np.load(path, mmap_mode="r")
    model = model_of(Gate(), layers.Dense(6, activation="tanh"), rule=optimizers.Lion(0.003))
    return model, arrays([rows, rows[:, ::-1]], y), [], {"save_freq": 3}


def generator(x, y, folder):
    """A function that returns a generator, read ahead: skipped up to the backup, with a warning."""
    warnings.filterwarnings("ignore", ".*with other bits.*", UserWarning)

    def batches():
        order = np.random.default_rng(2).permutation(len(x))
        for start in range(0, len(x), 20):
            rows = order[start : start + 20]
            yield x[rows], y[rows], np.linspace(1, 2, len(rows))

    model = model_of(layers.Dense(8, activation="relu"), layers.Dropout(0.2))
    return model, {"x": batches, "epochs": 10, "read_ahead": 4}, [], {"save_freq": 2}


def skipped(x, y, folder):
    """Batches whose gradients are infinite are skipped and counted."""
    rule = optimizers.Adamax(0.01, on_nonfinite="skip")
    model = model_of(layers.Dense(8, activation="relu"), rule=rule, loss="mse")
    x = x.copy()
    x[::50] = 1e37
    return model, arrays(x, y), [callbacks.LambdaCallback()], {"save_freq": 2}


def words(x, y, folder):
    """An embedding whose gradients are rows, in float64, with accumulation."""
    indices = np.clip(np.abs(x[:, :4]) * 5, 0, 9).astype(int)
    rule = optimizers.Adam(0.02, gradient_accumulation_steps=3, use_ema=True)
    model = model_of(Embed(10, 3), layers.Flatten(), rule=rule, dtype="float64")
    return model, arrays(indices, y), [], {"save_freq": 2}


def blocks(x, y, folder):
    """Nested blocks with all kinds of normalization, penalties and constraints."""
    norms = [layers.GroupNormalization(groups=2), layers.RMSNormalization()]
    model = model_of(
        layers.Dense(8, activation="relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
        layers.Parallel([[layers.Dense(4), layers.PReLU()], layers.Dense(4)], merge="concat"),
        layers.Residual([layers.Dense(8), *norms, layers.ActivityRegularization(l2=0.01)]),
        rule=optimizers.Adadelta(1.0, clipnorm=0.5),
    )
    return model, arrays(x, y, epochs=8), [], {"save_freq": 2, "double_checkpoint": True}


# Several calls, evaluation, objects of a user's own -------------------------------------------


def several(x, y, folder):
    """Three calls of fit with one optimizer; the second goes on with the epochs of the first."""
    model = model_of(layers.Dense(8, activation="relu"), layers.Dropout(0.3), metrics=["mae"])
    calls = [
        arrays(x, y, epochs=3),
        arrays(x[:100], y[:100], epochs=7, initial_epoch=3, shuffle=False),
        arrays(x, y, epochs=2, batch_size=50),
    ]
    return model, calls, [], {"save_freq": 2}


class Exact(callbacks.Callback):
    """Keeps what an exact evaluation within the run gives."""

    def on_train_begin(self, logs=None):
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        x, y = self.data
        self.found.append(self.model.evaluate(x, y, exact=True, verbose=0, batch_size=31))

    def get_state(self):
        return {"found": self.found}

    def set_state(self, state):
        self.found = state["found"]


def exact(x, y, folder):
    """A callback evaluates exactly after each epoch, and keeps the results."""
    model = model_of(layers.Dense(8, activation="relu"), layers.BatchNormalization())
    watch = Exact()
    watch.data = x[:70], y[:70]
    model.compile("adam", "mse", metrics=["mae", "auc"])
    return model, arrays(x, y, validation_split=0.2), [watch], {"save_freq": 4}


class Shrinking(callbacks.Callback):
    """A user's callback with a generator of its own and numbers that it collects."""

    def on_train_begin(self, logs=None):
        self.rng, self.seen = np.random.default_rng(6), []

    def on_train_batch_end(self, batch, logs=None):
        if self.rng.random() < 0.2:
            self.seen.append(float(logs["loss"]))
            self.model.layers[0].kernel[...] *= 0.99

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "seen": self.seen}

    def set_state(self, state):
        self.rng.bit_generator.state, self.seen = state["rng"], state["seen"]


def own_callback(x, y, folder):
    """A user's callback with random numbers, and a layer that remembers from batch to batch."""
    model = model_of(layers.Dense(4, activation="tanh"), Leaky(), rule=optimizers.Lamb(0.01))
    return model, arrays(x[:280], y[:280], shuffle=False), [Shrinking()], {"save_freq": 2}


MORE = (
    *(settings, validation, passes, board, tables, best, outputs, weights, sparse, two_inputs),
    *(generator, skipped, words, blocks, several, exact, own_callback),
)
