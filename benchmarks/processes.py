"""Training in one and two processes, beside threads and PyTorch's DistributedDataParallel.

    pip install ".[bench,mpi]"
    python benchmarks/processes.py

Milliseconds of a step, the median and the fastest. A process computes with one thread of BLAS, and
the row of threads is one process with two, without shards. The reduction adds up vectors of two
processes through shared memory and by messages, as a multiple of the time of a copy of as many
bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CASES = ("wide", "mnist", "convnet", "lstm")
BATCH = {"wide": 256, "mnist": 128, "convnet": 128, "lstm": 128}


def data(case: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch."""
    rng = np.random.default_rng(0)
    shape = {"wide": (1024,), "mnist": (784,), "convnet": (28, 28, 1), "lstm": (28, 28)}[case]
    x = rng.random((BATCH[case], *shape), dtype=np.float32)
    return x, rng.integers(0, 10, len(x))


def milliseconds(
    step: Callable[[], Any], seconds: float, agree: Callable[[int], int]
) -> tuple[float, float]:
    """Return the median and the shortest time of a step; all processes take equally many."""
    for _ in range(3):
        step()
    begin = time.perf_counter()
    step()
    count = agree(max(5, min(500, int(seconds / (time.perf_counter() - begin)))))
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        taken.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(taken), 1e3 * min(taken)


def resident() -> float:
    """Return the memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# In processes of their own -----------------------------------------------------------------------


def ours(case: str, shards: str, seconds: str) -> None:
    """Print the times and the memory of the first process."""
    import netlayers as nl

    layers = nl.layers
    if case == "convnet":
        its: list[Any] = []
        for filters in (32, 64):
            its += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
        its += [layers.Flatten(), layers.Dropout(0.5)]
    elif case == "lstm":
        its = [layers.LSTM(128)]
    else:
        widths = (2048, 2048, 2048) if case == "wide" else (512, 512)
        its = [layers.Dense(width, "relu") for width in widths]
    model = nl.Sequential([*its, layers.Dense(10)], seed=0)
    if int(shards):
        nl.distribution.set_distribution(nl.distribution.DataParallel(int(shards)))
    model.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = data(case)
    gather = model.distribution.processes.gather if int(shards) else lambda count: [count]
    found = milliseconds(
        lambda: model.train_on_batch(x, y), float(seconds), lambda count: min(gather(count))
    )
    if not int(shards) or model.distribution.rank == 0:
        print(json.dumps([*found, resident()]))


def ddp(case: str, seconds: str) -> None:
    """Print the same for PyTorch: each process computes its part of the batch."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size, nn = dist.get_rank(), dist.get_world_size(), torch.nn

    class LSTM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x)[0][:, -1])

    x, y = (torch.from_numpy(a[: len(a) // size]) for a in data(case))
    if case == "convnet":
        x = x.permute(0, 3, 1, 2)
        model: Any = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
        ).to(memory_format=torch.channels_last)  # fmt: skip
    elif case == "lstm":
        model = LSTM()
    else:
        widths = [1024, 2048, 2048, 2048] if case == "wide" else [784, 512, 512]
        its = []
        for a, b in itertools.pairwise(widths):
            its += [nn.Linear(a, b), nn.ReLU()]
        model = nn.Sequential(*its, nn.Linear(widths[-1], 10))
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    def agree(count: int) -> int:
        least = torch.tensor([count])
        dist.all_reduce(least, dist.ReduceOp.MIN)
        return int(least)

    found = milliseconds(step, float(seconds), agree)
    if rank == 0:
        print(json.dumps([*found, resident()]))


def reduction(megabytes: str) -> None:
    """Print the shortest times of a sum over all processes, as multiples of those of a copy."""
    from netlayers.distribution import DataParallel

    size = int(megabytes) * 250_000
    vector, out = np.ones(size, np.float32), np.empty(size, np.float32)
    found = {}
    for shared in (True, False):
        its = DataParallel(2, shared_memory=shared)
        total = its.processes.summing(size, vector.dtype, its.owned, its.shards)
        times = {"sum": [], "copy": []}
        for _ in range(50):
            its.processes.gather(None)
            begin = time.perf_counter()
            np.copyto(out, vector)
            times["copy"].append(time.perf_counter() - begin)
            total.add(vector, 1.0)
            its.processes.gather(None)
            begin = time.perf_counter()
            total.result(out)
            times["sum"].append(time.perf_counter() - begin)
        copy, whole = (min(times[name]) for name in ("copy", "sum"))
        found["shared memory" if shared else "messages"] = [whole * 1e3, whole / copy]
    if its.rank == 0:
        print(json.dumps(found))


# The measurement ---------------------------------------------------------------------------------


def ask(starter: list[str], *arguments: str, threads: int = 1) -> Any:
    """Return what this file prints in processes that ``starter`` starts."""
    command = [*starter, __file__, *arguments]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(next(line for line in done.stdout.splitlines() if line[:1] in "[{"))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=2, help="of each row")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    folder = str(Path(sys.executable).parent)
    mpiexec = shutil.which("mpiexec", path=folder) or shutil.which("mpiexec")
    two = [str(mpiexec), "-n", "2", sys.executable]
    for case in options.cases:
        rows = {
            "one process, two threads": ask(
                [sys.executable], "ours", case, "0", str(options.seconds), threads=2
            )
        }
        for shards in (2, 4, 8):
            for name, starter in (("one process", [sys.executable]), ("two processes", two)):
                found = ask(starter, "ours", case, str(shards), str(options.seconds))
                rows[f"{name}, {shards} shards"] = found
        if importlib.util.find_spec("torch"):
            starter = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
            rows["two processes, PyTorch DDP"] = ask(starter, "ddp", case, str(options.seconds))
        print(f"\n| {case} | ms a step | fastest | MiB a process |\n| --- | ---: | ---: | ---: |")
        for name, (ms, fastest, mib) in rows.items():
            print(f"| {name} | {ms:.1f} | {fastest:.1f} | {mib:.0f} |", flush=True)
    print("\n| reduction over two processes | ms | times a copy |\n| --- | ---: | ---: |")
    for megabytes in ("10", "100"):
        for way, (ms, times) in ask(two, "reduction", megabytes).items():
            print(f"| {megabytes} MB, {way} | {ms:.2f} | {times:.1f} |", flush=True)


PARTS: dict[str, Callable[..., None]] = {"ours": ours, "ddp": ddp, "reduction": reduction}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
