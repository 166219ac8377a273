"""Numbers that nobody computes with, but somebody reads: speeds, and the count of the bar."""

import itertools
import sys
import time

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import TensorBoard, tensorboard
from netlayers.callbacks.progress import numbers, numbers_line, progress_line, wrapped
from netlayers.callbacks.remaining import RemainingTime, duration
from netlayers.callbacks.reporting import as_cell, from_cell, scalars
from tests.golden import check_text

X, Y = np.zeros((10, 3)), np.zeros((10, 1))


def make():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(nl.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def written(monkeypatch):
    """What is written, as a list of (tag, value, step)."""
    pytest.importorskip("tensorboardX")
    rows = []

    def add(_, step, kind, tag, value):
        if kind == "scalar":
            rows.append((tag, value, step))

    monkeypatch.setattr(tensorboard._Events, "add", add)
    return rows


def test_steps_per_second(tmp_path, monkeypatch, written):
    clock = itertools.count(step=0.25)  # each look at it takes a quarter of a second
    board = TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    model = make()
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: next(clock))
        model.fit(X, Y, batch_size=2, epochs=2, callbacks=[board], verbose=0)
    rows = written
    batch = [(value, step) for tag, value, step in rows if tag == "batch_steps_per_second"]
    # Two looks for a batch: only what is between its begin and its end counts.
    assert batch == [(4.0, 2), (4.0, 4), (4.0, 6), (4.0, 8), (4.0, 10)]
    epoch = [(value, step) for tag, value, step in rows if tag == "epoch_steps_per_second"]
    # Of 5 batches: 5 begins, the ends of those that are written, and the end of the epoch.
    assert epoch == [(5 / (0.25 * (5 + 2 + 1)), 0), (5 / (0.25 * (5 + 3 + 1)), 1)]


def test_no_speed_without_asking(tmp_path, written):
    make().fit(X, Y, epochs=1, callbacks=[TensorBoard(tmp_path, update_freq=1)], verbose=0)
    tags = {tag for tag, _, _ in written}
    assert "epoch_loss" in tags
    assert not any("second" in tag for tag in tags)


class Bar:
    """Stands for tqdm, and keeps the lines that it is asked to show."""

    made = []  # noqa: RUF012

    def __init__(self, **options):
        self.options, self.lines, self.closed = options, [], False
        Bar.made.append(self)

    def set_description_str(self, text):
        self.lines.append(text)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(capsys, monkeypatch):  # capsys first, as it replaces sys.stdout
    Bar.made.clear()
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setenv("COLUMNS", "60")
    return Bar


def ticking(monkeypatch, step):
    """Let each look at the clock take some seconds."""
    clock = itertools.count(step=step)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))


@pytest.mark.parametrize(("initial", "epochs"), [(0, 2), (1, 3)])
def test_the_line_of_an_epoch(bars, capsys, monkeypatch, initial, epochs):
    ticking(monkeypatch, 2)
    make().fit(X, Y, batch_size=3, initial_epoch=initial, epochs=epochs)
    first, last = bars.made
    title = f"Epoch {initial + 1}/{epochs}"
    # 2 s a batch, 4 batches, and 2 s for the end of an epoch once that is known.
    assert first.lines == [
        title,
        f"{title}  [##......]  1/4  left 6 s, run 14 s  loss 0.0000",
        f"{title}  [####....]  2/4  left 4 s, run 12 s  loss 0.0000",
        f"{title}  [######..]  3/4  left 2 s, run 10 s  loss 0.0000",
        f"{title}  [########]  4/4  left 0 ms, run 8 s  loss 0.0000",
    ]
    title = f"Epoch {epochs}/{epochs}"
    assert last.lines[1] == f"{title}  [####..............]  1/4  left 8 s  loss 0.0000"
    assert first.closed
    assert last.closed
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch {n}/{epochs}   10.0 s  loss 0.0000" for n in range(initial + 1, epochs + 1)
    ]


def test_lines_fit_the_terminal(bars, capsys, monkeypatch):
    """A number that does not fit is left out of the line, and wrapped when the epoch has ended."""
    ticking(monkeypatch, 100)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse", metrics=["mae", "mape", "cosine_similarity"])
    model.fit(X, Y, batch_size=1, epochs=2000, initial_epoch=1998, validation_data=(X, Y))
    lines = bars.made[0].lines
    assert len(lines[-2]) <= 59
    assert lines[-2].startswith("Epoch 1999/2000  10/10  left 0 ms, run 16:40  loss 0.0")
    assert "validation" in lines[-1]
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 60
    assert len(printed) > 2
    assert sum(map(len, " ".join(printed).split("val_loss"))) > 100


def test_wide_characters_take_two_columns():
    line = progress_line("Epoch 1/2", "1/4", "", ["損失 0.5000", "精度 0.5000"], 36)
    assert line == "Epoch 1/2  1/4  損失 0.5000"  # both would take 40 columns, in 36 characters
    assert wrapped(["Epoch 1/2", "損失 0.5000", "精度 0.5000"], 34).count("\n") == 1


def test_names_of_a_file_do_not_move_the_cursor(bars, capsys):
    class Set(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["a\x1b[2Jb"] = 1.0

    make().fit(X, Y, callbacks=[Set()], verbose=2)
    assert "a\\x1b[2Jb 1.0000" in capsys.readouterr().out


def test_the_estimate_after_resuming():
    """Batches of the process before, and the time to restore them, do not count."""
    time_left = RemainingTime()
    time_left.begin_epoch(0.0)
    assert time_left.estimate(100, 3) is None
    time_left.count(41, 50.0)  # 50 s to read the backup
    assert time_left.estimate(100, 3) is None
    time_left.count(42, 52.0)
    assert time_left.estimate(100, 3) == (2 * 58, 2 * 58 + 3 * 200)
    assert time_left.estimate(None, 3) is None


def test_the_estimate_of_a_run():
    """The speed of this epoch and the one before, and what the ends of epochs take."""
    time_left = RemainingTime()
    for epoch, each in enumerate((1.0, 3.0)):
        time_left.begin_epoch(100.0 * epoch)
        for done in range(1, 6):
            time_left.count(done, 100.0 * epoch + each * done)
        time_left.end_epoch(100.0 * epoch + each * 5 + 10)
    time_left.begin_epoch(200.0)
    time_left.count(1, 205.0)
    each = (3 * 5 + 5) / 6
    left = 4 * each + 10
    assert time_left.estimate(5, 2) == pytest.approx((left, left + 2 * (5 * each + 10)))


def test_the_bar_is_closed_when_a_run_fails_and_shows_numbers_now_and_then(bars, monkeypatch):
    ticking(monkeypatch, 0.06)
    seen = []

    def fail(batch, logs):
        seen.append(batch)
        if batch == 3:
            raise KeyError("mine")

    callback = nl.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(KeyError):
        make().fit(X, Y, batch_size=2, callbacks=[callback], verbose=1)
    (bar,) = bars.made
    assert bar.closed
    assert [line.split()[2] for line in bar.lines[1:]] == ["[######.........]"]
    assert len(seen) == 4


def test_a_bar_that_is_not_wanted(bars, capsys):
    make().fit(X, Y, verbose=2)
    assert not bars.made
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (1e-3, "0.0010"),
        (-1e-3, "-0.0010"),
        (9.99e-4, "9.990e-04"),
        (-9.99e-4, "-9.990e-04"),
        (123.45678, "123.4568"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_how_a_number_is_shown(capsys, value, text):
    class Set(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["it"] = value

    make().fit(X, Y, callbacks=[Set()], verbose=2)
    assert capsys.readouterr().out.split("it ")[1].strip() == text


def test_times_and_lines():
    lines = []
    for decimals in (0, 1, 2):
        times = (0.0, 0.0004, 0.0049, 0.0051, 0.04, 0.06, 0.4, 0.6, 1.04, 59.4, 59.96, 60, 3599.6)
        found = [duration(t, decimals) for t in (*times, 3600, 3661, 36000.5)]
        lines.append(f"{decimals}: {found}")
    lines.append(f"{[duration(t) for t in (0.04, 0.05, 59.94, 59.95)]}")
    texts = ["loss 0.1", "accuracy 0.25", "m 1"]
    for width in range(10, 75, 3):
        for done in (None, 0.0, 0.5, 1.5):
            line = progress_line("Epoch 1/9", "4/8", "left 1 s", texts, width, done)
            lines.append(f"{width} {done} {line!r}")
    lines.append(repr(progress_line("Epoch", "", "", [], 40, 0.25)))
    lines += [f"{width} {wrapped(['Epoch', *texts], width)!r}" for width in (None, 5, 15, 30, 31)]
    names = ("=1", "-0.5", "+1e3", "@a", "-a", "\t", "", "'=1", "'a", "a=", "-nan", "\r1")
    lines += [f"{n!r} {as_cell(n)!r} {from_cell(n)!r} {from_cell(as_cell(n)) == n}" for n in names]
    logs = {"a": 1, "b": np.float32(2), "c": [1], "d": "x", "e": True, "f": np.array(3.0),
            "g": np.array([1.0]), "h": None, "i": 1j, "j/k": 2.5}  # fmt: skip
    lines.append(f"{scalars(logs)} {scalars(None)} {numbers(logs)} {numbers_line(logs)!r}")
    check_text(__file__, "times and lines.txt", "\n".join(lines))


def test_how_long_it_takes_still():
    lines = []
    for first in (1, 4):  # a whole epoch, or one that is resumed after three batches
        left = RemainingTime()
        lines.append(f"{first}: {left.estimate(8, 2)}")
        now = 100.0
        for epoch in range(3):
            left.begin_epoch(now)
            lines.append(f"  epoch {epoch} {left.estimate(8, 2 - epoch)}")
            for done in range(first if epoch == 0 else 1, 9):
                now += 1 + epoch
                left.count(done, now)
                if done in (first, 5, 8):
                    times = [left.estimate(steps, 2 - epoch) for steps in (8, 4, None)]
                    lines.append(f"    {done} {times}")
            now += 3
            left.end_epoch(now)
            lines.append(f"  ended {left.estimate(8, 2 - epoch)}")
        left.begin_epoch(now)
        left.end_epoch(now + 1)  # without a batch
        lines.append(f"  nothing {left.estimate(8, 1)}")
    check_text(__file__, "remaining.txt", "\n".join(lines))
