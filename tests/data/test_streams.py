"""Data that come batch by batch: every kind of source, epochs, checks, and an end in good order."""

import sqlite3
import threading
import time
import traceback
import warnings
from contextlib import closing
from itertools import chain, islice, pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.data.streams import Stream
from netlayers.errors import ConfigurationError, NetlayersError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
W = RNG.random(40).astype(np.float32)
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)]


def make(built=False):
    layers = [nl.layers.Dense(5, activation="tanh"), nl.layers.Dense(3, activation="softmax")]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if built:
        model.build((None, 4))
    return model


def bits(model):
    return model.parameters.values.tobytes()


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("netlayers")] == []


class Sequence:
    """Keras's protocol of a data set, and nothing else."""

    def __init__(self, batches=BATCHES):
        self.batches, self.calls = batches, []

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        self.calls.append(index)
        return self.batches[index]

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Iterable:
    def __iter__(self):
        return iter(BATCHES)


class SizedIterable(Iterable):
    def __len__(self):
        return len(BATCHES)


class Rewinding:
    """An iterator that begins again with each iter()."""

    def __iter__(self):
        self.batches = iter(BATCHES)
        return self

    def __next__(self):
        return next(self.batches)


class OldProtocol:
    def __getitem__(self, index):
        return BATCHES[index]


def generator():
    yield from BATCHES


REPEATABLE = {
    "generator function": lambda: generator,
    "function": lambda: lambda: iter(BATCHES),
    "function that returns a list": lambda: lambda: BATCHES,
    "list": lambda: BATCHES,
    "tuple": lambda: tuple(BATCHES),
    "iterable": Iterable,
    "sized iterable": SizedIterable,
    "__getitem__ alone": OldProtocol,
    "sequence": Sequence,
    "rewinding iterator": Rewinding,
    "batches as lists": lambda: Sequence([list(b) for b in BATCHES]),
    "nested lists": lambda: Sequence([(x.tolist(), y.tolist()) for x, y in BATCHES]),
}
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
    goes_on=st.booleans(),
)
def test_what_is_read(length, steps, epochs, ahead, goes_on):
    read = []

    def source():
        for i in range(length):
            read.append(i)
            yield i

    stream = Stream("fit", source, lambda b: b, None, steps, goes_on, ahead)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = []
        for _ in range(epochs):
            assert stream.ready()
            got.append(list(stream.batches()))
    stream.close()
    if steps is None:
        assert got == [list(range(length))] * epochs
    elif goes_on:
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
    with pytest.raises(ConfigurationError, match="class_weight and sample_weight"):
        model.fit([(X, Y, W)], class_weight={1: 3.0}, verbose=0)


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


# What is wrong ------------------------------------------------------------------------------


def replaced(number, batch):
    return [*BATCHES[:number], batch, *BATCHES[number + 1 :]]


def with_nan():
    x = X[:8].copy()
    x[2, 1] = np.nan
    return x


BAD = {
    "NaN": ((with_nan(), Y[:8]), ["x contains NaN", "row 2"]),
    "features": ((X[:8, :3], Y[:8]), ["4", "3", "layer"]),
    "label": ((X[:8], np.full(8, 3)), ["0 to 2", "got 3"]),
    "shape of y": ((X[:8], np.ones((8, 2), int)), ["y_true", "(8, 2)"]),
    "rows": ((X[:8], Y[:7]), ["x has 8 rows", "y has 7 rows"]),
    "empty": ((X[:0], Y[:0]), ["x is empty"]),
    "no y": ((X[:8],), ["(x, y) or (x, y, sample_weight)", "tuple of length 1"]),
    "x alone": (X[:8], ["(x, y)", "ndarray"]),
    "None": (None, ["(x, y)", "NoneType"]),
    "dict": ({"x": X}, ["(x, y)", "dict"]),
    "weights": ((X[:8], Y[:8], -np.ones(8)), ["sample_weight must not be negative"]),
    "too many": ((X[:8], Y[:8], W[:8], 0), ["tuple of length 4"]),
}


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_batch_is_named_by_its_number(case, number, ahead):
    if case == "features" and number == 0:
        pytest.skip("the first data say what is right")
    batch, parts = BAD[case]
    source = Sequence(replaced(number, batch))
    for method in ("fit", "evaluate"):
        model = make()
        with pytest.raises(NetlayersError) as raised:
            getattr(model, method)(
                source,
                read_ahead=ahead,
                verbose=0,
                **({"shuffle": False} if method == "fit" else {}),
            )
        for part in [*parts, f"batch {number}, counted from 0"]:
            assert part in str(raised.value)
        assert model.built == (number > 0)
        if number and method == "fit":  # the weights are those of the last good batch
            expected = make()
            expected.fit(BATCHES[:number], shuffle=False, verbose=0)
            assert bits(model) == bits(expected)


def test_a_bad_validation_batch_changes_nothing():
    model = make()
    with pytest.raises(ShapeError, match="batch 0"):
        model.fit(BATCHES, validation_data=[(X[:, :3], Y)], verbose=0)
    assert not model.built
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"y": Y}, "y can not be given"),
        ({"sample_weight": W}, "sample_weight can not be given"),
        ({"batch_size": 8}, "batch_size can not be given"),
        ({"validation_split": 0.2}, "validation_split can not be given"),
        ({"validation_split": 0.2, "stratify": True}, "validation_split can not be given"),
        ({"drop_last": True}, "drop_last can not be given"),
        ({"validation_data": BATCHES, "validation_batch_size": 4}, "validation_batch_size can not"),
        ({"validation_data": generator(), "epochs": 2}, "can be read only once"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch"),
        ({"validation_steps": 3}, "validation_steps needs"),
        ({"validation_steps": -1, "validation_data": BATCHES}, "validation_steps"),
        ({"read_ahead": -1}, "read_ahead"),
        ({"read_ahead": None}, "read_ahead"),
    ],
)
def test_arguments_that_do_not_go_with_batches(options, part):
    model = make()
    with pytest.raises(ConfigurationError) as raised:
        model.fit(generator, verbose=0, **options)
    assert part in str(raised.value)
    assert not model.built


def test_other_wrong_sources():
    model = make()
    for source, part in [
        (list, "x"),
        (lambda: None, "must return an iterator, it returned NoneType"),
        (lambda: iter(()), "end before the first batch"),
        (Sequence([]), "end before the first batch"),
    ]:
        with pytest.raises(NetlayersError, match=part):
            model.fit(source, verbose=0)
    with pytest.raises(ConfigurationError, match="x is missing"):
        model.fit(verbose=0)
    with pytest.raises(ConfigurationError, match="y is missing"):
        model.fit(X, verbose=0)
    with pytest.raises(ConfigurationError, match="batch_size can not be given"):
        model.predict(generator, batch_size=3)
    shared = generator()
    with pytest.raises(ConfigurationError, match="the same iterator"):
        model.fit(shared, steps_per_epoch=2, validation_data=shared, validation_steps=1, verbose=0)
    assert not model.built


def test_a_validation_iterator_that_runs_out():
    model = make()
    source = iter(BATCHES[:4])
    with pytest.warns(
        UserWarning, match="validation_data: the data ran out before epoch 3"
    ) as caught:
        model.fit(BATCHES, epochs=5, validation_data=source, validation_steps=2, verbose=0)
    assert len(caught) == 1
    assert model.history.epoch == [0, 1, 2, 3, 4]
    assert [len(model.history.history[name]) for name in ("loss", "val_loss")] == [5, 2]


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
            raise OSError("can not close")

    for ahead in (0, 2):
        with pytest.raises(OSError, match="can not close"):
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
