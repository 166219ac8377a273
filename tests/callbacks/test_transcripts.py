"""What callbacks print, warn of, raise, write and count, run by run, is kept in one text."""

import contextlib
import io
import itertools
import os
import time
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.callbacks import Callback
from tests.golden import check_text

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
Y = X[:, :1] - X[:, 1:] / 2


class Logs(Callback):
    """Puts given numbers into the logs of the epochs."""

    part_of_run = False

    def __init__(self, name, values, validated=True):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


class Transcript:
    """Runs scenarios in empty folders, and notes what happens."""

    def __init__(self, folder):
        self.folder, self.lines, self.number = folder, [], 0

    def run(self, title, function, *watched):
        """Call a function; note what it prints, raises, warns of and returns."""
        self.lines.append(title)
        printed = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            try:
                result = function()
            except Exception as error:
                result = f"{type(error).__name__}: {error}"
        said = printed.getvalue().splitlines()
        said += [f"warning: {w.message}" for w in caught if w.category is UserWarning]
        said += [] if result is None else [f"-> {result}"]
        for thing, names in watched:
            said += [f"   {name} = {getattr(thing, name)!r}" for name in names.split()]
        self.lines += ["    " + line.replace(str(self.folder), "FOLDER") for line in said]

    def files(self):
        """Note the names of all files."""
        found = [os.path.join(p, f) for p, _, names in os.walk(self.folder) for f in names]
        names = (os.path.relpath(f, self.folder).replace(os.sep, "/") for f in found)
        self.lines.append(f"    files {sorted(names)}")

    def check(self, name):
        check_text(__file__, name, "\n".join(self.lines))


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for clock in ("monotonic", "perf_counter"):
        ticks = itertools.count()
        monkeypatch.setattr(time, clock, lambda ticks=ticks: next(ticks))
    return Transcript(tmp_path)


def model(rate=0.25, loss="mse", **arguments):
    its = nl.Sequential([nl.layers.Dense(1, kernel_initializer="zeros", name="last")], seed=0)
    its.compile(nl.optimizers.SGD(rate), loss, **arguments)
    return its


def fit(*given, its=None, **options):
    its = its or model()
    options = {"epochs": 3, "verbose": 0, "shuffle": False, **options}

    def run():
        history = its.fit(X, Y, callbacks=list(given), **options)
        numbers = {k: [_shown(v) for v in h] for k, h in history.history.items()}
        return f"epochs {history.epoch} {numbers}"

    return run


def _shown(value):
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else value


def test_early_stopping(script):
    values = [5.0, 3.0, 4.0, 2.0, 2.5, 2.6, 1.0, 3.0]
    names = "best best_epoch stopped_epoch wait"
    for options in (
        {},
        {"patience": 1, "verbose": 1},
        {"patience": 2, "restore_best_weights": True, "verbose": 1},
        {"patience": 2, "start_from_epoch": 2, "verbose": 1},
        {"patience": 3, "baseline": 2.5, "verbose": 1},
        {"patience": 1, "baseline": 0.1, "verbose": 2},
        {"min_delta": 1.0, "patience": 2, "verbose": 1},
        {"mode": "max", "patience": 2, "verbose": 1},
    ):
        stop = callbacks.EarlyStopping("val", **{"mode": "min", **options})
        script.run(f"EarlyStopping {options}", fit(Logs("val", values), stop, epochs=8),
                   (stop, names))  # fmt: skip
    stop = callbacks.EarlyStopping("none", mode="min")
    script.run("EarlyStopping of what is not there", fit(Logs("val", values), stop), (stop, names))
    script.run("and auto", fit(Logs("val", values), callbacks.EarlyStopping("val")))
    script.run("and an array", fit(Logs("val", [X] * 3), callbacks.EarlyStopping("val")))
    once = [None, 2.0, 3.0]
    script.run(
        "not in each epoch", fit(Logs("val", once), callbacks.EarlyStopping("val", 0, 5, 0, "min"))
    )
    script.run("validation at times", fit(callbacks.EarlyStopping(patience=2),
                                          validation_data=(X, Y), validation_freq=2))  # fmt: skip
    script.check("early_stopping.txt")


def test_learning_rates(script):
    values = [5.0, 3.0, 4.0, 2.0, 2.5, 2.6, 2.7, 3.0]
    for options in (
        {"patience": 1},
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "cooldown": 2},
        {"patience": 1, "min_lr": 0.01},
        {"patience": 0, "min_delta": 1.0},
        {"patience": 1, "mode": "max"},
    ):
        reduce = callbacks.ReduceLROnPlateau("val", verbose=1, **{"mode": "min", **options})
        script.run(f"ReduceLROnPlateau {options}", fit(Logs("val", values), reduce, epochs=8),
                   (reduce, "best wait cooldown_counter"))  # fmt: skip
    schedule = nl.optimizers.schedules.ExponentialDecay(0.25, 2, 0.5)
    reduce = callbacks.ReduceLROnPlateau("val", mode="min", patience=1, verbose=1)
    script.run("of a schedule", fit(Logs("val", values), reduce, epochs=5, its=model(schedule)))
    for name, rule in (
        ("both", lambda epoch, rate: rate / (1 + epoch)),
        ("the epoch", lambda epoch: 0.5 - epoch / 10),
        ("text", lambda epoch: "much"),
        ("negative", lambda epoch: -1.0),
    ):
        rates = callbacks.LearningRateScheduler(rule, verbose=1)
        script.run(f"LearningRateScheduler of {name}", fit(rates))
    for wrong in (3, lambda: 1, lambda a, b, c: 1):
        try:
            callbacks.LearningRateScheduler(wrong)
        except nl.errors.ConfigurationError as error:
            script.lines.append(str(error).partition("<")[0])
    script.check("rates.txt")


def test_checkpoints(script):
    values = [5.0, 3.0, 4.0, 2.0]
    names = "best files"
    for options in (
        {"filepath": "a-{epoch}.safetensors", "keep_last": 2},
        {"filepath": "b-{epoch:02d}-{val:.1f}.safetensors", "save_best_only": True,
         "monitor": "val"},
        {"filepath": "c.safetensors", "save_best_only": True, "monitor": "val", "mode": "max"},
        {"filepath": "d-{epoch}-{batch}.safetensors", "save_freq": 3},
        {"filepath": "e.safetensors", "save_best_only": True, "monitor": "val",
         "initial_value_threshold": 3.0, "save_weights_only": True},
        {"filepath": "f/g-{epoch}.safetensors", "save_freq": 4, "save_best_only": True,
         "monitor": "loss"},
    ):  # fmt: skip
        keep = callbacks.ModelCheckpoint(verbose=1, **{"mode": "min", **options})
        train = fit(Logs("val", values), keep, epochs=4, batch_size=3)
        script.run(f"ModelCheckpoint {options}", train, (keep, names))
        script.files()
    keep = callbacks.ModelCheckpoint("h-{epoch}.safetensors", verbose=1, keep_last=1)
    for start in (0, 2):
        script.run(f"from {start}", fit(keep, epochs=start + 2, initial_epoch=start), (keep, names))
    script.files()
    keep = callbacks.ModelCheckpoint("i.safetensors", "loss", save_best_only=True, verbose=1)
    its = model()
    for start in (0, 0, 1):
        script.run(f"best from {start}", fit(keep, epochs=start + 1, initial_epoch=start, its=its),
                   (keep, names))  # fmt: skip
    script.run("names nobody has", fit(callbacks.ModelCheckpoint("j-{val_loss}.safetensors")))
    lacking = callbacks.ModelCheckpoint("j-{val}.safetensors")
    script.run("a name that is not there", fit(Logs("val", [None] * 3), lacking))
    script.run("no number", fit(Logs("val", ["a"] * 3), lacking))
    validated = callbacks.ModelCheckpoint("k-{epoch}-{val_loss:.0f}.safetensors", verbose=1)
    script.run("validated at times", fit(validated, validation_data=(X, Y), validation_freq=2))
    os.mkdir("l.safetensors")
    script.run("a folder", lambda: callbacks.ModelCheckpoint("l.safetensors"))
    script.files()
    script.check("checkpoints.txt")


def test_a_checkpoint_on_a_full_disk(script, monkeypatch):
    def full(*_, **__):
        raise OSError("the disk is full")

    keep = callbacks.ModelCheckpoint("a.safetensors", "loss", save_best_only=True, verbose=1)
    its = model()
    with monkeypatch.context() as patch:
        patch.setattr("netlayers.saving.save_model", full)
        script.run("full", fit(keep, its=its), (keep, "best files"))
    weights = callbacks.ModelCheckpoint("b.safetensors", save_weights_only=True, verbose=1)
    its.layers[0].bias[...] = np.nan
    its.optimizer.on_nonfinite = "ignore"
    script.run("not finite", fit(weights, its=its, epochs=1))
    script.files()
    script.check("full_disk.txt")


def test_csv_logger_tables(script):
    log = callbacks.CSVLogger("a.csv")

    def text(name):
        with open(name, newline="") as file:
            return repr(file.read())

    values = [1.5, None, 2.0]
    script.run("some epochs", fit(log, Logs("later", values)))
    assert log._file is None
    script.run("added before", fit(Logs("m", values), log))
    script.run("", lambda: text("a.csv"))
    script.run("other columns", fit(Logs("more", [0.0] * 5), log, epochs=5, initial_epoch=3))
    second = callbacks.CSVLogger("a.csv", append=True)
    script.run("appended", fit(Logs("m", [[1, 2], "a", 3]), second, validation_data=(X, Y)))
    script.run("", lambda: text("a.csv"))
    with open("b.csv", "w") as file:
        file.write("epoch;loss\n0;1")
    script.run("cut", fit(callbacks.CSVLogger("b.csv", ";", append=True), epochs=1))
    script.run("", lambda: text("b.csv"))
    layer = Logs("dense/norm", [1.0] * 3)
    rates = callbacks.LearningRateScheduler(lambda epoch: 0.1)
    script.run("training only", fit(layer, rates, callbacks.CSVLogger("c.csv"), epochs=1))
    script.run("", lambda: text("c.csv"))
    log = callbacks.CSVLogger("d.csv")
    script.run("a state", fit(log, epochs=2))
    log.on_train_begin()
    log.on_epoch_end(0, {"loss": 1})
    state = log.get_state()
    script.lines.append(f"    {state}")
    log.on_epoch_end(1, {"loss": 2})
    script.run("shortened", lambda: log.set_state(state))
    script.run("missing", lambda: log.set_state({**state, "length": 999}))
    open("d.csv", "w").close()
    script.run("empty", lambda: log.set_state({**state, "length": 999}))
    log.on_train_end()
    script.check("tables.txt")


def test_limits(script):
    names = "stopped seconds"
    for options in (
        {"seconds": 1},
        {"seconds": 5},
        {"seconds": 9, "verbose": 0},
        {"minutes": 0.1, "seconds": 1},
        {"hours": 0.002},
    ):
        budget = callbacks.TimeBudget(**options)
        script.run(f"TimeBudget {options}", fit(budget, batch_size=2, epochs=4), (budget, names))
    its = model()
    budget = callbacks.TimeBudget(seconds=4)
    budget.set_model(its)
    budget.on_train_begin()
    budget.on_epoch_end(3)
    script.run("state", budget.get_state)
    for seconds, stopped in ((3.5, True), (4, True), (9, False)):
        its.stop_training = True
        state = {"seconds": seconds, "stopped": stopped, "epoch": 2}
        script.run(f"from {seconds} {stopped}", lambda s=state: budget.set_state(s),
                   (budget, names), (its, "stop_training"))  # fmt: skip
    for options in ({}, {"snapshot": "step"}, {"raise_error": True}):
        for mode in ("raise", "skip", "ignore"):
            its = model()
            its.optimizer.on_nonfinite = mode
            watch = callbacks.TerminateOnNaN(**options)
            bad = callbacks.LambdaCallback(
                on_train_batch_begin=lambda batch, logs, its=its: (
                    batch == 1 and its.layers[0].bias.fill(np.nan)
                )
            )
            script.run(f"TerminateOnNaN {options} {mode}", fit(bad, watch, its=its, batch_size=2),
                       (watch, "origin"), (its, "stop_training"))  # fmt: skip
    for rate, mode in ((3e38, "raise"), (3e38, "ignore")):
        its = model(rate)
        its.optimizer.on_nonfinite = mode
        watch = callbacks.TerminateOnNaN()
        script.run(f"a huge rate, {mode}", fit(watch, its=its), (watch, "origin"))
    by_hand = callbacks.TerminateOnNaN()
    by_hand.set_model(its)
    by_hand.on_train_begin()
    script.run("by hand", lambda: by_hand.on_train_batch_end(3, {"loss": np.inf}))
    script.run("finite", lambda: by_hand.on_train_batch_end(3))
    script.check("limits.txt")


def test_lines_of_progress_and_gradient_monitor(script):
    script.run("each epoch", fit(Logs("small", [1e-3, 9.99e-4, 0.0]), verbose=2))
    script.run("eleven epochs", fit(verbose=1, epochs=11, initial_epoch=9))
    values = [[1, 2], "text", np.float32(2)]
    script.run("no numbers", fit(Logs("a", values), Logs("b/c", [1.0] * 3), verbose=2))
    monitor = callbacks.GradientMonitor(every=2, csv="steps.csv")
    names = "steps epochs measures"
    measures = ["gradient_norm", "weight_norm"]
    script.run("GradientMonitor", fit(monitor, batch_size=2), (monitor, names))
    script.run("its state", callbacks.GradientMonitor().get_state)
    first = callbacks.GradientMonitor(layers="last", measures=measures)
    script.run("by epoch", fit(first, batch_size=2), (first, names))
    for wrong in (
        {"every": "batch"}, {"every": 0}, {"layers": []}, {"layers": [3]}, {"layers": 3},
        {"measures": ["norm"]}, {"layers": ["first"]},
    ):  # fmt: skip
        script.run(
            f"GradientMonitor {wrong}", lambda w=wrong: fit(callbacks.GradientMonitor(**w))()
        )
    script.files()
    script.check("lines.txt")
