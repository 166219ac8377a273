"""Where the nodes of a graph are drawn: in ranks, from the inputs to the outputs.

``along`` is the direction of the computation, ``across`` the other one; both work for graphs that
go to the right and for those that go down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

SWEEPS = 12  # over the ranks, back and forth, to order them
SETTLED = 400  # and to find straight edges, at most
STILL = 0.005  # movement at which they are straight
HASTE = 1.8  # over-relaxation: D. M. Young, "Iterative methods for solving partial difference
# equations of elliptic type", 1954
FULL = 0.6  # share of a row that is filled before it is cut, if it can be cut later
FEW = 3  # edges that may go from a row to the next
LIGHT = 1e-6  # weight of an edge where it is in the way of a block


@dataclass
class Node:
    """A node of a graph, or a place where an edge passes a rank.

    Attributes:
        length: its size along.
        low: its size across on one side of where edges arrive.
        high: its size across on the other side.
        shift: how far across edges leave from where they arrive.
        is_edge: whether it is a place in an edge.
        rank: number of its rank.
        start: where it begins along.
        place: where its rank begins along, and where it ends.
        across: where edges arrive across.
    """

    length: float
    low: float
    high: float
    shift: float = 0.0
    is_edge: bool = False
    rank: int = 0
    start: float = 0.0
    place: tuple[float, float] = (0.0, 0.0)
    across: float = 0.0
    row: int = 0
    before: list[Node] = field(default_factory=list, repr=False)
    after: list[Node] = field(default_factory=list, repr=False)


def connect(first: Node, second: Node) -> None:
    """Add an edge."""
    first.after.append(second)
    second.before.append(first)


class Layout:
    """Positions of the nodes of a graph, and the courses of its edges.

    Args:
        nodes: the nodes in topological order.
        gap: distance between ranks.
        between: distance of nodes within a rank.
        limit: largest length of a row; a longer graph is cut into rows, where few edges pass.

    Attributes:
        nodes: the nodes, with those that stand for parts of long edges.
        rows: the first and the last rank of each row.
        sizes: for each row its length, and from where to where it goes across.

    Source:
        K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system
        structures", IEEE Transactions on Systems, Man, and Cybernetics 11, 1981.
    """

    def __init__(self, nodes: list[Node], gap: float, between: float, limit: float) -> None:
        self.gap, self.between = gap, between
        self._rank(nodes)
        self.nodes = [*nodes, *self._long_edges(nodes)]
        count = max(node.rank for node in nodes) + 1
        self._ranks: list[list[Node]] = [[] for _ in range(count)]
        for node in self.nodes:
            self._ranks[node.rank].append(node)
        self._order()
        self.rows = self._cut(limit)
        self.sizes = [self._place(row, *ends) for row, ends in enumerate(self.rows)]

    def _rank(self, nodes: list[Node]) -> None:
        """Put each node behind all that it takes, and inputs right before their use."""
        for node in nodes:
            node.rank = max((before.rank + 1 for before in node.before), default=0)
        for node in nodes:
            if not node.before and node.after:
                node.rank = min(after.rank for after in node.after) - 1

    def _long_edges(self, nodes: list[Node]) -> list[Node]:
        """Cut edges over several ranks into parts."""
        places = []
        for node in nodes:
            for i, target in enumerate(node.after):
                last = node
                for rank in range(node.rank + 1, target.rank):
                    place = Node(0.0, 3.0, 3.0, is_edge=True, rank=rank, before=[last])
                    if last is node:
                        node.after[i] = place
                    else:
                        last.after = [place]
                    places.append(place)
                    last = place
                if last is not node:
                    last.after = [target]
                    target.before[target.before.index(node)] = last
        return places

    def _order(self) -> None:
        """Order the nodes of each rank so that few edges cross."""
        best = [list(rank) for rank in self._ranks]
        fewest = self._crossings()
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            for rank in self._ranks if forward else self._ranks[::-1]:
                places = {id(node): i for other in self._ranks for i, node in enumerate(other)}
                keys = {}
                for i, node in enumerate(rank):
                    near = node.before if forward else node.after
                    keys[id(node)] = fmean(places[id(n)] for n in near) if near else float(i)
                rank.sort(key=lambda node: keys[id(node)])
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(rank) for rank in self._ranks], crossings
        self._ranks = best

    def _crossings(self) -> int:
        count = 0
        for first, second in pairwise(self._ranks):
            places = {id(node): i for i, node in enumerate(second)}
            ends = [places[id(n)] for node in first for n in sorted_by(node.after, places)]
            count += sum(b < a for i, a in enumerate(ends) for b in ends[i + 1 :])
        return count

    def _cut(self, limit: float) -> list[tuple[int, int]]:
        """Return the first and the last rank of each row."""
        lengths = [max(node.length for node in rank) + self.gap for rank in self._ranks]
        passing = [sum(bool(node.after) for node in rank) for rank in self._ranks]
        rows, first = [], 0
        while first < len(lengths):
            used, before, best, last = 0.0, 0.0, None, first
            while last < len(lengths) and (used + lengths[last] <= limit or best is None):
                used += lengths[last]
                if passing[last] <= FEW:
                    better = best is None or passing[last] <= passing[best]
                    best = last if better or before < FULL * limit else best
                    before = used
                last += 1
            end = len(lengths) - 1
            rows.append((first, end if last > end or best is None else best))
            first = rows[-1][1] + 1
        return rows

    def _place(self, row: int, first: int, last: int) -> tuple[float, float, float]:
        """Set the positions of the nodes of a row; return its length and its extent."""
        ranks = self._ranks[first : last + 1]
        along = 0.0
        for rank in ranks:
            length = max(node.length for node in rank)
            for node in rank:
                node.start, node.row = along + (length - node.length) / 2, row
                node.place = along, along + length
            along += length + self.gap
            blocks = [node for node in rank if not node.is_edge]
            spread = -sum(n.low + n.high + self.between for n in blocks) / 2
            for node in rank:
                node.across = spread + node.low
                spread += node.low + node.high + self.between
        for sweep in range(SETTLED):
            order = ranks if sweep % 2 == 0 else ranks[::-1]
            if max([self._settle(rank, row) for rank in order]) < STILL:
                break
        low = min(node.across - node.low for rank in ranks for node in rank)
        high = max(node.across + node.high for rank in ranks for node in rank)
        return along - self.gap, low, high

    def _settle(self, rank: list[Node], row: int) -> float:
        """Move the nodes of a rank to where their edges are straight, as far as there is room.

        Returns:
            How far the node goes that moves most.
        """
        most = 0.0
        wanted, weights = [], []
        for node in rank:
            pulls = [(n.across + n.shift, n.is_edge) for n in node.before if n.row == row]
            pulls += [(n.across - node.shift, n.is_edge) for n in node.after if n.row == row]
            # Blocks are in line with blocks, parts of edges with parts of edges, where there are.
            alike = [place for place, is_edge in pulls if is_edge == node.is_edge]
            places = alike or [place for place, _ in pulls]
            way = fmean(places) - node.across if places else 0.0
            wanted.append(node.across + HASTE * way)
            weights.append(LIGHT if node.is_edge else max(len(places), 1))  # edges give way
        offsets, offset = [], 0.0
        for i, node in enumerate(rank):
            offset += rank[i - 1].high + self.between + node.low if i else 0.0
            offsets.append(offset)
        free = [w - o for w, o in zip(wanted, offsets, strict=True)]
        for node, place, offset in zip(rank, increasing(free, weights), offsets, strict=True):
            most = max(most, abs(place + offset - node.across))
            node.across = place + offset
        return most


def sorted_by(nodes: list[Node], places: dict[int, int]) -> list[Node]:
    """Return nodes in the order of their places."""
    return sorted(nodes, key=lambda node: places[id(node)])


def increasing(values: list[float], weights: list[float]) -> list[float]:
    """Return the increasing numbers that are nearest to ``values``, in weighted squares.

    Adjacent values in the wrong order are replaced by their mean, again and again.

    Source:
        R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, "Statistical inference under
        order restrictions", 1972: pool adjacent violators.

    Example:
        >>> increasing([1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
        [1.0, 2.5, 2.5]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, u, m), (b, v, n) = blocks[-2:]
            blocks[-2:] = [((a * u + b * v) / (u + v), u + v, m + n)]
    return [mean for mean, _, count in blocks for _ in range(count)]
