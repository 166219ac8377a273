"""The gradient at each time step of a recurrent layer, over the training: lines and a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._printable import printable
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import (
    EMPTY,
    SEQUENTIAL,
    SMALL,
    depth_colours,
    matplotlib,
    new_plots,
    save,
    set_title,
    shared_legend,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Array

_LINES = 6  # training steps that are drawn as lines


def plot_time_steps(
    steps: Sequence[int],
    norms: Sequence[Array],
    layer: str,
    to_file: str | os.PathLike[str] | None = None,
) -> Any:
    """Plot the norm of the gradient at each time step, in some training steps and in all.

    Args:
        steps: the training steps.
        norms: for each the norms, (time steps,), which may differ in length.
        layer: name of the layer, for the title.
        to_file: path of the image to save.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ConfigurationError: there is nothing to plot, or matplotlib is not installed.
    """
    longest = max(map(len, norms), default=0)
    if not longest:
        raise ConfigurationError(f"plot: there are no time steps of {layer!r} to plot.")
    table = np.full((len(steps), longest), np.nan)
    for row, its in zip(table, norms, strict=True):
        row[: len(its)] = its
    table[~(np.isfinite(table) & (table > 0))] = np.nan
    figure, (left, right) = new_plots(2)
    set_title(left, f"gradient at each time step of {printable(layer)}")
    shared_legend(figure, _lines(left, steps, table), 6, title="training step")
    _heat_map(figure, right, table, steps)
    return save(figure, to_file)


def _lines(axes: Any, steps: Sequence[int], table: Array) -> dict[str, Any]:
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _LINES)).round().astype(int))
    times = np.arange(1, table.shape[1] + 1)
    marker = "o" if len(times) <= 30 else ""
    for i, colour in zip(chosen, depth_colours(len(chosen)), strict=True):
        label = str(steps[i])
        axes.plot(times, table[i], "-", color=colour, marker=marker, markersize=3, label=label)
    if not np.isnan(table).all():
        axes.set_yscale("log")
    axes.set_xlabel("time step")
    axes.set_ylabel("norm of dL/dz")
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    return {line.get_label(): line for line in axes.lines}


def _heat_map(figure: Any, axes: Any, table: Array, steps: Sequence[int]) -> None:
    colours = matplotlib("colors")
    good = table[~np.isnan(table)]
    low, high = (float(good.min()), float(good.max())) if good.size else (1.0, 1.0)
    norm = colours.LogNorm(low, high) if low < high else colours.Normalize(low - 0.5, high + 0.5)
    axes.set_facecolor(EMPTY)
    cells = np.ma.masked_invalid(table.T)
    columns = np.arange(len(steps) + 1) - 0.5
    rows = np.arange(table.shape[1] + 1) + 0.5
    mesh = axes.pcolormesh(columns, rows, cells, norm=norm, cmap=SEQUENTIAL, rasterized=True)
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 6)).round().astype(int))
    axes.set_xticks(shown, [str(steps[i]) for i in shown])
    axes.yaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.set_xlabel("training step")
    axes.set_ylabel("time step")
    axes.grid(False)
    set_title(axes, "over the training")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label("norm of dL/dz")
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
