"""LearningRateScheduler."""

import pytest

import netlayers as nl
from netlayers.callbacks import LearningRateScheduler
from netlayers.errors import ConfigurationError
from tests.callbacks.runs import X, Y, make


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
