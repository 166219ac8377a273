"""EarlyStopping and ReduceLROnPlateau, held against Keras's on sequences of losses."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from netlayers.errors import ConfigurationError

NAN, INF = float("nan"), float("inf")


class FakeModel:
    """Has a weight, which is the number of the epoch, and an optimizer."""

    def __init__(self, optimizer=None):
        self.weights, self.stop_training = [np.array(-1.0)], False
        self.optimizer = optimizer or nl.optimizers.SGD(0.1)

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        np.copyto(self.weights[0], weights[0])


def play(callback, values, name="val_loss", model=None):
    """Return the epochs run, the epoch whose weights are there in the end, and the rates."""
    model = model or FakeModel()
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin({})
    rates = []
    for epoch, value in enumerate(values):
        model.weights[0][...] = epoch
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, {name: value})
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return len(rates), int(model.weights[0]), rates


LOSSES = [5, 4, 4.5, 3.9, 3.95, 3.91, 3.85, 3.9, 3.9, 3.9]

# Epochs run and weights restored, from the EarlyStopping of Keras 3.15.1 on LOSSES.
STOPPED = [
    ({}, 3, 1),
    ({"patience": 2}, 6, 3),
    ({"patience": 3, "min_delta": 0.2}, 5, 1),
    ({"patience": 3, "min_delta": -0.2}, 5, 1),
    ({"patience": 2, "baseline": 3.0}, 3, 1),
    ({"patience": 4, "baseline": 3.92}, 10, 6),
    ({"patience": 3, "start_from_epoch": 4}, 10, 6),
    ({"patience": 1, "mode": "max"}, 2, 0),
    ({"patience": 99}, 10, 6),
    ({"patience": 1, "start_from_epoch": 2, "baseline": 4.2}, 5, 3),
]


@pytest.mark.parametrize(("arguments", "epochs", "restored"), STOPPED, ids=str)
def test_early_stopping_as_keras(arguments, epochs, restored):
    stop = EarlyStopping(restore_best_weights=True, **arguments)
    for _ in range(2):  # a callback can be used again
        assert play(stop, LOSSES)[:2] == (epochs, restored)
        assert stop.best_epoch == restored
        assert stop.best == LOSSES[restored]
        assert stop.stopped_epoch == (epochs - 1 if stop.model.stop_training else 0)


def test_without_restoring_the_last_weights_stay():
    assert play(EarlyStopping(patience=2), LOSSES)[:2] == (6, 5)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_not_finite_is_never_the_best(bad, mode):
    stop = EarlyStopping(patience=3, mode=mode, restore_best_weights=True)
    assert play(stop, [bad, 2.0, bad, bad, bad, 1.0])[:2] == (5, 1)
    assert stop.best == 2.0
    assert play(stop, [bad] * 4)[:2] == (3, 2)  # nothing to restore
    assert stop.best is stop.best_weights is None
    assert play(EarlyStopping(mode=mode), [bad, bad, bad])[0] == 2  # the first epoch never stops
    plateau = ReduceLROnPlateau(patience=2, mode=mode, factor=0.5)
    assert play(plateau, [bad, 2.0, bad, bad])[2] == [0.1, 0.1, 0.1, 0.05]
    assert plateau.best == 2.0


def test_kept_weights_are_copies_in_the_same_memory():
    stop = EarlyStopping(patience=5, restore_best_weights=True)
    model = FakeModel()
    stop.set_model(model)
    stop.on_train_begin()
    stop.on_epoch_end(0, {"val_loss": 2.0})
    first = stop.best_weights[0]
    assert not np.shares_memory(first, model.weights[0])
    model.weights[0][...] = 5
    stop.on_epoch_end(1, {"val_loss": 1.0})
    assert stop.best_weights[0] is first
    assert first == 5


def test_a_run_that_never_began_gets_no_weights_of_the_last():
    stop = EarlyStopping(restore_best_weights=True)
    model = FakeModel()
    play(stop, [1.0, 2.0], model=model)
    model.weights[0][...] = 7
    stop.on_train_end()  # as after an error in another callback's on_train_begin
    assert model.weights[0] == 7


def test_statistics_are_restored_too():
    class Counter(nl.layers.Layer):
        def build(self, input_shape):
            self.add_weight("seen", (1,), "zeros", statistic=True)

        def forward(self, x, training=False):
            x = self.prepare(x)
            if training:
                self.seen += 1
            return x

        def backward(self, dy):
            return dy

    class Worse(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["fake"] = [3, 1, 2, 2][epoch]

    model = nl.Sequential([Counter(name="counter"), nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.ones((4, 2))
    stop = EarlyStopping("fake", mode="min", patience=9, restore_best_weights=True)
    model.fit(x, x[:, :1], epochs=4, callbacks=[Worse(), stop], verbose=0)
    assert model.layers[0].seen == 2


# Rates after each epoch, from the ReduceLROnPlateau of Keras 3.15.1 on PLATEAUS.
PLATEAUS = [5, 4, 3, 3, 3, 3, 3, 3, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9]
REDUCED = [
    ({"patience": 2}, [1, 1, 1, 1, 0.1, 0.1] + [0.01] * 4 + [1e-3, 1e-3, 1e-4, 1e-4, 1e-5]),
    ({"patience": 3, "factor": 0.5}, [1] * 5 + [0.5] * 6 + [0.25] * 3 + [0.125]),
    (
        {"patience": 2, "cooldown": 2},
        [1] * 4 + [0.1] * 3 + [0.01] * 3 + [1e-3] * 3 + [1e-4] * 2,
    ),
    ({"patience": 1, "min_lr": 0.03, "factor": 0.5}, [1, 1, 1, 0.5] + [0.3] * 11),
    (
        {"patience": 2, "min_delta": 0.2},
        [1] * 4 + [0.1] * 2 + [0.01] * 2 + [1e-3] * 2 + [1e-4] * 2 + [1e-5] * 2 + [1e-6],
    ),
    (
        {"patience": 0, "factor": 0.5},
        [1, 1, 1] + [2.0**-k for k in (1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11)],
    ),
    (
        {"patience": 3, "factor": 0.5, "mode": "max"},
        [1] * 3 + [0.5] * 3 + [0.25] * 3 + [0.125] * 3 + [0.0625] * 3,
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), REDUCED, ids=lambda a: str(a)[:40])
def test_plateau_as_keras(arguments, expected):
    plateau = ReduceLROnPlateau(**arguments)
    for _ in range(2):
        np.testing.assert_allclose(play(plateau, PLATEAUS)[2], 0.1 * np.array(expected), rtol=1e-12)


def test_plateau_and_schedule_multiply():
    """The rate is schedule × factor, and the smallest rate is kept to in the product."""
    schedule = nl.optimizers.schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5)
    optimizer = nl.optimizers.SGD(schedule)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(optimizer, "mse")
    x = np.ones((8, 1))
    steady = nl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(fake=1.0))
    plateau = ReduceLROnPlateau("fake", mode="min", factor=0.1, patience=2)
    history = model.fit(x, x, batch_size=2, epochs=6, callbacks=[steady, plateau], verbose=0)
    # An epoch is 4 updates, so the schedule halves the rate in each; a tenth after epochs 3 and 5.
    factors = np.array([1, 1, 1, 0.1, 0.1, 0.01])
    expected = 0.1 * 0.5 ** np.arange(1, 7) * factors
    np.testing.assert_allclose(history.history["learning_rate"], expected, rtol=1e-12)
    np.testing.assert_allclose(optimizer.learning_rate_factor, 0.01, rtol=1e-12)
    plateau = ReduceLROnPlateau("fake", mode="min", factor=0.1, patience=1, min_lr=1e-5)
    play(plateau, [1.0, 1.0, 1.0], "fake", model=FakeModel(optimizer))
    assert optimizer.learning_rate == pytest.approx(1e-5, rel=1e-12)
    play(plateau, [1.0, 1.0, 1.0], "fake", model=FakeModel(optimizer))
    assert optimizer.learning_rate == pytest.approx(1e-5, rel=1e-12)


def fit(callback, metrics=(), **arguments):
    model = nl.Sequential([nl.layers.Dense(3, activation="softmax")], seed=0)
    model.compile(nl.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=list(metrics))
    x, y = np.ones((6, 2)), np.arange(6) % 3
    return model.fit(x, y, epochs=6, callbacks=callback, verbose=0, **arguments)


@pytest.mark.parametrize(
    ("monitor", "metrics", "sign"),
    [
        ("val_loss", [], -1),
        ("loss", ["accuracy"], -1),
        ("val_accuracy", ["accuracy"], 1),
        ("acc", [nl.metrics.SparseCategoricalAccuracy(name="acc")], 1),
        ("val_head_loss", [], -1),
    ],
)
def test_the_direction_is_that_of_the_loss_or_metric(monitor, metrics, sign):
    stop = EarlyStopping(monitor)
    note = nl.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(val_head_loss=1.0)
    )
    model = nl.Sequential([nl.layers.Dense(3, activation="softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
    x, y = np.ones((6, 2)), np.arange(6) % 3
    model.fit(x, y, validation_data=(x, y), callbacks=[note, stop], verbose=0)
    assert stop._direction() == sign
    assert stop.best is not None


def test_an_unknown_direction_has_to_be_said():
    class Other(nl.metrics.MeanMetric):
        def values(self, y_true, y_pred):
            return np.ones(len(y_true))

    with pytest.raises(ConfigurationError, match="mode='max' or mode='min'"):
        fit(EarlyStopping("other"), [Other()])
    assert len(fit(EarlyStopping("other", mode="max"), [Other()]).epoch) == 2


def test_a_monitor_that_is_missing_is_said_once():
    nothing = nl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)  # may add names
    with pytest.warns(UserWarning, match=r"'val_loss' is not among .* There are: loss") as caught:
        assert len(fit([nothing, EarlyStopping()]).epoch) == 6
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="learning_rate"):
        fit([nothing, ReduceLROnPlateau()])
    with pytest.raises(ConfigurationError, match="is an array"):
        play(EarlyStopping(mode="min"), [np.ones(3)])


def test_epochs_without_validation_do_not_count():
    data = {"validation_data": (np.ones((6, 2)), np.arange(6) % 3), "validation_freq": 2}
    history = fit(EarlyStopping(patience=1), **data)  # without a warning, which is an error here
    assert history.epoch == [0, 1, 2, 3]
    fit(ReduceLROnPlateau(patience=1), **data)
    with pytest.raises(ConfigurationError, match=r"'val_los' is not among .* mean 'val_loss'"):
        fit(EarlyStopping("val_los"), **data)


def test_what_they_say(capsys):
    play(EarlyStopping(patience=2, verbose=1, restore_best_weights=True), LOSSES)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 6: val_loss has not improved for 2 epochs, training stopped",
        "The weights are those of the best epoch, 4, again",
    ]
    play(ReduceLROnPlateau(patience=5, verbose=1), PLATEAUS[:8])
    assert capsys.readouterr().out == (
        "Epoch 8: val_loss is on a plateau, the learning rate goes from 0.1 to 0.01\n"
    )


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (EarlyStopping, {"patience": -1}),
        (EarlyStopping, {"mode": "up"}),
        (EarlyStopping, {"monitor": 3}),
        (EarlyStopping, {"baseline": NAN}),
        (EarlyStopping, {"start_from_epoch": 1.5}),
        (EarlyStopping, {"restore_best_weights": "yes"}),
        (ReduceLROnPlateau, {"factor": 1.0}),
        (ReduceLROnPlateau, {"cooldown": -1}),
        (ReduceLROnPlateau, {"min_delta": INF}),
        (ReduceLROnPlateau, {"min_lr": -1}),
        (ReduceLROnPlateau, {"verbose": "loud"}),
    ],
    ids=str,
)
def test_bad_arguments(cls, arguments):
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=name):
        cls(**arguments)


def test_a_callback_can_be_copied():
    stop = copy.deepcopy(EarlyStopping(patience=2))
    assert play(stop, LOSSES)[:2] == (6, 5)


def test_the_second_metric_of_a_kind_can_be_monitored():
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    metrics = [nl.metrics.AUC(), nl.metrics.AUC(curve="PR")]
    model.compile("adam", "binary_crossentropy", metrics=metrics)
    stop = nl.callbacks.EarlyStopping("val_auc_1", patience=1)
    history = model.fit(x, y, epochs=3, validation_split=0.5, callbacks=stop, verbose=0)
    assert "val_auc_1" in history.history
