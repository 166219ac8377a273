"""An error of a callback says which hook of which callback it was, and where in the run."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import Callback

X, Y = np.random.default_rng(0).normal(size=(6, 2)), np.ones((6, 1))


class Breaks(Callback):
    def __init__(self, hook, time):
        self.hook, self.left = hook, time
        setattr(self, hook, self._count)

    def _count(self, *_):
        self.left -= 1
        if self.left == 0:
            raise KeyError("mine")


def note(run, hook, time):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build((None, 2))
    with pytest.raises(KeyError) as raised:
        run(model, Breaks(hook, time))
    (text,) = raised.value.__notes__
    start = f"Raised by the callback Breaks, hook {hook}"
    assert text.startswith(start)
    return text.removeprefix(start)


def fit(model, callback):
    data = {"validation_data": (X, Y), "validation_batch_size": 3}
    model.fit(X, Y, batch_size=2, epochs=3, callbacks=[callback], verbose=0, **data)


def fit_lbfgs(model, callback):
    model.fit_lbfgs(X, Y, 3, callbacks=callback, validation_data=(X, Y), verbose=0)


def evaluate(model, callback):
    model.evaluate(X, Y, batch_size=2, callbacks=[callback], verbose=0)


def predict(model, callback):
    model.predict(X, batch_size=2, callbacks=[callback], verbose=0)


CASES = [
    (fit, "on_train_begin", 1, "."),
    (fit, "on_epoch_begin", 1, " in epoch 0."),
    (fit, "on_epoch_begin", 2, " in epoch 1."),
    (fit, "on_train_batch_begin", 1, " in epoch 0, batch 0."),
    (fit, "on_train_batch_begin", 5, " in epoch 1, batch 1."),
    (fit, "on_train_batch_end", 1, " in epoch 0, batch 0."),
    (fit, "on_train_batch_end", 6, " in epoch 1, batch 2."),
    (fit, "on_test_begin", 2, " in epoch 1."),
    (fit, "on_test_batch_begin", 1, " in epoch 0."),
    (fit, "on_test_batch_end", 4, " in epoch 1."),
    (fit, "on_test_end", 1, " in epoch 0."),
    (fit, "on_epoch_end", 1, " in epoch 0."),
    (fit, "on_epoch_end", 3, " in epoch 2."),
    (fit, "on_train_end", 1, "."),
    (fit_lbfgs, "on_train_begin", 1, "."),
    (fit_lbfgs, "on_epoch_begin", 1, " in epoch 0."),
    (fit_lbfgs, "on_epoch_begin", 2, " in epoch 1."),
    (fit_lbfgs, "on_epoch_end", 1, " in epoch 0."),
    (fit_lbfgs, "on_epoch_end", 2, " in epoch 1."),
    (fit_lbfgs, "on_test_end", 1, " in epoch 0."),
    (fit_lbfgs, "on_train_end", 1, "."),
    (evaluate, "on_test_begin", 1, "."),
    (evaluate, "on_test_batch_end", 3, "."),
    (evaluate, "on_test_end", 1, "."),
    (predict, "on_predict_begin", 1, "."),
    (predict, "on_predict_batch_begin", 2, "."),
    (predict, "on_predict_end", 1, "."),
]


@pytest.mark.parametrize(("run", "hook", "time", "place"), CASES)
def test_where_an_error_was(run, hook, time, place):
    assert note(run, hook, time) == place
