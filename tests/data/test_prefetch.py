"""The thread that reads ahead: order, bounds, and a source that does not come back."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.data.prefetch import ReadAhead

X, Y = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)


def make():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    return model


def threads():
    return [t for t in threading.enumerate() if t.name == "netlayers-read-ahead"]


def wait_for(condition):
    end = time.perf_counter() + 10
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.005)


def test_order_and_end():
    reader = ReadAhead(iter(range(1000)), 3, lambda: None)
    reader.go()
    assert list(reader) == list(range(1000))
    assert list(reader) == []
    assert not reader.alive
    reader.close()


def test_it_reads_so_far_ahead_and_no_further():
    read = []

    def source():
        for i in range(100):
            read.append(i)
            yield i

    reader = ReadAhead(source(), 2, lambda: None)
    wait_for(lambda: read)
    time.sleep(0.02)
    assert read == [0]  # until it is told to go
    reader.go()
    for used in range(5):
        wait_for(lambda used=used: len(read) == min(100, used + 3))
        time.sleep(0.01)
        assert len(read) == used + 3  # two wait and one is in its hand
        assert next(reader) == used
    reader.close()
    assert not threads()


def test_closing_at_any_moment():
    for i in range(200):
        closed = []
        reader = ReadAhead(iter(range(5)), 1 + i % 3, lambda closed=closed: closed.append(1))
        if i % 7:
            reader.go()
        for _ in range(i % 7):
            next(reader, None)
        reader.close()
        reader.close()
        assert not reader.alive
        assert next(reader, "end") == "end"
        assert len(closed) <= 1


class Stuck:
    """One batch, and then none for as long as nobody releases it."""

    def __init__(self):
        self.release, self.waits, self.closed = threading.Event(), threading.Event(), False

    def __call__(self):
        try:
            yield X, Y
            self.waits.set()
            self.release.wait()
            yield X, Y
        finally:
            self.closed = True


@pytest.mark.parametrize("where", ["reading", "closing"])
def test_ctrl_c_while_the_source_does_not_come_back(where):
    source, model = Stuck(), make()

    def press():
        source.waits.wait()
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    class Wait(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if where == "closing":
                source.waits.wait()
                self.model.stop_training = True

    key = threading.Thread(target=press)
    key.start()
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(source, callbacks=[Wait()], verbose=0)
    assert time.perf_counter() - begin < 6
    key.join()
    assert model.optimizer.iterations == 1
    assert len(threads()) == 1  # no way to stop it; it keeps no process alive
    source.release.set()
    wait_for(lambda: not threads())
    assert source.closed


def test_fit_does_not_wait_for_it_longer_than_a_second():
    source, model = Stuck(), make()

    class Stop(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            source.waits.wait()
            self.model.stop_training = True

    begin = time.perf_counter()
    model.fit(source, callbacks=[Stop()], verbose=0)
    assert time.perf_counter() - begin < 6
    source.release.set()
    wait_for(lambda: not threads())
    assert source.closed


def test_it_keeps_no_process_alive():
    code = (
        "import threading, numpy as np, netlayers as nl\n"
        "def source():\n"
        "    yield np.ones((2, 3)), np.ones((2, 1))\n"
        "    threading.Event().wait()\n"
        "class Stop(nl.callbacks.Callback):\n"
        "    def on_train_batch_end(self, batch, logs=None):\n"
        "        self.model.stop_training = True\n"
        "m = nl.Sequential([nl.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse')\n"
        "m.fit(source, callbacks=[Stop()], verbose=0)\n"
        "print('left')\n"
    )
    root = Path(nl.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=60,
        check=True,
    )
    assert done.stdout == "left\n"


def test_it_works_while_the_network_learns():
    """Two things that take a while take about as long as one of them."""
    pause, steps = 0.03, 10

    def source():
        for _ in range(steps):
            time.sleep(pause)
            yield X, Y

    class Slow(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(pause)

    times = []
    for ahead in (0, 2):
        begin = time.perf_counter()
        make().fit(source, callbacks=[Slow()], read_ahead=ahead, verbose=0)
        times.append(time.perf_counter() - begin)
    assert times[0] > 2 * steps * pause
    assert times[1] < 0.85 * times[0]
