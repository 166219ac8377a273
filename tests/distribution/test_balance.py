"""Shards move from slow processes to fast ones."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlayers.distribution.balance import STEPS, Balance, balanced_shards
from netlayers.distribution.tree import owned_shards


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=4), st.integers(0, 6))
def test_no_division_ends_earlier(seconds, more):
    shards = len(seconds) + more

    def end(counts):
        return max(n * its for n, its in zip(counts, seconds, strict=True))

    found = balanced_shards(seconds, shards)
    assert [shard for its in found for shard in its] == list(range(shards))
    assert all(found)
    every = itertools.product(range(1, shards + 1), repeat=len(seconds))
    assert end(map(len, found)) == min(end(its) for its in every if sum(its) == shards)


def after(times, owned, steps=STEPS):
    balance = Balance()
    for _ in range(steps - 1):
        assert balance.after_step(times, owned) is owned
    return balance.after_step(times, owned)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((4.0, 4.0), [4, 4]),
        ((4.0, 5.0), [4, 4]),  # another division is no better
        ((4.0, 7.0), [5, 3]),
        ((4.0, 400.0), [7, 1]),  # one remains, by which the process is measured
        ((0.0, 0.0), [4, 4]),
    ],
)
def test_shards_move_where_it_pays(times, expected):
    found = after(times, owned_shards(8, 2))
    assert list(map(len, found)) == expected


def test_they_move_back():
    owned = [range(7), range(7, 8)]
    assert after((7.0, 1.0), owned) == owned_shards(8, 2)


def test_a_process_that_paused_is_not_slow():
    balance, owned = Balance(), owned_shards(8, 2)
    for step in range(STEPS):
        assert balance.after_step((1.0, 10.0 if step == 3 else 1.0), owned) is owned
