"""Where data stand: after each batch, after the one before it, and between epochs."""

import json

import numpy as np
import pytest

from netlayers.data.arrays import ArrayData, Column
from netlayers.data.streams import Stream

X = np.arange(10.0)[:, None]


class Counter:
    """An endless iterator that can be set."""

    def __init__(self):
        self.n = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.n += 1
        return self.n

    def get_state(self):
        return {"n": self.n}

    def set_state(self, state):
        self.n = state["n"]


def rows(steps):
    column = Column(X, np.dtype(float))
    return ArrayData(
        [column, None, None], 3, np.random.default_rng(0), steps=steps, continuous=True
    )


def stream(source, ahead):
    def make(steps):
        rng = np.random.default_rng(0)
        return Stream("fit", source(), lambda batch: batch, rng, steps, True, ahead)

    return make


def numbers():
    yield from range(7)


KINDS = {
    "rows": rows,
    "sequence": stream(lambda: list(range(5)), 0),
    "sequence-ahead": stream(lambda: list(range(5)), 2),
    "counter": stream(Counter, 0),
    "counter-ahead": stream(Counter, 2),
    "function": stream(lambda: numbers, 2),
    "iterator": stream(lambda: iter(range(1000)), 2),
}


def plain(batch):
    return batch[0].tolist() if isinstance(batch, tuple) else batch


def epoch(data, start=0):
    if not start:
        data.ready()
    return [plain(batch) for batch in data.batches(start)]


def through_json(state):
    return json.loads(json.dumps(state))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [None, 1, 2, 4, 6])
@pytest.mark.parametrize("behind", [0, 1])
def test_after_each_batch(kind, steps, behind):
    """Also the place before the batch that was handed out last, which may not have been used."""
    if steps is None and ("counter" in kind or kind == "iterator"):
        steps = 5
    whole = KINDS[kind](steps)
    expected = [epoch(whole) for _ in range(3)]
    whole.close()
    for stop in range(1 + behind, len(expected[1]) + 1):
        cut = KINDS[kind](steps)
        assert epoch(cut) == expected[0]
        cut.ready()
        batches = cut.batches()
        for _ in range(stop):
            next(batches)
        done = stop - behind
        state = through_json(cut.get_state(done))
        again = KINDS[kind](steps)
        again.ready()  # as fit does, before it knows of a backup
        again.set_state(state, done)
        assert through_json(again.get_state(done)) == state
        assert epoch(again, done) == expected[1][done:]
        after = [through_json(again.get_state())]
        assert epoch(again) == expected[2]
        for _ in batches:
            pass
        assert after == [through_json(cut.get_state())]  # from where it can be continued again
        cut.close()
        again.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [None, 1, 4])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_between_epochs(kind, steps, begun, before):
    """Also when the first batch of the next epoch was read already."""
    if steps is None and ("counter" in kind or kind == "iterator"):
        steps = 5
    cut = KINDS[kind](steps)
    cut.ready()
    for _ in range(before):
        epoch(cut)
    if begun:
        cut.ready()
    state = through_json(cut.get_state())
    expected = [epoch(cut), epoch(cut)]
    again = KINDS[kind](steps)
    again.ready()
    again.set_state(state)
    assert through_json(again.get_state()) == state
    assert [epoch(again), epoch(again)] == expected
    assert through_json(again.get_state()) == through_json(cut.get_state())
    cut.close()
    again.close()


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"iterator"}))  # which has been read further
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_after_an_epoch_that_ended_early(kind, stop):
    data, other = KINDS[kind](4), KINDS[kind](4)
    data.ready()
    batches = data.batches()
    first = [plain(next(batches)) for _ in range(stop)]
    batches.close()
    state = through_json(data.get_state())
    other.ready()
    assert first == epoch(other)[:stop]
    other.close()
    other = KINDS[kind](4)
    other.ready()
    other.set_state(state)
    assert state["count"] == stop
    assert epoch(data) == epoch(other)
    data.close()
    other.close()


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_pass_begins_anew_after_an_epoch_that_ended_early(ahead):
    """Where epochs do not continue; the thread of the epoch before reads no more."""
    read = []

    def source():
        for number in range(9):
            read.append(number)
            yield number

    for stop in (1, 2, 5):
        data = Stream("fit", source, lambda batch: batch, steps=7, read_ahead=ahead)
        for _ in range(2):
            data.ready()
            batches = data.batches()
            assert [next(batches) for _ in range(stop)] == list(range(stop))
            batches.close()
        read.clear()
        assert epoch(data) == read == list(range(7))
        data.close()
