"""Data in batches of which each process reads its shards."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.data.own_shards import OwnIterators, OwnSequences, own_shards_of
from netlayers.distribution import DataParallel
from netlayers.errors import DataError

X = np.random.default_rng(0).normal(size=(50, 3))


class Letters:
    """Shard i yields i + 1 letters."""

    def shard(self, num_shards, index):
        return "abcd"[: index + 1]

    def __iter__(self):
        return iter(())


class Batches:
    """A batch of a row for each shard, and one less in each further batch."""

    def __init__(self, first=0):
        self.first, self.seen = first, []

    def shard(self, num_shards, index):
        self.seen.append(index)
        for number in range(num_shards - index if index >= self.first else 0):
            yield X[[number]], X[[number], 0]

    def __iter__(self):
        return self.shard(1, 0)


def compiled(shards, **options):
    model = nl.Sequential([layers.Flatten(), layers.Dense(2, "tanh"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse", distribution=DataParallel(shards, **options))
    return model


def compiled_for_series(**options):
    model = nl.Sequential([layers.Masking(), layers.GRU(3), layers.Dense(2)], seed=0)
    model.compile("adam", "mse", distribution=DataParallel(4, **options))
    return model


def windows(**options):
    options = {"batch_size": 7, "shuffle": True, "seed": 1} | options
    return nl.utils.timeseries_dataset_from_array(X, X[:, 0], 1, **options)


def test_shards_end_at_different_batches():
    its = OwnIterators(Letters(), DataParallel(3), endless=False)
    assert list(its) == [("a", "a", "a"), (None, "b", "b"), (None, None, "c")]
    again = iter(OwnIterators(Letters(), DataParallel(3), endless=True))
    assert ["".join(next(again)) for _ in range(4)] == ["aaa", "abb", "aac", "aba"]


def test_training_goes_on_until_the_last_shard_ends():
    model, source = compiled(4), Batches()
    batches = []
    count = nl.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    model.fit(source, epochs=2, verbose=0, callbacks=[count])
    assert batches == [0, 1, 2, 3] * 2
    assert set(source.seen) == set(range(4))
    expected = np.concatenate([model.predict(X[[number] * (4 - number)]) for number in range(4)])
    np.testing.assert_allclose(model.predict(source), expected, rtol=1e-6)
    every = np.concatenate([X[[number] * (4 - number)] for number in range(4)])
    loss = model.evaluate(source, verbose=0)
    assert loss == pytest.approx(model.evaluate(every, every[:, 0], verbose=0))
    assert model.distribution.pinned == 0


def packed():
    lengths = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 6]
    return nl.utils.packed_dataset(X, lengths, X[:12, :2], batch_size=5)


@pytest.mark.parametrize("source", [windows, packed])
def test_shards_of_batches_by_number_have_the_bits_of_whole_batches(source):
    def run(**options):
        model = compiled(4, **options) if source is windows else compiled_for_series(**options)
        history = model.fit(source(), epochs=2, validation_data=source(), verbose=0)
        return history.history, model.predict(source()), model.evaluate(source(), verbose=0)

    one, two = run(), run(auto_shard_dataset=False)
    assert one[0] == two[0]
    np.testing.assert_array_equal(one[1], two[1])
    assert one[2] == two[2]


def test_rows_of_shards():
    whole = windows(shuffle=False)
    parts = [whole.shard(3, i) for i in range(3)]
    for index in range(len(whole)):
        its = [part[index][0] for part in parts if part[index] is not None]
        np.testing.assert_array_equal(np.concatenate(its), whole[index][0])
    assert [part[7] is None for part in parts] == [True, True, False]  # a row for 3 shards


def test_what_is_read_by_shards():
    its = DataParallel(2)
    assert type(own_shards_of(windows(), its)) is OwnSequences
    assert type(own_shards_of(Batches(), its)) is OwnIterators
    assert own_shards_of(X, its) is X
    source = windows()
    assert own_shards_of(source, None) is source
    assert own_shards_of(source, DataParallel(2, auto_shard_dataset=False)) is source


def test_shards_without_rows_in_the_first_batch():
    with pytest.raises(DataError, match="the shards 0 to 1 have no rows in the first batch"):
        compiled(2).fit(_Empty(), verbose=0)


class _Empty(Batches):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise AssertionError

    def shard(self, num_shards, index):
        return [None]
