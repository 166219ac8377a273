"""Hooks, ends of a run, Ctrl-C, and what is shown."""

import signal
import threading

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NonFiniteError

X, Y = np.ones((6, 2), np.float32), np.zeros((6, 1), np.float32)


def make(optimizer="sgd"):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(optimizer, "mse")
    return model


HOOKS = [name for name in dir(nl.callbacks.Callback) if name.startswith("on_")]


class Recorder(nl.callbacks.Callback):
    """Notes every hook with its number; raises ``error`` at the hook ``at``."""

    def __init__(self, at=None, error=None):
        self.calls, self.at, self.error = [], at, error


def _recording(hook):
    def method(self, *args, logs=None):
        numbers = [a for a in args if isinstance(a, int)]
        self.calls.append((hook.removeprefix("on_"), *numbers))
        if hook == self.at:
            raise self.error

    return method


for _hook in HOOKS:
    setattr(Recorder, _hook, _recording(_hook))


def test_hooks_come_in_keras_order():
    recorder = Recorder()
    make().fit(X, Y, batch_size=3, validation_data=(X, Y), callbacks=[recorder], verbose=0)
    batch = [("train_batch_begin", 0), ("train_batch_end", 0)]
    batch += [("train_batch_begin", 1), ("train_batch_end", 1)]
    test = [("test_begin",), ("test_batch_begin", 0), ("test_batch_end", 0), ("test_end",)]
    middle = [("epoch_begin", 0), *batch, *test, ("epoch_end", 0)]
    assert recorder.calls == [("train_begin",), *middle, ("train_end",)]
    recorder.calls.clear()
    make().predict(X, callbacks=[recorder])
    names = ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"]
    assert [c[0] for c in recorder.calls] == names


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_train_end_is_called_however_a_run_ends(hook, error):
    recorder = Recorder(hook, error)
    with pytest.raises(type(error)) as raised:
        make().fit(X, Y, epochs=2, callbacks=[recorder], verbose=0)
    assert recorder.calls[-1] == ("train_end",)
    note = raised.value.__notes__[-1]
    assert "Recorder" in note
    assert hook in note
    if hook == "on_train_batch_end":
        assert "epoch 0, batch 0" in note


def test_train_end_is_called_and_history_kept_after_an_explosion():
    recorder = Recorder()

    class Poison(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.parameters.values[...] = np.nan

    model = make()
    with pytest.raises(NonFiniteError, match="layer 'dense'"):
        model.fit(X, Y, epochs=5, callbacks=[Poison(), recorder], verbose=0)
    assert recorder.calls[-1] == ("train_end",)
    assert model.history.epoch == [0, 1]


def test_stop_training_ends_after_the_batch():
    class Stop(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    recorder = Recorder()
    model = make()
    model.fit(X, Y, batch_size=1, epochs=3, callbacks=[Stop(), recorder], verbose=0)
    assert ("train_batch_end", 1) in recorder.calls
    assert ("train_batch_begin", 2) not in recorder.calls
    assert model.history.epoch == [0]


class Interrupted(nl.optimizers.Optimizer):
    """Gets a Ctrl-C in the middle of its third update."""

    def update(self, w, g, lr, state, scratch):
        half = w.size // 2
        w[:half] += 1
        if self.iterations == 3:
            signal.raise_signal(signal.SIGINT)
        w[half:] += 1


def test_ctrl_c_waits_for_the_end_of_the_update():
    model, before = make(Interrupted()), signal.getsignal(signal.SIGINT)
    model.build((None, 2))
    start = model.parameters.values.copy()
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=1, callbacks=[recorder], verbose=0)
    np.testing.assert_allclose(model.parameters.values - start, 3, rtol=1e-6)
    assert recorder.calls[-1] == ("train_end",)
    assert signal.getsignal(signal.SIGINT) is before


def test_fit_in_another_thread():
    model = make()
    thread = threading.Thread(target=lambda: model.fit(X, Y, verbose=0))
    thread.start()
    thread.join()
    assert model.history.epoch == [0]


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 3), (2, 3), ("auto", 3)])
def test_clean_lines_without_a_terminal(capsys, verbose, lines):
    make().fit(X, Y, epochs=3, verbose=verbose)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == lines
    assert "\r" not in out + err
    assert "\x1b" not in out + err
    assert not err


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    make().fit(X, Y, batch_size=1, epochs=2)
    assert "6/6  left 0 ms" in capsys.readouterr().out


def test_what_is_no_callback_is_refused():
    for wrong in (Recorder, print, "stop"):
        with pytest.raises(nl.errors.ConfigurationError, match="callbacks"):
            make().fit(X, Y, callbacks=[wrong], verbose=0)
