"""Part 4: growth of time and memory with width, depth, batch size and parameters."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.stats import Exponent, exponent
from benchmarks.turns import Clients, take_turns
from netlayers.plotting import figures

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
        import matplotlib  # noqa: F401
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for key, label, unit, least in (
        ("step", "time of a step, ms", 1e3, LEAST_SECONDS),
        ("memory", "memory, MiB", 1.0, LEAST_MIB),
    ):
        figure, plots = figures.new_plots(len(found), columns=2)
        for axes, (what, one) in zip(plots, found.items(), strict=True):
            for (n, values), marker in zip(one[key].items(), figures.MARKERS, strict=False):
                fitted = fit(one["sizes"], values, least)
                name = f"{n}, {fitted.slope:.2f}" if fitted else n
                shown = [unit * value for value in values]
                axes.loglog(one["sizes"], shown, marker=marker, markersize=4, label=name)
            axes.set(xlabel=what, ylabel=label)
            figures.plain_ticks(axes.yaxis)
            if what != "parameters":
                figures.plain_ticks(axes.xaxis)
            figures.legend_below(axes, title="exponents", handlelength=2.2)
        names.append(f"growth_{key}.png")
        figures.save(figure, folder / names[-1])
    return names
