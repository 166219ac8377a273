"""What a backup is checked for before a run resumes from it, and what it may hold."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, layers
from tests.resume.scripts import ROWS, Cut, Knife, X, Y, network, same, script


def fit(
    folder, units=3, rate=0.1, loss="mse", rows=ROWS, size=8, more=(), seed=0, x=X, y=Y, **arguments
):
    model = nl.Sequential([layers.Dense(units, name="first"), layers.Dense(1)], seed=seed)
    model.compile(nl.optimizers.SGD(rate), loss)
    keep = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    model.fit(x[:rows], y[:rows], batch_size=size, callbacks=[*more, keep], verbose=0, **arguments)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 4}, r"model: config: layers\[0\]: config: units: 3 there, 4 here"),
        ({"seed": 1}, r"model: config: seed: 0 there, 1 here"),
        ({"rate": 0.2}, r"compile: optimizer: config: learning_rate: 0.1 there, 0.2 here"),
        ({"loss": "mae"}, r"compile: loss: .*there"),
        ({"x": X + 1}, r"data: checksum: x: '\w{8}' there, '\w{8}' here"),
        ({"y": 1 - Y}, r"data: checksum: y: '\w{8}' there, '\w{8}' here"),
        ({"rows": 36}, r"data: rows: 37 there, 36 here"),
        ({"size": 9}, r"data: batch_size: 8 there, 9 here"),
        ({"shuffle": False}, r"data: shuffle: True there, False here"),
        ({"steps_per_epoch": 2}, r"data: steps: 5 there, 2 here"),
        ({"sample_weight": np.ones(ROWS)}, r"data: columns\[2\]: None there"),
        ({"validation_data": (X, Y)}, r"validation: None there"),
        ({"more": [callbacks.TerminateOnNaN()]}, r"callbacks: .*TerminateOnNaN.* here"),
    ],
)
def test_another_script_is_refused(tmp_path, change, message):
    fit(tmp_path)
    with pytest.raises(nl.errors.ConfigurationError, match=message) as raised:
        fit(tmp_path, **change)
    assert "delete the folder" in str(raised.value)
    assert fit(tmp_path).history.epoch == [0]  # it is still there


def test_other_kernels_are_refused(tmp_path, monkeypatch):
    """They round differently, so the bits would not be those of one run."""
    here = nl.kernels_in_use()
    fit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("netlayers.callbacks.backup.kernels_in_use", lambda: "others")
        with pytest.raises(
            nl.errors.ConfigurationError, match=rf"kernels: '{here}' there, 'others' here"
        ):
            fit(tmp_path, epochs=2)
    assert fit(tmp_path, epochs=2).history.epoch == [0, 1]


def test_backups_of_earlier_versions(tmp_path, monkeypatch):
    """They hold no checksums of the data, and no kernels, and go on."""
    described = nl.data.arrays.ArrayData.fingerprint
    testing = (X[:9], Y[:9])
    with monkeypatch.context() as patch:
        patch.setattr(
            "netlayers.data.arrays.ArrayData.fingerprint",
            lambda data: {k: v for k, v in described(data).items() if k != "checksum"},
        )
        whole = callbacks.BackupAndRestore._describe
        patch.setattr(
            callbacks.BackupAndRestore,
            "_describe",
            lambda keep, run: {k: v for k, v in whole(keep, run).items() if k != "kernels"},
        )
        fit(tmp_path, validation_data=testing)
    assert fit(tmp_path, validation_data=testing, epochs=2).history.epoch == [0, 1]
    with pytest.raises(nl.errors.ConfigurationError, match="validation: checksum: x"):
        fit(tmp_path, validation_data=(X[1:10], Y[:9]), epochs=3)


def test_fit_again_in_the_same_process(tmp_path):
    """After an error in a notebook: the rate that a callback changed is no other script."""
    model = network()
    model.compile(nl.optimizers.SGD(0.1), "mse")
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    keep = callbacks.BackupAndRestore(tmp_path / "b")
    arguments = {"x": X, "y": Y, "epochs": 3, "verbose": 0}
    with pytest.raises(Cut):
        model.fit(**arguments, callbacks=[halve, Knife(2, ["on_epoch_end"]), keep])
    model.fit(**arguments, callbacks=[halve, Knife(), keep])
    np.testing.assert_allclose(model.history.history["learning_rate"], [0.05, 0.025, 0.0125])


def test_damaged_backups(tmp_path):
    freq = {"save_freq": 1, "double_checkpoint": True}
    with pytest.raises(Cut):
        script(tmp_path / "b", (9,), freq=freq)
    last, before = tmp_path / "b" / "backup.safetensors", tmp_path / "b" / "previous.safetensors"
    whole, earlier = last.read_bytes(), before.read_bytes()
    last.write_bytes(whole[:-100])
    before.write_bytes(earlier[:-100])
    with pytest.raises(nl.errors.FileError) as raised:
        script(tmp_path / "b", freq=freq)
    assert "Delete the folder" in "".join(raised.value.__notes__)
    before.write_bytes(earlier)
    with pytest.warns(UserWarning, match="is resumed from the backup before"):
        again = script(tmp_path / "b", freq=freq)
    same(script(tmp_path), again)


def test_full_disk(tmp_path, monkeypatch):
    whole = script(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netlayers.callbacks.backup.save_model", full)
    with pytest.warns(UserWarning, match="No space left"):
        cut = script(tmp_path / "b", freq={"save_freq": 3})
    same(whole, cut)


def test_what_can_not_be_kept(tmp_path):
    class Mine(callbacks.Callback):
        def get_state(self):
            return {"of mine": [1, {2, 3}]}

    train = Knife(1, ["on_epoch_begin"])  # it is known before anything can be lost
    with pytest.raises(nl.errors.ConfigurationError, match=r"callbacks/1/of mine/1 is \{2, 3\}"):
        fit(tmp_path, more=[train, Mine()])


def test_what_can_not_be_kept_any_more(tmp_path):
    """A state that turns bad within the run costs its backup, not the run."""

    class Mine(callbacks.Callback):
        seen = None

        def on_epoch_end(self, epoch, logs=None):
            self.seen = {epoch} if epoch == 1 else None

        def get_state(self):
            return {"seen": self.seen}

    with pytest.warns(UserWarning, match=r"no backup was written after epoch 2.*seen is \{1\}"):
        model = fit(tmp_path, more=[Mine()], epochs=3)
    assert model.history.epoch == [0, 1, 2]


@pytest.mark.parametrize("freq", ["epoch", 7])  # 5 batches an epoch: the last backup is within one
def test_fewer_epochs_than_in_the_backup(tmp_path, freq):
    """Nothing is trained, and nothing is deleted."""

    def run(epochs, knife=0):
        chosen = [Knife(knife, ["on_epoch_end"]), callbacks.BackupAndRestore(tmp_path / "b", freq)]
        model = small()
        model.fit(X[:, :1], Y, batch_size=8, epochs=epochs, callbacks=chosen, verbose=0)
        return model

    with pytest.raises(Cut):
        run(9, 6)
    path = tmp_path / "b" / "backup.safetensors"
    before = path.read_bytes()
    with pytest.warns(UserWarning, match="nothing was trained. It is kept"):
        run(3)
    assert path.read_bytes() == before
    assert run(9).history.epoch == list(range(9))
    assert not path.parent.exists()


def test_arguments(tmp_path):
    for wrong in [
        {"backup_dir": ""},
        {"save_freq": 0},
        {"save_freq": "batch"},
        {"seconds": 0},
        {"seconds": 1, "save_freq": 2},
        {"delete_checkpoint": 1},
    ]:
        with pytest.raises(nl.errors.ConfigurationError):
            callbacks.BackupAndRestore(**{"backup_dir": tmp_path, **wrong})
    keep = callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(nl.errors.ConfigurationError, match="at most one BackupAndRestore, got two"):
        fit(tmp_path, more=[keep])
    model = network()
    model.compile("adam", "mse")
    with pytest.raises(nl.errors.ConfigurationError, match="BackupAndRestore is for fit"):
        model.fit_lbfgs(X, Y, callbacks=[keep])


def small(**options):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(nl.optimizers.SGD(0.01, **options), "mse")
    return model


SMALL = np.linspace(-1, 1, 16)[:, None]


def test_a_model_in_the_place_of_a_backup_is_refused(tmp_path):
    model = small()
    model.build((None, 1))
    model.save(tmp_path / "backup.safetensors")
    before = model.parameters.values.tobytes()
    backup = nl.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(nl.errors.FileError, match="holds a model alone"):
        model.fit(SMALL, SMALL, callbacks=backup, verbose=0)
    assert model.parameters.values.tobytes() == before


def test_a_time_budget_keeps_the_backup(tmp_path):
    def callbacks(seconds):
        budget = nl.callbacks.TimeBudget(seconds=seconds, verbose=0)
        return [budget, nl.callbacks.BackupAndRestore(tmp_path / "b")]

    small().fit(SMALL, SMALL, epochs=3, callbacks=callbacks(0), verbose=0)
    assert (tmp_path / "b" / "backup.safetensors").exists()
    history = small().fit(SMALL, SMALL, epochs=3, callbacks=callbacks(60), verbose=0)
    assert len(history.epoch) == 3
    assert not (tmp_path / "b").exists()


@pytest.mark.filterwarnings("ignore:fit. weights are not finite:UserWarning")
def test_weights_that_are_not_finite_do_not_replace_a_good_backup(tmp_path):
    class Spoil(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.parameters.values[...] = np.nan

    backup = nl.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.warns(UserWarning, match="no backup was written after epoch 2"):
        small(on_nonfinite="ignore").fit(
            SMALL, SMALL, epochs=2, callbacks=[Spoil(), backup], verbose=0
        )
    assert np.isfinite(nl.load_model(tmp_path / "backup.safetensors").parameters.values).all()


def test_a_backup_that_can_not_be_deleted_is_a_warning(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "refused")

    backup = nl.callbacks.BackupAndRestore(tmp_path)
    model = small()
    monkeypatch.setattr("netlayers.callbacks.backup.os.unlink", refuse)
    with pytest.warns(UserWarning, match="could not be deleted"):
        model.fit(SMALL, SMALL, callbacks=backup, verbose=0)


def test_a_backup_names_no_files_that_a_checkpoint_deletes(tmp_path):
    victim = tmp_path / "elsewhere" / "victim.safetensors"
    keep = nl.callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", keep_last=1)
    keep.on_train_begin()
    state = keep.get_state() | {
        "files": [str(victim), str(tmp_path / "1.safetensors"), 3],
        "filepath": "other",
    }
    keep.set_state(state)
    assert keep.files == [str(tmp_path / "1.safetensors")]
    assert str(keep.filepath).startswith(str(tmp_path))
