"""The gradient at each time step of a recurrent layer, over the training: lines and a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._printable import printable
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import clean_axes, matplotlib, new_figure, save

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Array

_LINES = 6  # training steps that are drawn as lines
_GREY = "#d5dae0"  # 0, and what is not finite


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
    figure = new_figure(11.0, 3.8, layout="constrained")
    _lines(figure.add_subplot(1, 2, 1), steps, table, layer)
    _heat_map(figure, figure.add_subplot(1, 2, 2), table, steps)
    return save(figure, to_file, 110)


def _lines(axes: Any, steps: Sequence[int], table: Array, layer: str) -> None:
    clean_axes(axes)
    colours = matplotlib("cm").viridis
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _LINES)).round().astype(int))
    times = np.arange(1, table.shape[1] + 1)
    for i in chosen:
        colour = colours(0.9 * i / max(len(steps) - 1, 1))
        marker = "o" if len(times) <= 30 else ""
        axes.plot(times, table[i], color=colour, marker=marker, markersize=3, label=str(steps[i]))
    if not np.isnan(table).all():
        axes.set_yscale("log")
    title = f"gradient at each time step of {printable(layer)}"
    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.set_xlabel("time step")
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        title="training step",
        title_fontsize=8,
    )


def _heat_map(figure: Any, axes: Any, table: Array, steps: Sequence[int]) -> None:
    colours = matplotlib("colors")
    good = table[~np.isnan(table)]
    low, high = (float(good.min()), float(good.max())) if good.size else (1.0, 1.0)
    norm = colours.LogNorm(low, high) if low < high else colours.Normalize(low - 0.5, high + 0.5)
    axes.set_facecolor(_GREY)
    cells = np.ma.masked_invalid(table.T)
    columns = np.arange(len(steps) + 1) - 0.5
    rows = np.arange(table.shape[1] + 1) + 0.5
    mesh = axes.pcolormesh(columns, rows, cells, norm=norm, cmap="viridis", rasterized=True)
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 6)).round().astype(int))
    axes.set_xticks(shown, [str(steps[i]) for i in shown])
    axes.yaxis.set_major_locator(matplotlib("ticker").MaxNLocator(6, integer=True))
    axes.set_xlabel("training step")
    axes.set_ylabel("time step")
    axes.set_title("over the training", fontsize=11, loc="left")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label("norm of dL/dz", fontsize=9)
    bar.outline.set_visible(False)
