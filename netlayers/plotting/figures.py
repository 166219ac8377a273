"""Figures without windows or global matplotlib state."""

from __future__ import annotations

import importlib
import io
from functools import partial
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_path
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

# A palette for colour-blind readers: M. Okabe, K. Ito, "Color Universal Design" (2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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


def new_figure(width: float, height: float, **settings: Any) -> Any:
    """Return an empty figure of the given size in inches, without a window."""
    figure = matplotlib("figure").Figure(figsize=(width, height), **settings)
    figure._repr_png_ = partial(to_png, figure)  # a notebook shows it
    return figure


def to_png(figure: Any) -> bytes:
    """Return a figure as a picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def png_of(plot: Callable[[], Any]) -> bytes | None:
    """Return what a function plots as a picture; ``None`` where it cannot be plotted.

    That is without matplotlib, or where there is nothing to plot.
    """
    try:
        return to_png(plot())
    except ConfigurationError:
        return None


def save(figure: Any, to_file: str | os.PathLike[str] | None, dpi: int | None = None) -> Any:
    """Save the figure if ``to_file`` is given, and return it."""
    if to_file is not None:
        path = check_path("plot", "to_file", to_file)
        figure.savefig(path, dpi="figure" if dpi is None else dpi)
    return figure


def clean_axes(axes: Any) -> Any:
    """Apply the style: a light grid, no top and right spines."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    return axes
