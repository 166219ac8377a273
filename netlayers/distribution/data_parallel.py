"""Training with the batch divided into shards, in one or several processes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_flag, check_integer
from netlayers.data.batch import PartOfBatch, part_of_batch
from netlayers.distribution.balance import Balance
from netlayers.distribution.processes import MPI, Alone, processes_of_mpi
from netlayers.distribution.tree import owned_shards
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers.data.batch import Batch


class DataParallel:
    """Divide each batch into shards, which several processes compute.

    The weights after each update have the same bits for every number of processes: a shard is
    always computed alone, by one thread, with random numbers of its own, and what shards give is
    added up along a fixed binary tree. The number of shards is part of the result; that of the
    processes, which ``mpiexec -n`` sets, is not.

    Args:
        shards: number of parts of a batch, at least the number of processes. A power of two, and a
            multiple of the numbers of processes that are used, sends least.
        shared_memory: processes on one machine exchange gradients through shared memory; ``False``
            for messages.
        move_shards: let shards move from slow processes to fast ones between two steps.
        auto_shard_dataset: let each process read its shards alone of data that come in batches and
            have ``shard(num_shards, index)``; ``False`` lets each read all.

    Attributes:
        processes: the processes, with their ``rank`` and ``size``.
        owned: the shards of each process, which may change between two steps.
        pinned: number of sources open now that read these shards, which then do not move.

    Raises:
        ConfigurationError: there are more processes than shards, or mpi4py is missing.

    Example:
        >>> import netlayers as nl
        >>> distribution = nl.distribution.DataParallel(shards=4)
        >>> distribution.rank, distribution.size, distribution.owned
        (0, 1, [range(0, 4)])
    """

    def __init__(
        self,
        shards: int = 8,
        *,
        shared_memory: bool = True,
        move_shards: bool = True,
        auto_shard_dataset: bool = True,
    ) -> None:
        owner = "DataParallel"
        self.shards = check_integer(owner, "shards", shards, minimum=1)
        self.shared_memory = check_flag(owner, "shared_memory", shared_memory)
        self.move_shards = check_flag(owner, "move_shards", move_shards)
        self.auto_shard_dataset = check_flag(owner, "auto_shard_dataset", auto_shard_dataset)
        several = processes_of_mpi() > 1
        self.processes: Alone | MPI = MPI(self.shared_memory) if several else Alone()
        if self.size > self.shards:
            raise ConfigurationError(
                f"{owner}: {self.size} processes for shards={self.shards}; start at most as many "
                "processes as there are shards."
            )
        self.owned = owned_shards(self.shards, self.size)
        self.pinned = 0
        self._balance = Balance()

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.processes.rank

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.processes.size

    def rows_of(self, rows: int, shard: int) -> slice:
        """Return the place of a ``shard`` in a batch of so many ``rows``."""
        return slice(rows * shard // self.shards, rows * (shard + 1) // self.shards)

    def own_rows(self, rows: int) -> slice:
        """Return which of the ``rows`` of a batch belong to the shards of this process."""
        mine = self.owned[self.rank]
        return slice(self.rows_of(rows, mine.start).start, self.rows_of(rows, mine.stop - 1).stop)

    def parts_of(self, batch: Batch) -> Iterator[tuple[int, slice, Batch]]:
        """Yield the shards of this process, their places in ``batch``, and their rows of it."""
        rows, first, bounds = batch.size, 0, None
        if isinstance(batch, PartOfBatch):
            rows, first, bounds = batch.whole, batch.first, batch.bounds
        for shard in self.owned[self.rank]:
            place = self.rows_of(rows, shard)
            if bounds is not None:
                place = slice(bounds[shard], bounds[shard + 1])
            yield shard, place, part_of_batch(batch, place.start - first, place.stop - first)

    def after_step(self, seconds: Sequence[float]) -> None:
        """Move shards from slow processes to fast ones, if that pays; all must call this alike.

        Args:
            seconds: how long each process computed its shards in this step.
        """
        if self.move_shards and self.size > 1 and not self.pinned:
            self.owned = self._balance.after_step(seconds, self.owned)

    def __deepcopy__(self, memo: Any) -> DataParallel:
        return self  # there is one world of processes

    def __reduce__(self) -> Any:
        options = {"shared_memory": self.shared_memory, "move_shards": self.move_shards}
        options["auto_shard_dataset"] = self.auto_shard_dataset
        return functools.partial(DataParallel, **options), (self.shards,)

    def __repr__(self) -> str:
        return f"<DataParallel of {self.shards} shards, process {self.rank} of {self.size}>"
