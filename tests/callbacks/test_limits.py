"""TerminateOnNaN and TimeBudget."""

import time

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import Callback, LambdaCallback, TerminateOnNaN, TimeBudget
from netlayers.errors import ConfigurationError, NonFiniteError
from tests.callbacks.runs import X, Y, make


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


def test_an_optimizer_that_skips_goes_on_under_terminate_on_nan(capsys):
    class Broken(nl.layers.Dense):
        def _backward_logits(self, dz, input_gradient=True):
            dx = super()._backward_logits(dz, input_gradient)
            self.d_kernel[...] = np.inf
            return dx

    model = nl.Sequential([Broken(1)], seed=0)
    model.compile(nl.optimizers.SGD(on_nonfinite="skip"), "mse")
    assert model.fit(X, Y, epochs=2, callbacks=[TerminateOnNaN()], verbose=0).epoch == [0, 1]
    assert model.optimizer.skipped == 2
    assert capsys.readouterr().out == ""


def test_the_epoch_in_which_the_time_ended(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("netlayers.callbacks.limits.time.monotonic", lambda: now[0])
    tick = LambdaCallback(on_train_batch_end=lambda batch, logs: now.__setitem__(0, now[0] + 1))
    budget = TimeBudget(1.0)
    for first in (0, 2):
        make().fit(X, Y, 1, epochs=4, initial_epoch=first, callbacks=[tick, budget], verbose=0)
        said = capsys.readouterr().out
        assert said.startswith(f"Epoch {first + 1}: the time budget of 1 s is used up (1.0 s)"), (
            said
        )
    budget.on_train_begin()
    assert budget.get_state() == {"seconds": 0.0, "stopped": False, "epoch": 0}
