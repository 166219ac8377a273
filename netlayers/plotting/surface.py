"""Contour and surface plots of the loss in a plane of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import COLOURS, matplotlib, new_figure, save

if TYPE_CHECKING:
    import os

    from netlayers._typing import Array

_LEVELS = 16


def plot_surface(
    surface: Any, to_file: str | os.PathLike[str] | None, three_dimensional: bool
) -> Any:
    """Plot a loss surface; see ``LossSurface.plot``."""
    check_flag("plot", "three_dimensional", three_dimensional)
    good = surface.loss[np.isfinite(surface.loss)]
    if not good.size:
        raise ConfigurationError("LossSurface.plot: no loss in the plane is finite.")
    levels, norm = _levels(good)
    figure = new_figure(11.0 if three_dimensional else 6.2, 4.6, layout="constrained")
    axes = figure.add_subplot(1, 2 if three_dimensional else 1, 1)
    axes.set_facecolor("#d5dae0")  # where the loss is not finite
    shown = np.ma.masked_invalid(surface.loss)
    filled = axes.contourf(surface.a, surface.b, shown, levels, norm=norm, cmap="viridis")
    axes.contour(surface.a, surface.b, shown, levels, colors="white", linewidths=0.4, alpha=0.6)
    if surface.path is not None:
        axes.plot(*surface.path.T, "-o", color="white", markersize=3, linewidth=1, label="run")
    axes.plot(
        [0], [0], "*", color=COLOURS[1], markersize=12, markeredgecolor="white", label="the model"
    )
    names = ["random direction 1", "random direction 2"]
    if surface.explained is not None:
        names = [f"principal direction {i + 1} ({s:.0%})" for i, s in enumerate(surface.explained)]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.set_title("loss around the weights", fontsize=11, loc="left")
    axes.legend(
        fontsize=8, loc="upper right", labelcolor="white", facecolor="#33424f", framealpha=1
    )
    bar = figure.colorbar(filled, ax=axes, pad=0.02, format=lambda value, _: f"{value:.3g}")
    bar.set_label("loss", fontsize=9)
    if three_dimensional:
        _surface_3d(figure, surface, norm, names)
    return save(figure, to_file, 110)


def _levels(good: Array) -> tuple[Array, Any]:
    """Return contour levels and a colour scale, logarithmic for a large range of losses."""
    colours = matplotlib("colors")
    low, high = float(good.min()), float(good.max())
    if low > 0 and high > 10 * low:
        levels = np.geomspace(low, high, _LEVELS)
        norm = colours.LogNorm(low, high)
    else:
        if low == high:
            low, high = low - 0.5, high + 0.5
        levels = np.linspace(low, high, _LEVELS)
        norm = colours.Normalize(low, high)
    # Widen the range by an ulp, or rounding could leave the extrema without a colour.
    levels[0], levels[-1] = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return levels, norm


def _surface_3d(figure: Any, surface: Any, norm: Any, names: list[str]) -> None:
    import importlib

    importlib.import_module("mpl_toolkits.mplot3d")  # registers the projection
    axes = figure.add_subplot(1, 2, 2, projection="3d")
    logarithmic = isinstance(norm, matplotlib("colors").LogNorm)
    height = np.where(np.isfinite(surface.loss), surface.loss, np.nan)
    colour = matplotlib("cm").viridis(norm(np.nan_to_num(height, nan=np.nanmax(height))))
    z = np.log10(height) if logarithmic else height
    grid_a, grid_b = np.meshgrid(surface.a, surface.b)
    axes.plot_surface(grid_a, grid_b, z, facecolors=colour, rstride=1, cstride=1, linewidth=0)
    axes.set_xlabel(names[0], fontsize=8)
    axes.set_ylabel(names[1], fontsize=8)
    axes.set_zlabel("log10 of the loss" if logarithmic else "loss", fontsize=8)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(matplotlib("ticker").MaxNLocator(4))
    axes.set_box_aspect(None, zoom=0.88)
