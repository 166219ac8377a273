"""Training and testing a model: one call at a time, and a clear answer to the others."""

import copy
import inspect
import pickle
import sys
import threading

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.penalties import penalties_wanted
from netlayers.errors import BusyError, DataError

X = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def compiled(metrics=("accuracy", "auc")):
    layers = [nl.layers.Dense(6, "tanh"), nl.layers.BatchNormalization(), nl.layers.Dropout(0.2)]
    model = nl.Sequential([*layers, nl.layers.Dense(1, "sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy", metrics=list(metrics))
    return model


CALLS = {
    "fit": lambda m: m.fit(X, Y, verbose=0),
    "fit_lbfgs": lambda m: m.fit_lbfgs(X, Y, 2, verbose=0),
    "evaluate": lambda m: m.evaluate(X, Y, verbose=0),
    "train_on_batch": lambda m: m.train_on_batch(X, Y),
    "test_on_batch": lambda m: m.test_on_batch(X, Y),
}


class running:
    """While this context lasts, a fit in another thread stands still at its third batch."""

    def __init__(self, model):
        self.model, self.there, self.go = model, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._fit)

    def _fit(self):
        def wait(batch, logs):
            if batch == 2:
                self.there.set()
                assert self.go.wait(30)

        hold = nl.callbacks.LambdaCallback(on_train_batch_end=wait)
        self.model.fit(X, Y, batch_size=8, epochs=1, callbacks=[hold], verbose=0)

    def __enter__(self):
        self.thread.start()
        assert self.there.wait(30)

    def __exit__(self, *_):
        self.go.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("name", CALLS)
def test_a_second_call_from_another_thread_says_why_it_can_not(name):
    model, undisturbed = compiled(), compiled()
    undisturbed.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    with running(model):
        with pytest.raises(BusyError, match=rf"{name}\(\) cannot run now, because fit\(\) is"):
            CALLS[name](model)
        assert isinstance(BusyError(), RuntimeError)
    assert model.history.history == undisturbed.history.history
    np.testing.assert_array_equal(model.parameters.values, undisturbed.parameters.values)
    if name != "fit_lbfgs":  # which the dropout layer stands against
        CALLS[name](model)


def test_predict_and_copies_while_a_fit_runs():
    model = compiled()
    with running(model):
        now = [w.copy() for w in model.get_weights()]
        answer = model.predict(X)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(twin.predict(X), answer)
            twin.fit(X, Y, verbose=0)
        same = compiled()
        same.build((None, 5))
        same.set_weights(now)
        np.testing.assert_array_equal(same.predict(X), answer)


def test_predictions_beside_a_fit_come_from_weights_that_were_there():
    model = nl.Sequential([nl.layers.Dense(1, use_bias=False)], seed=0)
    model.compile(nl.optimizers.SGD(0.01), "mse")
    x, done, seen, answers = np.ones((4, 1)), threading.Event(), set(), []
    model.build((None, 1))
    seen.add(float(model.weights[0][0, 0]))
    note = nl.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.add(float(model.weights[0][0, 0]))
    )

    def work():
        model.fit(x, 5 * x[:, 0], batch_size=1, epochs=100, callbacks=[note], verbose=0)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        answers.append(float(model.predict(x[:1])[0, 0]))
    thread.join()
    assert set(answers) <= seen


def test_of_many_fits_at_once_each_runs_alone_or_says_that_it_can_not():
    model, barrier, outcomes = compiled(()), threading.Barrier(8), []

    def work():
        barrier.wait()
        try:
            outcomes.append(len(model.fit(X, Y, epochs=2, verbose=0).epoch))
        except BusyError:
            outcomes.append(None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 8
    done = [count for count in outcomes if count is not None]
    assert done
    assert set(done) == {2}
    assert model.optimizer.iterations == 4 * len(done)


# Within a call ---------------------------------------------------------------------------------


def test_a_callback_may_evaluate_at_any_time():
    def run(*callbacks):
        model = compiled()
        model.fit(
            X, Y, batch_size=8, epochs=3, validation_split=0.25, callbacks=callbacks, verbose=0
        )
        return model

    found = []

    class Evaluate(nl.callbacks.Callback):
        def look(self, *_):
            twin = copy.deepcopy(self.model)
            expected = twin.evaluate(X, Y, verbose=0)
            found.append(self.model.evaluate(X, Y, verbose=0) == expected)
            found.append(self.model.test_on_batch(X, Y) == expected)

        on_epoch_begin = on_train_batch_begin = on_train_batch_end = on_epoch_end = look

        def on_test_batch_end(self, batch, logs=None):  # also of the evaluations in here
            if len(found) % 5 == 0:
                found.append(True)
                self.model.evaluate(X[:3], Y[:3], verbose=0)

    plain, watched = run(), run(Evaluate())
    assert len(found) > 30
    assert all(found)
    assert watched.history.history == plain.history.history
    np.testing.assert_array_equal(watched.parameters.values, plain.parameters.values)


def test_a_callback_may_train_on_batches_but_not_fit():
    model = compiled()
    extra = nl.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.train_on_batch(X[:4], Y[:4])
    )
    model.fit(X, Y, batch_size=8, epochs=1, callbacks=[extra], verbose=0)
    assert model.optimizer.iterations == 12
    for name in ("fit", "fit_lbfgs"):
        again = nl.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, name=name: CALLS[name](model)
        )
        with pytest.raises(BusyError, match=rf"{name}\(\) was called within fit\(\)"):
            model.fit(X, Y, epochs=2, callbacks=[again], verbose=0)
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


def test_a_callback_may_evaluate_but_not_compile():
    """The run would go on with the optimizer and the loss that it has begun with."""
    model = compiled()
    optimizer = model.optimizer

    def change(epoch, logs):
        model.evaluate(X, Y, verbose=0)
        with pytest.raises(BusyError, match=r"compile\(\) was called within fit\(\)"):
            model.compile("sgd", "binary_crossentropy")

    model.fit(X, Y, callbacks=[nl.callbacks.LambdaCallback(on_epoch_end=change)], verbose=0)
    assert model.optimizer is optimizer


# Ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_model_is_free_after_an_error(error):
    model = compiled()

    def fail(batch, logs):
        raise error

    with pytest.raises(error):
        model.fit(X, Y, callbacks=[nl.callbacks.LambdaCallback(on_train_batch_end=fail)], verbose=0)
    with pytest.raises(DataError):
        model.fit(np.full((4, 5), np.nan), np.zeros(4), verbose=0)
    with pytest.raises(TypeError):
        model.fit(X, Y, no_such_argument=1)
    for call in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        CALLS[call](model)


def test_the_model_is_free_after_a_ctrl_c_at_every_single_call_in_it():
    # A profiler sees each call and each return; Python lets a Ctrl-C in at those.
    model = compiled(())
    model.train_on_batch(X[:4], Y[:4])
    left = 0

    def interrupt(frame, event, argument):
        nonlocal left
        code = frame.f_code  # at the end of a generator an error is lost
        if code is interrupted.__code__ or code.co_flags & inspect.CO_GENERATOR:
            return
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    def interrupted(after):
        nonlocal left
        left = after
        sys.setprofile(interrupt)
        try:
            model.train_on_batch(X[:4], Y[:4])
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        return left < 0

    after = 0
    while interrupted(after):
        assert not model._lock, after
        assert not penalties_wanted(), after
        after += 1
    assert after > 100
    model.train_on_batch(X[:4], Y[:4])


def test_no_other_thread_saves_loads_or_compiles_while_a_model_is_trained(tmp_path):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.ones((8, 1))
    model.fit(x, x, verbose=0)
    path = tmp_path / "model"
    model.save_weights(path)
    found = []

    def attempt(use):
        try:
            use()
        except nl.errors.BusyError as error:
            found.append(str(error))

    class Others(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            uses = [
                lambda: model.save(path),
                lambda: model.save_weights(path),
                lambda: model.load_weights(path),
                lambda: model.compile("adam", "mse"),
            ]
            for use in uses:
                thread = threading.Thread(target=attempt, args=(use,))
                thread.start()
                thread.join()
            model.save(tmp_path / "by a callback")  # of the thread that trains: whole

    model.fit(x, x, callbacks=Others(), verbose=0)
    assert len(found) == 4
    assert all("another thread" in text for text in found)
    assert nl.load_model(tmp_path / "by a callback").predict(x).shape == (8, 1)
