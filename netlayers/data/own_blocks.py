"""Data in blocks, of which one of several processes reads the rows of its shards."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from netlayers.data.arrays import batch_of_rows
from netlayers.data.batch import PartOfBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.data.arrays import ArrayData
    from netlayers.data.batch import Batch


class Shards(Protocol):
    """What is asked of a distribution; see :class:`netlayers.distribution.DataParallel`."""

    owned: list[range]

    @property
    def rank(self) -> int:
        """Number of this process."""

    def rows_of(self, rows: int, shard: int) -> slice:
        """Return the place of a shard in a batch of so many rows."""

    def own_rows(self, rows: int) -> slice:
        """Return the rows of a batch that belong to the shards of this process."""


class Window(NamedTuple):
    """The own rows of some batches, which are in memory at a time.

    Attributes:
        ranges: (start, stop) of the rows that are read, one after the other.
        order: places in these of the own rows, batch by batch; ``None`` for their order.
        bounds: (start, stop) in ``order`` of the rows of each batch.
    """

    ranges: list[tuple[int, int]]
    order: Array | None
    bounds: list[tuple[int, int]]


class OwnBlocks:
    """Reads the rows of the shards of this process.

    The blocks, in random order, make one sequence of rows, which is cut into windows of whole
    batches, of about as many rows as a group of :class:`BlockOrder`. In a window each shard gets
    rows that follow each other in the sequence, as many as it needs in these batches, and shuffles
    them. So the rows of a process are in blocks of its own, which it reads alone, and the order of
    the rows does not depend on the number of processes. A batch has rows of all blocks of the
    window in equal shares: it is no further from a uniform order than without shards.

    If all rows are in memory at a time, their order is that of arrays in memory, and each process
    reads all of them once in a pass: its own rows are all over the file, in nearly every chunk. If
    the rows keep their order, a process reads its rows of each batch, and those between them that
    are in the same chunks of the file.

    Args:
        data: data in blocks.
        shards: the shards, and those of this process.
    """

    def __init__(self, data: ArrayData, shards: Shards) -> None:
        assert data.blocks is not None
        self._data, self._shards, self._order = data, shards, data.blocks
        self._size, self._end = data.batch_size, data.end

    def read_blocks(self, rng: np.random.Generator | None, first: int) -> Iterator[Batch]:
        """Draw the order of a pass; return its batches from the one with row ``first`` on."""
        if rng is not None and self._order.groups == 1:
            return self._data.read_blocks(rng, first)
        return self._batches(*self._order.draw_blocks(rng), first // self._size)

    def _batches(self, blocks: Array, key: int | None, first: int) -> Iterator[Batch]:
        its, steps = self._shards, -(-self._end // self._size)
        at_once = max(1, self._order.block * self._order.at_once // self._size)
        windows = -(-steps // at_once)
        limits = [i * steps // windows for i in range(windows + 1)]
        for number, (start, stop) in enumerate(pairwise(limits)):
            batch = max(start, first)
            while batch < stop:
                owned = its.owned[its.rank]
                if key is None:
                    window = self._in_order(start, stop)
                else:
                    window = self._shuffled(start, stop, blocks, [key, number])
                columns = self._data.gathered(window.ranges, sum(b - a for a, b in window.ranges))
                while batch < stop and its.owned[its.rank] == owned:  # until shards move
                    part = batch_of_rows(columns, window.order, *window.bounds[batch - start])
                    size = self._rows_in(batch)
                    yield PartOfBatch.of(part, size, its.own_rows(size).start)
                    batch += 1

    def _rows_in(self, batch: int) -> int:
        """Return the number of rows of a batch."""
        return min(self._size, self._end - batch * self._size)

    def _in_order(self, start: int, stop: int) -> Window:
        """Return the own rows of the batches from ``start`` to ``stop``."""
        ranges: list[tuple[int, int]] = []
        bounds, rows = [], 0
        for batch in range(start, stop):
            own, before = self._shards.own_rows(self._rows_in(batch)), batch * self._size
            first, last = before + own.start, before + own.stop
            if ranges and first - ranges[-1][1] < self._order.chunk:  # read what lies between
                first = ranges[-1][1]
                ranges[-1] = ranges[-1][0], last
            else:
                ranges.append((first, last))
            rows += last - first
            bounds.append((rows - (own.stop - own.start), rows))
        return Window(ranges, None, bounds)

    def _shuffled(self, start: int, stop: int, blocks: Array, key: list[int]) -> Window:
        """Return the own rows of the batches from ``start`` to ``stop`` of shuffled blocks."""
        its, size, last = self._shards, self._size, self._rows_in(stop - 1)
        full, last = (stop - start, 0) if last == size else (stop - start - 1, last)
        whole, rest, count = [], [], 0
        for shard in its.owned[its.rank]:
            n, m = (p.stop - p.start for p in (its.rows_of(size, shard), its.rows_of(last, shard)))
            rng = np.random.Generator(np.random.PCG64([*key, shard]))
            places = count + rng.permutation(full * n + m)
            whole.append(places[: full * n].reshape(full, n))
            rest.append(places[full * n :])
            count += len(places)
        order = np.concatenate([np.hstack(whole).ravel(), *rest])
        own = its.own_rows(size)
        first = start * size + full * own.start + its.own_rows(last).start
        limits = [i * (own.stop - own.start) for i in range(full + 1)] + [count] * bool(last)
        return Window(self._ranges_of(blocks, first, first + count), order, list(pairwise(limits)))

    def _ranges_of(self, blocks: Array, first: int, last: int) -> list[tuple[int, int]]:
        """Return the ranges of rows at the places ``first`` to ``last`` of a sequence of blocks."""
        stops = np.minimum((blocks + 1) * self._order.block, self._order.count)
        ends = np.cumsum(stops - blocks * self._order.block)  # in the sequence
        ranges = []
        for i in range(int(np.searchsorted(ends, first, side="right")), len(ends)):
            if first >= last:
                break
            end = min(last, int(ends[i]))
            row = int(stops[i]) - (int(ends[i]) - first)
            ranges.append((row, row + end - first))
            first = end
        return ranges or [(0, 0)]
