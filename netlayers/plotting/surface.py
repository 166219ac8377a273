"""Contour and surface plots of the loss in a plane of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import (
    EMPTY,
    SEQUENTIAL,
    SMALL,
    WIDTH,
    legend_below,
    matplotlib,
    new_figure,
    outlined,
    save,
    set_title,
)

if TYPE_CHECKING:
    import os

    from netlayers._typing import Array

_FEWEST = 8  # lines of equal loss
_FINER = 4  # drawn points for each computed one, in both directions


def plot_surface(
    surface: Any, to_file: str | os.PathLike[str] | None, three_dimensional: bool
) -> Any:
    """Plot a loss surface; see ``LossSurface.plot``."""
    check_flag("plot", "three_dimensional", three_dimensional)
    good = surface.loss[np.isfinite(surface.loss)]
    if not good.size:
        raise ConfigurationError("LossSurface.plot: no loss in the plane is finite.")
    levels, norm = _levels(good)
    a, b, loss = finer(surface.a), finer(surface.b), _finer_loss(surface.loss, norm)
    width = WIDTH if three_dimensional else 0.68 * WIDTH
    figure = new_figure(width, 4.0, layout="constrained")
    axes = figure.add_subplot(1, 2 if three_dimensional else 1, 1)
    axes.set_facecolor(EMPTY)  # where the loss is not finite
    filled = axes.contourf(a, b, loss, levels, norm=norm, cmap=SEQUENTIAL)
    axes.contour(a, b, loss, levels, colors="white", linewidths=0.5, alpha=0.7)
    if surface.path is not None:
        outlined(axes, *surface.path.T, marker="o", markersize=4, label="run")
    star = {"color": "white", "markersize": 15, "markeredgecolor": "black"}
    axes.plot([0], [0], "*", **star, label="the model")
    names = ["random direction 1", "random direction 2"]
    if surface.explained is not None:
        names = [f"principal direction {i + 1} ({s:.0%})" for i, s in enumerate(surface.explained)]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.tick_params(labelsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(matplotlib("ticker").MaxNLocator(5))
    set_title(axes, "loss around the weights")
    legend_below(axes)
    bar = figure.colorbar(filled, ax=axes, pad=0.02, format="{x:.4g}", ticks=levels)
    bar.ax.tick_params(labelsize=SMALL, which="both")
    bar.ax.minorticks_off()
    bar.set_label("loss")
    if three_dimensional:
        _surface_3d(figure, (a, b, loss), levels, norm, names)
    return save(figure, to_file)


def _levels(good: Array) -> tuple[Array, Any]:
    """Return round levels around all losses, and a colour scale: logarithmic for a large range."""
    colours = matplotlib("colors")
    low, high = float(good.min()), float(good.max())
    if low > 0 and high > 10 * low:
        levels = _log_levels(low, high)
        return levels, colours.LogNorm(levels[0], levels[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    levels = matplotlib("ticker").MaxNLocator(12, steps=[1, 2, 5, 10]).tick_values(low, high)
    return levels, colours.Normalize(levels[0], levels[-1])


def _log_levels(low: float, high: float) -> Array:
    """Return powers of 10 around all losses, or as many multiples of them as are needed."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 2)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        levels = np.outer(powers, factors).ravel()
        first, last = np.searchsorted(levels, low, "right") - 1, np.searchsorted(levels, high)
        levels = levels[first : last + 1]
        if len(levels) >= _FEWEST:
            break
    return levels


def _finer_loss(loss: Array, norm: Any) -> Any:
    """Return the losses between the computed ones too, masked near those that are not finite."""
    logarithmic = isinstance(norm, matplotlib("colors").LogNorm)
    finite = np.isfinite(loss)
    low, high = loss[finite].min(), loss[finite].max()
    values = np.where(finite, loss, high)
    between = finer(finer(np.log(values) if logarithmic else values).T).T
    between = np.clip(np.exp(between) if logarithmic else between, low, high)
    rows, columns = (
        np.round(np.arange((n - 1) * _FINER + 1) / _FINER).astype(int) for n in loss.shape
    )
    return np.ma.masked_array(between, ~finite[np.ix_(rows, columns)])


def finer(values: Array) -> Array:
    """Return values with three more between each two along the first axis, on a smooth curve.

    The curve goes through all values; its slope in one is half of the difference of its neighbours.

    Source:
        E. Catmull, R. Rom, "A class of local interpolating splines", Computer Aided Geometric
        Design, 1974.

    Example:
        >>> import numpy as np
        >>> from netlayers.plotting.surface import finer
        >>> finer(np.array([0.0, 1.0, 4.0])).tolist()
        [0.0, 0.203125, 0.375, 0.609375, 1.0, 1.609375, 2.375, 3.203125, 4.0]
    """
    ends = 2 * values[:1] - values[1:2], 2 * values[-1:] - values[-2:-1]
    p = np.concatenate([ends[0], values, ends[1]])
    p0, p1, p2, p3 = p[:-3], p[1:-2], p[2:-1], p[3:]
    found = np.empty((_FINER * len(p1) + 1, *values.shape[1:]))
    for k in range(_FINER):
        u = k / _FINER
        cubic = 3 * (p1 - p2) + p3 - p0
        square = 2 * p0 - 5 * p1 + 4 * p2 - p3
        found[k:-1:_FINER] = p1 + u / 2 * (p2 - p0 + u * (square + u * cubic))
    found[-1] = values[-1]
    return found


def _surface_3d(
    figure: Any, surface: tuple[Array, Array, Any], levels: Array, norm: Any, names: list[str]
) -> None:
    import importlib

    importlib.import_module("mpl_toolkits.mplot3d")  # registers the projection
    axes = figure.add_subplot(1, 2, 2, projection="3d")
    a, b, loss = surface
    height = loss.filled(np.nan)
    colour = matplotlib("cm").viridis(norm(loss.filled(loss.max())))
    logarithmic = isinstance(norm, matplotlib("colors").LogNorm)
    z = np.log10(height) if logarithmic else height
    axes.plot_surface(
        *np.meshgrid(a, b), z, facecolors=colour, rstride=1, cstride=1, linewidth=0,
        antialiased=False,
    )  # fmt: skip
    axes.set_xlabel(names[0].partition(" (")[0], fontsize=SMALL)
    axes.set_ylabel(names[1].partition(" (")[0], fontsize=SMALL, labelpad=8)
    set_title(axes, "loss, from the side")
    axes.tick_params(labelsize=SMALL - 1)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(matplotlib("ticker").MaxNLocator(4))
        axis.set_pane_color("white")
    if logarithmic:
        ticks = levels[1 : -1 : -(-len(levels) // 6)]
        axes.set_zticks(np.log10(ticks), [f"{tick:.4g}" for tick in ticks])
    axes.set_box_aspect(None, zoom=0.8)
