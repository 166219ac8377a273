"""What all callbacks have in common, and what the progress bar shows."""

import copy
import importlib.util
import pickle

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
from tests.callbacks.runs import X, Y, make


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
        "RemoteMonitor": nl.callbacks.RemoteMonitor("http://127.0.0.1:1"),
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
    # SwapEMAWeights needs an optimizer with averages: see test_swap_ema.py.
    others = {"CallbackList", "MonitorCallback", "ProgbarLogger", "SwapEMAWeights"}
    assert {*small(tmp_path), "TensorBoard"} == set(nl.callbacks.__all__) - others


@pytest.mark.filterwarnings("ignore:RemoteMonitor")  # nobody listens
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


@pytest.mark.filterwarnings("ignore:RemoteMonitor")  # nobody listens
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
