"""The process of one peer: it runs commands from its standard input, one line of JSON each.

    python -m benchmarks.worker NAME THREADS

It is restricted to the first THREADS processors before the framework is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

WARM_UP = 0.1  # fraction of the steps that run before the measurement


class Worker:
    """The commands of a peer; each method takes the keys of a command and returns an answer."""

    def __init__(self, name: str) -> None:
        from benchmarks.peers import PEERS

        self.peer = PEERS[name]
        self.module = importlib.import_module(f"benchmarks.peers.{self.peer.module}")
        self.functions: dict[str, Any] = {}
        self.trainer: Any = None

    def open(self, case: dict[str, Any], steps: int) -> dict[str, Any]:
        """Create a trainer; return the losses of its first steps and the time of the first one."""
        from benchmarks.cases import from_dict

        self.functions, self.trainer = {}, None
        begin = time.perf_counter()
        self.trainer = trainer = self.module.trainer(from_dict(case), **self.peer.options)
        losses = [trainer.value(trainer.step())]
        first = time.perf_counter() - begin
        losses += [trainer.value(trainer.step()) for _ in range(steps - 1)]
        self.functions = {"step": trainer.step, "forward": getattr(trainer, "forward", None)}
        return {"losses": losses, "first": first}

    def open_kernels(self, case: dict[str, Any]) -> dict[str, Any]:
        """Create a netlayers trainer, with a function for the step without each compiled kernel."""
        import netlayers as nl

        nl.use_kernels(nl.kernels_in_use())  # restores the kernel that was left out last
        self.open(case, steps=2)
        self.functions = self.module.without_each(self.trainer.step)
        return {"called": list(self.functions)}

    def open_predictor(self, case: dict[str, Any], rows: list[int]) -> dict[str, Any]:
        """Create a predictor, with a function for each number of rows."""
        from benchmarks.cases import from_dict

        made = from_dict(case)
        predict = self.module.predictor(made, **self.peer.options)
        rng = np.random.default_rng(2)
        self.functions, self.trainer = {}, None
        for n in rows:
            x = rng.standard_normal((n, made.sizes[0]), dtype=np.float32)
            self.functions[str(n)] = lambda x=x: predict(x)
        return {"shape": list(np.shape(self.functions[str(rows[0])]()))}

    def open_stream(self, kind: str, inputs: int, units: int) -> dict[str, Any]:
        """Create a function for the next observation of a stream."""
        observe = self.module.stream(kind, inputs, units)
        x = np.random.default_rng(2).standard_normal((1, 1, inputs), dtype=np.float32)
        self.functions, self.trainer = {"observe": lambda: observe(x)}, None
        return {"shape": list(np.shape(observe(x)))}

    def time(self, what: str, count: int) -> dict[str, Any]:
        """Return the time of one call in seconds."""
        call = self.functions[what]
        wait = self.trainer.wait if self.trainer else lambda: None
        for _ in range(1 + int(count * WARM_UP)):
            result = call()
        wait()
        begin = time.perf_counter()
        for _ in range(count):
            result = call()
        wait()
        if what == "forward":
            self.trainer.value(result)
        return {"seconds": (time.perf_counter() - begin) / count}

    def memory(self) -> dict[str, Any]:
        """Return the resident memory in MiB."""
        return {"mib": resident()}


def resident() -> float:
    """Return the resident memory of this process in MiB, or NaN if it is unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        try:
            import psutil
        except ImportError:
            return float("nan")
        return psutil.Process().memory_info().rss / 2**20


def confine(threads: int) -> None:
    """Restrict this process to the first processors, if the system supports it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of the framework goes to stderr
    confine(int(sys.argv[2]))
    worker, idle_from = None, time.process_time()
    for line in sys.stdin:
        idle = (
            time.process_time() - idle_from
        )  # processor time of other threads while this one waited
        command = json.loads(line)
        try:
            worker = worker or Worker(sys.argv[1])
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({**answer, "idle": idle}), file=answers, flush=True)
        idle_from = time.process_time()


if __name__ == "__main__":
    main()
