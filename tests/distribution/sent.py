"""Prints how many bytes each process sends to others in a sum of vectors, as counted in its calls.

``python -m tests.distribution.sent ENTRIES TIMES`` adds up vectors of float32 by messages.
"""

import json
import sys

import numpy as np

from netlayers.distribution import DataParallel


class Counting:
    """The world of MPI, which counts the bytes of arrays that this process sends to others."""

    def __init__(self, world):
        self.world, self.sent = world, 0

    def __getattr__(self, name):
        function = getattr(self.world, name)
        kind = name.lower().removeprefix("i")
        if not name[0].isupper() or kind == "barrier":
            return function  # of small objects

        def counting(array, *others, **named):
            entries, counts = array[0], array[1]
            others_of_mine = self.world.size - 1
            if kind == "alltoallv":
                number = sum(counts) - counts[self.world.rank]
            else:
                number = {"allgatherv": counts * others_of_mine, "send": counts}[kind]
            self.sent += number * entries.itemsize
            return function(array, *others, **named)

        return counting


def main():
    entries, times = map(int, sys.argv[1:])
    its = DataParallel(8, shared_memory=False)
    world = its.processes.world = Counting(its.processes.world)
    vector, out = np.ones(entries, np.float32), np.empty(entries, np.float32)
    total = its.processes.summing(entries, vector.dtype, its.owned, its.shards)
    for _ in range(times):
        for _ in its.owned[its.rank]:
            total.add(vector, 1.0)
        total.result(out)
    assert (out == its.shards).all()
    sent = its.processes.gather(world.sent)
    if its.rank == 0:
        print(json.dumps(sent))


if __name__ == "__main__":
    main()
