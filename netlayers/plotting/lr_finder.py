"""Plot of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import COLOURS, legend_below, new_plots, save

if TYPE_CHECKING:
    import os

    from netlayers._typing import Array


def plot_rates(
    rates: Array,
    losses: Array,
    smoothed: Array,
    suggestion: float | None,
    to_file: str | os.PathLike[str] | None,
) -> Any:
    """Plot loss over learning rate; see ``LearningRateCurve.plot``."""
    if len(rates) < 2:
        raise ConfigurationError("LearningRateCurve.plot: there is no curve, only one rate.")
    figure, (axes,) = new_plots(1)
    axes.plot(rates, losses, "-", color="#b8c2cc", linewidth=1, label="loss of the batch")
    axes.plot(rates, smoothed, "-", color=COLOURS[0], linewidth=1.8, label="smoothed")
    axes.set_xscale("log")
    if suggestion is not None:
        axes.axvline(suggestion, color=COLOURS[1], linewidth=1, linestyle=(0, (4, 3)))
        height = float(np.interp(np.log(suggestion), np.log(rates), smoothed))
        label = f"suggestion {suggestion:.1e}"
        axes.plot([suggestion], [height], "o", color=COLOURS[1], label=label)
    # Exclude the end of the test, where the loss diverges, from the limits of the axis.
    start, lowest = float(np.median(smoothed[: max(len(smoothed) // 4, 1)])), float(smoothed.min())
    top = max(start + 0.6 * (start - lowest), float(np.percentile(losses, 80)))
    bottom = min(lowest, float(losses.min()))
    if top > bottom:
        axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.06 * (top - bottom))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    legend_below(axes, 3)
    return save(figure, to_file)
