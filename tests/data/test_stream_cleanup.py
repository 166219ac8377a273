"""Sources are closed in every case, and their errors are reported."""

import sqlite3
import threading
import traceback
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from tests.data.sources import BATCHES, make

# How it ends --------------------------------------------------------------------------------


class Source:
    """Endless batches; notes when its generator is closed."""

    def __init__(self, fails_at=None):
        self.fails_at, self.closed, self.read = fails_at, 0, 0

    def __call__(self):
        try:
            while True:
                if self.read == self.fails_at:
                    self.make_batch()
                self.read += 1
                yield BATCHES[0]
        finally:
            self.closed += 1

    def make_batch(self):
        raise KeyError("the source is broken")


class At(nl.callbacks.Callback):
    def __init__(self, batch, action):
        self.batch, self.action = batch, action

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.action(self.model)


def stop(model):
    model.stop_training = True


def interrupt(model):
    raise KeyboardInterrupt


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_generators_are_closed_however_it_ends(ahead):
    for action, error in [(stop, None), (interrupt, KeyboardInterrupt)]:
        source, model = Source(), make()
        try:
            model.fit(source, read_ahead=ahead, callbacks=[At(4, action)], verbose=0)
        except BaseException as raised:
            assert type(raised) is error  # noqa: PT017
        assert source.closed == 1
        assert source.read <= 5 + ahead + 1
        assert model.optimizer.iterations == 5
    source = Source()
    make().fit(source, epochs=2, steps_per_epoch=3, read_ahead=ahead, verbose=0)
    assert (source.closed, source.read) == (1, 6)
    bad = Source()
    with pytest.raises(ConfigurationError):
        make().fit(bad, validation_data=3, read_ahead=ahead, verbose=0)
    assert bad.closed == 1
    make().predict(lambda: (x for x, _ in islice(Source()(), 3)), read_ahead=ahead)


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize("at", [0, 4])
def test_an_error_of_the_source_comes_with_its_traceback(ahead, at):
    source, model = Source(fails_at=at), make()
    with pytest.raises(KeyError, match="the source is broken") as raised:
        model.fit(source, read_ahead=ahead, verbose=0)
    frames = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert frames[-1] == "make_batch"
    assert "fit" in frames
    assert source.closed == 1
    assert model.built == (at > 0)
    assert model.optimizer.iterations == at  # all the batches before it were learned from


def test_a_source_that_works_in_one_thread_only():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table numbers (a real, b real, c real, y real)")
        connection.executemany("insert into numbers values (?, ?, ?, ?)", np.eye(4).tolist())

        def source():
            for _ in range(2):
                rows = np.array(connection.execute("select * from numbers").fetchall())
                yield rows[:, :3], rows[:, 3]

        model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        calls = [
            lambda **options: model.fit(source, verbose=0, **options),
            lambda **options: model.evaluate(source, verbose=0, **options),
            lambda **options: model.predict(lambda: (x for x, _ in source()), **options),
            lambda **options: model.fit(
                [(np.eye(3), np.ones(3))], validation_data=source, verbose=0, **options
            ),
        ]
        for call in calls:
            with pytest.raises(sqlite3.ProgrammingError) as raised:
                call()
            assert any("needs read_ahead=0" in note for note in raised.value.__notes__)
            call(read_ahead=0)


def test_other_errors_get_no_note_on_threads():
    with pytest.raises(KeyError) as raised:
        make().fit(Source(fails_at=1), verbose=0)
    assert not hasattr(raised.value, "__notes__")


def test_an_error_of_its_clean_up_is_not_lost():
    def source():
        try:
            while True:
                yield BATCHES[0]
        finally:
            raise OSError("cannot close")

    for ahead in (0, 2):
        with pytest.raises(OSError, match="cannot close"):
            make().fit(source, read_ahead=ahead, callbacks=[At(1, stop)], verbose=0)


def test_settings_of_numpy_hold_in_the_source():
    def source():
        np.array([1e300]) * np.array([1e300])
        yield BATCHES[0]

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        make().fit(source, verbose=0)
    with np.errstate(over="ignore"):
        make().fit(source, verbose=0)


def test_ahead_is_another_thread_and_zero_is_none():
    def source():
        names.add(threading.current_thread().name)
        yield from BATCHES

    for ahead, here in ((0, True), (1, False)):
        names = set()
        make().fit(source, epochs=2, read_ahead=ahead, verbose=0)
        assert (names == {threading.current_thread().name}) is here
