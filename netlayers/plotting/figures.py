"""Figures that know no window and no global state of matplotlib."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_path
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    import os

# Colours that are told apart in all common kinds of colour blindness: M. Okabe, K. Ito, "Color
# Universal Design" (2008).
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
            'Pictures need matplotlib, which is not installed: pip install "netlayers[plot]"'
        ) from error


def new_figure(width: float, height: float, **settings: Any) -> Any:
    """Return an empty figure of a size in inches; it belongs to no window."""
    return matplotlib("figure").Figure(figsize=(width, height), **settings)


def save(figure: Any, to_file: str | os.PathLike[str] | None, dpi: int | None = None) -> Any:
    """Write the figure into a file, if one is named, and return it."""
    if to_file is not None:
        path = check_path("plot", "to_file", to_file)
        figure.savefig(path, dpi="figure" if dpi is None else dpi)
    return figure


def clean_axes(axes: Any) -> Any:
    """Leave the lines that carry something: a light grid, no frame above and to the right."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    return axes
