"""Callbacks that can have no effect in a run are refused before anything of it has started."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import (
    Callback,
    EarlyStopping,
    GradientMonitor,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from netlayers.errors import ConfigurationError
from tests.callbacks.runs import X, Y, make

TESTED = {"validation_data": (X, Y)}
FILE = "m.safetensors"


class Adds(Callback):
    """Adds names to the logs that nothing else knows."""

    def on_train_batch_end(self, batch, logs=None):
        logs["mine"] = 1.0

    def on_epoch_end(self, epoch, logs=None):
        logs["mine"] = 1.0


def best(monitor, **arguments):
    return ModelCheckpoint(FILE, monitor, save_best_only=True, **arguments)


def refused(callbacks, message, method="fit", metrics=(), **arguments):
    """Check that a run is refused and that nothing has changed then."""
    started = []
    watch = LambdaCallback(on_train_begin=lambda logs: started.append("it"))
    model = make(metrics=list(metrics))
    with pytest.raises(ConfigurationError, match=message):
        getattr(model, method)(X, Y, callbacks=[watch, *callbacks], verbose=0, **arguments)
    assert not started
    assert model.history is None
    assert not model.built


@pytest.mark.parametrize(
    ("callback", "message", "arguments"),
    [
        (EarlyStopping("typo"), "EarlyStopping: monitor='typo' is not among .* are loss", {}),
        (EarlyStopping("val_los"), "Did you mean 'val_loss'", TESTED),
        (EarlyStopping(), "which are loss. Names with val_ need validation_data", {}),
        (EarlyStopping(), "not above epochs", {**TESTED, "epochs": 2, "validation_freq": 3}),
        (EarlyStopping("val_mae"), "monitor='val_mae'", TESTED),
        (ReduceLROnPlateau("accuracy"), "ReduceLROnPlateau: monitor='accuracy'", {}),
        (best("lose", save_freq=2), "results of a batch, which are loss. Did you mean", {}),
        (ModelCheckpoint("{epoch}-{los}.safetensors"), "'los' in filepath is not among", {}),
        (ModelCheckpoint("{val_loss}.safetensors"), "'val_loss' in filepath", {}),
        (GradientMonitor(layers=["lost"]), "each of layers must be one of 'last'", {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Callback) else None,
)
def test_names_that_no_result_has(callback, message, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused([callback], message, **arguments)


def test_a_metric_that_is_known_after_an_epoch_only():
    callback = best("auc", save_freq=2)
    metrics = [nl.metrics.AUC()]
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "binary_crossentropy", metrics=metrics)
    with pytest.raises(ConfigurationError, match="It is known after an epoch: pass save_freq='ep"):
        model.fit(X, Y, callbacks=callback, verbose=0)


def test_a_metric_that_is_an_array():
    model = nl.Sequential([nl.layers.Dense(3, "softmax")], seed=0)
    metrics = [nl.metrics.ConfusionMatrix()]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
    y = np.arange(6) % 3
    with pytest.raises(ConfigurationError, match=r"'confusion_matrix' is an array, .* are: loss"):
        model.fit(X, y, callbacks=EarlyStopping("confusion_matrix", mode="min"), verbose=0)
    assert model.history is None


def test_names_that_other_callbacks_add():
    stop = EarlyStopping("learning_rate", mode="min", patience=5)
    rate = LearningRateScheduler(lambda epoch: 0.1)
    refused([stop, rate], "A callback that adds it to the logs must stand before this one")
    assert make().fit(X, Y, epochs=2, callbacks=[rate, stop], verbose=0).epoch == [0, 1]
    assert make().fit(
        X, Y, callbacks=ReduceLROnPlateau("learning_rate", mode="min"), verbose=0
    ).epoch == [0]
    norms = EarlyStopping("last/gradient_norm", mode="min", patience=5)
    refused([norms], "last/gradient_norm")
    make().fit(X, Y, callbacks=[GradientMonitor(), norms], verbose=0)
    assert norms.best is not None


@pytest.mark.parametrize(
    "add", [Adds(), LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=1))]
)
def test_names_of_a_callback_of_the_user_are_not_known_before(add):
    stop = EarlyStopping("mine", mode="min", patience=5)
    make().fit(X, Y, callbacks=[add, stop], verbose=0)
    assert stop.best == 1
    refused([stop, add], "must stand before this one")


def test_names_that_a_callback_of_the_user_adds_to_batches(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{mine}.safetensors", save_freq=1)
    make().fit(X, Y, callbacks=[Adds(), checkpoint], verbose=0)
    assert (tmp_path / "1.0.safetensors").exists()
    refused([checkpoint], "'mine' in filepath is not among the results of a batch")


def test_a_run_without_epochs_checks_nothing():
    assert make().fit(X, Y, epochs=0, callbacks=EarlyStopping("typo"), verbose=0).epoch == []


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (LearningRateScheduler(lambda epoch: 0.1), "a line search takes the place"),
        (ReduceLROnPlateau("loss"), "a line search takes the place"),
        (GradientMonitor(), "no steps to measure"),
        (TerminateOnNaN(), "takes no step to a loss that is not finite"),
        (ModelCheckpoint(FILE, save_freq=2), "save_freq=2: it has no effect in fit_lbfgs"),
        (LambdaCallback(on_train_batch_end=lambda batch, logs: None), "on_train_batch_end: it has"),
        (EarlyStopping("typo"), "'typo' is not among the results of an epoch, which are loss, g"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Callback) else None,
)
def test_what_has_no_effect_in_lbfgs(callback, message):
    refused([callback], message, method="fit_lbfgs", max_iterations=2)


def test_curves_over_batches_in_lbfgs(tmp_path):
    pytest.importorskip("tensorboardX")
    callback = TensorBoard(tmp_path, update_freq="batch")
    refused([callback], "update_freq='batch': it has no effect", "fit_lbfgs", max_iterations=2)


def test_what_has_an_effect_in_lbfgs(tmp_path):
    stop = EarlyStopping("val_loss")
    norm = EarlyStopping("grad_norm", mode="min")
    checkpoint = ModelCheckpoint(tmp_path / "{grad_norm:.3f}.safetensors")
    callbacks = [stop, norm, checkpoint]
    make().fit_lbfgs(X, Y, max_iterations=2, callbacks=callbacks, verbose=0, **TESTED)
    assert stop.best is not None
    assert norm.best is not None
    assert list(tmp_path.iterdir())
