"""The processes of a run: one alone, or those of MPI, and what they exchange."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.distribution.tree import Node, largest_nodes, parents, sum_of
from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import aligned

if TYPE_CHECKING:
    from types import TracebackType

    from netlayers._typing import Array, Dtype

# What MPICH, Open MPI and Slurm tell the processes that they start.
_LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


class Alone:
    """The only process of a run.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank, size = 0, 1

    def gather(self, value: Any, what: str = "") -> list[Any]:
        """Return the values of all processes, in their order."""
        return [value]

    def summing(self, size: int, dtype: Dtype, owned: list[range], shards: int) -> VectorSum:
        """Return what adds up vectors of the shards over all processes."""
        return VectorSum(size, dtype, owned[self.rank], shards)


class VectorSum:
    """Adds up a vector of each shard along the tree; this one, for a process alone.

    Args:
        size: length of the vectors.
        dtype: their dtype.
        owned: the shards of this process, each of which is added once, in their order.
        shards: the number of all shards.
    """

    def __init__(self, size: int, dtype: Dtype, owned: range, shards: int) -> None:
        self.size, self.dtype, self.shards, self._first = size, dtype, shards, owned.start
        self.nodes = largest_nodes(owned, shards)
        # As many as are needed at a time: the sums of complete nodes, and a shard.
        self._buffers = self._allocate(len(self.nodes) + max(1, len(owned)).bit_length())
        self._stack: list[Node] = []
        self._parents = parents(shards)

    def _allocate(self, count: int) -> Array:
        return aligned(count * self.size, self.dtype).reshape(count, self.size)

    def add(self, vector: Array, factor: float) -> None:
        """Add ``factor * vector`` for the next shard."""
        stack = self._stack
        shard = self._first if not stack else stack[-1][1]
        np.multiply(vector, factor, out=self._buffers[len(stack)])
        stack.append((shard, shard + 1))
        while len(stack) > 1 and (stack[-2][0], stack[-1][1]) in self._parents:
            (first, _), (_, stop) = stack[-2:]
            left = self._buffers[len(stack) - 2]
            np.add(left, self._buffers[len(stack) - 1], out=left)
            stack[-2:] = [(first, stop)]

    def result(self, out: Array) -> None:
        """Write the sum over all shards, and start again."""
        assert self._stack == self.nodes
        np.copyto(out, self._buffers[0])
        self._stack.clear()

    def close(self) -> None:
        """Free memory that is shared; all processes must call this alike."""


class MPI:
    """The processes of MPI.

    Args:
        shared_memory: exchange vectors through memory that all processes share, if they are on one
            machine, and otherwise by messages.

    Raises:
        ConfigurationError: mpi4py is missing, or does not see the processes that were started.
    """

    _announces_end = False  # whether an object has registered _end; after an error none does

    def __init__(self, shared_memory: bool = True) -> None:
        self.mpi = _mpi4py()
        if not self.mpi.Is_initialized():
            # There MPICH would end the process with a message about its internals.
            if "OMPI_COMM_WORLD_SIZE" in os.environ and self.mpi.get_vendor()[0] == "MPICH":
                raise self._of_another_launcher("none of them")
            self.mpi.Init_thread()
        self.world = self.mpi.COMM_WORLD
        self.rank, self.size = int(self.world.rank), int(self.world.size)
        if self.size != processes_of_mpi():
            raise self._of_another_launcher(str(self.size))
        here = self.world.Split_type(self.mpi.COMM_TYPE_SHARED)
        self.shares_memory = shared_memory and here.size == self.size
        sys.excepthook = self._abort
        self._process = os.getpid()
        if not MPI._announces_end:
            MPI._announces_end = True
            atexit.register(self._end)

    def _of_another_launcher(self, seen: str) -> ConfigurationError:
        return ConfigurationError(
            f"DataParallel: {processes_of_mpi()} processes were started, but MPI sees {seen}: "
            "mpiexec, or srun --mpi, belongs to another MPI than the one that mpi4py uses "
            f"({self.mpi.Get_library_version().split(',')[0].splitlines()[0].strip()}). Start them "
            "with the mpiexec beside it."
        )

    def gather(self, value: Any, what: str = "an exchange") -> list[Any]:
        """Return the values of all processes, in their order.

        Args:
            value: the value of this process.
            what: what the processes exchange, which must be the same in all.

        Raises:
            RuntimeError: another process exchanges something else, or has ended.
        """
        found = self.world.allgather((what, value))
        for rank, (other, _) in enumerate(found):
            if other != what:
                raise RuntimeError(
                    f"DataParallel: process {self.rank} waits for the others in {what}, but "
                    f"process {rank} {f'is in {other}' if other else 'has ended'}. All processes "
                    "must call fit, evaluate, predict and train_on_batch alike; print and write "
                    "files in one of them."
                )
        return [its for _, its in found]

    def _end(self) -> None:
        """Tell those that still wait for this process that it has ended."""
        if MPI._announces_end and os.getpid() == self._process:
            self.world.allgather(("", None))

    def summing(self, size: int, dtype: Dtype, owned: list[range], shards: int) -> VectorSum:
        """Return what adds up vectors of the shards over all processes."""
        if not size:
            return VectorSum(size, dtype, owned[self.rank], shards)
        kind = SharedSum if self.shares_memory else MessageSum
        return kind(size, dtype, owned, shards, self)

    def _abort(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """End all processes after an error of this one; they would wait for it for ever."""
        MPI._announces_end = False  # Abort may return before the launcher ends this process
        text = "".join(traceback.format_exception(kind, error, trace))
        print(f"netlayers: process {self.rank} of {self.size} failed:\n{text}", file=sys.stderr)
        sys.stderr.flush()
        time.sleep(0.5)  # the launcher drops what it has not read when it ends the processes
        self.world.Abort(130 if issubclass(kind, KeyboardInterrupt) else 1)


class _SumOfSeveral(VectorSum):
    """Adds up vectors of several processes: each completes the sum of a part of the entries."""

    def __init__(
        self, size: int, dtype: Dtype, owned: list[range], shards: int, processes: MPI
    ) -> None:
        self._world, self._mpi = processes.world, processes.mpi
        self._rank = processes.rank
        self._nodes = [largest_nodes(its, shards) for its in owned]
        ends = [size * i // processes.size for i in range(processes.size + 1)]
        self._starts, self._counts = ends[:-1], np.diff(ends).tolist()
        start = ends[self._rank]
        self._part = slice(start, start + self._counts[self._rank])
        super().__init__(size, dtype, owned[self._rank], shards)

    def _complete(self, known: dict[Node, Array]) -> Array:
        """Return the sum of all shards, in the memory of the first node."""
        return sum_of((0, self.shards), known, lambda a, b: np.add(a, b, out=a))


class SharedSum(_SumOfSeveral):
    """Adds up vectors in memory that all processes share."""

    def _allocate(self, count: int) -> Array:
        entry = self.dtype.itemsize
        self._window = self._mpi.Win.Allocate_shared(
            count * self.size * entry, entry, comm=self._world
        )
        self._of_all = []
        for rank in range(len(self._nodes)):
            memory, _ = self._window.Shared_query(rank)
            vectors = np.frombuffer(memory, self.dtype)
            self._of_all.append(vectors.reshape(-1, self.size))
        self._window.Lock_all()
        return self._of_all[self._rank]

    def result(self, out: Array) -> None:
        """Write the sum over all shards, and start again."""
        assert self._stack == self.nodes
        self._wait()
        self._complete(
            {
                node: vectors[i, self._part]
                for nodes, vectors in zip(self._nodes, self._of_all, strict=True)
                for i, node in enumerate(nodes)
            }
        )
        self._wait()
        np.copyto(out, self._of_all[0][0])
        self._wait()  # until all have read it
        self._stack.clear()

    def close(self) -> None:
        """Free memory that is shared; all processes must call this alike."""
        self._of_all = []
        del self._buffers
        self._window.Unlock_all()
        self._window.Free()

    def _wait(self) -> None:
        self._window.Sync()
        self._world.Barrier()
        self._window.Sync()


class MessageSum(_SumOfSeveral):
    """Adds up vectors by messages: a process sends each other one its part of them."""

    def result(self, out: Array) -> None:
        """Write the sum over all shards, and start again."""
        assert self._stack == self.nodes
        mpi, processes = self._mpi, range(len(self._nodes))
        kind = mpi._typedict[self.dtype.char]
        length, known = self._part.stop - self._part.start, {}
        for i in range(max(map(len, self._nodes))):
            has = [i < len(nodes) for nodes in self._nodes]
            sent = self._counts if has[self._rank] else [0] * len(has)
            came = [length * its for its in has]
            places = np.concatenate([[0], np.cumsum(came)])
            parts = np.empty(places[-1], self.dtype)
            vector = self._buffers[min(i, len(self.nodes) - 1)]
            self._world.Alltoallv(
                [vector, sent, self._starts, kind], [parts, came, places[:-1].tolist(), kind]
            )
            for rank in processes:
                if has[rank]:
                    known[self._nodes[rank][i]] = parts[places[rank] : places[rank + 1]]
        self._world.Allgatherv(
            [self._complete(known), length, kind], [out, self._counts, self._starts, kind]
        )
        self._stack.clear()


def processes_of_mpi() -> int:
    """Return how many processes an MPI launcher started, 1 if there was none."""
    return max(
        (int(os.environ[n]) for n in _LAUNCHERS if os.environ.get(n, "").isdigit()), default=1
    )


def _mpi4py() -> Any:
    """Return the module; MPI is initialized only if the user's script imported it before."""
    try:
        options = importlib.import_module("mpi4py").rc
        options.initialize, options.finalize = False, True
        return importlib.import_module("mpi4py.MPI")
    except ImportError as error:
        raise ConfigurationError(
            f"DataParallel: MPI started {processes_of_mpi()} processes, which needs the package "
            f'mpi4py, and importing it failed ({error}). Install it with: pip install ".[mpi]"'
        ) from error
