"""The picture of the ratios of the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cases import TARGETS
from benchmarks.stats import ratio
from netlayers.plotting.figures import COLOURS

# From top to bottom; nothing of ours, which the others are divided by.
PEERS = ("torch", "torch.compile", "jax, loss read", "jax", "keras", "keras stateless", "sklearn")
# Ours: the label, colour, sign and height of what is divided by it.
STYLES = {
    "netlayers": ("by netlayers with NumPy", COLOURS[1], "s", 0.17),
    "with numba": ("by netlayers with numba", COLOURS[0], "o", -0.17),
}
AIM = "to be reached"


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw what :func:`benchmarks.steps.run` found, a field a case; return the picture's name."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullLocator
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    cases = found["cases"]
    peers = [p for p in reversed(PEERS) if any(p in c["times"] for c in cases.values())]
    if not peers:
        return []
    columns = min(4, len(cases) + 1)  # one field is the legend
    lines = -(-(len(cases) + 1) // columns)
    figure = Figure(figsize=(2.5 * columns, 0.6 + 2.5 * lines), layout="constrained")
    fields = list(figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True).flat)
    values, handles = [1.0], {}
    for axes, (name, case) in zip(fields, cases.items(), strict=False):
        values += draw_case(axes, case["times"], name, peers, handles)
    low, high = min(values) / 1.25, max(values) * 1.25
    ticks = [2.0**power for power in range(-6, 10) if low < 2.0**power < high]
    fields[0].set_xscale("log")  # the axes of the others are tied to it
    fields[0].set_xlim(low, high)
    for axes in fields[: len(cases)]:
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=9, labelbottom=True)
    for axes in fields[len(cases) :]:
        axes.set_axis_off()
    fields[-1].legend(
        handles.values(), handles, loc="center", fontsize=9, labelspacing=1, frameon=False
    )
    about = "a peer's time for a step by ours: right of 1, netlayers is faster"
    figure.supxlabel(about, fontsize=10)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "steps.png", dpi=120)
    return ["steps.png"]


def draw_case(
    axes: Any,
    times: dict[str, list[float]],
    name: str,
    peers: list[str],
    handles: dict[str, Any],
) -> list[float]:
    """Draw the median ratios of one case with their spread, and the aims.

    Args:
        axes: the field.
        times: seconds of a step by peer, a number a round.
        name: of the case.
        peers: from bottom to top.
        handles: what the legend shows; what is drawn here is added.

    Returns:
        What must be within the axis.
    """
    axes.set_axisbelow(True)
    axes.axvline(1, color="black", lw=1.2, zorder=1)
    values = []
    for height, peer in enumerate(peers):
        if peer not in times:
            axes.text(1.1, height, "left out", va="center", fontsize=8, color="0.4")
            continue
        if aim := TARGETS.get(peer, {}).get(name):
            (handles[AIM],) = axes.plot(
                aim, height, "|", color=COLOURS[2], ms=19, mew=3, ls="", zorder=2
            )
            values.append(aim)
        for ours, (label, colour, marker, shift) in STYLES.items():
            if ours in times:
                r = ratio(times[peer], times[ours])
                axes.plot([r.low, r.high], [height + shift] * 2, color=colour, lw=1, zorder=3)
                (handles[label],) = axes.plot(
                    r.median, height + shift, marker, color=colour, ms=5, ls="", zorder=4
                )
                values.append(r.median)
    axes.set_title(name, fontsize=11)
    axes.set_yticks(range(len(peers)), peers)
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    return values
