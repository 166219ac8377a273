"""When backups are written and by which name, what TensorBoard is given, and which hooks run."""

import io
import itertools
import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.callbacks import backup as backup_module
from netlayers.callbacks import progress, reporting
from netlayers.callbacks import tensorboard as board
from netlayers.training.callback import RunPlan
from tests.callbacks.test_transcripts import Transcript, X, Y, fit, model


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ticks = itertools.count()
    for clock in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: next(ticks))
    return Transcript(tmp_path)


def test_backups(script, monkeypatch):
    save, places, its = backup_module.save_model, [], model()

    def noted(its, path, arrays, extra):
        places.append((extra["place"]["epoch"], extra["place"]["batch"]))
        save(its, path, arrays=arrays, extra=extra)

    monkeypatch.setattr(backup_module, "save_model", noted)
    for options in (
        {},
        {"save_freq": 1},
        {"save_freq": 2},
        {"save_freq": 3, "double_checkpoint": True},
        {"seconds": 5},
        {"delete_checkpoint": False, "double_checkpoint": True},
    ):
        keep = callbacks.BackupAndRestore("runs", **options)
        script.run(f"BackupAndRestore {options}", fit(keep, epochs=2, batch_size=2))
        script.lines.append(f"    {places}")
        places.clear()
        script.files()
    stream = callbacks.BackupAndRestore("other")
    script.run("a function", lambda: its.fit(lambda: iter([(X, Y)]), callbacks=[stream], verbose=0)
               and None)  # fmt: skip
    script.run("an iterator to validate", fit(stream, epochs=1, validation_data=iter([(X, Y)])))
    again = callbacks.BackupAndRestore("runs", delete_checkpoint=False)
    script.run("the same", fit(again, epochs=2, batch_size=2))
    script.run("more epochs", fit(again, epochs=3, batch_size=2, verbose=2))
    script.run("fewer epochs", fit(callbacks.BackupAndRestore("runs"), batch_size=2, epochs=1))
    script.run("another size", fit(again, epochs=3, batch_size=3))
    script.run("much else", fit(again, its=model(0.5, "mae"), epochs=3, batch_size=3,
                                shuffle=True, steps_per_epoch=1, initial_epoch=1))  # fmt: skip
    two = [callbacks.BackupAndRestore("runs"), callbacks.BackupAndRestore("more")]
    script.run("two", fit(*two))
    for name in ("backup", "previous"):
        with open(f"runs/{name}.safetensors", "wb") as file:
            file.write(b"cut")
        script.run(f"{name} is cut", fit(again, epochs=4, batch_size=2))
        script.files()
    os.unlink("runs/previous.safetensors")
    model().save("runs/backup.safetensors")
    script.run("a model alone", fit(again))
    for wrong in ({"save_freq": "batch"}, {"save_freq": 0}, {"save_freq": 2, "seconds": 3}):
        script.run(f"{wrong}", lambda w=wrong: callbacks.BackupAndRestore("runs", **w))
    script.check("backups.txt")


def test_a_backup_of_a_place_is_written_once(tmp_path):
    class Here:
        logs, model, epoch, batch = None, model(), 1, 2

        def place(self):
            return {"epoch": 1, "batch": 2}

        def get_state(self):
            return {}

    keep = callbacks.BackupAndRestore(tmp_path)
    keep._script, keep._written = {}, None
    keep.interrupted(Here())
    (tmp_path / "backup.safetensors").unlink()
    keep.interrupted(Here())
    assert not (tmp_path / "backup.safetensors").exists()
    Here.logs = {"loss": 1}  # stopped after the batch, within the epoch
    keep.interrupted(Here())
    assert (tmp_path / "backup.safetensors").exists()


def test_tensorboard_calls(script, monkeypatch):
    class Events:
        def __init__(self, folder, run):
            self.name, self.path = os.path.basename(folder), f"{folder}.events"
            self.file = self
            self.note("open")

        def note(self, *what):
            script.lines.append(" ".join(map(str, ("    ", self.name, *what))))

        def add(self, step, kind, tag, value, *more):
            if kind == "text":
                value = (value.count("\n"), value[:9])
            self.note(step, kind, tag, value.size if kind == "histogram" else value)

        def flush(self):
            self.note("flush")

        def close(self):
            self.note("close")

    monkeypatch.setattr(board, "_Events", Events)
    monkeypatch.setattr(board, "_tensorboardx", lambda module: None)
    monkeypatch.setattr(os.path, "getsize", lambda path: 7)
    monkeypatch.setattr(board.secrets, "token_hex", lambda size: f"{size} bytes")
    alone = callbacks.TensorBoard("logs", write_graph=False)
    its = model()
    script.run("evaluated", lambda: its.evaluate(X, Y, callbacks=[alone], verbose=0) and None)
    script.run("by epoch", fit(callbacks.TensorBoard("logs"), epochs=1, validation_data=(X, Y)))
    options = {"write_graph": False, "write_steps_per_second": True, "histogram_freq": 2}
    monitor = callbacks.GradientMonitor(measures=["gradient_norm"])
    by_batch = callbacks.TensorBoard("logs", update_freq=2, **options)
    script.run("by batch", fit(monitor, by_batch, batch_size=2, its=its))
    script.run("state", by_batch.get_state)
    by_batch._first, by_batch._batch = 1, 2
    by_batch.set_state({"batch": 5})  # of an earlier version
    script.lines.append(f"    {by_batch._first} {by_batch._batch}")
    each = callbacks.TensorBoard("logs", update_freq="batch", write_graph=False)
    script.run("each batch", fit(each, batch_size=3, epochs=1))
    script.check("boards.txt")


def test_what_is_refused_in_lbfgs(script, monkeypatch):
    monkeypatch.setattr(board, "_tensorboardx", lambda module: None)
    plan = RunPlan("fit_lbfgs", range(3), ("loss",), (), False)
    for made in (
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.TerminateOnNaN(),
        callbacks.GradientMonitor(),
        callbacks.ModelCheckpoint("a.safetensors", save_freq=2),
        callbacks.TensorBoard(update_freq="batch"),
        callbacks.TensorBoard(update_freq=3),
        callbacks.LambdaCallback(on_train_batch_end=print),
        callbacks.LambdaCallback(on_train_batch_begin=print),
        callbacks.LambdaCallback(on_epoch_end=print),
        callbacks.ModelCheckpoint("a.safetensors"),
        callbacks.TensorBoard(),
        callbacks.EarlyStopping("loss"),
    ):
        made.set_model(model())
        script.run(type(made).__name__, lambda made=made: made.check_run(plan))
    script.check("lbfgs.txt")


def test_hooks_in_batches_only_where_they_are_needed():
    begin, end = "on_train_batch_begin", "on_train_batch_end"
    for made, hooks in (
        (callbacks.ModelCheckpoint("a.safetensors"), []),
        (callbacks.ModelCheckpoint("a.safetensors", "loss"), []),
        (callbacks.ModelCheckpoint("a.safetensors", save_best_only=True), []),
        (callbacks.ModelCheckpoint("a.safetensors", "loss", save_best_only=True), [begin]),
        (callbacks.ModelCheckpoint("a.safetensors", "loss", save_freq=2), [end]),
        (callbacks.ModelCheckpoint("a.safetensors", "loss", 0, True, save_freq=2), [end]),
        (callbacks.EarlyStopping("loss"), []),
        (callbacks.EarlyStopping("val_loss", restore_best_weights=True), []),
        (callbacks.EarlyStopping("loss", restore_best_weights=True), [begin]),
    ):
        assert [hook for hook in (begin, end) if hook in vars(made)] == hooks
    assert callbacks.TimeBudget(1).stopped is False
    assert callbacks.TerminateOnNaN().origin is None


@pytest.mark.parametrize("sign", [1, -1])
def test_monitor_improvements(sign):
    stop = callbacks.EarlyStopping("loss", mode="max" if sign > 0 else "min", min_delta=0.5)
    stop._sign = sign
    for value, reference, better in (
        (np.nan, None, False),
        (np.inf, None, False),
        (1.0, None, True),
        (sign * 1.5, sign * 1.0, False),
        (sign * 1.51, sign * 1.0, True),
        (sign * 1.0, sign * 1.0, False),
        (-sign * 2.0, sign * 1.0, False),
    ):
        assert stop.is_improvement(value, reference) is better
    assert stop._direction() == sign
    for steps in ({}, {"_steps": None}):  # as after compile() in another callback
        stop.set_model(SimpleNamespace(**steps))
        assert stop._is_of_training() is False


def test_numbers_in_a_line_of_progress():
    logs = {"a": np.float32(0.5), "b/c": 1.0, "d": np.ones(2), "e": "text", "f": True, "g": 3}
    assert progress.numbers_line(logs) == "a 0.5000  f 1.0000  g 3.0000"
    for value, text in (
        (0, "0.0000"), (1e-3, "0.0010"), (9.99e-4, "9.990e-04"), (-1e-3, "-0.0010"),
        (-1e-4, "-1.000e-04"), (float("nan"), "nan"), (float("inf"), "inf"),
    ):  # fmt: skip
        assert progress.shown_number(value) == text
    assert nl.callbacks.ProgressBar.part_of_run is False


def test_lines_of_progress_are_written_at_once(monkeypatch):
    class Out(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    out = Out()
    monkeypatch.setattr(sys, "stdout", out)
    reporting.say("a line")
    assert (out.getvalue(), out.flushed) == ("a line\n", 1)
    bar = progress.ProgressBar()
    bar.params = {"epochs": 3}
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar.on_epoch_end(0, {"loss": 1.0})
    assert out.getvalue().endswith("loss 1.0000\n")
    assert out.flushed == 2
