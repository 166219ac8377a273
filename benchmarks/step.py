"""Time one training step beside PyTorch, JAX and the matrix products alone.

    python benchmarks/step.py                 # every case, every peer that is installed
    python benchmarks/step.py tiny --rounds 5 # one case, quickly

A step is forward, loss, backward, clipping where the case has it, and update. The peers take turns
in one process, in rounds; each round gives each of them the same time, and the table shows the
median over rounds of a peer's time divided by that of netlayers in the same round. Above 1,
netlayers is faster. Machines differ and are noisy: read the ratios, not the microseconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import netlayers as nl


@dataclass
class Case:
    """A network and how it is trained."""

    name: str
    sizes: list[int]
    activation: str
    batch: int
    optimizer: str
    loss: str = "crossentropy"


CASES = [
    Case("tiny", [784, 30, 10], "sigmoid", 10, "sgd", "mse"),
    Case("tabular", [16, 64, 64, 2], "relu", 32, "adam"),
    Case("mnist", [784, 512, 512, 10], "relu", 128, "adam"),
    Case("deep", [64, *[64] * 50, 10], "tanh", 64, "momentum"),
    Case("wide", [1024, 2048, 2048, 2048, 10], "relu", 256, "adam"),
]

Step = Callable[[], Any]


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of inputs, and class numbers or (for the quadratic loss) one-hot rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case.batch, case.sizes[0]), dtype=np.float32)
    y = rng.integers(0, case.sizes[-1], case.batch)
    return x, np.eye(case.sizes[-1], dtype=np.float32)[y] if case.loss == "mse" else y


def make_model(case: Case) -> nl.Sequential:
    """Return the compiled netlayers model of a case."""
    last = case.activation if case.loss == "mse" else None
    layers = [nl.layers.Dense(n, activation=case.activation) for n in case.sizes[1:-1]]
    model = nl.Sequential([*layers, nl.layers.Dense(case.sizes[-1], activation=last)], seed=0)
    optimizer = {
        "sgd": lambda: nl.optimizers.SGD(0.01),
        "adam": lambda: nl.optimizers.Adam(1e-3),
        "momentum": lambda: nl.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0),
    }[case.optimizer]()
    loss = (
        nl.losses.MeanSquaredError()
        if case.loss == "mse"
        else nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.compile(optimizer, loss)
    model.build((None, case.sizes[0]))
    return model


def netlayers_step(case: Case) -> Step:
    """Return the explicit loop, as a user writes it."""
    x, y = data(case)
    model = make_model(case)
    loss, optimizer, parameters = model.loss, model.optimizer, model.parameters

    def step() -> float:
        value = loss.forward(y, model.forward(x, training=True))
        model.backward(loss.backward(), input_gradient=False)
        optimizer.step(parameters)
        return value

    return step


def train_on_batch_step(case: Case) -> Step:
    """Return the same through ``train_on_batch``."""
    x, y = data(case)
    model = make_model(case)
    return lambda: model.train_on_batch(x, y)


def floor_step(case: Case) -> Step:
    """Return the matrix products of a step alone, into arrays that exist."""
    sizes, n = case.sizes, case.batch
    rng = np.random.default_rng(0)
    a = [rng.standard_normal((n, s), dtype=np.float32) for s in sizes]
    w = [rng.standard_normal((i, o), dtype=np.float32) for i, o in itertools.pairwise(sizes)]
    out, dw = [np.empty_like(v) for v in a], [np.empty_like(v) for v in w]

    def step() -> None:
        for k in range(len(w)):
            np.dot(a[k], w[k], out=out[k + 1])
        for k in reversed(range(len(w))):
            np.dot(a[k].T, a[k + 1], out=dw[k])
            if k:
                np.dot(a[k + 1], w[k].T, out=out[k])

    return step


def torch_step(case: Case) -> Step:
    """Return the step of PyTorch, eager, with its fused optimizers."""
    import torch

    torch.manual_seed(0)
    x, y = (torch.from_numpy(v) for v in data(case))
    kinds = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    modules: list[Any] = []
    for i, (n, m) in enumerate(itertools.pairwise(case.sizes)):
        modules.append(torch.nn.Linear(n, m))
        if i < len(case.sizes) - 2 or case.loss == "mse":
            modules.append(kinds[case.activation]())
    model = torch.nn.Sequential(*modules)
    loss = torch.nn.MSELoss() if case.loss == "mse" else torch.nn.CrossEntropyLoss()
    optimizer = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), 0.01, fused=True),
        "adam": lambda: torch.optim.Adam(model.parameters(), 1e-3, fused=True),
        "momentum": lambda: torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True),
    }[case.optimizer]()
    clip = case.optimizer == "momentum"

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(x), y)
        value.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return value

    return step


def jax_step(case: Case) -> Step:
    """Return the step of JAX: all of it in one jitted function, with donated buffers."""
    import jax
    import jax.numpy as jnp

    x, y = (jnp.asarray(v) for v in data(case))
    rng = np.random.default_rng(0)
    pairs = itertools.pairwise(case.sizes)
    params = [
        (jnp.asarray(rng.standard_normal((n, m), dtype=np.float32) / n**0.5), jnp.zeros(m))
        for n, m in pairs
    ]
    function = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}[case.activation]

    def loss(params: Any) -> Any:
        h = x
        for i, (w, b) in enumerate(params):
            h = h @ w + b
            if i < len(params) - 1 or case.loss == "mse":
                h = function(h)
        if case.loss == "mse":
            return jnp.mean((h - y) ** 2)
        return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(case.batch), y])

    def update(params: Any, state: Any) -> Any:
        value, g = jax.value_and_grad(loss)(params)
        tree = jax.tree_util.tree_map
        if case.optimizer == "sgd":
            return tree(lambda w, d: w - 0.01 * d, params, g), state, value
        if case.optimizer == "momentum":
            leaves = jax.tree_util.tree_leaves(g)
            norm = jnp.sqrt(sum(jnp.sum(d * d) for d in leaves))
            scale = jnp.minimum(1.0, 1.0 / norm)
            m = tree(lambda m, d: 0.9 * m - 0.01 * scale * d, state, g)
            return tree(lambda w, d: w + d, params, m), m, value
        m, v, t = state
        t = t + 1
        m = tree(lambda m, d: m + 0.1 * (d - m), m, g)
        v = tree(lambda v, d: v + 0.001 * (d * d - v), v, g)
        alpha = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        new = tree(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + 1e-7), params, m, v)
        return new, (m, v, t), value

    def zeros() -> Any:
        return jax.tree_util.tree_map(jnp.zeros_like, params)

    state = {"sgd": lambda: (), "momentum": zeros, "adam": lambda: (zeros(), zeros(), 0.0)}
    jitted = jax.jit(update, donate_argnums=(0, 1))
    box = [params, state[case.optimizer]()]

    def step() -> Any:
        box[0], box[1], value = jitted(*box)
        return value.block_until_ready()

    return step


PEERS = {
    "netlayers": netlayers_step,
    "train_on_batch": train_on_batch_step,
    "floor": floor_step,
    "torch": torch_step,
    "jax": jax_step,
}


def take_turns(steps: dict[str, Step], seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return each one's seconds per step, one number for each round."""
    counts = {}
    for name, step in steps.items():
        for _ in range(5):
            step()
        start = time.perf_counter()
        step()
        counts[name] = max(3, int(seconds / max(time.perf_counter() - start, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            for _ in range(1 + counts[name] // 10):  # the last one's threads come to rest,
                step()  # and the caches are one's own again
            start = time.perf_counter()
            for _ in range(counts[name]):
                step()
            times[name].append((time.perf_counter() - start) / counts[name])
    return times


def ratio(times: dict[str, list[float]], name: str, base: str = "netlayers") -> float:
    """Return the median over rounds of one's time by another's in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def installed() -> list[str]:
    """Return the peers that can be imported."""
    own = ["netlayers", "train_on_batch", "floor"]
    return own + [name for name in ("torch", "jax") if importlib.util.find_spec(name)]


def bench_steps(names: list[str], rounds: int, seconds: float) -> None:
    """Print the table of the steps."""
    peers = installed()
    columns = [p for p in peers if p != "netlayers"]
    print("| case | netlayers, µs | " + " | ".join(f"{c} / netlayers" for c in columns) + " |")
    print("| --- |" + " ---: |" * (len(columns) + 1))
    for case in CASES:
        if names and case.name not in names:
            continue
        times = take_turns({p: PEERS[p](case) for p in peers}, seconds, rounds)
        own = statistics.median(times["netlayers"]) * 1e6
        cells = " | ".join(f"{ratio(times, c):.2f}" for c in columns)
        print(f"| {case.name} | {own:,.0f} | {cells} |", flush=True)


def bench_fit(rounds: int) -> None:
    """Print an epoch of ``fit`` divided by its steps, on data of the size of MNIST."""
    case = CASES[2]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60000, 784), dtype=np.float32)
    y = rng.integers(0, 10, 60000)
    fitted, by_hand = make_model(case), make_model(case)
    loss, optimizer, parameters = by_hand.loss, by_hand.optimizer, by_hand.parameters
    batches = [(x[i : i + 128], y[i : i + 128]) for i in range(0, 60000, 128)]
    ratios = []
    for _ in range(max(3, rounds // 3)):
        start = time.perf_counter()
        fitted.fit(x, y, batch_size=128, epochs=1, verbose=0)
        middle = time.perf_counter()
        for bx, by in batches:
            loss.forward(by, by_hand.forward(bx, training=True))
            by_hand.backward(loss.backward(), input_gradient=False)
            optimizer.step(parameters)
        ratios.append((middle - start) / (time.perf_counter() - middle))
    print(f"fit, one epoch of 60,000 samples / its steps by hand: {statistics.median(ratios):.3f}")


def bench_predict(rounds: int) -> None:
    """Print one row through 784-128-10, beside PyTorch's inference mode."""
    x = np.random.default_rng(0).standard_normal((1, 784), dtype=np.float32)
    model = nl.Sequential([nl.layers.Dense(128, activation="relu"), nl.layers.Dense(10)], seed=0)
    model.build((None, 784))
    steps: dict[str, Step] = {"netlayers": lambda: model.predict_on_batch(x)}
    if importlib.util.find_spec("torch"):
        import torch

        net = torch.nn.Sequential(
            torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
        )
        tx = torch.from_numpy(x)

        def infer() -> Any:
            with torch.inference_mode():
                return net(tx)

        steps["torch"] = infer
    times = take_turns(steps, 0.1, rounds)
    line = f"predict_on_batch, one row: {statistics.median(times['netlayers']) * 1e6:.1f} µs"
    if "torch" in times:
        line += f"; netlayers / torch {1 / ratio(times, 'torch'):.2f}"
    print(line)


def bench_import(rounds: int) -> None:
    """Print the time of ``import netlayers`` by that of ``import numpy``, in fresh processes."""

    def seconds(module: str) -> float:
        code = (
            f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        )
        # With compiled files, as every installed package has them.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return float(subprocess.check_output([sys.executable, "-c", code], env=environment))

    seconds("netlayers")
    ratios = [seconds("netlayers") / seconds("numpy") for _ in range(max(5, rounds))]
    print(f"import netlayers / import numpy: {statistics.median(ratios):.2f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="*", help="tiny tabular mnist deep wide; all by default")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each peer in each round")
    parser.add_argument("--steps-only", action="store_true")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}", end="")
    for name in ("torch", "jax"):
        if importlib.util.find_spec(name):
            print(f", {name} {importlib.import_module(name).__version__}", end="")
    print(f"; {platform.machine()}\n")
    bench_steps(arguments.cases, arguments.rounds, arguments.seconds)
    if not arguments.steps_only:
        print()
        bench_fit(arguments.rounds)
        bench_predict(arguments.rounds)
        bench_import(arguments.rounds)


if __name__ == "__main__":
    main()
