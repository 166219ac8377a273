"""A backup whose checksums are right and whose state is not: an error, and nothing is changed."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, layers
from netlayers.core.calls import generators_of
from netlayers.saving import StoredFile, write_file

X = np.random.default_rng(1).normal(size=(24, 3))
Y = (X[:, :1] > 0).astype(float)


class Cut(Exception):
    pass


def script(folder, cut=None):
    """Return a model and how to fit it; its epochs have three batches."""
    model = nl.Sequential(
        [
            layers.Dense(3),
            layers.BatchNormalization(),
            layers.Dropout(0.2, seed=3),
            layers.Dense(1),
        ],
        seed=0,
    )
    rule = nl.optimizers.Adam(0.05, use_ema=True)
    model.compile(rule, "mse", metrics=["mae"])
    seen = []

    def count(*_):
        seen.append(1)
        if len(seen) == cut:
            raise Cut

    class Count(callbacks.LambdaCallback):
        pass

    chosen = [
        callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1),
        Count(on_train_batch_begin=count),
        callbacks.BackupAndRestore(folder, save_freq=1),
    ]

    def fit():
        model.fit(X, Y, batch_size=8, epochs=4, validation_data=(X, Y), callbacks=chosen, verbose=0)

    return model, fit


def script_values(folder):
    """Return the weights with which the script begins."""
    model, _ = script(folder)
    model.build((None, 3))
    return model.parameters.values.tobytes()


def state_of(model):
    """Return all that must not change, as plain data."""
    optimizer, streams = model.optimizer, model._streams
    generators = streams._generators | generators_of(model)
    return copy.deepcopy(
        {
            "values": model.parameters.values.tobytes(),
            "statistics": model.parameters.statistics.tobytes(),
            "optimizer": {k: v for k, v in vars(optimizer).items() if type(v) in (int, float)},
            "vectors": {name: vector.tobytes() for name, vector in optimizer.state.items()},
            "entropy": streams.entropy,
            "generators": {name: g.bit_generator.state for name, g in generators.items()},
        }
    )


def places(value, path=()):
    """Yield the path of everything in plain data, from the outside to the inside."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def stored(path):
    """Return the description and the arrays of a file."""
    with StoredFile(path) as file:
        return file.description, {name: file.read(name) for name in file.entries}


def damaged(value, path, new):
    """Return a copy with something else in a place; without the place if that is ``None``."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


@pytest.mark.parametrize("cut", [6, 7])  # within an epoch, and where one has ended
@pytest.mark.parametrize("new", [None, "text", {"other": 1}, -1])
def test_damaged_at_every_key(tmp_path, monkeypatch, cut, new):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # a loss of power is not tested
    model, fit = script(tmp_path, cut)
    with pytest.raises(Cut):
        fit()
    path = tmp_path / "backup.safetensors"
    description, arrays = stored(path)
    restore = callbacks.BackupAndRestore.restore
    refused = []

    def noted(self, run):
        before = state_of(run.model)
        try:
            restore(self, run)
        except nl.errors.FileError as error:
            refused.append((place, error.__notes__[0]))
            assert state_of(run.model) == before, place
            raise
        raise Cut  # it was of the right kind: this is no damage that could be seen here

    monkeypatch.setattr(callbacks.BackupAndRestore, "restore", noted)
    every = list(places(description["extra"]["state"]))
    assert len(every) > 40
    for place in every:
        extra = damaged(description["extra"]["state"], place, new)
        whole = description | {"extra": description["extra"] | {"state": extra}}
        write_file(str(path), arrays, whole)
        model, fit = script(tmp_path)
        model.build((None, 3))
        seen = len(refused)
        try:
            fit()
        except nl.errors.FileError:
            # Nor does EarlyStopping put back the best weights of the run that it is not.
            assert model.parameters.values.tobytes() == script_values(tmp_path), place
        except Exception:
            assert len(refused) == seen, place  # of a callback, at the end of a run that went on
    assert len({place for place, _ in refused}) > 10
    assert all("Delete the folder" in note for _, note in refused)


@pytest.mark.parametrize(
    ("cut", "new"),
    [
        (7, "text"),
        *(
            pytest.param(cut, new, marks=pytest.mark.slow)
            for cut in (6, 7)
            for new in (None, "text", {"other": 1}, -1, 10**15, [], True)
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*so nothing was trained:UserWarning")
def test_nothing_but_a_file_error_follows(tmp_path, monkeypatch, cut, new):
    """Not one of a callback some epochs later, either; and no run for ever."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    _, fit = script(tmp_path, cut)
    with pytest.raises(Cut):
        fit()
    path = tmp_path / "backup.safetensors"
    description, arrays = stored(path)
    kept = ("place", "state")
    refused = 0
    for place in places({name: description["extra"][name] for name in kept}):
        write_file(
            str(path), arrays, description | {"extra": damaged(description["extra"], place, new)}
        )
        _, fit = script(tmp_path)
        try:
            fit()
        except nl.errors.FileError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epoch", -5, "place: epoch: expected an integer from 0"),
        ("epoch", 1.5, "place: epoch: expected an integer, got 1.5"),
        ("epoch", None, "place: epoch: expected an integer, got nothing"),
        ("batch", None, "place: batch: expected an integer, got nothing"),
        ("batch", 10**15, "place: batch: expected at most 3, got 10"),
    ],
)
def test_a_place_that_is_none(tmp_path, key, value, message):
    model, fit = script(tmp_path, 6)
    with pytest.raises(Cut):
        fit()
    path = tmp_path / "backup.safetensors"
    description, arrays = stored(path)
    extra = damaged(description["extra"], ("place", key), value)
    write_file(str(path), arrays, description | {"extra": extra})
    model, fit = script(tmp_path)
    with pytest.raises(nl.errors.FileError, match=message):
        fit()
    assert model.optimizer.iterations == 0


def test_damaged_beside_the_state(tmp_path):
    _, fit = script(tmp_path, 6)
    with pytest.raises(Cut):
        fit()
    path = tmp_path / "backup.safetensors"
    description, arrays = stored(path)
    refused = {}
    for key in description.keys() - {"checksums", "format_version"}:
        write_file(str(path), arrays, description | {key: 3})
        _, fit = script(tmp_path)
        try:
            fit()
        except (nl.errors.FileError, nl.errors.ConfigurationError) as error:
            refused[key] = len(str(error))
    assert max(refused.values()) < 1000
    assert refused.keys() >= {
        "numpy",
        "compile",
        "optimizer",
        "random",
        "weights",
        "model",
        "extra",
    }


def test_a_count_of_batches_beyond_the_data(tmp_path):
    """A source of batches that ends is not read for ever."""

    def fit(cut):
        def batches():
            for start in range(0, 24, 8):
                yield X[start : start + 8], Y[start : start + 8]

        model = nl.Sequential([layers.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        left = [cut]

        class Count(callbacks.LambdaCallback):
            pass

        def count(*_):
            left[0] -= 1
            if not left[0]:
                raise Cut

        backup = callbacks.BackupAndRestore(tmp_path, save_freq=1)
        chosen = [Count(on_train_batch_begin=count), backup]
        with pytest.warns(UserWarning, match="it may end with other bits"):
            model.fit(batches, epochs=2, callbacks=chosen, verbose=0)

    with pytest.raises(Cut):
        fit(3)
    path = tmp_path / "backup.safetensors"
    description, arrays = stored(path)
    extra = damaged(description["extra"], ("state", "data", "count"), 10**15)
    write_file(str(path), arrays, description | {"extra": extra})
    fit(0)
