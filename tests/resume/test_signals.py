"""Ctrl-C, SIGTERM and errors end a run with a backup and a consistent model."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from tests.resume.scripts import HERE, SOURCES, Cut, Knife, Stateful, X, Y, network, same


class Press(callbacks.Callback):
    """Sends signals from within a hook."""

    def __init__(self, hook, at, *numbers):
        self.at, self.numbers, self.after = at, numbers, 0
        setattr(self, hook, self.press)

    def press(self, *_):
        self.at -= 1
        if self.at == 0:
            for number in self.numbers:
                signal.raise_signal(number)
            self.after += 1

    def get_state(self):
        return {}


def interrupted(folder, press, **arguments):
    model = network()
    model.compile(nl.optimizers.Adam(0.05), "mse", metrics=["auc"])
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    keep = callbacks.BackupAndRestore(folder, save_freq=10**6)
    chosen = [halve, press, callbacks.Callback(), keep]
    if not arguments:
        arguments = {"x": X, "y": Y, "batch_size": 8}
    model.fit(epochs=3, callbacks=chosen, validation_data=(X, Y), verbose=0, **arguments)
    return model, chosen


@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_train_batch_begin", 7),
        ("on_train_batch_end", 7),
        ("on_train_batch_end", 5),
        ("on_epoch_begin", 2),
        ("on_epoch_end", 2),
        ("on_test_batch_begin", 2),
        ("on_test_end", 2),
    ],
)
def test_ctrl_c_writes_a_backup(tmp_path, hook, at):
    folder, press = tmp_path / "b", Press(hook, at, signal.SIGINT)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder, press)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    iterations = nl.load_model(folder / "backup.safetensors").optimizer.iterations
    done = {"on_train_batch_begin": 7, "on_train_batch_end": at, "on_epoch_begin": 5}
    assert iterations == done.get(hook, 10)
    assert press.after == ("test" not in hook)  # but within a test it acts at once
    never = Press(hook, 0)
    same(interrupted(tmp_path / "c", never), interrupted(folder, never))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("steps", [None, 4])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_epoch_end", "on_test_batch_begin"])
def test_ctrl_c_with_data_that_come_in_batches(tmp_path, kind, steps, hook):
    def run(folder, at):
        arguments = {"x": SOURCES[kind](), "steps_per_epoch": steps}
        return interrupted(folder, Press(hook, at, signal.SIGINT), **arguments)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 1)
    same(run(tmp_path / "c", 0), run(tmp_path / "b", 0))


def test_ctrl_c_while_a_source_is_waited_for(tmp_path):
    """It acts at once; the batches before are in the backup, and those to come are read again."""

    class Slow(Stateful):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == self.press:
                    signal.raise_signal(signal.SIGINT)
                yield batch

    def run(folder, press):
        source = Slow()
        source.press = press
        return interrupted(folder, Press("on_epoch_end", 0), x=source, read_ahead=0)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 5)
    assert nl.load_model(tmp_path / "b" / "backup.safetensors").optimizer.iterations == 5
    same(run(tmp_path / "c", -1), run(tmp_path / "b", -1))


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    press = Press("on_train_batch_end", 7, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "b", press)
    assert press.after == 0
    assert not (tmp_path / "b").exists()  # the step was not finished


def test_sigterm_with_a_handler(tmp_path):
    """The handler that was there is called, after the step."""

    def leave(number, frame):
        sys.exit(9)

    old = signal.signal(signal.SIGTERM, leave)
    try:
        press = Press("on_train_batch_begin", 3, signal.SIGTERM)
        with pytest.raises(SystemExit):
            interrupted(tmp_path / "b", press)
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        signal.signal(signal.SIGTERM, old)
    assert nl.load_model(tmp_path / "b" / "backup.safetensors").optimizer.iterations == 3


def test_a_handler_that_does_not_end_the_run(tmp_path):
    calls = []
    old = signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
    try:
        model, _ = interrupted(tmp_path / "b", Press("on_train_batch_begin", 3, signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, old)
    assert calls == [1]
    assert model.history.epoch == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_within_a_callback(tmp_path, number):
    """Both end: the inner one after its step, with a backup; the outer one keeps the one it had."""
    ended = []

    def leave(number, frame):
        raise KeyboardInterrupt

    def inner(batch, logs):
        if batch == 3:
            press = Press("on_train_batch_begin", 7, number)
            try:
                interrupted(tmp_path / "inner", press)
            finally:
                ended.append(press.after)

    model = network()
    model.compile("sgd", "mse")
    hook = callbacks.LambdaCallback(on_train_batch_end=inner)
    keep = callbacks.BackupAndRestore(tmp_path / "outer", save_freq=1)
    old = signal.signal(number, leave)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, batch_size=8, epochs=3, callbacks=[hook, keep], verbose=0)
        assert signal.getsignal(number) is leave
    finally:
        signal.signal(number, old)
    assert ended == [1]
    done = [
        nl.load_model(tmp_path / name / "backup.safetensors").optimizer.iterations
        for name in ("inner", "outer")
    ]
    assert done == [7, 3]


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_sigterm_ends_both_runs():
    """Without a handler of the user's, as Python would have ended."""
    program = """
import signal, numpy as np, netlayers as nl
def fit(hook):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    press = nl.callbacks.LambdaCallback(on_train_batch_begin=hook)
    model.fit(np.ones((8, 1)), np.ones(8), epochs=3, callbacks=[press], verbose=0)
    print("went on", flush=True)
fit(lambda *_: fit(lambda *_: signal.raise_signal(signal.SIGTERM)))
"""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


def start(folder, *options):
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    return subprocess.Popen(
        [sys.executable, str(HERE / "training.py"), "sgd", str(folder), *options],
        env=environment | {"OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGINT, -2)])
def test_a_process_ends_as_python_does(tmp_path, number, code):
    process = start(tmp_path, "--backup")
    assert process.stdout.readline() == "training\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    if number == signal.SIGTERM:
        assert errors == ""
    else:
        assert re.fullmatch(
            r"fit was interrupted in epoch .*backup of this moment in .*\.\n", errors
        )
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["backup.safetensors"]


@pytest.mark.parametrize(
    ("hook", "at", "where"),
    [
        ("on_train_batch_end", 7, "in epoch 2 of 3 after batch 2 of 5"),
        ("on_epoch_begin", 2, "in epoch 2 of 3 before its first batch"),
        ("on_test_batch_begin", 2, "in epoch 2 of 3 after all its batches"),
        ("on_epoch_end", 2, "before epoch 3 of 3"),
        ("on_epoch_end", 3, "after epoch 3 of 3"),
    ],
)
def test_the_sentence_of_ctrl_c_says_where(tmp_path, monkeypatch, hook, at, where):
    monkeypatch.delenv("NETLAYERS_DEBUG", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(tmp_path / "b", Press(hook, at, signal.SIGINT))
    assert type(caught.value) is KeyboardInterrupt
    assert str(caught.value) == (
        f"fit was interrupted {where}; the same script continues from the backup of this moment "
        f"in '{tmp_path / 'b'}'."
    )


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ([], "nothing was saved: with the callback BackupAndRestore the same script would continue "
         "here."),
        (["backup"], "the same script continues from the backup before epoch 2 in 'backup'."),
        (["few"], "the same script continues from the backup of epoch 2, batch 1 in 'backup'."),
        (["model"], "load_model reads 'm.safetensors', saved by ModelCheckpoint."),
        (["weights"], "model.load_weights reads 'w.safetensors', saved by ModelCheckpoint."),
    ],
)  # fmt: skip
def test_the_sentence_of_ctrl_c_says_what_is_saved(tmp_path, monkeypatch, chosen, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    kinds = {
        "backup": lambda: callbacks.BackupAndRestore("backup"),
        "few": lambda: callbacks.BackupAndRestore("backup", save_freq=6),
        "model": lambda: callbacks.ModelCheckpoint("m.safetensors"),
        "weights": lambda: callbacks.ModelCheckpoint("w.safetensors", save_weights_only=True),
    }
    # The second signal ends the hook at once, so there is no backup of this moment.
    press = Press("on_train_batch_end", 8, signal.SIGINT, signal.SIGINT)
    model = network()
    model.compile("sgd", "mse")
    its = [press, *(kinds[name]() for name in chosen)]
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X, Y, batch_size=8, epochs=3, callbacks=its, verbose=0)
    where = "fit was interrupted in epoch 2 of 3 after batch 2 of 5; "
    assert str(caught.value) == where + text


def test_the_sentence_of_ctrl_c_where_the_model_lives_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    model = network()
    model.compile("sgd", "mse")
    press = Press("on_train_batch_end", 7, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X, Y, batch_size=8, epochs=3, callbacks=[press], verbose=0)
    assert str(caught.value) == (
        "fit was interrupted in epoch 2 of 3 after batch 2 of 5; nothing was saved; "
        "fit(..., initial_epoch=1) trains on from the weights as they are."
    )


def test_other_errors_keep_their_traceback(capsys, monkeypatch):
    monkeypatch.delenv("NETLAYERS_DEBUG", raising=False)
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: seen.append(what))
    model = network()
    model.compile("sgd", "mse")
    for _ in range(2):  # the second time, the hook is there
        press = Press("on_train_batch_end", 2, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as caught:
            model.fit(X, Y, callbacks=[press], verbose=0)
    sys.excepthook(KeyboardInterrupt, caught.value, None)
    assert capsys.readouterr().err == f"{caught.value}\n"
    assert caught.value._render_traceback_() == [str(caught.value)]
    error = ValueError("mine")
    sys.excepthook(ValueError, error, None)
    assert seen == [(ValueError, error, None)]


def test_the_traceback_of_ctrl_c_on_request(monkeypatch):
    monkeypatch.setenv("NETLAYERS_DEBUG", "1")
    before = sys.excepthook
    model = network()
    model.compile("sgd", "mse")
    with pytest.raises(KeyboardInterrupt, match="fit was interrupted") as caught:
        model.fit(X, Y, callbacks=[Press("on_train_batch_end", 2, signal.SIGINT)], verbose=0)
    assert sys.excepthook is before
    assert not hasattr(caught.value, "_render_traceback_")


@pytest.mark.parametrize("where", ["callback", "source"])
def test_an_error_leaves_a_consistent_model(where):
    """The weights are those of the last whole update, and the model trains on."""

    def source():
        yield from [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)]
        raise Cut

    def run(data, chosen):
        model = network()
        model.compile("adam", "mse")
        try:
            model.fit(**data, callbacks=chosen, verbose=0)
        except Cut:
            return model
        return model

    plain = run({"x": [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)], "shuffle": False}, [])
    if where == "source":
        model = run({"x": source}, [])
    else:
        data = {"x": [(X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16, 24)], "shuffle": False}
        model = run(data, [Knife(4, ["on_train_batch_begin"])])
    np.testing.assert_array_equal(model.parameters.values, plain.parameters.values)
    assert model.optimizer.iterations == 3
    model.fit(X, Y, verbose=0)
