"""Worker processes that take turns, so that only one computes at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]
REST = 0.15  # seconds between turns: threads of OpenBLAS spin for about 50 ms
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def environment(name: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a peer's process."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found.update(PEERS[name].environment)
    found.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    found["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [found.get("PYTHONPATH")])])
    return found


class PeerError(Exception):
    """A peer failed to run a command."""


class Client:
    """The connection to a worker process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.idle: list[float] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if "NETLAYERS_BENCH_DEBUG" not in os.environ else None,
            text=True,
            env=environment(name, threads),
        )

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Return the answer to a command.

        Raises:
            PeerError: the command failed.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"do": do, **command}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"its process ended with {self.process.poll()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        self.idle.append(answer["idle"])
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Clients(dict[str, Client]):
    """Several clients by name, as a context manager that closes them."""

    def __init__(self, names: list[str], threads: int) -> None:
        super().__init__({name: Client(name, threads) for name in names})

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *error: object) -> None:
        for client in self.values():
            client.close()


def take_turns(
    clients: dict[str, Client], what: str | None, seconds: float, rounds: int
) -> dict[str, list[float]]:
    """Return the time of one call by client, one number per round.

    In each round, the clients compute for about ``seconds`` each, one after the other.

    Args:
        clients: clients by name; the same client may occur several times.
        what: the function that each calls; ``None`` for the function of its name.
        seconds: time per client and round.
        rounds: number of rounds.
    """
    counts = {}
    for name, client in clients.items():
        once = client.ask("time", what=what or name, count=3)["seconds"]
        few = max(3, min(200, int(0.2 * seconds / max(once, 1e-7))))
        once = client.ask("time", what=what or name, count=few)["seconds"]
        counts[name] = max(3, int(seconds / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, client in clients.items():
            time.sleep(REST)
            times[name].append(client.ask("time", what=what or name, count=counts[name])["seconds"])
    return times
