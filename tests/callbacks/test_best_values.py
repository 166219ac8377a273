"""The best value of a run and the weights or files kept for it belong together."""

import csv

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import (
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    LambdaCallback,
    ModelCheckpoint,
)

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X.sum(axis=1)


def compiled(rate=1.2, optimizer=nl.optimizers.SGD, **arguments):
    """Return a network whose training diverges at once, or converges with a small rate."""
    model = nl.Sequential([nl.layers.Dense(1)], seed=0, dtype="float64")
    model.compile(optimizer(rate, **arguments), "mse", metrics=["mae"])
    return model


def batches(size=20):
    for start in range(0, 20, size):
        yield X[start : start + size], Y[start : start + size]


def losses(model):
    return dict(zip(["loss", "mae"], model.evaluate(X, Y, verbose=0), strict=True))


@pytest.mark.parametrize("monitor", ["loss", "mae"])
@pytest.mark.parametrize("source", [None, batches], ids=["arrays", "batches"])
def test_the_restored_weights_have_the_best_value(monitor, source):
    """In an epoch of one batch they are those before the update."""
    model = compiled()
    stop = EarlyStopping(monitor, patience=3, restore_best_weights=True)
    data = (source,) if source else (X, Y, 20)
    history = model.fit(*data, epochs=9, callbacks=[stop], verbose=0).history
    assert stop.best == min(history[monitor])
    assert history[monitor][-1] > 10 * stop.best
    assert losses(model)[monitor] == pytest.approx(stop.best, rel=1e-12)


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("source", [None, batches], ids=["arrays", "batches"])
def test_the_saved_model_has_the_best_value(tmp_path, weights_only, source):
    path = tmp_path / "best.safetensors"
    model = compiled(0.02, nl.optimizers.Adam)
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=weights_only)
    data = (source,) if source else (X, Y, 20)
    model.fit(*data, epochs=5, callbacks=[checkpoint], verbose=0)
    if weights_only:
        saved = compiled()
        saved.build((None, 3))
        saved.load_weights(path)
    else:
        saved = nl.load_model(path)
        assert saved.optimizer.iterations == 4  # the whole state is that before the update
        saved.train_on_batch(X, Y)
        np.testing.assert_array_equal(saved.parameters.values, model.parameters.values)
        saved = nl.load_model(path)
    assert losses(saved)["loss"] == pytest.approx(checkpoint.best, rel=1e-12)
    assert not model._steps.snapshot.include_weights


def test_in_an_epoch_of_several_batches_the_weights_after_it_are_kept(tmp_path):
    """As in Keras: the value is a mean over weights that changed meanwhile."""
    path = tmp_path / "best.safetensors"
    after = []
    note = LambdaCallback(on_epoch_end=lambda *_: after.append(model.parameters.values.copy()))
    for source in ((X, Y, 10), (lambda: batches(10),)):
        model = compiled(0.3)
        stop = EarlyStopping("loss", patience=9, restore_best_weights=True)
        checkpoint = ModelCheckpoint(path, "loss", save_best_only=True)
        after.clear()
        model.fit(*source, epochs=6, callbacks=[stop, checkpoint, note], verbose=0)
        best = after[stop.best_epoch]
        np.testing.assert_array_equal(model.parameters.values, best)
        np.testing.assert_array_equal(nl.load_model(path).parameters.values, best)
        assert not model._steps.snapshot.include_weights


def test_results_of_the_validation_belong_to_the_weights_after_the_epoch(tmp_path):
    model = compiled(0.1)
    stop = EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    checkpoint = ModelCheckpoint(tmp_path / "best.safetensors", "val_loss", save_best_only=True)
    data = {"validation_data": (X, Y), "verbose": 0}
    model.fit(X, Y, 20, epochs=5, callbacks=[stop, checkpoint], **data)
    for found in (model, nl.load_model(tmp_path / "best.safetensors")):
        assert losses(found)["loss"] == pytest.approx(stop.best, rel=1e-12)


def test_results_that_a_callback_adds_belong_to_the_weights_after_the_epoch():
    model = compiled()
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=losses(model)["loss"]))
    stop = EarlyStopping("mine", mode="min", patience=9, restore_best_weights=True)
    model.fit(X, Y, 20, epochs=3, callbacks=[add, stop], verbose=0)
    assert losses(model)["loss"] == pytest.approx(stop.best, rel=1e-12)


def test_an_iteration_of_lbfgs_has_the_loss_of_its_own_weights():
    model = compiled()
    stop = EarlyStopping("loss", patience=9, restore_best_weights=True)
    model.fit_lbfgs(X, Y, max_iterations=3, callbacks=[stop], verbose=0)
    assert losses(model)["loss"] == pytest.approx(stop.best, rel=1e-9)


def test_a_run_that_is_resumed_restores_the_same_weights(tmp_path):
    """Also where it was left between the only batch of an epoch and its end."""

    def script(folder, fail_at=None):
        def fail(epoch, logs):
            if epoch == fail_at:
                raise RuntimeError

        model = compiled()
        stop = EarlyStopping("loss", patience=9, restore_best_weights=True)
        backup = nl.callbacks.BackupAndRestore(folder, save_freq=1)
        failing = LambdaCallback(on_epoch_end=fail)
        model.fit(X, Y, 20, epochs=4, callbacks=[failing, stop, backup], verbose=0)
        return model

    with pytest.raises(RuntimeError):
        script(tmp_path / "a", fail_at=0)
    resumed, whole = script(tmp_path / "a"), script(tmp_path / "b")
    np.testing.assert_array_equal(resumed.parameters.values, whole.parameters.values)


# A second run with the same callback ------------------------------------------------------------


def second_run(tmp_path, initial_epoch=0, delete=False, name="best.safetensors"):
    """Return the losses of the files after a good run, and after a worse one that follows."""
    checkpoint = ModelCheckpoint(tmp_path / name, "loss", save_best_only=True)
    compiled(0.1).fit(X, Y, epochs=8, callbacks=[checkpoint], verbose=0)
    good = checkpoint.best
    if delete:
        for path in tmp_path.iterdir():
            path.unlink()
    options = {"epochs": initial_epoch + 2, "initial_epoch": initial_epoch, "verbose": 0}
    compiled(1e-6).fit(X, Y, callbacks=[checkpoint], **options)
    return good, checkpoint.best, len(list(tmp_path.iterdir()))


@pytest.mark.parametrize("name", ["best.safetensors", "{epoch}.safetensors"])
def test_a_better_file_is_not_overwritten(tmp_path, name):
    good, best, _ = second_run(tmp_path, name=name)
    assert best == good


def test_a_run_that_goes_on_knows_the_best_value(tmp_path):
    good, best, files = second_run(tmp_path, initial_epoch=8, delete=True)
    assert best == good
    assert files == 0


def test_without_a_file_a_new_run_has_a_new_best_value(tmp_path):
    good, best, files = second_run(tmp_path, delete=True)
    assert best > good
    assert files == 1


def test_a_threshold_applies_to_each_new_run(tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True, initial_value_threshold=1e-9)
    for _ in range(2):
        compiled(0.01).fit(X, Y, callbacks=[checkpoint], verbose=0)
        assert checkpoint.best == 1e-9
        assert not path.exists()


@pytest.mark.parametrize(("initial_epoch", "expected"), [(0, [0]), (2, [0, 1, 2])])
def test_a_log_that_goes_on_keeps_its_lines(tmp_path, initial_epoch, expected):
    log = CSVLogger(tmp_path / "log.csv")
    model = compiled(0.1)
    model.fit(X, Y, epochs=2, callbacks=[log], verbose=0)
    options = {"epochs": initial_epoch + 1, "initial_epoch": initial_epoch, "verbose": 0}
    model.fit(X, Y, callbacks=[log], **options)
    with open(tmp_path / "log.csv", newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == expected


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("initial_epoch", [0, 8])
def test_the_best_value_is_read_from_the_file_in_another_process(
    tmp_path, weights_only, initial_epoch
):
    """A new object stands for another process."""
    path = tmp_path / "best.safetensors"

    def run(rate, initial_epoch, monitor="loss"):
        keep = ModelCheckpoint(
            path, monitor, mode="min", save_best_only=True, save_weights_only=weights_only
        )
        options = {"epochs": initial_epoch + 8, "initial_epoch": initial_epoch, "verbose": 0}
        compiled(rate).fit(X, Y, callbacks=[keep], **options)
        return keep.best

    good = run(0.1, 0)
    written = path.read_bytes()
    best = run(1e-6, initial_epoch)
    if initial_epoch:
        assert best == good
        assert path.read_bytes() == written
        run(1e-6, initial_epoch, "mae")  # its value is not in the file
        assert path.read_bytes() != written
    else:
        assert best > good


@pytest.mark.parametrize("content", [b"no model", None])
def test_a_file_without_a_value_is_replaced(tmp_path, content):
    path = tmp_path / "best.safetensors"
    model = compiled(0.1)
    model.build((None, 3))
    if content is None:
        model.save(path)
    else:
        path.write_bytes(content)
    keep = ModelCheckpoint(path, "loss", save_best_only=True)
    model.fit(X, Y, 10, epochs=4, initial_epoch=3, callbacks=[keep], verbose=0)
    np.testing.assert_array_equal(nl.load_model(path).parameters.values, model.parameters.values)


@pytest.mark.parametrize(("initial_epoch", "expected"), [(0, [0]), (2, [0, 1, 2])])
def test_a_table_of_measures_that_goes_on_keeps_its_lines(tmp_path, initial_epoch, expected):
    monitor = GradientMonitor(csv=tmp_path / "norms.csv")
    model = compiled(0.1)
    model.fit(X, Y, 10, epochs=2, callbacks=[monitor], verbose=0)
    options = {"epochs": initial_epoch + 1, "initial_epoch": initial_epoch, "verbose": 0}
    model.fit(X, Y, 10, callbacks=[monitor], **options)
    assert monitor.epochs == expected
    assert monitor.steps == [2 * epoch + 1 for epoch in expected]
    with open(tmp_path / "norms.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    layers = len(monitor.values["gradient_norm"])
    assert [int(row["epoch"]) for row in rows[::layers]] == expected
    other = compiled(0.1)
    other.add(nl.layers.Dense(1))
    other.fit(X, Y, epochs=3, initial_epoch=2, callbacks=[monitor], verbose=0)
    assert monitor.epochs == [2]
