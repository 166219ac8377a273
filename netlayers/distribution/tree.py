"""A fixed binary tree over the shards of a batch, along which everything is added up.

The sum of floating-point numbers depends on the order of the additions. Here a node is a range of
shards, and its value the sum of those of its two halves: whichever process adds which nodes, the
additions are the same, and so are the bits.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Node = tuple[int, int]  # the first shard, and the one after the last
Value = TypeVar("Value")


def children(node: Node) -> tuple[Node, Node]:
    """Return the two halves of a node of several shards.

    Example:
        >>> from netlayers.distribution.tree import children
        >>> children((0, 8)), children((5, 8))
        (((0, 4), (4, 8)), ((5, 6), (6, 8)))
    """
    first, stop = node
    middle = (first + stop) // 2
    return (first, middle), (middle, stop)


def parents(shards: int) -> set[Node]:
    """Return the nodes of more than one shard."""
    found, waiting = set(), [(0, shards)]
    while waiting:
        node = waiting.pop()
        if node[1] - node[0] > 1:
            found.add(node)
            waiting += children(node)
    return found


def owned_shards(shards: int, processes: int) -> list[range]:
    """Return the shards of each process: neighbours, and about equally many."""
    ends = [shards * i // processes for i in range(processes + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(ends)]


def largest_nodes(owned: range, shards: int) -> list[Node]:
    """Return the largest nodes of which a process owns all shards, in their order.

    Example:
        >>> from netlayers.distribution.tree import largest_nodes
        >>> largest_nodes(range(3, 8), 8)
        [(3, 4), (4, 8)]
    """

    def within(node: Node) -> list[Node]:
        first, stop = node
        if owned.start <= first and stop <= owned.stop:
            return [node]
        if stop <= owned.start or owned.stop <= first:
            return []
        left, right = children(node)
        return within(left) + within(right)

    return within((0, shards))


def sum_of(node: Node, known: Mapping[Node, Value], add: Callable[[Value, Value], Value]) -> Value:
    """Return the value of a node from those of known nodes below it.

    Args:
        node: the node.
        known: values of nodes that together cover it.
        add: returns the sum of the values of a left and a right half; it may change the left one.
    """
    if node in known:
        return known[node]
    left, right = children(node)
    return add(sum_of(left, known, add), sum_of(right, known, add))
