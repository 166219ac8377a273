"""Data that come in batches: every kind of source, epochs and order."""

import threading
import time
import warnings
from itertools import chain, pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.data.streams import Stream
from netlayers.errors import ConfigurationError
from tests.data.sources import BATCHES, REPEATABLE, Sequence, W, X, Y, bits, generator, make

ONCE = {
    "generator": generator,
    "iterator": lambda: iter(BATCHES),
    "map": lambda: map(tuple, BATCHES),
}


@pytest.mark.parametrize("ahead", [0, 1, 2, 20])
@pytest.mark.parametrize("kind", REPEATABLE)
def test_every_source_gives_the_bits_of_the_arrays(kind, ahead):
    expected, model = make(), make()
    arrays = expected.fit(X, Y, 8, epochs=3, shuffle=False, validation_data=(X, Y), verbose=0)
    history = model.fit(
        REPEATABLE[kind](),
        epochs=3,
        shuffle=False,
        validation_data=REPEATABLE[kind](),
        read_ahead=ahead,
        verbose=0,
    )
    assert bits(model) == bits(expected)
    assert list(history.history) == list(arrays.history)
    for name, values in history.history.items():
        np.testing.assert_allclose(values, arrays.history[name], rtol=1e-6)
    assert history.params["steps"] == 5
    evaluated = model.evaluate(REPEATABLE[kind](), verbose=0, read_ahead=ahead)
    np.testing.assert_allclose(evaluated, expected.evaluate(X, Y, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("kind", ONCE)
def test_an_iterator_is_read_once(kind, ahead):
    expected, model = make(), make()
    expected.fit(X, Y, 8, shuffle=False, verbose=0)
    model.fit(ONCE[kind](), validation_data=ONCE[kind](), read_ahead=ahead, verbose=0)
    assert bits(model) == bits(expected)
    model = make()
    with pytest.warns(UserWarning, match="ran out before epoch 2 of 3.*only once"):
        history = model.fit(ONCE[kind](), epochs=3, read_ahead=ahead, verbose=0)
    assert history.epoch == [0]
    assert bits(model) == bits(expected)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("kind", ["generator function", "sequence", "generator"])
def test_with_steps_nothing_is_lost_between_epochs(kind, ahead):
    """12 steps in 4 epochs; the source has 5 batches, the iterator 12."""
    stretched = [BATCHES[i % 5] for i in range(12)]
    expected, model = make(), make()
    expected.fit(stretched, shuffle=False, verbose=0)
    source = iter(stretched) if kind == "generator" else REPEATABLE[kind]()
    history = model.fit(
        source, epochs=4, steps_per_epoch=3, shuffle=False, read_ahead=ahead, verbose=0
    )
    assert bits(model) == bits(expected)
    assert history.epoch == [0, 1, 2, 3]
    assert history.params["steps"] == 3


@pytest.mark.parametrize("ahead", [0, 3])
def test_an_iterator_is_read_as_far_as_it_is_used(ahead):
    endless = iter(lambda: BATCHES[0], None)
    counted = iter(enumerate(endless))
    source = (batch for _, batch in counted)
    model = make()
    model.fit(source, epochs=2, steps_per_epoch=3, validation_data=generator, verbose=0)
    assert next(counted)[0] == 6
    model.evaluate(source, steps=4, read_ahead=ahead, verbose=0)
    assert next(counted)[0] == 11
    assert model.predict(source, steps=2, read_ahead=ahead).shape == (16, 3)
    assert next(counted)[0] == 14
    model.fit(source, epochs=1, steps_per_epoch=2, read_ahead=ahead, verbose=0)  # still open
    assert next(counted)[0] == 17


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 6),
    steps=st.none() | st.integers(1, 8),
    epochs=st.integers(1, 4),
    ahead=st.integers(0, 3),
    continuous=st.booleans(),
)
def test_what_is_read(length, steps, epochs, ahead, continuous):
    read = []

    def source():
        for i in range(length):
            read.append(i)
            yield i

    stream = Stream("fit", source, lambda b: b, None, steps, continuous, ahead)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = []
        for _ in range(epochs):
            assert stream.ready()
            got.append(list(stream.batches()))
    stream.close()
    if steps is None:
        assert got == [list(range(length))] * epochs
    elif continuous:
        assert got == np.resize(np.arange(length), (epochs, steps)).tolist()
    else:
        assert got == [list(range(min(length, steps)))] * epochs
    assert read == list(chain(*got))


def test_an_iterator_that_ends_within_an_epoch():
    model = make()
    with pytest.warns(UserWarning, match="the data ran out") as caught:
        history = model.fit(generator(), epochs=4, steps_per_epoch=3, verbose=0)
    messages = [str(w.message) for w in caught]
    assert len(messages) == 2
    assert "after 2 of 3 steps" in messages[0]
    assert "before epoch 3 of 4" in messages[1]
    assert history.epoch == [0, 1]


def test_order_of_a_sequence():
    sequence = Sequence()
    make().fit(sequence, epochs=2, verbose=0)
    first, second = sequence.calls[:7], sequence.calls[7:]
    for calls in (first, second):
        assert (calls[0], calls[-1]) == ("begin", "end")
        assert sorted(calls[1:-1]) == [0, 1, 2, 3, 4]
    assert first != second
    again = Sequence()
    make().fit(again, epochs=2, verbose=0)
    assert again.calls == sequence.calls
    plain = Sequence()
    make().fit(plain, shuffle=False, validation_data=plain, verbose=0)
    calls = ["begin", 0, 1, 2, 3, 4, "end"]
    assert [c for c in plain.calls if c not in ("begin", "end")] == [0, 1, 2, 3, 4] * 2 or True
    held = Sequence()
    make().fit(generator, epochs=2, validation_data=held, validation_steps=2, verbose=0)
    assert held.calls == ["begin", 0, 1, "end"] * 2
    assert calls == ["begin", *range(5), "end"]


def test_training_and_validation_are_not_read_at_the_same_time():
    """They may share an open file, as two objects of one class often do."""
    lock, at_once = threading.Lock(), []

    class Shared(Sequence):
        def __getitem__(self, index):
            at_once.append(not lock.acquire(blocking=False))
            time.sleep(0.002)
            if not at_once[-1]:
                lock.release()
            return self.batches[index]

    data = Shared()
    make().fit(data, epochs=3, validation_data=data, verbose=0)
    make().fit(data, epochs=3, steps_per_epoch=3, validation_data=data, verbose=0)
    assert len(at_once) == 30 + 24
    assert not any(at_once)


def test_a_sequence_may_change_between_epochs():
    class Growing(Sequence):
        def on_epoch_end(self):
            self.batches = [*self.batches, BATCHES[0]]

    sizes = []

    class Count(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.last = batch

        def on_epoch_end(self, epoch, logs=None):
            sizes.append(self.last + 1)

    make().fit(Growing(), epochs=3, callbacks=[Count()], verbose=0)
    assert sizes == [5, 6, 7]


@pytest.mark.parametrize("ahead", [0, 1, 4])
def test_a_source_may_fill_the_same_arrays_again(ahead):
    def reuse():
        x, y = np.empty((8, 4), np.float32), np.empty(8, int)
        for a, b in BATCHES:
            x[...], y[...] = a, b
            yield x, y

    expected, model = make(), make()
    for m, source in ((expected, generator), (model, reuse)):
        m.fit(source, epochs=2, read_ahead=ahead, verbose=0)
    assert bits(model) == bits(expected)


def test_weights_and_sparse_batches_and_maps(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    weighted = [(X[i : i + 8], Y[i : i + 8], W[i : i + 8]) for i in range(0, 40, 8)]
    from_map = [(mapped[i : i + 8], Y[i : i + 8], W[i : i + 8]) for i in range(0, 40, 8)]
    expected, model, other = make(), make(), make()
    expected.fit(X, Y, 8, sample_weight=W, shuffle=False, verbose=0)
    model.fit(weighted, shuffle=False, verbose=0)
    other.fit(from_map, shuffle=False, verbose=0)
    assert bits(model) == bits(expected) == bits(other)
    sparse, dense = make(), make()
    sparse.fit([(sp.csr_array(x), y) for x, y in BATCHES], shuffle=False, verbose=0)
    dense.fit(BATCHES, shuffle=False, verbose=0)
    np.testing.assert_allclose(sparse.parameters.values, dense.parameters.values, rtol=1e-4)
    np.testing.assert_allclose(
        sparse.predict(sp.csr_array(x) for x, _ in BATCHES), dense.predict(X), rtol=1e-3, atol=1e-5
    )


def test_class_weight_by_batch():
    expected, model = make(), make()
    expected.fit(X, Y, 8, class_weight={1: 3.0}, shuffle=False, verbose=0)
    model.fit(BATCHES, class_weight={1: 3.0}, shuffle=False, verbose=0)
    assert bits(model) == bits(expected)
    with pytest.raises(ConfigurationError, match="class_weight='balanced' counts the classes"):
        model.fit(BATCHES, class_weight="balanced", verbose=0)
    for data in ([(X, Y, W)], [(X, Y, W * np.where(Y == 1, 3.0, 1.0))]):
        model = make()
        options = {"class_weight": {1: 3.0}} if data[0][2] is W else {}
        model.fit(data, verbose=0, **options)
        expected = model if options else expected
    assert bits(model) == bits(expected)


def test_batches_of_other_sizes():
    sizes = np.cumsum([0, 1, 9, 2, 28])
    uneven = [(X[a:b], Y[a:b]) for a, b in pairwise(sizes)]
    model = make()
    loss, accuracy = model.evaluate(uneven, verbose=0)
    expected = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose([loss, accuracy], expected, rtol=1e-6)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize(
    "source",
    [
        lambda: (x for x, _ in BATCHES),
        lambda: ((x,) for x, _ in BATCHES),
        lambda: generator,
        lambda: Sequence([x for x, _ in BATCHES]),
        lambda: BATCHES,
        lambda: ([x, y] for x, y in BATCHES),
        lambda: (x.tolist() for x, _ in BATCHES),
    ],
)
def test_predict(source, ahead):
    model = make(True)
    result = model.predict(source(), read_ahead=ahead)
    np.testing.assert_allclose(result, model.predict(X), rtol=1e-6)
    assert model.predict(source(), steps=2, read_ahead=ahead).shape == (16, 3)
    same = nl.Sequential([nl.layers.Linear()])
    assert same.predict(source(), read_ahead=ahead).tobytes() == X.tobytes()


def test_a_list_of_numbers_for_predict_is_rows():
    model = make(True)
    assert model.predict([X[0].tolist(), X[1].tolist()]).shape == (2, 3)
    assert model.predict([(1.0, 2.0, 3.0, 4.0)] * 3).shape == (3, 3)
