"""Sources that yield batches by shard, of which one of several processes reads its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol

from netlayers.data.batch import Batch, PartOfBatch, join_batches
from netlayers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Distribution(Protocol):
    """What is asked of a distribution; see :class:`netlayers.distribution.DataParallel`."""

    shards: int
    owned: list[range]
    processes: Any
    pinned: int
    auto_shard_dataset: bool

    @property
    def rank(self) -> int:
        """Number of this process."""


_NOTHING = Batch(None, None, None, 0)


class OwnShards:
    """A source of which the own shards are read: an item is a list with that of each shard.

    The source has ``shard(num_shards, index)``, as tf.data's data sets: it returns an iterable of
    the part of each batch that belongs to a shard. Shards may end at different batches; an item is
    then ``None``.

    Args:
        source: the source.
        distribution: the shards, and those of this process, which keeps them meanwhile.
        endless: start each shard again when it has ended.
    """

    def __init__(self, source: Any, distribution: Distribution, endless: bool) -> None:
        self._source, self._distribution, self._endless = source, distribution, endless
        self._owned, self._begun = distribution.owned[distribution.rank], False
        for hook in ("on_epoch_begin", "on_epoch_end"):
            if hasattr(source, hook):
                setattr(self, hook, getattr(source, hook))

    def checked_by(self, check: Callable[[Any], Batch]) -> Callable[[list[Any]], PartOfBatch]:
        """Return what checks an item, and joins its rows to one batch.

        It raises a DataError if there are no rows in the first item.
        """

        def joined(items: list[Any]) -> PartOfBatch:
            parts = [None if item is None else check(item) for item in items]
            some = [part for part in parts if part is not None]
            if not (some or self._begun):
                raise DataError(
                    f"DataParallel: the shards {self._owned.start} to {self._owned.stop - 1} have "
                    "no rows in the first batch. Use larger batches, or fewer shards."
                )
            self._begun = True
            batch = join_batches(some) if some else _NOTHING
            sizes = [0 if part is None else part.size for part in parts]
            return PartOfBatch.of(batch, 0, 0, sizes)

        return joined


class OwnIterators(OwnShards):
    """Shards that are iterated over."""

    def __iter__(self) -> Iterator[list[Any]]:
        return itertools.zip_longest(*map(self._items, self._owned))  # type: ignore[return-value]

    def _items(self, shard: int) -> Iterator[Any]:
        while True:
            ended = True
            for item in self._source.shard(self._distribution.shards, shard):
                ended = False
                yield item
            if ended or not self._endless:
                return


class OwnSequences(OwnShards):
    """Shards with a length and batches by number."""

    def __init__(self, source: Any, distribution: Distribution, endless: bool) -> None:
        super().__init__(source, distribution, endless)
        self._parts = [source.shard(distribution.shards, i) for i in self._owned]

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> list[Any]:
        return [part[index] if index < len(part) else None for part in self._parts]


class OwnStream:
    """The batches of a stream of own shards; in all else, the stream.

    The processes tell each other how many rows each shard has. While the stream is open, the shards
    stay where they are.
    """

    def __init__(self, stream: Any, distribution: Distribution) -> None:
        self._stream, self._distribution = stream, distribution
        self._open = True
        distribution.pinned += 1

    def ready(self) -> bool:
        """Start the next epoch unless it has started; return whether a process has batches."""
        return any(self._gather(self._stream.ready()))

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the own rows of the batches of an epoch, as long as a process has some."""
        its = self._distribution
        mine: Any = self._stream.batches(start) if start or self._stream.ready() else None
        try:
            while True:
                batch = None if mine is None else next(mine, None)
                every = self._gather(None if batch is None else batch.sizes)
                if all(sizes is None for sizes in every):
                    return
                sizes = [
                    size
                    for there, owned in zip(every, its.owned, strict=True)
                    for size in there or [0] * len(owned)
                ]
                bounds = list(itertools.accumulate(sizes, initial=0))
                if bounds[-1]:
                    first = bounds[its.owned[its.rank].start]
                    yield PartOfBatch.of(batch or _NOTHING, bounds[-1], first, bounds=bounds)
        finally:
            if mine is not None:
                mine.close()

    def close(self) -> None:
        """Release the source, and let shards move again."""
        if self._open:
            self._open = False
            self._distribution.pinned -= 1
        self._stream.close()

    def _gather(self, value: Any) -> list[Any]:
        found: list[Any] = self._distribution.processes.gather(value, "reading data by shards")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def own_shards_of(source: Any, distribution: Distribution | None, endless: bool = False) -> Any:
    """Return a source of which the own shards are read, if it yields batches by shard."""
    if distribution is None or not distribution.auto_shard_dataset:
        return source
    if not callable(getattr(source, "shard", None)):
        return source
    numbered = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    return (OwnSequences if numbered else OwnIterators)(source, distribution, endless)
