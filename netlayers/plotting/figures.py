"""Figures without windows or global matplotlib state, and the style of all pictures."""

from __future__ import annotations

import importlib
import io
from functools import partial
from typing import TYPE_CHECKING, Any

from netlayers._html import shown_width
from netlayers.checks import check_path
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

WIDTH, HEIGHT = 8.0, 3.0  # inches: of a picture, and of a row of plots in it
DPI = 200  # of files; pages and notebooks show pictures at half of it
TITLE, SMALL = 11, 9  # points: of titles, and of legends and ticks

# A palette for colour-blind readers: M. Okabe, K. Ito, "Color Universal Design" (2008). Each colour
# has a line style and a marker, so that curves differ in grey too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1.2, 1.2)), (0, (3, 1)), "-", "-")
MARKERS = ("o", "s", "^", "D", "v", "X", "P")
# Maps from dark to light, whose order is seen in grey too, and for values of both signs.
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
REFERENCE = "#66727f"  # lines to compare with
EMPTY = "#d5dae0"  # where there is no value


def matplotlib(module: str) -> Any:
    """Return a module of matplotlib.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ConfigurationError(
            "Plots need matplotlib, which is not installed: pip install matplotlib"
        ) from error


def new_figure(width: float = WIDTH, height: float = HEIGHT, **settings: Any) -> Any:
    """Return an empty figure of the given size in inches, without a window."""
    figure = matplotlib("figure").Figure(figsize=(width, height), **{"dpi": DPI, **settings})
    figure._repr_png_ = partial(_shown, figure)  # a notebook shows it
    return figure


def new_plots(
    count: int, columns: int = 3, height: float = HEIGHT, **settings: Any
) -> tuple[Any, list[Any]]:
    """Return a figure and the clean axes of plots, row by row.

    Args:
        count: number of plots; one alone is narrower than the picture of several.
        columns: plots in a row, at most.
        height: of a row, in inches.
        settings: of ``Figure.subplots``.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 0.68 * WIDTH
    figure = new_figure(width, height * rows, layout="constrained")
    plots = list(figure.subplots(rows, columns, squeeze=False, **settings).flat)
    for axes in plots[count:]:
        axes.remove()
    return figure, [clean_axes(axes) for axes in plots[:count]]


def _shown(figure: Any) -> tuple[bytes, dict[str, int]]:
    """Return what a notebook shows of a figure: the picture, and its width on the page."""
    png = to_png(figure)
    return png, {"width": shown_width(png)}


def to_png(figure: Any) -> bytes:
    """Return a figure as a picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def png_of(plot: Callable[[], Any]) -> bytes | None:
    """Return what a function plots as a picture; ``None`` where it cannot be plotted.

    That is without matplotlib, or where there is nothing to plot.
    """
    try:
        return to_png(plot())
    except ConfigurationError:
        return None


def save(figure: Any, to_file: str | os.PathLike[str] | None) -> Any:
    """Save the figure if ``to_file`` is given, and return it."""
    if to_file is not None:
        figure.savefig(check_path("plot", "to_file", to_file), dpi="figure")
    return figure


def clean_axes(axes: Any) -> Any:
    """Apply the style: a light grid, no top and right spines, the palette with its line styles."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_prop_cycle(color=COLOURS, linestyle=DASHES)
    axes.tick_params(labelsize=SMALL)
    return axes


def outlined(axes: Any, x: Any, y: Any, colour: str = "black", **settings: Any) -> None:
    """Draw a line with a white edge, which is seen on every colour."""
    axes.plot(x, y, "-", color="white", linewidth=3)
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.7}
    axes.plot(x, y, "-", color=colour, linewidth=1.2, **edge, **settings)


def plain_ticks(axis: Any) -> None:
    """Write 0.2 and 0.5 at a logarithmic axis rather than powers of ten."""
    ticker = matplotlib("ticker")
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def set_title(axes: Any, text: str) -> None:
    """Write a title above the left end of axes."""
    axes.set_title(text, fontsize=TITLE, loc="left", parse_math=False)


def legend_below(axes: Any, columns: int = 2, **settings: Any) -> None:
    """Write the legend of axes below them, where it hides no data."""
    figure = axes.get_figure()
    place = matplotlib("transforms").ScaledTranslation(0, -36 / 72, figure.dpi_scale_trans)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=axes.transAxes + place,
        ncols=columns,
        **_legend(settings),
    )


def legend_right(axes: Any, **settings: Any) -> None:
    """Write the legend of axes beside them, where it hides no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **_legend(settings))


def shared_legend(
    figure: Any, entries: Mapping[str, Any], columns: int = 4, **settings: Any
) -> None:
    """Write one legend below all plots of a figure; ``entries`` are lines by label."""
    place = {"loc": "outside lower center", "ncols": columns}
    figure.legend(entries.values(), entries, **place, **_legend(settings))


def _legend(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "frameon": False,
        "fontsize": SMALL,
        "title_fontsize": SMALL,
        "handlelength": 2.8,
        "columnspacing": 1.4,
        **settings,
    }


def depth_colours(count: int) -> list[Any]:
    """Return colours in an order that is seen, as of layers from input (dark) to output (light)."""
    colours = matplotlib("cm").viridis
    return [colours(0.9 * i / max(count - 1, 1)) for i in range(count)]
