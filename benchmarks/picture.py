"""The plot of the ratios of the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cases import TARGETS
from benchmarks.stats import ratio
from netlayers.plotting.figures import COLOURS

# From top to bottom, without our own variants.
PEERS = ("torch", "torch.compile", "jax, loss read", "jax", "keras", "keras stateless", "sklearn")
# Our variants: label, colour, marker and vertical offset of the ratios to them.
STYLES = {
    "netlayers": ("relative to netlayers with NumPy", COLOURS[1], "s", 0.17),
    "with numba": ("relative to netlayers with numba", COLOURS[0], "o", -0.17),
}
AIM = "target"


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw the results of :func:`benchmarks.steps.run`, one plot per case; return the file name."""
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
    columns = min(4, len(cases) + 1)  # one plot is the legend
    lines = -(-(len(cases) + 1) // columns)
    figure = Figure(figsize=(2.5 * columns, 0.6 + 2.5 * lines), layout="constrained")
    fields = list(figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True).flat)
    values, handles = [1.0], {}
    for axes, (name, case) in zip(fields, cases.items(), strict=False):
        values += draw_case(axes, case["times"], name, peers, handles)
    low, high = min(values) / 1.25, max(values) * 1.25
    ticks = [2.0**power for power in range(-6, 10) if low < 2.0**power < high]
    fields[0].set_xscale("log")  # the other plots share its axis
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
    about = "time of a step of each peer / time of netlayers: above 1, netlayers is faster"
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
    """Draw the median ratios of one case with their ranges, and the targets.

    Args:
        axes: the plot.
        times: seconds of a step by peer, one number per round.
        name: name of the case.
        peers: the peers from bottom to top.
        handles: entries of the legend, to which this function adds.

    Returns:
        The values that the axis must include.
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
