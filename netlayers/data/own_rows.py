"""Data of which one of several processes reads only its rows of each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.data.arrays import ArrayData, Columns
from netlayers.data.batch import PartOfBatch, part_of_batch
from netlayers.data.own_blocks import OwnBlocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers.data.batch import Batch, Data
    from netlayers.data.own_blocks import Shards

    Share = Callable[[int], slice]  # the rows of a batch of so many


class _OwnRows:
    """A column of which the own rows of each batch are read; in all else, the column."""

    def __init__(self, column: Any, share: Share) -> None:
        self._column, self._share = column, share

    def slice(self, start: int, stop: int) -> Any:
        """Return the own rows of those from ``start`` to ``stop``."""
        own = self._share(stop - start)
        return self._column.slice(start + own.start, start + own.stop)

    def take(self, rows: Any) -> Any:
        """Return the own rows of the given ones."""
        return self._column.take(rows[self._share(len(rows))])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._column, name)


class OwnRows:
    """Arrays, of whose batches a process reads its rows; in all else, the data.

    Args:
        data: the data.
        shards: the shards, and those of this process.
    """

    def __init__(self, data: ArrayData, shards: Shards) -> None:
        def own(column: Any) -> Any:
            if isinstance(column, Columns):
                return Columns([own(its) for its in column.columns])
            return column and _OwnRows(column, shards.own_rows)

        self._data, self._share = data, shards.own_rows
        if data.blocks is None:
            data._columns = [own(column) for column in data._columns]
        else:
            data.own_blocks = OwnBlocks(data, shards)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the own rows of the batches of an epoch after the first ``start``."""
        for batch in self._data.batches(start):
            if isinstance(batch, PartOfBatch):
                yield batch
                continue
            own = self._share(batch.size)
            if self._data.blocks is None:
                part = batch._replace(size=own.stop - own.start)
            else:
                part = part_of_batch(batch, own.start, own.stop)
            yield PartOfBatch.of(part, batch.size, own.start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)


def own_rows_of(data: Any, shards: Shards) -> Data:
    """Return data of which only the own rows are read, where that is possible."""
    return OwnRows(data, shards) if isinstance(data, ArrayData) else data
