"""Part 4: growth of time and memory with width, depth, batch size and parameters."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.stats import Exponent, exponent
from benchmarks.turns import Clients, take_turns

NAMES = ("netlayers", "with numba", "torch", "jax")
# Smaller values are dominated by overhead and noise and are not fitted.
LEAST_SECONDS, LEAST_MIB = 100e-6, 8.0
TINY = Case("growth", (16, 16, 10), "relu", 16, "adam")


def series() -> dict[str, list[tuple[float, Case]]]:
    """Return the cases by what grows, each with its size; overhead does not dominate them."""

    def case(width: int, depth: int, batch: int) -> Case:
        return Case("growth", (width, *[width] * depth, 10), "relu", batch, "adam")

    widths = (192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
    found = {
        "width": [(w, case(w, 3, 128)) for w in widths],
        "depth": [(d, case(256, d, 128)) for d in (8, 12, 16, 24, 32, 48, 64)],
        "batch": [(b, case(512, 3, b)) for b in (256, 512, 1024, 2048, 4096, 8192)],
    }
    found["parameters"] = [(c.parameters, c) for _, c in found["width"]]
    return found


def run(names: list[str], options: Any) -> dict[str, Any]:
    """Return for each series its sizes, and the time of a step and the memory by peer."""
    found: dict[str, Any] = {}
    chosen = [n for n in names if n in NAMES]
    for what, cases in series().items():
        cases = cases[:3] if options.quick else cases
        if what == "parameters":  # the networks of "width", by number of parameters
            found[what] = {**found["width"], "sizes": [size for size, _ in cases]}
            continue
        one: dict[str, Any] = {"sizes": [], "step": {}, "memory": {}, "backward": {}}
        for size, case in cases:
            # New processes, so that the memory is that of this case only. A tiny network first
            # allocates what the framework itself needs for a step.
            with Clients(chosen, options.threads[-1]) as clients:
                for client in clients.values():
                    client.ask("open", case=TINY.to_dict(), steps=3)
                before = {n: c.ask("memory")["mib"] for n, c in clients.items()}
                for client in clients.values():
                    client.ask("open", case=case.to_dict(), steps=3)
                steps = take_turns(clients, "step", options.seconds / 4, 2 * options.rounds)
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


def fit(sizes: list[float], values: list[float], least: float) -> Exponent | None:
    """Return the exponent fitted to values >= ``least``; ``None`` for fewer than three."""
    points = [(s, v) for s, v in zip(sizes, values, strict=True) if v >= least]
    if len(points) < 3:
        return None
    return exponent([s for s, _ in points], [v for _, v in points])


def lines(found: dict[str, Any]) -> list[list[str]]:
    """Return the rows of the table of exponents."""
    return [
        [
            f"{what}, {n}",
            f"{one['sizes'][0]:,} to {one['sizes'][-1]:,}",
            str(fit(one["sizes"], one["step"][n], LEAST_SECONDS) or "-"),
            str(fit(one["sizes"], one["memory"][n], LEAST_MIB) or "-"),
            ", ".join(f"{b:.1f}" for b in one["backward"][n]),
        ]
        for what, one in found.items()
        for n in one["step"]
    ]


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw time and memory by size on logarithmic axes; return the file names."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    from netlayers.plotting.figures import COLOURS

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for key, label, least in (
        ("step", "seconds of a step", LEAST_SECONDS),
        ("memory", "memory, MiB", LEAST_MIB),
    ):
        figure = Figure(figsize=(11, 3.2), layout="constrained")
        for axes, (what, one) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
            for (n, values), colour in zip(one[key].items(), COLOURS, strict=False):
                fitted = fit(one["sizes"], values, least)
                slope = f" {fitted.slope:.2f}" if fitted else ""
                axes.loglog(one["sizes"], values, "o-", ms=4, color=colour, label=n + slope)
            axes.set(xlabel=what, title=what)
            axes.legend(fontsize=7, title="exponent", title_fontsize=7)
        figure.supylabel(label, fontsize=9)
        names.append(f"growth_{key}.png")
        figure.savefig(folder / names[-1], dpi=90)
    return names
