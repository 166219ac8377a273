"""Part 4: how time and memory grow with width, depth, batch and parameters."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.stats import exponent
from benchmarks.turns import Clients, take_turns

NAMES = ("netlayers", "torch", "jax")


def series() -> dict[str, list[tuple[float, Case]]]:
    """Return the cases by what grows, each with its size."""

    def case(width: int, depth: int, batch: int) -> Case:
        return Case("growth", (width, *[width] * depth, 10), "relu", batch, "adam")

    found = {
        "width": [(w, case(w, 3, 128)) for w in (128, 256, 512, 1024, 2048)],
        "depth": [(d, case(256, d, 128)) for d in (2, 4, 8, 16, 32)],
        "batch": [(b, case(512, 3, b)) for b in (32, 64, 128, 256, 512, 1024)],
    }
    found["parameters"] = [(c.parameters, c) for _, c in found["width"]]
    return found


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return for each series its sizes, and by peer seconds of a step and memory in MiB."""
    found: dict[str, Any] = {}
    chosen = [n for n in names if n in NAMES]
    for what, cases in series().items():
        if what == "parameters":  # the networks of "width", by another measure
            found[what] = {**found["width"], "sizes": [size for size, _ in cases]}
            continue
        one: dict[str, Any] = {"sizes": [], "step": {}, "memory": {}, "backward": {}}
        for size, case in cases:
            # New processes, so that the memory is that of this case alone.
            with Clients(chosen, options.threads[-1]) as clients:
                before = {n: c.ask("memory")["mib"] for n, c in clients.items()}
                for client in clients.values():
                    client.ask("open", case=case.to_dict(), steps=3)
                steps = take_turns(clients, "step", options.seconds / 4, options.rounds)
                forward = take_turns(clients, "forward", options.seconds / 8, options.rounds)
                for n, c in clients.items():
                    step = statistics.median(steps[n])
                    one["step"].setdefault(n, []).append(step)
                    memory = c.ask("memory")["mib"] - before[n]
                    one["memory"].setdefault(n, []).append(max(memory, 0.1))
                    rest = step / statistics.median(forward[n]) - 1
                    one["backward"].setdefault(n, []).append(rest)
            one["sizes"].append(size)
        found[what] = one
        print(f"  {what}: {one['step']}", flush=True)
    return found


def lines(found: dict[str, Any]) -> list[list[str]]:
    """Return the rows of the table of exponents."""
    return [
        [
            f"{what}, {n}",
            str(exponent(one["sizes"], one["step"][n])),
            str(exponent(one["sizes"], one["memory"][n])),
            ", ".join(f"{b:.1f}" for b in one["backward"][n]),
        ]
        for what, one in found.items()
        for n in one["step"]
    ]


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw time and memory over size on logarithmic axes; return the names of the pictures."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for key, label in (("step", "seconds of a step"), ("memory", "memory, MiB")):
        figure = Figure(figsize=(11, 3.2), layout="constrained")
        for axes, (what, one) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
            for n, values in one[key].items():
                fit = exponent(one["sizes"], values)
                axes.loglog(one["sizes"], values, "o-", label=f"{n} {fit.slope:.2f}")
            axes.set(xlabel=what, title=what)
            axes.legend(fontsize=7, title="exponent", title_fontsize=7)
        figure.supylabel(label, fontsize=9)
        names.append(f"growth_{key}.png")
        figure.savefig(folder / names[-1], dpi=90)
    return names
