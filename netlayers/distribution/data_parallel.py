"""Training with the batch divided into shards, in one or several processes."""

from __future__ import annotations

import functools
from typing import Any

from netlayers.checks import check_flag, check_integer
from netlayers.distribution.processes import MPI, Alone, processes_of_mpi
from netlayers.distribution.tree import owned_shards
from netlayers.errors import ConfigurationError


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

    Attributes:
        processes: the processes, with their ``rank`` and ``size``.
        owned: the shards of each process.

    Raises:
        ConfigurationError: there are more processes than shards, or mpi4py is missing.

    Example:
        >>> import netlayers as nl
        >>> distribution = nl.distribution.DataParallel(shards=4)
        >>> distribution.rank, distribution.size, distribution.owned
        (0, 1, [range(0, 4)])
    """

    def __init__(self, shards: int = 8, *, shared_memory: bool = True) -> None:
        owner = "DataParallel"
        self.shards = check_integer(owner, "shards", shards, minimum=1)
        self.shared_memory = check_flag(owner, "shared_memory", shared_memory)
        several = processes_of_mpi() > 1
        self.processes: Alone | MPI = MPI(self.shared_memory) if several else Alone()
        if self.size > self.shards:
            raise ConfigurationError(
                f"{owner}: {self.size} processes for shards={self.shards}; start at most as many "
                "processes as there are shards."
            )
        self.owned = owned_shards(self.shards, self.size)

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.processes.rank

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.processes.size

    def rows_of(self, rows: int, shard: int) -> slice:
        """Return the place of a shard in a batch of so many rows."""
        return slice(rows * shard // self.shards, rows * (shard + 1) // self.shards)

    def own_rows(self, rows: int) -> slice:
        """Return the rows of a batch that belong to the shards of this process."""
        mine = self.owned[self.rank]
        return slice(self.rows_of(rows, mine.start).start, self.rows_of(rows, mine.stop - 1).stop)

    def __deepcopy__(self, memo: Any) -> DataParallel:
        return self  # there is one world of processes

    def __reduce__(self) -> Any:
        return functools.partial(DataParallel, shared_memory=self.shared_memory), (self.shards,)

    def __repr__(self) -> str:
        return f"<DataParallel of {self.shards} shards, process {self.rank} of {self.size}>"
