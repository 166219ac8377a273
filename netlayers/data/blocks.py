"""The order of rows that are read in blocks: a part of the data is in memory at a time."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._warn import warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array

BUFFER = 64 << 20  # bytes of rows that are in memory at a time
BLOCKS = 256  # blocks that they consist of, where the file allows blocks so small
_FEW = 16  # with fewer blocks at a time, batches of sorted data differ visibly from random ones


class Group(NamedTuple):
    """Blocks that are in memory at a time.

    Attributes:
        ranges: (start, stop) of each block.
        order: the order of the rows within the group; ``None`` if they are not shuffled.
        done: rows of the group before the position where reading starts.
        rows: number of rows.
    """

    ranges: list[tuple[int, int]]
    order: Array | None
    done: int
    rows: int


class BlockOrder:
    """The order of ``count`` rows that are read in blocks of consecutive rows.

    The blocks are drawn in random order and divided into groups. The rows of a group are read, and
    drawn in random order. Each row occurs once; if one group holds all rows, the order is that of
    ``rng.permutation(count)``, as for arrays in memory.

    How far this is from a uniform order is seen in the batches. If a quantity is constant in each
    block, as in sorted data, its mean over a batch of m rows from a group of B of the K blocks has
    up to ``1 + (m - 1)(1 / B - 1 / K)`` times the variance that m rows drawn at random have: two
    rows are of one block with a probability of 1 / B, not 1 / K (a little less in blocks of few
    rows). If neighbours are independent, nothing differs.

    Args:
        count: number of rows.
        block: rows in a block; the last one may have fewer.
        at_once: largest number of blocks in a group; groups differ in size by one block at most.
        chunk: rows that the file reads at once.

    Source:
        L. Kish, "Survey Sampling", 1965: the design effect ``1 + (m - 1) rho`` of a sample that is
        drawn in clusters, with the correlation rho of two rows of a batch.
    """

    def __init__(self, count: int, block: int, at_once: int, chunk: int = 1) -> None:
        self.count, self.block, self.at_once, self.chunk = count, block, at_once, chunk
        self.blocks = -(-count // block)
        self.groups = -(-self.blocks // at_once)

    def draw(self, rng: np.random.Generator | None, first: int = 0) -> Iterator[Group]:
        """Draw the order of a pass; return its groups from the one with row ``first`` on.

        All numbers are drawn from ``rng`` before this returns: what is read of the pass does not
        change what ``rng`` draws next. With ``None``, the rows keep their order.
        """
        if rng is not None and self.groups == 1:
            rows = rng.permutation(self.count)
            return iter([Group([(0, self.count)], rows, first, self.count)])
        return self._groups(*self.draw_blocks(rng), first)

    def draw_blocks(self, rng: np.random.Generator | None) -> tuple[Array, int | None]:
        """Return the blocks in random order, and a key for the order of the rows in memory."""
        if rng is None:
            return np.arange(self.blocks), None
        return rng.permutation(self.blocks), int(rng.integers(1 << 63))

    def _groups(self, order: Array, key: int | None, first: int) -> Iterator[Group]:
        starts = order * self.block
        stops = np.minimum(starts + self.block, self.count)
        bounds = [i * self.blocks // self.groups for i in range(self.groups + 1)]
        for number, (a, b) in enumerate(pairwise(bounds)):
            rows = int((stops[a:b] - starts[a:b]).sum())
            if first >= rows:
                first -= rows
                continue
            within = None
            if key is not None:  # a generator for each group: none is drawn for those before
                within = np.random.Generator(np.random.PCG64([key, number])).permutation(rows)
            ranges = list(zip(starts[a:b].tolist(), stops[a:b].tolist(), strict=True))
            yield Group(ranges, within, first, rows)
            first = 0


def block_order(
    columns: Sequence[Any], count: int, batch_size: int, shuffled: bool, rows: int | None = None
) -> BlockOrder:
    """Return the order for columns of which some are in files.

    Args:
        columns: x, y and weights, ``None`` for what there is not.
        count: number of rows.
        batch_size: rows in a batch.
        shuffled: whether the rows are shuffled.
        rows: number of rows in memory at a time; by default as many as take 64 MB. At least two
            batches, and a chunk of the file with the longest rows, are in memory.
    """
    parts = [
        c.values for its in columns if its is not None for c in getattr(its, "columns", (its,))
    ]
    sizes = [math.prod(v.shape[1:]) * v.dtype.itemsize for v in parts]
    chunk = max(zip(sizes, (getattr(v, "chunk", 1) for v in parts), strict=True))[1]
    rows = max(rows or BUFFER // max(1, sum(sizes)), 2 * batch_size, chunk)
    if rows >= count:
        return BlockOrder(count, count, 1, chunk)
    if not shuffled:
        return BlockOrder(count, rows - rows % chunk, 1, chunk)
    block = -(-max(1, rows // BLOCKS) // chunk) * chunk
    return BlockOrder(count, block, max(1, rows // block), chunk)


def warn_of_few_blocks(owner: str, order: BlockOrder) -> None:
    """Warn if so few blocks are in memory at a time that batches may be far from random ones."""
    if order.groups == 1 or order.at_once >= _FEW:
        return
    rows = order.block * _FEW
    warn(
        f"{owner}: {order.count} rows are shuffled {order.at_once} blocks of {order.block} rows "
        "at a time, as the file is read in such blocks, or as shuffle allows no more. If "
        "neighbouring rows are alike, so are those of a batch. Pass "
        f"shuffle={rows} or more to have {rows} rows in memory, or write the data as shards first, "
        "utils.write_shards, which are read in blocks of any size."
    )
