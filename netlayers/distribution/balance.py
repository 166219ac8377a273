"""How many shards each process computes: fewer where they take longer."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 20  # steps that are measured before shards may move
GAIN = 1.25  # they move if the slowest process then computes by this factor faster


def balanced_shards(seconds: Sequence[float], shards: int) -> list[range]:
    """Return the shards of each process that end the step first: neighbours, and one at least.

    Shard after shard goes to the process that would have computed its shards first. No other
    division lets the last process end earlier.

    Args:
        seconds: the time of a shard in each process.
        shards: number of shards, at least that of the processes.

    Example:
        >>> from netlayers.distribution.balance import balanced_shards
        >>> balanced_shards([1.0, 3.0], 8)
        [range(0, 6), range(6, 8)]
    """
    counts = [1] * len(seconds)
    for _ in range(shards - len(seconds)):
        ends = [(n + 1) * its for n, its in zip(counts, seconds, strict=True)]
        counts[ends.index(min(ends))] += 1
    bounds = itertools.accumulate(counts, initial=0)
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


class Balance:
    """Measures the steps of all processes, and says when shards must move.

    All processes are given the same times, so that all decide alike.
    """

    def __init__(self) -> None:
        self._times: list[Sequence[float]] = []

    def after_step(self, seconds: Sequence[float], owned: list[range]) -> list[range]:
        """Return the shards of each process for the next step.

        Args:
            seconds: how long each process computed its shards.
            owned: the shards of each process.
        """
        self._times.append(seconds)
        if len(self._times) < STEPS:
            return owned
        # The median, so that a process that paused once does not count as slow.
        its = [statistics.median(times) for times in zip(*self._times, strict=True)]
        self._times = []
        of_shard = [total / len(mine) for total, mine in zip(its, owned, strict=True)]
        better = balanced_shards(of_shard, owned[-1].stop)
        then = max(one * len(mine) for one, mine in zip(of_shard, better, strict=True))
        return better if max(its) > GAIN * then else owned
