"""The tree over the shards, and the sums along it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlayers.distribution.processes import VectorSum
from netlayers.distribution.tree import children, largest_nodes, owned_shards, parents, sum_of

COUNTS = st.integers(1, 20).flatmap(lambda s: st.tuples(st.just(s), st.integers(1, s)))


@given(COUNTS)
def test_processes_own_each_shard_once(counts):
    shards, processes = counts
    owned = owned_shards(shards, processes)
    assert [shard for its in owned for shard in its] == list(range(shards))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


@given(COUNTS)
def test_the_largest_nodes_cover_the_shards_of_a_process(counts):
    shards, processes = counts
    every = parents(shards) | {(i, i + 1) for i in range(shards)}
    for owned in owned_shards(shards, processes):
        nodes = largest_nodes(owned, shards)
        assert [shard for node in nodes for shard in range(*node)] == list(owned)
        assert set(nodes) <= every
        for first, stop in parents(shards):  # none of them is part of a larger one
            if owned.start <= first and stop <= owned.stop:
                assert any(a <= first and stop <= b for a, b in nodes)


def test_a_power_of_two_is_one_node_of_each_process():
    for processes in (1, 2, 4, 8):
        assert {len(largest_nodes(its, 8)) for its in owned_shards(8, processes)} == {1}
    assert children((0, 8)) == ((0, 4), (4, 8))
    assert children((0, 3)) == ((0, 1), (1, 3))


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_the_order_of_the_additions_is_that_of_the_tree(counts, seed):
    shards, processes = counts
    vectors = np.random.default_rng(seed).normal(size=(shards, 3)).astype("f")

    def add(node):  # written once more, from the definition
        if node[1] - node[0] == 1:
            return vectors[node[0]] * np.float32(0.5)
        left, right = children(node)
        return add(left) + add(right)

    known = {}
    for owned in owned_shards(shards, processes):
        if not len(owned):
            continue
        total = VectorSum(3, vectors.dtype, owned, shards)
        for shard in owned:
            total.add(vectors[shard], 0.5)
        known |= {node: total._buffers[i].copy() for i, node in enumerate(total.nodes)}
    found = sum_of((0, shards), known, lambda a, b: a + b)
    np.testing.assert_array_equal(found, add((0, shards)))


def test_the_tree_of_three_shards():
    leaves = {(i, i + 1): f"{i}" for i in range(3)}
    assert sum_of((0, 3), leaves, lambda a, b: f"({a}+{b})") == "(0+(1+2))"


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_a_process_alone_adds_up_again_and_again(shards):
    total = VectorSum(2, np.dtype("d"), range(shards), shards)
    for factor in (1.0, 3.0):
        for shard in range(shards):
            total.add(np.array([shard, 1.0]), factor)
        out = np.empty(2)
        total.result(out)
        np.testing.assert_array_equal(out, [factor * shards * (shards - 1) / 2, factor * shards])
