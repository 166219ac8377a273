"""Part 5: installed size, time and memory of the import."""

from __future__ import annotations

import importlib.metadata
import re
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.cases import CASES
from benchmarks.turns import Clients, environment

IMPORTS = {"netlayers": "netlayers", "torch": "torch", "jax": "jax, jax.numpy", "keras": "keras"}
IMPORTS["sklearn"] = "sklearn.neural_network"
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
CODE = """
import time
begin = time.perf_counter()
import {module}
seconds = time.perf_counter() - begin
from benchmarks.worker import resident
print(seconds, resident())
"""


def run(names: list[str], options: Any) -> dict[str, dict[str, float]]:
    """Return size in MB, seconds and MiB of each."""
    found: dict[str, dict[str, float]] = {}
    chosen = [n for n in names if n in IMPORTS]
    taken: dict[str, list[list[float]]] = {n: [] for n in chosen}
    for turn in range(options.rounds + 1):  # the first fills the caches
        for name in chosen:
            code = CODE.format(module=IMPORTS[name])
            env = environment(name, options.threads[-1])
            text = subprocess.check_output(
                [sys.executable, "-c", code], env=env, text=True, stderr=subprocess.DEVNULL
            )
            if turn:
                taken[name].append([float(v) for v in text.split()[-2:]])
    for name, pairs in taken.items():
        seconds, memory = (statistics.median(column) for column in zip(*pairs, strict=True))
        packages = with_dependencies(DISTRIBUTIONS.get(name, name))
        size = sum(map(installed_bytes, packages)) / 1e6
        with Clients([name], options.threads[-1]) as clients:
            clients[name].ask("open", case=CASES["mnist"].to_dict(), steps=20)
            training = clients[name].ask("memory")["mib"]
        found[name] = {"size": size, "seconds": seconds, "memory": memory, "training": training}
        print(f"  {name}: {size:,.0f} MB, {seconds:.2f} s, {memory:,.0f} MiB", flush=True)
    return found


def with_dependencies(name: str) -> set[str]:
    """Return a distribution and all installed ones that it needs, without extras."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if current in found:
            continue
        try:
            needs = importlib.metadata.requires(current) or []
        except importlib.metadata.PackageNotFoundError:
            if current == name:
                found.add(current)
                waiting += ["numpy", "scipy", "tqdm"] if name == "netlayers" else []
            continue
        found.add(current)
        for need in needs:
            if "extra ==" not in need:
                waiting.append(re.match(r"[\w.-]+", need).group())  # type: ignore[union-attr]
    return found


def installed_bytes(name: str) -> int:
    """Return the bytes of the files of a distribution; of a folder on the path, its files."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    paths = [f.locate() for f in files]
    if name == "netlayers":  # also where it is not installed, or as a link to its sources
        from pathlib import Path

        import netlayers

        paths = list(Path(netlayers.__file__).parent.rglob("*"))
    return sum(p.stat().st_size for p in paths if p.is_file())  # type: ignore[union-attr]
