"""Parts 1 and 6: training steps, on the threads asked for, and on one beside two; a picture."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import products
from benchmarks.cases import CASES, TARGETS, Case
from benchmarks.stats import agreement, ratio
from benchmarks.turns import Clients, PeerError, take_turns

FIRST_STEPS = 20
# What is not the same function or rule, so that losses can not agree.
DIFFERENT = {
    ("sklearn", "tiny"): "no sigmoid on its output",
    ("sklearn", "tabular"): "one output for two classes",
    ("sklearn", "deep"): "no clipping",
}


def run(names: list[str], cases: list[str], options: Any) -> dict[str, Any]:
    """Return the times of steps by case and peer, and how their losses agree."""
    found: dict[str, Any] = {}
    with Clients(names, options.threads[-1]) as clients:
        for name in cases:
            case = CASES[name]
            taking, checks = opened(clients, case)
            times = take_turns(taking, "step", options.seconds, options.rounds)
            found[name] = {"times": times, "checks": checks}
            print(f"  {name}: {1e6 * statistics.median(times['netlayers']):,.0f} µs", flush=True)
        idle = {n: statistics.median(c.idle) for n, c in clients.items() if c.idle}
    return {"cases": found, "idle": idle, "threads": options.threads[-1]}


def opened(clients: Clients, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the clients that can train a case, ready, and the check of each one's losses."""
    taking: dict[str, Any] = {}
    losses: dict[str, list[float]] = {}
    checks: dict[str, Any] = {}
    exact = replace(case, dropout=0.0)
    for name, client in clients.items():
        try:
            first = client.ask("open", case=exact.to_dict(), steps=FIRST_STEPS)
            losses[name] = first["losses"]
            answer = first
            if case.dropout:
                answer = client.ask("open", case=case.to_dict(), steps=2 * FIRST_STEPS)
                losses[f"{name} random"] = answer["losses"]
            checks[name] = {"first": answer["first"]}
        except PeerError as error:
            print(f"  {case.name}: {name} is left out: {error}", flush=True)
            checks[name] = {"error": str(error)}
            continue
        taking[name] = client
        if name == "floor":
            continue
        if (name, case.name) in DIFFERENT:
            checks[name]["different"] = DIFFERENT[name, case.name]
            continue
        apart, agrees = agreement(losses[name], losses["netlayers"], random=False)
        checks[name] |= {"loss": losses[name][-1], "apart": apart, "agrees": agrees}
        if case.dropout:
            random = losses[f"{name} random"], losses["netlayers random"]
            apart, close = agreement(*random, random=True)
            checks[name] |= {"apart_random": apart, "agrees": agrees and close}
        if not checks[name]["agrees"]:
            print(f"  {case.name}: the losses of {name} do NOT agree with ours", flush=True)
    return taking, checks


def run_threads(names: list[str], cases: list[str], options: Any) -> dict[str, Any]:
    """Return the times of steps with each number of threads."""
    chosen = [n for n in names if n in ("netlayers", "with numba", "floor", "torch", "jax")]
    found: dict[str, Any] = {}
    for case in cases:
        for count in options.threads:
            with Clients(chosen, count) as clients:
                taking, _ = opened(clients, CASES[case])
                times = take_turns(taking, "step", options.seconds / 2, options.rounds)
            found.setdefault(case, {})[str(count)] = times
        ours = [statistics.median(t["netlayers"]) for t in found[case].values()]
        print(f"  {case}: " + ", ".join(f"{1e6 * t:,.0f} µs" for t in ours), flush=True)
    return {"cases": found, "libraries": libraries(), "products": products.run(options)}


def libraries() -> list[dict[str, Any]]:
    """Return what threadpoolctl says of the libraries with threads in this process."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        print("  threadpoolctl is not installed: the libraries are not named")
        return []
    import numpy  # noqa: F401

    return [{k: v for k, v in i.items() if k != "filepath"} for i in threadpool_info()]


# Nothing of ours: they are what the others are divided by.
PEERS_DRAWN = ("torch", "torch.compile", "jax, loss read", "jax", "keras", "keras stateless")
PEERS_DRAWN += ("sklearn",)


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw the ratios of :func:`run`, a field for each case; return the name of the picture."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullLocator
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    from netlayers.plotting.figures import COLOURS

    cases = found["cases"]
    peers = [p for p in PEERS_DRAWN if any(p in c["times"] for c in cases.values())]
    if not peers:
        return []
    columns = min(4, len(cases) + 1)  # one field is the legend
    lines = -(-(len(cases) + 1) // columns)
    figure = Figure(figsize=(2.5 * columns, 0.6 + 2.5 * lines), layout="constrained")
    fields = figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True)
    styles = (("netlayers", COLOURS[1], "s", 0.17), ("with numba", COLOURS[0], "o", -0.17))
    values, handles = [1.0], {}
    for axes, (name, case) in zip(fields.flat, cases.items(), strict=False):
        axes.set_axisbelow(True)
        axes.axvline(1, color="black", lw=1.2, zorder=1)
        for height, peer in enumerate(reversed(peers)):
            aim = TARGETS.get(peer, {}).get(name)
            if peer not in case["times"]:
                axes.text(1.1, height, "can not do it", va="center", fontsize=8, color="0.4")
                continue
            if aim:
                label = "to be reached"
                (handles[label],) = axes.plot(
                    aim, height, "|", color=COLOURS[2], ms=19, mew=3, ls="", zorder=2
                )
                values.append(aim)
            for ours, colour, marker, shift in styles:
                if ours not in case["times"]:
                    continue
                r = ratio(case["times"][peer], case["times"][ours])
                label = (
                    "by netlayers with NumPy" if ours == "netlayers" else "by netlayers with numba"
                )
                axes.plot([r.low, r.high], [height + shift] * 2, color=colour, lw=1, zorder=3)
                (handles[label],) = axes.plot(
                    r.median, height + shift, marker, color=colour, ms=5, ls="", zorder=4
                )
                values.append(r.median)
        axes.set_title(name, fontsize=11)
        axes.set_yticks(range(len(peers)), list(reversed(peers)))
        axes.grid(axis="x", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    low, high = min(values) / 1.25, max(values) * 1.25
    ticks = [2.0**power for power in range(-6, 10) if low < 2.0**power < high]
    fields[0, 0].set_xscale("log")
    fields[0, 0].set_xlim(low, high)
    for axes in fields.flat:
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=9, labelbottom=True)
    for axes in list(fields.flat)[len(cases) :]:
        axes.set_axis_off()
    last = list(fields.flat)[-1]
    last.legend(handles.values(), handles, loc="center", fontsize=9, labelspacing=1, frameon=False)
    figure.supxlabel(
        "a peer's time for a step by ours: right of 1, netlayers is faster", fontsize=10
    )
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "steps.png", dpi=120)
    return ["steps.png"]
