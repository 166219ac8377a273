"""Series of different lengths, packed: the batches hold them all, with little padding."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataError

L = nl.layers
LENGTHS = np.array([3, 1, 4, 1, 5, 2, 6, 5])
RNG = np.random.default_rng(0)
SERIES = [RNG.normal(size=(n, 2)) for n in LENGTHS]
VALUES = np.concatenate(SERIES)


def test_each_series_comes_once_with_its_target():
    y = np.arange(8.0)
    data = nl.utils.packed_dataset(VALUES, LENGTHS, y, 3, shuffle=True, seed=1, padding_value=-7)
    seen, steps = [], 0
    for x, its in data:
        steps += x.shape[0] * x.shape[1]
        for row, number in zip(x, its.astype(int), strict=True):
            n = LENGTHS[number]
            np.testing.assert_array_equal(row[:n], SERIES[number])
            assert (row[n:] == -7).all()
            seen.append(number)
    assert seen == data.order.tolist()
    assert sorted(seen) == list(range(8))
    assert steps == 3 * 2 + 3 * 5 + 2 * 6  # 27 of them are series; padding to 6 would be 48
    again = nl.utils.packed_dataset(VALUES, LENGTHS, shuffle=True, seed=2, batch_size=3)
    assert again.order.tolist() != seen
    assert LENGTHS[again.order].tolist() == sorted(LENGTHS)


@pytest.mark.parametrize("targets", [None, np.arange(8.0), VALUES])
def test_shards_are_the_rows_of_batches(targets):
    data = nl.utils.packed_dataset(VALUES, LENGTHS, targets, batch_size=3, padding_value=-7)
    shards = [data.shard(2, i) for i in range(2)]
    for index, batch in enumerate(data):
        parts = [shard[index] for shard in shards]
        if targets is None:
            batch, parts = (batch,), [(part,) for part in parts]
        for whole, *its in zip(batch, *parts, strict=True):
            assert list(map(len, its)) == [len(whole) // 2, -(-len(whole) // 2)]
            np.testing.assert_array_equal(np.concatenate(its), whole)


def test_outputs_losses_and_gradients_are_those_of_one_padded_batch():
    target = VALUES.sum(axis=1, keepdims=True)
    data = nl.utils.packed_dataset(VALUES, LENGTHS, target, batch_size=3)
    x, y = nl.utils.packed_dataset(VALUES, LENGTHS, target, batch_size=8)[0]
    layers = [nl.Input((None, 2)), L.Masking(), L.LSTM(4, return_sequences=True), L.Dense(1)]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.compile("sgd", "mse")
    whole = model.predict(x)
    for k, (part, _) in enumerate(data):
        rows = whole[3 * k : 3 * k + 3, : part.shape[1]]
        np.testing.assert_allclose(model.predict(part), rows, rtol=1e-12)
    losses = [(model.evaluate(*b, verbose=0), (b[0] != 0).any(-1).sum()) for b in data]
    mean = sum(loss * n for loss, n in losses) / len(VALUES)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), mean, rtol=1e-12)
    model.fit(data, epochs=2, verbose=0)


@pytest.mark.parametrize(
    ("values", "lengths", "targets", "match"),
    [
        (VALUES, [3, 4], None, r"sum up to the number of steps in values, 27; they sum up to 7"),
        (VALUES, [27, 0], None, "positive integers"),
        (VALUES, [13.5, 13.5], None, "positive integers"),
        (VALUES, LENGTHS, np.ones(9), r"of the 8 series or of the 27 steps, got the shape \(9,\)"),
    ],
)
def test_what_is_refused(values, lengths, targets, match):
    with pytest.raises(DataError, match=match):
        nl.utils.packed_dataset(values, lengths, targets)
