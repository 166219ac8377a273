"""Layer statistics over training steps: a line plot and a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._printable import printable
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import (
    EMPTY,
    HEIGHT,
    SEQUENTIAL,
    SMALL,
    clean_axes,
    depth_colours,
    legend_right,
    matplotlib,
    new_figure,
    save,
    set_title,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array

_MAX_LEGEND = 10  # lines in the legend
_MAX_TICKS = 24  # layer names of the heat map
_PARTS = 20  # a smoothed value is the mean of about two of that many parts of the run


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
    lines, cells = HEIGHT, max(1.8, min(len(names), _MAX_TICKS) * 0.18 + 0.8)
    figure = new_figure(height=lines + cells, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(lines, cells))
    _lines(clean_axes(top), steps, names, table, kind.title, scale)
    _heat_map(figure, bottom, steps, names, table, kind.title, scale)
    return save(figure, to_file)


def _lines(
    axes: Any, steps: Sequence[int], names: list[str], table: Array, title: str, scale: str
) -> None:
    shown = set(np.linspace(0, len(names) - 1, min(len(names), _MAX_LEGEND)).round().astype(int))
    window = 1 + 2 * (len(steps) // _PARTS)
    smooth = table if window == 1 else _smoothed(table, window, scale == "log")
    few = len(names) <= _MAX_LEGEND
    style = {"linewidth": 1.5 if few else 1.0, "marker": "o" if len(steps) <= 12 else ""}
    for i, colour in enumerate(depth_colours(len(names))):
        if few and window > 1:
            axes.plot(steps, table[i], "-", color=colour, linewidth=0.7, alpha=0.4)
        label = _plain(names[i]) if i in shown else "_" + names[i]
        axes.plot(steps, smooth[i], "-", color=colour, markersize=3, label=label, **style)
    if scale == "log":
        axes.set_yscale("log")
    if scale == "percent":
        axes.set_ylim(-2, 102)
    if window > 1:
        title += f"{'; thick lines: ' if few else ', '}means of {window} values"
    set_title(axes, title)
    legend_right(axes, title="from input to output", handlelength=1.6)


def _smoothed(table: Array, window: int, logarithmic: bool) -> Array:
    """Return the means of ``window`` neighbours in each row, without NaN; geometric means of logs.

    At the ends there are fewer; where a value is NaN, its mean is.
    """
    values = np.log(table) if logarithmic else table
    known = np.isfinite(values)
    ones = np.ones(window)
    means = np.full(table.shape, np.nan)
    for mean, row, there in zip(means, np.where(known, values, 0.0), known, strict=True):
        count = np.convolve(there, ones)[window // 2 :][: len(row)]
        mean[there] = (np.convolve(row, ones)[window // 2 :][: len(row)][there]) / count[there]
    return np.exp(means) if logarithmic else means


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
    axes.set_facecolor(EMPTY)
    edges = _edges(np.asarray(steps, np.float64))
    cells = np.ma.masked_invalid(table)
    rows = np.arange(len(names) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, cells, norm=norm, cmap=SEQUENTIAL, rasterized=True)
    axes.invert_yaxis()  # the input at the top
    every = -(-len(names) // _MAX_TICKS)
    axes.set_yticks(
        range(0, len(names), every), [_plain(n) for n in names[::every]], fontsize=SMALL
    )
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.tick_params(axis="x", labelsize=SMALL)
    set_title(axes, "the values by layer, from input to output")
    bar = figure.colorbar(mesh, cax=axes.inset_axes((1.02, 0.0, 0.02, 1.0)))
    bar.set_label(title, parse_math=False)
    bar.ax.tick_params(labelsize=SMALL)
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
