"""Data in blocks, of which each process reads its rows: the same batches for any number of them."""

from itertools import zip_longest
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import layers
from netlayers.arrays.foreign import LazyRows
from netlayers.data.arrays import ArrayData, column
from netlayers.data.own_rows import own_rows_of
from netlayers.distribution import DataParallel
from netlayers.distribution.tree import owned_shards
from netlayers.errors import DataError
from netlayers.training.compilation import own_part
from netlayers.training.inputs import input_of

F8 = np.dtype("f8")


class Counting:
    """A file that is read in slices, and counts how often each of its rows is read.

    As in a file of HDF5, all rows of a chunk are read at once.
    """

    def __init__(self, values, chunk=1):
        self.values, self.chunks = values, (chunk, *values.shape[1:])
        self.shape, self.dtype = values.shape, values.dtype
        self.reads = np.zeros(len(values), int)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        start, stop, _ = rows.indices(len(self))
        chunk = self.chunks[0]
        if stop > start:
            self.reads[start // chunk * chunk : -(-stop // chunk) * chunk] += 1
        return self.values[start:stop]


def process(rank, size, shards):
    its = DataParallel(shards)
    its.processes, its.owned = SimpleNamespace(rank=rank, size=size), owned_shards(shards, size)
    return its


def read(file, its, *, seed=0, size=10, numbers=None, **options):
    """Return the data of a process: two inputs, targets, weights."""
    rows = np.arange(float(len(file)))
    columns = [
        column((LazyRows(file), rows), F8),
        column(rows * 2, F8),
        column(LazyRows(Counting(rows * 3)), F8),
    ]
    rng = None if seed is None else np.random.default_rng(seed)
    return own_rows_of(ArrayData(columns, size, rng, numbers, **options), its)


def rows_of(batch):
    """Return the rows of a batch, each checked: all its parts belong to the same."""
    (x, rows), y, weights = batch[:3]
    np.testing.assert_array_equal(x[:, 0], rows)
    np.testing.assert_array_equal(y, rows * 2)
    np.testing.assert_array_equal(weights, rows * 3)
    return rows.astype(int).tolist()


def joined(processes):
    """Return the rows of whole batches, of which each process has a part."""
    found = []
    for parts in zip_longest(*processes):
        assert len({part.whole for part in parts}) == 1
        rows = [rows_of(part) for part in parts]
        assert [part.first for part in parts] == [
            sum(map(len, rows[:i])) for i in range(len(parts))
        ]
        found.append([row for its in rows for row in its])
        assert len(found[-1]) == parts[0].whole
    return found


def run(count, shards, processes, *, chunk=1, start=0, **options):
    """Return the batches of a pass, and how often each process reads each row."""
    values, every, reads = np.arange(float(count))[:, None], [], []
    for rank in range(processes):
        file = Counting(values, chunk)
        data = read(file, process(rank, processes, shards), **options)
        if start:
            data.set_state({"order": np.random.default_rng(0).bit_generator.state}
                           | {"count": start, "source": None}, start)  # fmt: skip
        every.append(data.batches(start))
        reads.append(file.reads)
    return joined(every), np.array(reads)


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 150),
    size=st.integers(1, 17),
    shards=st.integers(1, 9),
    chunk=st.integers(1, 9),
    buffer=st.integers(2, 60),
    shuffled=st.booleans(),
    chosen=st.booleans(),
    drop_last=st.booleans(),
    its=st.data(),
)
def test_any_number_of_processes_reads_the_same_batches(
    count, size, shards, chunk, buffer, shuffled, chosen, drop_last, its
):
    expected = np.arange(count)
    numbers = None
    if chosen and count > 2:
        numbers = expected = np.flatnonzero(expected % 3)
    options = {"seed": 0 if shuffled else None, "size": size, "buffer": buffer, "chunk": chunk}
    options |= {"numbers": numbers, "drop_last": drop_last and len(expected) >= size}
    one, _ = run(count, shards, 1, **options)
    more, _ = run(count, shards, its.draw(st.integers(1, shards)), **options)
    assert more == one
    used = len(expected) - (len(expected) % size if options["drop_last"] else 0)
    assert list(map(len, one)) == [size] * (used // size) + [used % size] * (used % size > 0)
    rows = [row for batch in one for row in batch]
    assert len(set(rows)) == used
    assert set(rows) <= set(expected.tolist())
    if not shuffled:
        assert rows == expected[:used].tolist()
    start = its.draw(st.integers(0, len(one) - 1))  # a run that goes on within an epoch
    rest, _ = run(count, shards, its.draw(st.integers(1, shards)), start=start, **options)
    assert rest == one[start:]


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("processes", [2, 3, 4])
def test_a_process_reads_its_part_of_the_rows(processes, seed):
    batches, reads = run(4005, 8, processes, seed=seed, buffer=800, size=40)
    assert reads.sum(axis=0).max() == reads.sum(axis=0).min() == 1  # each row by one of them
    assert reads.sum(axis=1).max() <= 4005 * 3 / 8 + 1 if processes == 3 else 4005 / processes + 1
    assert len(batches[-1]) == 5


@pytest.mark.parametrize("processes", [2, 4])
def test_a_process_reads_its_part_of_the_chunks(processes):
    _, reads = run(8000, 8, processes, chunk=10, buffer=2000, size=40)
    # Windows of 50 batches: between two processes a chunk may be read by both.
    assert reads.sum(axis=1).max() <= 8000 / processes + 4 * 2 * 10
    _, reads = run(8000, 8, processes, chunk=10, buffer=2000, size=400, seed=None)
    assert reads.sum(axis=1).max() <= 8000 / processes + 20 * 2 * 10
    _, reads = run(8000, 8, processes, chunk=100, buffer=2000, size=40, seed=None)
    assert set(reads.sum(axis=1)) == {8000}  # each chunk has rows of all: each is read once


def test_rows_that_fit_into_memory_are_read_once_and_have_their_order():
    file, its = Counting(np.arange(100.0)[:, None]), process(1, 2, 4)
    data = read(file, its)
    rng = np.random.default_rng(0)
    for _ in range(2):
        batches = [rows_of(batch) for batch in data.batches()]
        order = rng.permutation(100).reshape(10, 10)
        assert batches == order[:, 5:].tolist()
    assert set(file.reads) == {1}
    file = Counting(np.arange(100.0)[:, None])
    data = read(file, its, seed=None)
    for _ in range(2):
        batches = [rows_of(batch) for batch in data.batches()]
        assert batches == np.arange(100).reshape(10, 10)[:, 5:].tolist()
    assert file.reads.sum() == 50
    data.close()
    next(data.batches())
    assert file.reads.sum() == 100


@pytest.mark.parametrize("seed", [0, None])
def test_shards_that_move_take_their_rows_along(seed):
    expected, _ = run(300, 4, 1, seed=seed, buffer=100)
    file, its = Counting(np.arange(300.0)[:, None]), process(0, 2, 4)
    found = []
    for number, batch in enumerate(read(file, its, seed=seed, buffer=100).batches()):
        mine = its.owned[0]
        bounds = its.rows_of(10, mine.start).start, its.rows_of(10, mine.stop - 1).stop
        found.append(rows_of(batch) == expected[number][slice(*bounds)])
        its.owned = [range(number % 4 + 1), range(number % 4 + 1, 4)]
    assert found == [True] * 30


def test_the_order_is_no_further_from_a_uniform_one_than_without_shards():
    """Of 20,000 rows in blocks of 20: see tests/data/test_blocks.py."""
    count, size = 20_000, 32
    variances, displacements = [], []
    for seed in range(10):
        x = np.arange(float(count))[:, None]
        data = ArrayData(
            [column(x, F8), None, None], size, np.random.default_rng(seed), buffer=5120
        )
        assert (data.blocks.block, data.blocks.at_once) == (20, 256)
        data = own_rows_of(data, DataParallel(8))
        rows = np.concatenate([batch.inputs[:, 0].astype(int) for batch in data.batches()])
        variances.append((rows.reshape(-1, size) // 20).mean(axis=1).var())
        displacements.append(np.abs(rows - np.arange(count)).mean() / count)
    uniform = (np.arange(count) // 20).var() / size
    assert np.mean(variances) / uniform < 1.1 * (1 + (size - 1) * (1 / 256 - 20 / count))
    assert np.mean(displacements) == pytest.approx(1 / 3, abs=0.01)


def test_a_run_over_blocks_with_shards_resumes_to_the_bit(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 3))

    def run(folder, stop=None):
        model = nl.Sequential([layers.Dense(1)], seed=0)
        model.compile("sgd", "mse", distribution=DataParallel(4))

        def end(batch, logs):
            if stop is not None and model.optimizer.iterations >= stop:
                raise RuntimeError("the machine went down")

        calls = nl.callbacks.LambdaCallback(on_train_batch_end=end)
        backup = nl.callbacks.BackupAndRestore(str(folder), save_freq=5)
        options = {"validation_split": 0.2, "shuffle": 128, "callbacks": [backup, calls]}
        model.fit(Counting(x, 8), x.sum(axis=1), 16, epochs=2, verbose=0, **options)
        return model.parameters.values

    whole = run(tmp_path / "a")
    with pytest.raises(RuntimeError, match="went down"):
        run(tmp_path / "b", stop=23)
    assert run(tmp_path / "b").tobytes() == whole.tobytes()


@pytest.mark.parametrize("dtype", ["f4", "f8"])  # of the model, and wider
@pytest.mark.parametrize("kind", ["slices", "memory map"])
def test_a_process_checks_its_part_of_a_file(kind, dtype, tmp_path):
    x = np.ones((100, 2), dtype)
    x[70, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    for rank in range(2):
        mapped = kind == "memory map"
        file = np.load(tmp_path / "x.npy", mmap_mode="r") if mapped else Counting(x)
        model = nl.Sequential([layers.Dense(1)], seed=0)
        model.compile("sgd", "mse", distribution=process(rank, 2, 4))
        if rank:
            with pytest.raises(DataError, match="the first such row is row 70 "):
                input_of(model, "predict", file, own_part(model))
        else:
            input_of(model, "predict", file, own_part(model))
        if not mapped:
            assert file.reads.tolist() == [1 - rank] * 50 + [rank] * 50
