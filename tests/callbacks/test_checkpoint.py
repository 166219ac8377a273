"""ModelCheckpoint: templates, the best only, the last ones, weights only."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.callbacks import ModelCheckpoint
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X.sum(axis=1)


def make(seed=0):
    model = nl.Sequential([nl.layers.Dense(3, activation="tanh"), nl.layers.Dense(1)], seed=seed)
    model.compile(nl.optimizers.SGD(0.05), "mse")
    return model


class Results(nl.callbacks.Callback):
    """Makes the results of the epochs up."""

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


class Keep(nl.callbacks.Callback):
    """Remembers the weights after each epoch."""

    def __init__(self):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.parameters.values.copy())


def values_of(path):
    return nl.load_model(path).parameters.values


def fit(folder, *values, name="{epoch:02d}-{val_loss:.2f}.safetensors", **options):
    """Train for as many epochs as there are results; return the model, files and weights."""
    model, keep = make(), Keep()
    checkpoint = ModelCheckpoint(folder / name, **options)
    chosen = [Results(*values), keep, checkpoint]
    model.fit(X, Y, batch_size=5, epochs=len(values), callbacks=chosen, verbose=0)
    return model, sorted(os.listdir(folder)), keep.weights


def test_each_epoch_by_a_template(tmp_path):
    _, files, weights = fit(tmp_path, 0.5, 0.75, 0.25)
    assert files == ["01-0.50.safetensors", "02-0.75.safetensors", "03-0.25.safetensors"]
    for name, expected in zip(files, weights, strict=True):
        np.testing.assert_array_equal(values_of(tmp_path / name), expected)


def test_folders_are_made(tmp_path):
    fit(tmp_path, 1.0, name="some/{epoch}/model.safetensors")
    assert (tmp_path / "some" / "1" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("values", "mode", "best"),
    [
        ((0.5, 0.75, 0.25, 0.3), "auto", [1, 3]),
        ((0.5, 0.75, 0.25, 0.8), "max", [1, 2, 4]),
        ((math.nan, 0.75, math.nan, 0.5), "min", [2, 4]),
        ((math.inf, -math.inf, 3.0, 2.0), "min", [3, 4]),
        ((math.nan, math.nan), "min", []),
    ],
)
def test_best_only(tmp_path, values, mode, best):
    """A value that is not finite is never the best, also not the first."""
    name = "{epoch}.safetensors"
    _, files, _ = fit(tmp_path, *values, name=name, save_best_only=True, mode=mode)
    assert files == [f"{epoch}.safetensors" for epoch in best]


def test_threshold(tmp_path):
    options = {"save_best_only": True, "initial_value_threshold": 0.4}
    _, files, _ = fit(tmp_path, 0.5, 0.45, 0.3, 0.2, name="{epoch}.safetensors", **options)
    assert files == ["3.safetensors", "4.safetensors"]


@pytest.mark.parametrize(("best", "expected"), [(False, ["3", "4"]), (True, ["1", "3"])])
def test_keep_last(tmp_path, best, expected):
    options = {"keep_last": 2, "save_best_only": best}
    (tmp_path / "0.safetensors").write_bytes(b"not of this run")
    values = (0.5, 0.9, 0.25, 0.3)
    _, files, _ = fit(tmp_path, *values, name="{epoch}.safetensors", **options)
    assert files == ["0.safetensors", *(f"{n}.safetensors" for n in expected)]


def test_keep_last_of_one_name(tmp_path):
    _, files, weights = fit(tmp_path, 0.5, 0.4, 0.3, name="model.safetensors", keep_last=1)
    assert files == ["model.safetensors"]
    np.testing.assert_array_equal(values_of(tmp_path / files[0]), weights[-1])


def test_weights_only(tmp_path):
    model, files, _ = fit(tmp_path, 0.5, name="w.safetensors", save_weights_only=True)
    other = make(seed=1)
    other.build((None, 2))
    other.load_weights(tmp_path / files[0])
    np.testing.assert_array_equal(other.parameters.values, model.parameters.values)
    with pytest.raises(nl.errors.FileError):
        nl.load_model(tmp_path / files[0])


def test_after_so_many_batches(tmp_path):
    """Counted across the epochs, as in Keras: 4 batches an epoch, a file after every 3."""
    _, files, _ = fit(tmp_path, 1, 1, 1, name="{epoch}-{batch}-{loss:.0f}.safetensors", save_freq=3)
    assert [name[:3] for name in files] == ["1-3", "2-2", "3-1", "3-4"]


def test_batch_hook_only_where_it_is_needed():
    model = make()
    model.build((None, 2))
    for freq, expected in [("epoch", False), (2, True)]:
        callback = ModelCheckpoint("a.safetensors", save_freq=freq)
        events = nl.callbacks.CallbackList([callback], model=model)
        assert events.has("on_train_batch_end") is expected


def test_weights_that_are_not_finite(tmp_path):
    class Spoil(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.parameters.values[3] = np.nan
                self.model.stop_training = True

    path, model = tmp_path / "model.safetensors", make()
    with pytest.warns(UserWarning, match="epoch 2: weights are NaN"):
        model.fit(X, Y, epochs=3, callbacks=[Spoil(), ModelCheckpoint(path)], verbose=0)
    assert np.isfinite(values_of(path)).all()


def test_verbose(tmp_path, capsys):
    fit(tmp_path, 0.5, 0.25, name="m.safetensors", save_best_only=True, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    path = tmp_path / "m.safetensors"
    assert lines == [
        f"Epoch 1: val_loss improved to 0.5: saved as {path}",
        f"Epoch 2: val_loss improved from 0.5 to 0.25: saved as {path}",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "model.keras"}, "must end in '.safetensors'"),
        ({"filepath": "{epoch.safetensors"}, "is not a valid template"),
        ({"filepath": "{}.safetensors"}, "is not a name"),
        ({"filepath": "{epoch[0]}.safetensors"}, "is not a name"),
        ({"filepath": "{model.optimizer}.safetensors"}, "is not a name"),
        ({"filepath": "{epoch:.2q}.safetensors"}, "cannot be formatted"),
        ({"filepath": "{loss:d}.safetensors"}, "cannot be formatted"),
        ({"filepath": "{batch}.safetensors"}, "needs save_freq"),
        ({"save_freq": "batch"}, "save_freq"),
        ({"save_freq": 2, "save_best_only": True}, "'val_loss' is known only after an epoch"),
        (
            {"save_freq": 2, "filepath": "{val_auc}.safetensors"},
            "'val_auc' is known only after an epoch",
        ),
        ({"save_freq": 0}, "save_freq"),
        ({"keep_last": 0}, "keep_last"),
        ({"initial_value_threshold": "low"}, "initial_value_threshold"),
        ({"initial_value_threshold": 1.0}, "no effect without save_best_only=True"),
        ({"save_best_only": 1}, "save_best_only"),
        ({"mode": "best"}, "mode"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        ModelCheckpoint(**{"filepath": "m.safetensors", **arguments})


def test_names_that_are_not_in_the_logs(tmp_path):
    """What a callback of the user adds is known only at the end of the first epoch."""
    with pytest.raises(ConfigurationError, match="names auc, but there are only loss, val_loss, e"):
        fit(tmp_path, 0.5, name="{auc}.safetensors")


@pytest.mark.parametrize("best", [False, True])
def test_names_of_the_validation_where_not_all_epochs_have_one(tmp_path, best):
    path = tmp_path / "{epoch}-{val_loss:.1f}.safetensors"
    checkpoint = ModelCheckpoint(path, save_best_only=best)
    options = {"epochs": 5, "validation_data": (X, Y), "validation_freq": 2, "verbose": 0}
    make().fit(X, Y, callbacks=[checkpoint], **options)
    assert [file.name[:2] for file in sorted(tmp_path.iterdir())] == ["2-", "4-"]
    checkpoint = ModelCheckpoint(tmp_path / "{val_los}.safetensors")
    with pytest.raises(ConfigurationError, match="'val_los' in filepath is not among the results"):
        make().fit(X, Y, callbacks=[checkpoint], **options)


def test_a_validation_that_runs_out_does_not_end_the_run(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.1f}.safetensors")
    source = iter([(X, Y)] * 2)
    with pytest.warns(UserWarning, match="validation_data: the data ran out before epoch 3"):
        history = make().fit(
            X,
            Y,
            epochs=4,
            validation_data=source,
            validation_steps=1,
            callbacks=[checkpoint],
            verbose=0,
        )
    assert history.epoch == [0, 1, 2, 3]
    assert [file.name[:2] for file in sorted(tmp_path.iterdir())] == ["1-", "2-"]


def test_best_without_the_monitored_number(tmp_path):
    model = make()
    checkpoint = ModelCheckpoint(tmp_path / "m.safetensors", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss' is not among .* is saved all the same"):
        model.fit(X, Y, epochs=2, callbacks=[checkpoint], verbose=0)
    assert (tmp_path / "m.safetensors").exists()
    assert checkpoint.best is None


# Subclasses, and runs that are cut ----------------------------------------------------------------


class Model(nl.Sequential):
    """Writes a note beside each file."""

    def save(self, filepath, overwrite=True, *, allow_nonfinite=False):
        super().save(filepath, overwrite, allow_nonfinite=allow_nonfinite)
        Path(f"{filepath}.txt").write_text("whole")

    def save_weights(self, filepath, overwrite=True, *, allow_nonfinite=False):
        super().save_weights(filepath, overwrite, allow_nonfinite=allow_nonfinite)
        Path(f"{filepath}.txt").write_text("weights")


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("best", [False, True])
def test_the_methods_of_the_model_are_called(tmp_path, weights, best):
    path = tmp_path / "m.safetensors"
    model = Model([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    keep = callbacks.ModelCheckpoint(
        path, "loss", save_weights_only=weights, save_best_only=best, save_freq=1
    )
    x = np.ones((4, 2))
    model.fit(x, x[:, 0], callbacks=[keep], verbose=0)
    assert Path(f"{path}.txt").read_text() == ("weights" if weights else "whole")
    with nl.saving.StoredFile(path) as file:
        assert file.description["extra"] == ({"loss": keep.best} if best else None)


def single(folder, cut=False):
    layers = [nl.layers.Dense(3), nl.layers.BatchNormalization(), nl.layers.Dropout(0.5)]
    model = nl.Sequential([*layers, nl.layers.Dense(1)], seed=0)
    model.compile(nl.optimizers.Adam(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(8, 2))
    file = folder / "m.safetensors"
    keep = callbacks.ModelCheckpoint(file, "loss", save_best_only=True)

    class Cut(callbacks.Callback):
        def on_test_begin(self, logs=None):
            if cut and len(self.model.history.epoch) == 2:
                raise RuntimeError("cut")

    chosen = [keep, Cut(), callbacks.BackupAndRestore(folder / "b", save_freq=1)]
    data = {"validation_data": (x, x[:, 0]), "batch_size": 8, "verbose": 0}
    model.fit(x, x[:, 0], epochs=3, callbacks=chosen, **data)
    return file.read_bytes()


def test_a_run_cut_between_the_only_batch_and_the_end_of_its_epoch(tmp_path):
    """The file has the model before the update, in a process that never saw it, too."""
    whole = single(tmp_path / "a")
    with pytest.raises(RuntimeError, match="cut"):
        single(tmp_path / "b", cut=True)
    assert single(tmp_path / "b") == whole
