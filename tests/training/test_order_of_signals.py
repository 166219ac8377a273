"""When signals act in a run, and which calls of a model wait for each other."""

import os
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.callbacks import Callback
from netlayers.training import lock, signals
from tests.golden import check_text

X = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
Y = X[:, :1].copy()


def model(rate=0.1, loss="mse", layer=None, build=True, **options):
    its = nl.Sequential([layer or layers.Dense(1, name="dense")], seed=0)
    its.compile(nl.optimizers.SGD(rate, **options), loss)
    if build:
        its.build((None, 2))
    return its


# Signals -----------------------------------------------------------------------------------------


@pytest.fixture
def handlers(monkeypatch):
    """The handlers of this process, in a dict; raise_signal notes what it is given."""
    state = {signal.SIGINT: lambda *a: seen.append(a), signal.SIGTERM: signal.SIG_DFL}
    seen = []
    monkeypatch.setattr(signal, "getsignal", state.get)
    monkeypatch.setattr(signal, "signal", state.__setitem__)
    monkeypatch.setattr(signal, "raise_signal", lambda n: seen.append(("raised", n)))
    return state, seen


def test_signals_wait_for_the_end_of_a_step(handlers):
    state, seen = handlers
    before = dict(state)
    with signals.Interrupts() as interrupts:
        assert (interrupts.busy, interrupts.updating, interrupts.delivered) == (False,) * 3
        assert state[signal.SIGINT] == state[signal.SIGTERM] == interrupts._handle
        state[signal.SIGINT](signal.SIGINT, "frame")
        assert seen.pop() == (signal.SIGINT, "frame")
        interrupts.busy = True
        interrupts._handle(signal.SIGINT, 1)
        assert seen == []
        interrupts._handle(signal.SIGINT, 2)  # a second one does not wait
        assert seen == [(signal.SIGINT, 2)]
        interrupts.release()  # and takes the place of the first
        assert seen == [(signal.SIGINT, 2)]
        interrupts.busy = interrupts.updating = True
        interrupts._handle(signal.SIGINT, 3)
        interrupts._handle(signal.SIGINT, 4)  # but for the end of an update
        assert len(seen) == 1
        interrupts.release()
        assert (interrupts.busy, interrupts.updating) == (False, False)
        assert seen[1:] == [(signal.SIGINT, 3)]
        interrupts.release()
        assert seen[2:] == [(signal.SIGINT, 4)]
        assert interrupts.delivered is False
    assert state == before
    assert len(seen) == 3


def test_sigterm_ends_the_process(handlers):
    state, seen = handlers
    interrupts = signals.Interrupts()

    def run():
        with interrupts:
            interrupts.busy = True
            interrupts._handle(signal.SIGTERM, None)
            interrupts._handle(signal.SIGTERM, None)
            assert seen == []
            interrupts.release()

    with pytest.raises(signals.Terminated):
        run()
    assert seen == [("raised", signal.SIGTERM)]
    assert interrupts.delivered is True
    assert state[signal.SIGTERM] is signal.SIG_DFL


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_a_late_signal(handlers, own, together):
    state, seen = handlers
    if own:
        state[signal.SIGTERM] = lambda *a: seen.append(a)

    def run():
        with signals.Interrupts(together) as interrupts:
            interrupts.busy = True
            interrupts._handle(signal.SIGTERM, 5)
            raise KeyError

    with pytest.raises(KeyError if own else signals.Terminated):
        run()
    assert seen == ([(signal.SIGTERM, 5)] if own else [("raised", signal.SIGTERM)])


def test_signals_that_are_ignored_stay_so(handlers):
    state, _ = handlers
    state[signal.SIGINT] = signal.SIG_DFL
    state[signal.SIGTERM] = signal.SIG_IGN
    with signals.Interrupts() as interrupts:
        assert interrupts._previous == {}
        assert (state[signal.SIGINT], state[signal.SIGTERM]) == (signal.SIG_DFL, signal.SIG_IGN)
    in_thread = []

    def run():
        with signals.Interrupts() as interrupts:
            in_thread.append(interrupts._previous)

    state[signal.SIGTERM] = signal.SIG_DFL
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert in_thread == [{}]


def test_texts_are_written_before_a_process_ends(handlers, monkeypatch):
    _, seen = handlers
    for name in ("stdout", "stderr"):
        stream = types.SimpleNamespace(flush=lambda name=name: seen.append(name) or 1 / 0)
        monkeypatch.setattr(sys, name, stream)
    interrupts = signals.Interrupts()
    interrupts._ends = True
    interrupts.__exit__(None, None, None)
    assert seen == ["stdout", "stderr", ("raised", signal.SIGTERM)]


def test_where_the_trainer_may_be_interrupted(monkeypatch):
    """After each hook and step what waits is delivered; within them nothing is."""
    lines = []

    class Notes(signals.Interrupts):
        def release(self):
            lines.append(f"release {self.busy} {self.updating}")
            super().release()

    monkeypatch.setattr("netlayers.training.trainer.Interrupts", lambda several: made[0])
    made = [Notes()]

    class Watch(Callback):
        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            if not name.startswith("on_"):
                return found

            def noted(*args):
                lines.append(f"{name} {made[0].busy} {made[0].updating}")
                return found(*args)

            return noted

    its = model()
    step, forward = its.optimizer.step, its.loss.forward
    its.optimizer.step = lambda *a: lines.append(f"update {made[0].updating}") or step(*a)
    its.loss.forward = lambda *a: lines.append(f"loss {made[0].busy}") or forward(*a)
    its.fit(X, Y, 4, epochs=2, callbacks=[Watch()], validation_data=(X, Y), verbose=0)
    check_text(__file__, "interrupts.txt", "\n".join(lines))


# Locks -------------------------------------------------------------------------------------------


def test_a_lock_within_a_child_of_a_fork():
    its = model()
    its._lock["now"] = holder = ("fit", threading.get_ident(), object())
    lock.check_not_busy(its, "save")
    held = []

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            held.append(its._lock["now"])

    its.fit(X, Y, callbacks=[Watch()], verbose=0)
    assert held[0][0] == "fit"
    assert held[0] is not holder
    assert its._lock == {}


HANGS = """
import hashlib, sys
from netlayers.training import signals

signals.PATIENCE = 0.01
with signals.Interrupts(together=True):
    print("begins", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # Python runs no handler meanwhile
"""


def test_a_second_signal_kills_one_of_several_processes_that_hangs():
    script = [sys.executable, "-c", HANGS]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout.readline() == "begins\n"
        started.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(0.2)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == -signal.SIGKILL


def test_a_process_that_ends_after_a_second_signal_is_not_killed():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)

    def run():
        with signals.Interrupts(together=True):
            assert "signals" in [thread.name for thread in threading.enumerate()]
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert "signals" not in [thread.name for thread in threading.enumerate()]
    assert signal.set_wakeup_fd(before) == before


def test_an_agreed_signal_ends_a_process_that_does_not_handle_it():
    its = signals.Interrupts(together=True)  # not entered, as in another thread than the main one
    its.agree([signal.SIGINT])
    with pytest.raises(signals.Terminated):
        its.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_forked_in_a_run_has_its_own_signals():
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before[1])
    with signals.Interrupts(together=True):
        child = os.fork()
        if child == 0:
            same = before == (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1))
            time.sleep(0.5)
            os._exit(0 if same else 1)
    assert os.waitpid(child, os.WNOHANG)[0] == 0  # the end of the run does not wait for it
    assert os.waitpid(child, 0)[1] == 0


def test_a_lock_and_who_may_call_what():
    its, here = model(), threading.get_ident()
    lines = []
    for thread in (here, here + 1):
        for wanted in ("fit", "fit_lbfgs", "evaluate", "save"):
            its._lock["now"] = ("train_on_batch", thread, lock._Process.this)
            for check in (
                lambda w=wanted: lock.check_not_busy(its, w),
                lambda w=wanted: lock.run_locked(its, w, lambda: "ran"),
            ):
                try:
                    lines.append(f"{thread == here} {wanted}: {check()}")
                except nl.errors.BusyError as error:
                    lines.append(f"{thread == here} {wanted}: {error}")
            assert its._lock.pop("now")[0] == "train_on_batch"
    assert lock.run_locked(its, "fit", lambda: its._lock["now"][0]) == "fit"
    assert its._lock == {}
    lock.check_not_busy(layers.Dense(1), "save")
    check_text(__file__, "locks.txt", "\n".join(lines))
