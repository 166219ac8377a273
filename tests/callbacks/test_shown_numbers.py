"""Numbers that nobody computes with, but somebody reads: speeds, and the count of the bar."""

import itertools
import sys
import time

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import TensorBoard, tensorboard

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
    """Stands for tqdm, and keeps what it is asked to show."""

    made = []  # noqa: RUF012

    def __init__(self, **options):
        self.options, self.n, self.counts, self.texts = options, 0, [], []
        self.closed = False
        Bar.made.append(self)

    def update(self, n):
        self.n += n
        self.counts.append(self.n)

    def set_postfix_str(self, text, refresh):
        self.texts.append(text)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(capsys, monkeypatch):  # capsys first, as it replaces sys.stdout
    Bar.made.clear()
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setattr("tqdm.tqdm", Bar)
    return Bar


@pytest.mark.parametrize(("initial", "epochs"), [(0, 2), (1, 3)])
def test_the_count_of_the_bar(bars, capsys, initial, epochs):
    make().fit(X, Y, batch_size=3, initial_epoch=initial, epochs=epochs)
    assert len(bars.made) == 2
    for number, bar in enumerate(bars.made, initial + 1):
        assert bar.counts == [1, 2, 3, 4]
        assert bar.options["total"] == 4
        assert bar.options["desc"] == f"Epoch {number}/{epochs}"
        assert bar.closed
        assert bar.texts[0].startswith("loss 0.0000")
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == [
        f"Epoch {n}/{epochs}" for n in range(initial + 1, epochs + 1)
    ]


def test_the_bar_is_closed_when_a_run_fails_and_shows_numbers_now_and_then(bars, monkeypatch):
    clock = itertools.count(step=0.15)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
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
    assert len(bar.texts) < len(seen)


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
