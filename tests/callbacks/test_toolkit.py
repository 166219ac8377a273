"""The other callbacks: rates by epoch, log files, functions, ends of a run, TensorBoard."""

import copy
import csv
import importlib.util
import json
import pickle
import sys
import time

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import (
    Callback,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    TensorBoard,
    TerminateOnNaN,
    TimeBudget,
)
from netlayers.errors import ConfigurationError, NonFiniteError

X, Y = np.ones((6, 2), np.float32), np.zeros((6, 1), np.float32)


def make(optimizer="sgd", **arguments):
    model = nl.Sequential([nl.layers.Dense(1, name="last")], seed=0)
    model.compile(optimizer, "mse", **arguments)
    return model


# LearningRateScheduler ------------------------------------------------------------------------


def test_scheduler_sets_and_logs_the_rate(capsys):
    seen = []

    def schedule(epoch, rate):
        seen.append((epoch, rate))
        return rate / 2

    model = make(nl.optimizers.SGD(0.8))
    scheduler = LearningRateScheduler(schedule, verbose=1)
    history = model.fit(X, Y, epochs=5, initial_epoch=2, callbacks=[scheduler], verbose=0)
    assert seen == [(2, 0.8), (3, 0.4), (4, 0.2)]
    assert history.history["learning_rate"] == [0.4, 0.2, 0.1]
    assert capsys.readouterr().out.splitlines()[0] == "Epoch 3: the learning rate is 0.4"


def test_scheduler_takes_functions_of_the_epoch_alone():
    scheduler = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = make().fit(X, Y, epochs=2, callbacks=[scheduler], verbose=0)
    assert history.history["learning_rate"] == [0.1, 0.05]


def test_scheduler_refuses():
    for wrong in (3, lambda a, b, c: 0.1, lambda: 0.1):
        with pytest.raises(ConfigurationError, match="schedule"):
            LearningRateScheduler(wrong)
    for rate in ("0.1", float("nan"), -1.0, None):
        with pytest.raises(ConfigurationError, match="what schedule returns for epoch 0"):
            make().fit(X, Y, callbacks=[LearningRateScheduler(lambda e, lr: rate)], verbose=0)  # noqa: B023
    own = nl.optimizers.SGD(nl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match="not settable"):
        make(own).fit(X, Y, callbacks=[LearningRateScheduler(lambda e, lr: lr)], verbose=0)


def test_a_type_error_of_the_schedule_is_not_hidden():
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        make().fit(X, Y, callbacks=[LearningRateScheduler(schedule)], verbose=0)


# CSVLogger ------------------------------------------------------------------------------------


def drive(callback, epochs, first=0):
    callback.set_model(None)
    callback.on_train_begin({})
    for epoch, logs in enumerate(epochs, first):
        callback.on_epoch_end(epoch, logs)
    callback.on_train_end({})


def read(path):
    return path.read_bytes().decode()


# The two files are, to the byte, what the CSVLogger of Keras 3.15.1 writes for these logs.
def test_csv_as_keras(tmp_path):
    path = tmp_path / "log.csv"
    first = {"loss": 1.0, "accuracy": 0.5}
    second = {"loss": 0.9, "accuracy": 0.6, "val_loss": 2.0, "val_accuracy": 0.1}
    logger = CSVLogger(path)
    drive(logger, [first, second])
    expected = (
        "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,0.5,1.0,NA,NA\r\n1,0.6,0.9,0.1,2.0\r\n"
    )
    assert read(path) == expected
    drive(logger, [{"loss": 1.0, "val_loss": np.nan}])  # again: written over
    assert read(path) == "epoch,loss,val_loss\r\n0,1.0,nan\r\n"


def test_csv_is_readable_after_each_epoch(tmp_path):
    path, seen = tmp_path / "log.csv", []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(read(path).split())))
    fail = LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 // (2 - epoch))
    with pytest.raises(ZeroDivisionError):
        make().fit(X, Y, epochs=9, callbacks=[CSVLogger(path), look, fail], verbose=0)
    assert seen == [2, 3]  # the header and the lines
    assert read(path).endswith("\r\n")


def test_csv_arrays_separators_and_the_rate(tmp_path):
    path = tmp_path / "log.csv"
    logs = {"loss": 1.0, "matrix": np.array([[1, 2], [3, 4]]), "learning_rate": 0.1, "text": "a;b"}
    drive(CSVLogger(path, separator=";"), [logs])
    with open(path, newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file, delimiter=";")
    assert list(row)[:5] == ["epoch", "learning_rate", "loss", "matrix", "text"]
    assert "val_learning_rate" not in row
    assert json.loads(row["matrix"]) == [[1, 2], [3, 4]]
    assert row["text"] == "a;b"
    assert row["val_loss"] == "NA"


def test_csv_goes_on_in_the_columns_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,accuracy\n0,1.0,0.5\n1,0.9")  # the last line was cut by a crash
    logger = CSVLogger(path, append=True)
    drive(logger, [{"accuracy": 0.7, "loss": 0.8}], first=2)
    assert read(path).splitlines() == ["epoch,loss,accuracy", "0,1.0,0.5", "1,0.9", "2,0.8,0.7"]
    with pytest.warns(UserWarning, match="no column for val_loss"):
        drive(logger, [{"loss": 0.7, "val_loss": 1.0}], first=3)
    assert read(path).splitlines()[-1] == "3,0.7,NA"
    new = tmp_path / "new.csv"
    drive(CSVLogger(new, append=True), [{"loss": 1.0}])
    assert read(new).splitlines() == ["epoch,loss,val_loss", "0,1.0,NA"]


def test_csv_refuses(tmp_path):
    for separator in ("", ", ", "\n", None):
        with pytest.raises(ConfigurationError, match="separator"):
            CSVLogger(tmp_path / "log.csv", separator=separator)
    with pytest.raises(FileNotFoundError):
        make().fit(X, Y, callbacks=[CSVLogger(tmp_path / "no" / "log.csv")], verbose=0)


# LambdaCallback -------------------------------------------------------------------------------


def test_every_hook_can_be_a_function():
    calls = []

    def note(name):
        return lambda *args: calls.append((name, *args[:-1]))

    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    callback = LambdaCallback(**{name: note(name) for name in hooks})
    model = make()
    model.fit(X, Y, validation_data=(X, Y), callbacks=[callback], verbose=0)
    model.predict(X, callbacks=[callback])
    assert {c[0] for c in calls} == set(hooks)
    assert ("on_epoch_end", 0) in calls
    assert ("on_train_begin",) in calls


def test_lambda_callback_refuses_and_names_itself_in_errors():
    with pytest.raises(ConfigurationError, match=r"'on_epoch_stop'.*Did you mean"):
        LambdaCallback(on_epoch_stop=print)
    with pytest.raises(ConfigurationError, match="on_epoch_end must be a function"):
        LambdaCallback(on_epoch_end=3)
    with pytest.raises(ZeroDivisionError) as raised:
        make().fit(X, Y, callbacks=[LambdaCallback(on_epoch_end=lambda e, logs: 1 / 0)], verbose=0)
    assert "LambdaCallback, hook on_epoch_end in epoch 0" in raised.value.__notes__[-1]


# TerminateOnNaN -------------------------------------------------------------------------------


class Poison(Callback):
    """Makes the loss of one batch NaN."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            self.kept = self.model.get_weights()
            self.model.layers[0].bias[...] = np.nan


@pytest.mark.parametrize("on_nonfinite", ["raise", "skip", "ignore"])
def test_terminate_on_nan_stops_at_the_batch(on_nonfinite, capsys):
    model = make(nl.optimizers.SGD(0.1, on_nonfinite=on_nonfinite))
    seen = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    watch = TerminateOnNaN()
    history = model.fit(X, Y, batch_size=1, epochs=3, callbacks=[Poison(), watch, count], verbose=0)
    assert seen == [0, 1]
    assert history.epoch == [0]
    assert "Epoch 1, batch 2: the loss is nan, training stopped" in capsys.readouterr().out
    assert model.optimizer.on_nonfinite == on_nonfinite
    # The kernel is that of the last good update, unless the optimizer was told to ignore.
    assert np.isfinite(model.layers[0].kernel).all() == (on_nonfinite != "ignore")


def test_terminate_on_nan_sees_gradients_of_a_finite_loss(capsys):
    class Broken(nl.layers.Dense):
        def _backward_logits(self, dz, input_gradient=True):
            dx = super()._backward_logits(dz, input_gradient)
            self.d_kernel[...] = np.inf
            return dx

    model = nl.Sequential([Broken(1)], seed=0)
    model.compile("sgd", "mse")
    assert model.fit(X, Y, epochs=3, callbacks=[TerminateOnNaN()], verbose=0).epoch == [0]
    assert "a gradient is not finite" in capsys.readouterr().out
    with pytest.raises(NonFiniteError, match="SGD"):
        model.fit(X, Y, callbacks=[TerminateOnNaN(raise_error=True)], verbose=0)


def test_terminate_on_nan_raises():
    model = make(nl.optimizers.SGD(0.1, on_nonfinite="skip"))
    with pytest.raises(NonFiniteError, match=r"Epoch 1, batch 2: the loss is nan"):
        model.fit(X, Y, 1, callbacks=[Poison(), TerminateOnNaN(raise_error=True)], verbose=0)
    # A good run ends as ever, and the optimizer raises again afterwards.
    model = make()
    assert model.fit(X, Y, epochs=3, callbacks=[TerminateOnNaN()], verbose=0).epoch == [0, 1, 2]
    with pytest.raises(NonFiniteError):
        model.fit(X, Y, batch_size=1, callbacks=[Poison()], verbose=0)


# TimeBudget -----------------------------------------------------------------------------------


def test_time_budget_stops_after_the_batch_and_validates(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("netlayers.callbacks.limits.time.monotonic", lambda: now[0])
    batches = []

    def tick(batch, logs):
        batches.append(batch)
        now[0] += 1

    model, budget = make(), TimeBudget(minutes=0.1, seconds=2.5)  # 8.5 s; an epoch is 6
    callbacks = [LambdaCallback(on_train_batch_end=tick), budget]
    for _ in range(2):  # used again, the clock starts again
        batches.clear()
        history = model.fit(
            X, Y, 1, epochs=9, callbacks=callbacks, validation_data=(X, Y), verbose=0
        )
        assert batches == [0, 1, 2, 3, 4, 5, 0, 1, 2]
        assert history.epoch == [0, 1]
        assert len(history.history["val_loss"]) == 2
        assert budget.stopped
        assert capsys.readouterr().out == (
            "Epoch 2: the time budget of 8.5 s is used up (9.0 s), training stopped\n"
        )


def test_time_budget_counts_the_validation(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("netlayers.callbacks.limits.time.monotonic", lambda: now[0])
    slow = LambdaCallback(on_test_end=lambda logs: now.__setitem__(0, now[0] + 10))
    budget = TimeBudget(5, verbose=0)
    history = make().fit(
        X, Y, epochs=9, callbacks=[slow, budget], validation_data=(X, Y), verbose=0
    )
    assert history.epoch == [0]


def test_time_budget_in_real_time():
    begin = time.monotonic()
    make().fit(X, Y, epochs=10**9, callbacks=[TimeBudget(0.1, verbose=0)], verbose=0)
    assert 0.1 <= time.monotonic() - begin < 5


def test_time_budget_refuses():
    with pytest.raises(ConfigurationError, match="seconds, minutes or hours"):
        TimeBudget()
    with pytest.raises(ConfigurationError, match="minutes"):
        TimeBudget(minutes=-1)
    budget = TimeBudget(hours=1)
    assert make().fit(X, Y, epochs=2, callbacks=[budget], verbose=0).epoch == [0, 1]
    assert not budget.stopped


# TensorBoard ----------------------------------------------------------------------------------


def events(folder):
    """Return what TensorBoard itself reads from a folder."""
    pytest.importorskip("tensorboardX")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(folder), size_guidance={"histograms": 0})
    accumulator.Reload()
    return accumulator


@pytest.fixture
def tensorboard_installed():
    pytest.importorskip("tensorboardX")
    pytest.importorskip("tensorboard")


def values(accumulator, tag):
    return [(e.step, e.value) for e in accumulator.Scalars(tag)]


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_reads_back_what_was_written(tmp_path):
    model = make(nl.optimizers.SGD(0.1), metrics=["mae"])
    gradients, weights = [], []

    def note(epoch, logs):
        gradients.append(model.layers[0].d_kernel.copy())
        weights.append(model.layers[0].kernel.copy())

    board = TensorBoard(tmp_path, histogram_freq=2, update_freq=2, write_steps_per_second=True)
    history = model.fit(
        X,
        Y,
        batch_size=2,
        epochs=3,
        validation_data=(X, Y),
        callbacks=[board, LambdaCallback(on_epoch_end=note)],
        verbose=0,
    ).history
    train, test = events(tmp_path / "train"), events(tmp_path / "validation")
    for name in ("loss", "mae"):
        got = values(train, f"epoch_{name}")
        assert [step for step, _ in got] == [0, 1, 2]
        np.testing.assert_allclose([v for _, v in got], history[name], rtol=1e-6)
        got = values(test, f"epoch_{name}")
        np.testing.assert_allclose([v for _, v in got], history[f"val_{name}"], rtol=1e-6)
        got = values(test, f"evaluation_{name}_vs_iterations")
        assert [step for step, _ in got] == [3, 6, 9]
        assert [step for step, _ in values(train, f"batch_{name}")] == [2, 4, 6, 8]
    assert [v for _, v in values(train, "epoch_learning_rate")] == pytest.approx([0.1] * 3)
    assert all(v > 0 for _, v in values(train, "epoch_steps_per_second"))
    tags = {"last/kernel", "last/bias"}
    assert set(train.Tags()["histograms"]) == {
        f"{tag}/{kind}" for tag in tags for kind in ("histogram", "gradient")
    }
    for kind, arrays in (("histogram", weights), ("gradient", gradients)):
        found = train.Histograms(f"last/kernel/{kind}")
        assert [e.step for e in found] == [0, 2]
        for event in found:
            array = arrays[event.step].astype(float)
            summary = event.histogram_value
            assert summary.num == array.size
            assert (summary.min, summary.max) == pytest.approx((array.min(), array.max()))
            assert summary.sum == pytest.approx(array.sum())
    text = train.Tensors("model/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "last (Dense)" in text


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_by_epoch_alone_and_twice(tmp_path):
    model, board = make(), TensorBoard(tmp_path, write_graph=False)
    model.layers[0].trainable = True
    model.fit(X, Y, epochs=2, callbacks=[board], verbose=0)
    model.fit(X, Y, epochs=3, initial_epoch=2, callbacks=[board], verbose=0)
    assert not (tmp_path / "validation").exists()
    tags = events(tmp_path / "train").Tags()
    assert set(tags["scalars"]) == {"epoch_loss", "epoch_learning_rate"}
    assert not tags["histograms"]
    model.evaluate(X, Y, callbacks=[board], verbose=0)
    assert events(tmp_path / "validation").Tags()["scalars"] == ["evaluation_loss_vs_iterations"]
    assert not board._writers


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_and_what_it_can_not_show(tmp_path):
    board = TensorBoard(tmp_path, histogram_freq=1)
    model = make(nl.optimizers.SGD(0.1, on_nonfinite="skip"))
    board.set_model(model)
    model.build((None, 2))
    model.layers[0].trainable = False
    model.parameters.values[:] = [np.nan, 1, np.inf]
    board.on_train_begin()
    board.on_epoch_begin(0)
    board.on_epoch_end(0, {"loss": np.nan, "matrix": np.eye(2), "note": "text"})
    board.on_train_end()
    train = events(tmp_path / "train")
    assert np.isnan(train.Scalars("epoch_loss")[0].value)
    assert train.Tags()["histograms"] == ["last/kernel/histogram"]  # the bias has nothing to show
    assert train.Histograms("last/kernel/histogram")[0].histogram_value.num == 1


def test_tensorboard_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigurationError, match=r'pip install "netlayers\[tensorboard\]"'):
        TensorBoard(tmp_path)


@pytest.mark.usefixtures("tensorboard_installed")
def test_tensorboard_refuses(tmp_path):
    for wrong in ("step", 0, 1.5, True):
        with pytest.raises(ConfigurationError, match="update_freq"):
            TensorBoard(tmp_path, update_freq=wrong)


# What the bar shows ---------------------------------------------------------------------------


def test_lines_show_small_numbers_and_leave_arrays_out(capsys):
    put = LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(small=1.5e-5, matrix=np.eye(2), none=0.0)
    )
    make().fit(X, Y, callbacks=[put], verbose=2)
    line = capsys.readouterr().out
    assert "small 1.500e-05" in line
    assert "none 0.0000" in line
    assert "matrix" not in line


# What all callbacks have in common ------------------------------------------------------------


def small(tmp_path):
    """Return one of each callback that is exported."""
    made = {
        "BackupAndRestore": nl.callbacks.BackupAndRestore(tmp_path / "backup"),
        "CSVLogger": CSVLogger(tmp_path / "log.csv"),
        "Callback": Callback(),
        "EarlyStopping": nl.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True),
        "GradientMonitor": nl.callbacks.GradientMonitor(),
        "History": nl.callbacks.History(),
        "LambdaCallback": LambdaCallback(on_epoch_end=_pass),
        "LearningRateScheduler": LearningRateScheduler(_halve),
        "ModelCheckpoint": nl.callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors"),
        "ProgressBar": nl.callbacks.ProgressBar(),
        "ReduceLROnPlateau": nl.callbacks.ReduceLROnPlateau("loss", patience=1),
        "TerminateOnNaN": TerminateOnNaN(),
        "TimeBudget": TimeBudget(60),
    }
    if importlib.util.find_spec("tensorboardX"):
        made["TensorBoard"] = TensorBoard(tmp_path / "logs", histogram_freq=1)
    return made


def _pass(epoch, logs):
    pass


def _halve(epoch, rate):
    return rate / 2


def test_each_is_listed_here(tmp_path):
    assert {*small(tmp_path), "TensorBoard"} == set(nl.callbacks.__all__)


def test_each_can_be_used_twice_copied_and_pickled(tmp_path):
    """Also after a run that an error ended, and with all the others beside it."""
    callbacks = small(tmp_path)
    for name, callback in callbacks.items():
        model = make()
        model.fit(X, Y, epochs=2, callbacks=[callback], verbose=0)
        fail = LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.fit(X, Y, epochs=2, callbacks=[callback, fail], verbose=0)
        callback.model = None
        copy.deepcopy(callback)
        pickle.loads(pickle.dumps(callback))
        epochs = model.fit(X, Y, epochs=2, callbacks=[callback], verbose=0).epoch
        assert epochs == [0, 1], name
    assert make().fit(X, Y, epochs=2, callbacks=list(callbacks.values()), verbose=0).epoch == [0, 1]


def test_none_changes_what_is_learned(tmp_path):
    """Those that only watch leave the same bits as a run without them."""
    plain = make()
    plain.fit(X, Y, epochs=3, verbose=0)
    callbacks = small(tmp_path)
    for name in ("EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau"):
        del callbacks[name]
    watched = make()
    watched.fit(X, Y, epochs=3, callbacks=list(callbacks.values()), verbose=0)
    np.testing.assert_array_equal(watched.parameters.values, plain.parameters.values)


def test_a_model_saved_under_terminate_on_nan_keeps_its_optimizers_settings(tmp_path):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    keep = nl.callbacks.ModelCheckpoint(tmp_path / "m.safetensors")
    x = np.ones((8, 1))
    model.fit(x, x, callbacks=[nl.callbacks.TerminateOnNaN(), keep], verbose=0)
    loaded = nl.load_model(tmp_path / "m.safetensors")
    assert loaded.optimizer.on_nonfinite == model.optimizer.on_nonfinite == "raise"
