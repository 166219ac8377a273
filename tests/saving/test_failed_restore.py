"""A restore that fails, at whatever point, leaves everything as it was, random streams too."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import BackupAndRestore, Callback
from netlayers.errors import FileError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 1))


def make(seed=0):
    """Weights, statistics, random streams of a model and of a layer, state of an optimizer."""
    layers = [
        nl.layers.Dense(6, "relu"),
        nl.layers.BatchNormalization(),
        nl.layers.Dropout(0.3),
        nl.layers.GaussianNoise(0.1, seed=5),
        nl.layers.Dense(1),
    ]
    model = nl.Sequential(layers, seed=seed)
    optimizer = nl.optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "mse", metrics=["mae"])
    model.build((None, 3))
    return model


def everything(model, path):
    """All that a file of the model holds, and what no file holds."""
    model.save(path)
    streams = {n: str(g.bit_generator.state) for n, g in model._streams._generators.items()}
    own = str(model.layers[3].rng.bit_generator.state)
    rate = float(model.optimizer.learning_rate)
    return path.read_bytes(), streams, own, rate, model.optimizer.iterations


class Mine(Callback):
    """Remembers a number; refuses to go on after it if asked to."""

    def __init__(self, error=None):
        self.error, self.count = error, 0

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]
        if self.error:
            raise self.error


@pytest.fixture
def folder(tmp_path):
    backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    make().fit(X, Y, batch_size=8, epochs=2, callbacks=[Mine(), backup], verbose=0)
    return tmp_path


def test_a_backup_that_a_callback_refuses(folder):
    model = make()
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    before = everything(model, folder / "a")
    assert "shuffle" in before[1]
    bad = Mine(ValueError("no"))
    backup = BackupAndRestore(folder / "backup", delete_checkpoint=False)
    with pytest.raises(FileError, match="ValueError: no"):
        model.fit(X, Y, batch_size=8, epochs=4, callbacks=[bad, backup], verbose=0)
    assert bad.count == 0
    assert everything(model, folder / "b") == before


def test_a_run_goes_on_after_a_failed_restore_as_if_it_had_not_been(folder):
    expected, model = make(), make()
    backup = BackupAndRestore(folder / "backup", delete_checkpoint=False)
    with pytest.raises(FileError):
        model.fit(X, Y, batch_size=8, epochs=4, callbacks=[Mine(KeyError("x")), backup], verbose=0)
    for one in (expected, model):
        one.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert everything(model, folder / "a") == everything(expected, folder / "b")


def test_a_file_that_is_damaged_in_its_last_array(folder):
    source, model = make(), make()
    source.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    source.save(folder / "whole")
    data = bytearray((folder / "whole").read_bytes())
    data[-3] ^= 1
    (folder / "damaged").write_bytes(data)
    before = everything(model, folder / "a")
    with pytest.raises(FileError):
        nl.saving.restore(folder / "damaged", model)
    with pytest.raises(FileError):
        model.load_weights(folder / "damaged")
    assert everything(model, folder / "a") == before
    nl.saving.restore(folder / "whole", model)
    assert everything(model, folder / "a") == everything(source, folder / "b") != before


def test_weights_of_which_one_does_not_fit(folder):
    other = nl.Sequential(
        [
            nl.layers.Dense(6, "relu"),
            nl.layers.BatchNormalization(),
            nl.layers.Dropout(0.3),
            nl.layers.GaussianNoise(0.1, seed=5),
            nl.layers.Dense(2),
        ],
        seed=3,
    )
    other.build((None, 3))
    other.save_weights(folder / "weights")
    model = make()
    before = everything(model, folder / "a")
    with pytest.raises(FileError, match="dense_1"):
        model.load_weights(folder / "weights")
    assert everything(model, folder / "b") == before
    with pytest.warns(UserWarning, match="2 of 8 weights were left"):
        model.load_weights(folder / "weights", skip_mismatch=True)
    pairs = zip(model.parameters.all, other.parameters.all, strict=True)
    same = [np.array_equal(p.value, q.value) for p, q in pairs if p.shape == q.shape]
    assert same == [True] * 6
