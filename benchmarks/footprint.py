"""Part 5: installed size, time and memory of the import."""

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
    """What is installed and imported.

    Attributes:
        peer: whose steps are made.
        imports: the modules.
        distributions: what a user installs by name.
        without: a package that is left out, with what only it needs.
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
# A package that is left out can not be imported.
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
    """Return size in MB, seconds and MiB of each."""
    found: dict[str, dict[str, float]] = {}
    threads = options.threads[-1]
    chosen = {n: row for n, row in ROWS.items() if row.peer in names}
    if options.quick:
        chosen = {n: row for n, row in chosen.items() if row.peer in options.peers}
    taken: dict[str, list[list[float]]] = {n: [] for n in chosen}
    for turn in range(options.rounds + 1):  # the first fills the caches
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
    """Return the numbers in the last line that a new process prints."""
    text = subprocess.check_output(
        [sys.executable, "-c", WITHOUT.format(without=row.without) + code],
        env=environment(row.peer, threads),
        text=True,
        stderr=subprocess.DEVNULL,
    )
    return [float(v) for v in text.splitlines()[-1].split()]


def with_dependencies(name: str, without: str = "") -> set[str]:
    """Return a distribution and all installed ones that it needs, without extras and one other."""
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
