"""Rows that are read in blocks: each once, in an order close to a uniform one, resumable."""

import json
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.arrays.foreign import LazyRows
from netlayers.data import blocks
from netlayers.data.arrays import ArrayData, column
from netlayers.data.blocks import BlockOrder, block_order
from tests.data.kinds import Lazy

F8 = np.dtype("f8")


def order_of(order, seed, first=0):
    """Return the rows of a pass in the order in which they are used, from row ``first`` on."""
    rng = None if seed is None else np.random.default_rng(seed)
    rows = []
    for group in order.draw(rng, first):
        numbers = np.concatenate([np.arange(*r) for r in group.ranges])
        assert len(numbers) == group.rows
        rows.append((numbers if group.order is None else numbers[group.order])[group.done :])
    return np.concatenate(rows) if rows else np.arange(0)


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 300),
    block=st.integers(1, 40),
    at_once=st.integers(1, 20),
    seed=st.none() | st.integers(0, 1000),
    share=st.floats(0, 1),
)
def test_each_row_occurs_once_and_a_resumed_pass_has_the_same_rest(
    count, block, at_once, seed, share
):
    order = BlockOrder(count, block, at_once)
    rows = order_of(order, seed)
    assert sorted(rows.tolist()) == list(range(count))
    first = round(share * count)
    assert order_of(order, seed, first).tolist() == rows[first:].tolist()
    if seed is None:
        assert rows.tolist() == list(range(count))
    elif order.groups == 1:
        assert rows.tolist() == np.random.default_rng(seed).permutation(count).tolist()
    sizes = {len(group.ranges) for group in order.draw(np.random.default_rng(0))}
    assert max(sizes) <= at_once
    assert max(sizes) - min(sizes) <= 1


def test_what_is_read_of_a_pass_does_not_change_the_next():
    order, states = BlockOrder(100, 3, 5), []
    for read in (0, 1, 7):
        rng = np.random.default_rng(0)
        groups = order.draw(rng)
        for _ in range(read):
            next(groups)
        states.append(rng.bit_generator.state["state"]["state"])
    assert len(set(states)) == 1
    orders = [g.order.tolist() for g in order.draw(np.random.default_rng(0)) if g.rows == 15]
    assert len(orders) > 3
    assert len(set(map(tuple, orders))) == len(orders)  # each group has numbers of its own


# How far it is from a uniform order ----------------------------------------------------------


def ranks(rows):
    return np.corrcoef(np.arange(len(rows)), rows)[0, 1]


@pytest.mark.parametrize(("block", "at_once"), [(20, 50), (100, 10), (1, 1000), (250, 4)])
def test_the_quality_of_the_order(block, at_once):
    """Of 20,000 rows: batches of 32 from groups of 1000, as the docstring of BlockOrder says."""
    count, size = 20_000, 32
    order = BlockOrder(count, block, at_once)
    variances, displacements, correlations, together = [], [], [], []
    for seed in range(40):
        rows = order_of(order, seed)
        batches = rows[: count - count % size].reshape(-1, size)
        variances.append((batches // block).mean(axis=1).var())
        displacements.append(np.abs(rows - np.arange(count)).mean() / count)
        correlations.append(ranks(rows))
        together.append((rows[1:] // block == rows[:-1] // block).mean())
    uniform = (np.arange(count) // block).var() / size
    stated = 1 + (size - 1) * (1 / at_once - block / count)
    assert np.mean(variances) / uniform == pytest.approx(stated, rel=0.12)
    # A uniform order moves a row by a third of the length, in no direction, but does not keep
    # neighbours together: two rows in succession are of one block with a probability of 1 / B.
    assert np.mean(displacements) == pytest.approx(1 / 3, abs=0.01)
    assert abs(np.mean(correlations)) < 4 / np.sqrt(40 * count / block)
    assert np.mean(together) == pytest.approx((block - 1) / (block * at_once - 1), abs=0.01)


@pytest.mark.parametrize(("chunk", "quality"), [(1, 1.13), (16, 1.13), (4000, 1.5)])
def test_the_quality_of_what_is_chosen(chunk, quality):
    """Of a million rows of 4 KB: batches of 32 have at most 1.13 times the variance, or say so."""
    rows = LazyRows(Lazy(np.zeros((1, 1024), np.float32)))
    rows.shape, rows.chunk = (1_000_000, 1024), chunk
    order = block_order([column(rows, np.dtype("f4")), None, None], 1_000_000, 32, shuffled=True)
    assert order.block % chunk == 0
    assert order.block * order.at_once * 4096 <= blocks.BUFFER
    assert 1 + 31 * order.groups / order.blocks <= quality or order.at_once < 16
    if order.at_once < 16:
        with pytest.warns(UserWarning, match=r"shuffled \d blocks of 4000 rows.*shuffle=64000"):
            blocks.warn_of_few_blocks("fit", order)
    else:
        blocks.warn_of_few_blocks("fit", order)


# Batches -------------------------------------------------------------------------------------


class Chunked(Lazy):
    """Also says how many rows are read at once."""

    def __init__(self, values, chunk):
        super().__init__(values)
        self.chunks = (chunk, *values.shape[1:])


def data(count, size, *, seed=0, numbers=None, chunk=3, **more):
    x = np.stack([np.arange(count), -np.arange(count)], axis=1)
    columns = [
        column(LazyRows(Chunked(x, chunk)), F8),
        column(x[:, 0] * 2, F8),
        column((x[:, 0] * 3.0), F8),
    ]
    rng = None if seed is None else np.random.default_rng(seed)
    return ArrayData(columns, size, rng, numbers, **more)


def flat(batches, size, last=True):
    """Return the rows of batches, each checked: x, y and weights of one row belong together."""
    found = []
    batches = [tuple(part.copy() for part in batch[:3]) for batch in batches]
    for i, (x, y, w) in enumerate(batches):
        assert len(x) == size or (last and i == len(batches) - 1)
        assert len(x) == len(y) == len(w)
        for part, factor in ((-x[:, 1], 1), (y, 2), (w, 3)):
            np.testing.assert_array_equal(part, x[:, 0] * factor)
        assert x.dtype == y.dtype == w.dtype == F8
        found += x[:, 0].tolist()
    return found


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 120),
    size=st.integers(1, 13),
    buffer=st.integers(2, 60),
    chunk=st.integers(1, 9),
    seed=st.none() | st.integers(0, 50),
    drop_last=st.booleans(),
    chosen=st.booleans(),
    data_=st.data(),
)
def test_batches_and_their_rest(count, size, buffer, chunk, seed, drop_last, chosen, data_):
    numbers = np.flatnonzero(np.arange(count) % 3) if chosen and count > 2 else None
    expected = list(range(count)) if numbers is None else numbers.tolist()
    options = {"seed": seed, "numbers": numbers, "chunk": chunk, "buffer": buffer}
    options["drop_last"] = drop_last and len(expected) >= size
    its = data(count, size, **options)
    rows = flat(its.batches(), size, not options["drop_last"])
    kept = len(expected) - len(expected) % size if options["drop_last"] else len(expected)
    assert len(rows) == len(set(rows)) == kept
    assert set(rows) <= set(expected)
    if seed is None:
        assert rows == expected[:kept]
    following = flat(its.batches(), size, not options["drop_last"])
    # Another process goes on after some batches, and with the next epoch.
    done = data_.draw(st.integers(1, its.steps))
    first, second = data(count, size, **options), data(count, size, **options)
    reading = first.batches()
    for _ in range(done):
        next(reading)
    second.set_state(json.loads(json.dumps(first.get_state(done))), done)
    assert flat(second.batches(done), size) == rows[done * size :]
    assert flat(second.batches(), size) == following
    assert first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("seed", [None, 0])
def test_epochs_of_some_steps_go_on_in_the_pass(seed):
    its = data(50, 4, seed=seed, steps=5, continuous=True, buffer=10)
    batches = [b.inputs[:, 0].tolist() for _ in range(5) for b in its.batches()]
    assert [len(b) for b in batches] == [4] * 12 + [2] + [4] * 12
    assert sorted(chain(*batches[:13])) == list(range(50))
    assert len(set(chain(*batches[13:]))) == 48


def test_blocks_are_read_once_in_pieces_and_small_data_only_once():
    lazy = Chunked(np.arange(1000.0)[:, None], 10)
    reads = []
    lazy.__class__ = type(
        "Counted",
        (Chunked,),
        {
            "__getitem__": lambda self, key: (
                reads.append((key.start, key.stop)) or Chunked.__getitem__(self, key)
            )
        },
    )
    columns = [column(LazyRows(lazy), F8), None, None]
    its = ArrayData(columns, 7, np.random.default_rng(0), buffer=105)
    assert (its.blocks.block, its.blocks.at_once, its.blocks.groups) == (10, 10, 10)
    for _ in range(2):
        reads.clear()
        assert len({x for batch in its.batches() for x in batch.inputs[:, 0]}) == 1000
        assert sorted(reads) == [(i, i + 10) for i in range(0, 1000, 10)]
    reads.clear()
    its = ArrayData(columns, 7, np.random.default_rng(0))
    orders = [[x for batch in its.batches() for x in batch.inputs[:, 0]] for _ in range(2)]
    assert reads == [(0, 1000)]
    rng = np.random.default_rng(0)
    assert orders == [rng.permutation(1000).tolist() for _ in range(2)]  # as for an array


def test_a_part_of_arrays_in_memory_is_shuffled_at_a_time():
    x = np.arange(1000.0)[:, None]
    its = ArrayData([column(x, F8), None, None], 10, np.random.default_rng(0), buffer=100)
    assert its.blocks.at_once == 100
    assert its.fingerprint()["blocks"] == [1, 100]
    assert sorted(v for b in its.batches() for v in b.inputs[:, 0]) == x[:, 0].tolist()
    whole = ArrayData([column(x, F8), None, None], 10, np.random.default_rng(0), buffer=1000)
    assert whole.blocks is None


# fit -----------------------------------------------------------------------------------------


def model():
    its = nl.Sequential([nl.layers.Dense(1)], seed=0)
    its.compile("sgd", "mse")
    return its


def test_a_run_over_blocks_resumes_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = Lazy(x.sum(axis=1))

    def run(folder, stop=None):
        its = model()

        def end(batch, logs):
            if stop is not None and its.optimizer.iterations >= stop:
                raise RuntimeError("the machine went down")

        backup = nl.callbacks.BackupAndRestore(str(folder), save_freq=5)
        its.fit(
            Chunked(x, 8), y, batch_size=16, epochs=3, validation_split=0.2, shuffle=128, verbose=0,
            callbacks=[backup, nl.callbacks.LambdaCallback(on_train_batch_end=end)],
        )  # fmt: skip
        return its.parameters.values

    whole = run(tmp_path / "a")
    with pytest.raises(RuntimeError, match="went down"):
        run(tmp_path / "b", stop=43)
    assert run(tmp_path / "b").tobytes() == whole.tobytes()


@pytest.mark.parametrize("shuffle", ["batch", 1, 0, -5, 2.5, None, np.nan])
def test_what_shuffle_may_be(shuffle):
    with pytest.raises(nl.errors.ConfigurationError, match=r"fit: shuffle must be .*got"):
        model().fit(np.ones((4, 2)), np.ones(4), shuffle=shuffle, verbose=0)


def test_a_number_is_not_for_batches():
    with pytest.raises(nl.errors.ConfigurationError, match=r"shuffle cannot .* is for arrays"):
        model().fit([(np.ones((4, 2)), np.ones(4))], shuffle=10, verbose=0)


def test_few_blocks_are_told_of():
    x = Chunked(np.ones((100, 2)), 20)
    with pytest.warns(UserWarning, match=r"100 rows are shuffled 2 blocks of 20 rows at a time"):
        model().fit(x, np.ones(100), batch_size=4, shuffle=40, verbose=0)
    model().fit(x, np.ones(100), batch_size=4, shuffle=np.int64(100), verbose=0)
    model().fit(x, np.ones(100), batch_size=4, shuffle=False, verbose=0)
