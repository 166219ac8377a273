"""A training step on a large table, of which a batch uses few rows, beside PyTorch's sparse one.

    python benchmarks/embeddings.py

The network is an embedding and a linear layer with the mean squared error; SGD, Adagrad and Adam
in its lazy form (PyTorch: SparseAdam, with Adam for the linear layer). Both start from the same
weights and read the same batches, on one thread, in turns; the time is that of the processor, which
other programs disturb less than the time on the clock. Without PyTorch only netlayers is measured.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import netlayers as nl
from netlayers.data.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, WIDTH, RATE = 1_000_000, 32, 0.01
BATCHES, STEPS, ROUNDS = 50, 50, 15
RULES = ("SGD", "Adagrad", "LazyAdam")


def batches(size: int, zipf: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return batches of indices, equally likely or by Zipf's law, and targets."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(BATCHES):
        x = rng.zipf(1.2, size) % ROWS if zipf else rng.integers(0, ROWS, size)
        found.append((x, rng.standard_normal((size, 1), dtype=np.float32)))
    return found


def start() -> tuple[np.ndarray, np.ndarray]:
    """Return the initial table and the kernel."""
    rng = np.random.default_rng(1)
    table = rng.uniform(-0.05, 0.05, (ROWS, WIDTH)).astype(np.float32)
    return table, rng.uniform(-0.3, 0.3, (WIDTH, 1)).astype(np.float32)


def ours(rule: str, data: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[int], float]:
    """Return a function that does the step of a batch and returns its loss."""
    model = nl.Sequential([nl.layers.Embedding(ROWS, WIDTH), nl.layers.Dense(1)], seed=0)
    options: dict[str, Any] = {} if rule == "SGD" else {"epsilon": 1e-10}
    if rule == "Adagrad":
        options["initial_accumulator_value"] = 0.1
    model.compile(getattr(nl.optimizers, rule)(RATE, **options), "mse")
    model.build((None,))
    steps: Any = model._make_steps((len(data[0][0]), 1))
    for array, value in zip(model.weights, (*start(), np.zeros(1)), strict=True):
        array[...] = value
    ready = [Batch(x, y, None, len(x)) for x, y in data]
    return lambda i: float(steps.train(ready[i % BATCHES]))


def pytorch(rule: str, data: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[int], float]:
    """Return the same for PyTorch; the loss is read too."""
    import torch

    torch.set_num_threads(1)
    table, kernel = start()
    embedding = torch.nn.Embedding(ROWS, WIDTH, sparse=True)
    dense = torch.nn.Linear(WIDTH, 1)
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(table))
        dense.weight.copy_(torch.from_numpy(kernel.T))
        dense.bias.zero_()
    both = [*embedding.parameters(), *dense.parameters()]
    optim = torch.optim
    made: dict[str, Callable[[], list[Any]]] = {
        "SGD": lambda: [optim.SGD(both, RATE)],
        "Adagrad": lambda: [optim.Adagrad(both, RATE, initial_accumulator_value=0.1)],
        "LazyAdam": lambda: [
            optim.SparseAdam(list(embedding.parameters()), RATE),
            optim.Adam(list(dense.parameters()), RATE),
        ],
    }
    optimizers = made[rule]()
    ready = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data]

    def step(i: int) -> float:
        x, y = ready[i % BATCHES]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(dense(embedding(x)), y)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return step


def measured(peers: dict[str, Callable[[int], float]]) -> dict[str, float]:
    """Return the median microseconds of a step of each peer; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    number = 0
    for _ in range(ROUNDS):
        for name, step in peers.items():
            before = time.process_time()
            for i in range(number, number + STEPS):
                step(i)
            times[name].append((time.process_time() - before) / STEPS)
        number += STEPS
    return {name: 1e6 * statistics.median(its[1:]) for name, its in times.items()}


def main() -> None:
    """Print a line for each rule and kind of batch."""
    with_torch = importlib.util.find_spec("torch") is not None
    print(f"table {ROWS:,} x {WIDTH}; µs of a step; kernels: {nl.kernels_in_use()}")
    for size, zipf in ((1024, False), (1024, True), (64, False)):
        data = batches(size, zipf)
        for rule in RULES:
            peers = {"netlayers": ours(rule, data)}
            if with_torch:
                peers["torch"] = pytorch(rule, data)
                losses = [[step(i) for i in range(10)] for step in peers.values()]
                apart = float(np.max(np.abs(np.subtract(*losses))))
                assert apart < 2e-3, f"the losses differ by {apart}"
            found = measured(peers)
            line = ", ".join(f"{name} {value:,.0f}" for name, value in found.items())
            print(f"batch {size}, {'Zipf' if zipf else 'uniform'}, {rule}: {line}", flush=True)


if __name__ == "__main__":
    main()
