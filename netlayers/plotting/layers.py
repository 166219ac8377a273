"""Layer statistics over training steps: a line plot and a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._printable import printable
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import COLOURS, clean_axes, matplotlib, new_figure, save

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array

_MAX_LEGEND = 10  # lines in the legend
_MAX_TICKS = 24  # layer names of the heat map
_GREY = "#d5dae0"  # NaN, and 0 on a logarithmic scale


class _Kind(NamedTuple):
    title: str
    scale: str  # "log", "percent" or "linear"


_KINDS = {
    "gradient_norm": _Kind("gradient norm", "log"),
    "weight_norm": _Kind("weight norm", "log"),
    "update_ratio": _Kind("update / weight norm", "log"),
    "backprop_rms": _Kind("dL/doutput, root mean square", "log"),
    "activation_mean": _Kind("mean of the outputs", "linear"),
    "activation_std": _Kind("standard deviation of the outputs", "log"),
    "time_ratio": _Kind("gradient, first time step / last", "log"),
    "dead": _Kind("dead units, %", "percent"),
    "saturated": _Kind("saturated outputs, %", "percent"),
    "clipped": _Kind("clipped gradients, %", "percent"),
    "nonfinite": _Kind("non-finite values", "linear"),
}


def plot_layers(
    steps: Sequence[int],
    values: Mapping[str, Sequence[float]],
    measure: str,
    to_file: str | os.PathLike[str] | None = None,
) -> Any:
    """Plot a statistic of every layer over the steps, as lines and as a heat map.

    Args:
        steps: the steps.
        values: one value per step, by layer path, from input to output.
        measure: name of the statistic, such as ``"gradient_norm"``; selects title and scale.
        to_file: path of the image to save.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ConfigurationError: there is nothing to plot, or matplotlib is not installed.
    """
    kind = _KINDS.get(measure, _Kind(measure.replace("_", " "), "linear"))
    names = list(values)
    table = np.array([values[name] for name in names], np.float64)
    if not table.size:
        raise ConfigurationError(f"plot: there are no values of {measure!r} to plot.")
    if kind.scale == "percent":
        table = 100 * table
    if kind.scale == "log":
        table = np.where(table > 0, table, np.nan)
    table[~np.isfinite(table)] = np.nan
    scale = "linear" if np.isnan(table).all() else kind.scale
    height = max(3.8, min(len(names), _MAX_TICKS) * 0.21 + 1.4)
    figure = new_figure(11.0, height, layout="constrained")
    _lines(figure.add_subplot(1, 2, 1), steps, names, table, kind.title, scale)
    _heat_map(figure, figure.add_subplot(1, 2, 2), steps, names, table, kind.title, scale)
    return save(figure, to_file, 110)


def _lines(
    axes: Any, steps: Sequence[int], names: list[str], table: Array, title: str, scale: str
) -> None:
    clean_axes(axes)
    few = len(names) <= len(COLOURS)
    depth = matplotlib("cm").viridis
    shown = set(np.linspace(0, len(names) - 1, min(len(names), _MAX_LEGEND)).round().astype(int))
    for i, (name, row) in enumerate(zip(names, table, strict=True)):
        colour = COLOURS[i] if few else depth(0.95 * i / (len(names) - 1))
        axes.plot(
            steps,
            row,
            color=colour,
            linewidth=1.3 if few else 1.0,
            marker="o" if len(steps) <= 12 else "",
            markersize=3,
            label=_plain(name) if i in shown else "_" + name,
        )
    if scale == "log":
        axes.set_yscale("log")
    if scale == "percent":
        axes.set_ylim(-2, 102)
    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.3,
        title=None if few else "from input to output",
        title_fontsize=8,
    )


def _heat_map(
    figure: Any,
    axes: Any,
    steps: Sequence[int],
    names: list[str],
    table: Array,
    title: str,
    scale: str,
) -> None:
    colours = matplotlib("colors")
    good = table[~np.isnan(table)]
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
    if scale == "percent":
        norm: Any = colours.Normalize(0, 100)
    elif low == high:
        norm = colours.Normalize(low - 0.5, high + 0.5)
    else:
        norm = (colours.LogNorm if scale == "log" else colours.Normalize)(low, high)
    axes.set_facecolor(_GREY)
    edges = _edges(np.asarray(steps, np.float64))
    cells = np.ma.masked_invalid(table)
    rows = np.arange(len(names) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, cells, norm=norm, cmap="viridis", rasterized=True)
    axes.invert_yaxis()  # the input at the top
    every = -(-len(names) // _MAX_TICKS)
    axes.set_yticks(range(0, len(names), every), [_plain(n) for n in names[::every]], fontsize=8)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.set_title("by layer, from input to output", fontsize=11, loc="left")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label(title, fontsize=9, parse_math=False)
    bar.outline.set_visible(False)


def _edges(steps: Array) -> Array:
    """Return the edges of cells that are centred at the steps."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middles = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[2 * steps[0] - middles[0]], middles, [2 * steps[-1] - middles[-1]]])


def _plain(name: str) -> str:
    """Return a path as a label: shortened, with ``$`` escaped."""
    name = printable(name)
    short = name if len(name) <= 26 else "…" + name[-25:]
    return short.replace("$", r"\$")
