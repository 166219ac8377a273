"""The plot of the ratios of the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.stats import ratio
from netlayers.plotting import figures

# From top to bottom, without our own variants.
PEERS = ("torch", "torch.compile", "jax, loss read", "jax", "keras", "keras stateless", "sklearn")
# Our variants: label, colour, marker and vertical offset of the ratios to them.
STYLES = {
    "netlayers": ("relative to netlayers with NumPy", figures.COLOURS[1], "s", 0.17),
    "with numba": ("relative to netlayers with numba", figures.COLOURS[0], "o", -0.17),
}


def draw(found: dict[str, Any], folder: Path) -> list[str]:
    """Draw the results of :func:`benchmarks.steps.run`, one plot per case; return the file name."""
    try:
        from matplotlib.ticker import FuncFormatter, NullLocator
    except ImportError:
        print("  no plots: matplotlib is not installed")
        return []
    cases = found["cases"]
    peers = [p for p in reversed(PEERS) if any(p in c["times"] for c in cases.values())]
    if not peers:
        return []
    columns = min(4, len(cases))
    plots: list[Any]
    figure, plots = figures.new_plots(
        len(cases), columns, height=0.6 + 0.28 * len(peers), sharex=True, sharey=True
    )
    values, handles = [1.0], {}
    for axes, (name, case) in zip(plots, cases.items(), strict=True):
        values += draw_case(axes, case["times"], name, peers, handles)
    low, high = min(values) / 1.25, max(values) * 1.25
    ticks = [2.0**power for power in range(-6, 10) if low < 2.0**power < high]
    plots[0].set_xscale("log")  # the other plots share its axis
    plots[0].set_xlim(low, high)
    for axes in plots:
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelbottom=True)
    about = "time of a step of each peer / time of netlayers: above 1, netlayers is faster"
    figures.shared_legend(figure, handles, title=about)
    folder.mkdir(parents=True, exist_ok=True)
    figures.save(figure, folder / "steps.png")
    return ["steps.png"]


def title(case: Case) -> str:
    """Return the name of a case, and in a second line its layers and its batch size.

    Example:
        >>> from benchmarks.cases import CASES
        >>> title(CASES["tiny"]).splitlines(), title(CASES["wide"]).splitlines()[1]
        (['tiny', '784-30-10; 10'], '1024, 3 × 2048, 10; 256')
    """
    first, *hidden, last = case.sizes
    if len(hidden) > 2 and len(set(hidden)) == 1:
        return f"{case.name}\n{first}, {len(hidden)} × {hidden[0]}, {last}; {case.batch}"
    return f"{case.name}\n{'-'.join(map(str, case.sizes))}; {case.batch}"


def draw_case(
    axes: Any,
    times: dict[str, list[float]],
    name: str,
    peers: list[str],
    handles: dict[str, Any],
) -> list[float]:
    """Draw the median ratios of one case with their ranges.

    Args:
        axes: the plot.
        times: seconds of a step by peer, one number per round.
        name: name of the case.
        peers: the peers from bottom to top.
        handles: entries of the legend, to which this function adds.

    Returns:
        The values that the axis must include.
    """
    axes.axvline(1, color="black", lw=1.2, ls="-", zorder=1)
    values = []
    for height, peer in enumerate(peers):
        if peer not in times:
            axes.text(1.15, height, "left out", va="center", fontsize=figures.SMALL, color="0.4")
            continue
        for ours, (label, colour, marker, shift) in STYLES.items():
            if ours in times:
                r = ratio(times[peer], times[ours])
                axes.plot([r.low, r.high], [height + shift] * 2, "-", color=colour, lw=1, zorder=3)
                (handles[label],) = axes.plot(
                    r.median, height + shift, marker, color=colour, ms=5, zorder=4
                )
                values.append(r.median)
    axes.set_title(title(CASES[name]), fontsize=figures.SMALL, loc="left")
    axes.set_yticks(range(len(peers)), peers)
    axes.grid(axis="y", visible=False)
    return values
