"""Part 5: installed size, import time, and memory after the import."""

from __future__ import annotations

import importlib.metadata
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.turns import environment


@dataclass
class Row:
    """A configuration to install and import.

    Attributes:
        peer: the peer that runs training steps.
        imports: modules to import.
        distributions: packages that a user installs.
        without: a package to exclude, with its own dependencies.
    """

    peer: str
    imports: str
    distributions: tuple[str, ...]
    without: str = ""


ROWS = {
    "netlayers": Row("netlayers", "netlayers", ("netlayers",)),
    "netlayers without SciPy": Row("netlayers", "netlayers", ("netlayers",), "scipy"),
    "netlayers with numba": Row("with numba", "netlayers", ("netlayers", "numba")),
    "torch": Row("torch", "torch", ("torch",)),
    "jax": Row("jax", "jax, jax.numpy", ("jax",)),
    "keras on jax": Row("keras", "keras", ("keras", "jax")),
    "sklearn": Row("sklearn", "sklearn.neural_network", ("scikit-learn",)),
}
# Prevents the import of an excluded package.
WITHOUT = """
import sys, time
if {without!r}:
    sys.modules[{without!r}] = None
"""
IMPORT = """
begin = time.perf_counter()
import {imports}
seconds = time.perf_counter() - begin
from benchmarks.worker import resident
print(seconds, resident())
"""
TRAIN = """
from benchmarks.cases import CASES
from benchmarks.worker import Worker, confine, resident
confine({threads})
Worker({peer!r}).open(CASES["mnist"].to_dict(), steps=20)
print(resident())
"""


def run(names: list[str], options: Any) -> dict[str, dict[str, float]]:
    """Return the size in MB, import time in seconds and memory in MiB of each row."""
    found: dict[str, dict[str, float]] = {}
    threads = options.threads[-1]
    chosen = {n: row for n, row in ROWS.items() if row.peer in names}
    if options.quick:
        chosen = {n: row for n, row in chosen.items() if row.peer in options.peers}
    taken: dict[str, list[list[float]]] = {n: [] for n in chosen}
    for turn in range(options.rounds + 1):  # the first round fills the caches
        for name, row in chosen.items():
            numbers = printed(row, IMPORT.format(imports=row.imports), threads)
            if turn:
                taken[name].append(numbers)
    for name, row in chosen.items():
        seconds, memory = (statistics.median(column) for column in zip(*taken[name], strict=True))
        (training,) = printed(row, TRAIN.format(peer=row.peer, threads=threads), threads)
        packages = set().union(*(with_dependencies(d, row.without) for d in row.distributions))
        size = sum(map(installed_bytes, packages)) / 1e6
        found[name] = {"size": size, "seconds": seconds, "memory": memory, "training": training}
        print(f"  {name}: {size:,.0f} MB, {seconds:.2f} s, {memory:,.0f} MiB", flush=True)
    return found


def printed(row: Row, code: str, threads: int) -> list[float]:
    """Run code in a new process; return the numbers in the last line of its output."""
    text = subprocess.check_output(
        [sys.executable, "-c", WITHOUT.format(without=row.without) + code],
        env=environment(row.peer, threads),
        text=True,
        stderr=subprocess.DEVNULL,
    )
    return [float(v) for v in text.splitlines()[-1].split()]


def with_dependencies(name: str, without: str = "") -> set[str]:
    """Return a distribution and its installed dependencies, without extras and ``without``."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if current in found or current == without:
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
    """Return the total size of the files of a distribution in bytes."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    paths = [f.locate() for f in files]
    if name == "netlayers":  # also if it is not installed, or installed as editable
        from pathlib import Path

        import netlayers

        paths = list(Path(netlayers.__file__).parent.rglob("*"))
    return sum(p.stat().st_size for p in paths if p.is_file())  # type: ignore[union-attr]
