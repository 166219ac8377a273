"""Histograms of layer outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._printable import printable
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import COLOURS, SMALL, TITLE, WIDTH, matplotlib, new_figure, save

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_HEADER, _FOOTER = 0.5, 0.2  # inches above and below the histograms


def plot_activations(layers: Sequence[Any], to_file: str | os.PathLike[str] | None) -> Any:
    """Draw a histogram per layer; see ``ActivationHistograms.plot``."""
    if not layers:
        raise ConfigurationError("plot: there are no layers to draw.")
    columns = min(len(layers), 1 + (len(layers) > 3) + (len(layers) > 12))
    rows = -(-len(layers) // columns)
    width = WIDTH if columns > 1 else 0.68 * WIDTH
    figure = new_figure(width, 1.45 * rows + _HEADER + _FOOTER, layout="constrained")
    figure.suptitle(
        "distribution of the outputs by layer, from input to output",
        fontsize=TITLE,
        x=0.01,
        ha="left",
    )
    for i, layer in enumerate(layers):
        axes = figure.add_subplot(rows, columns, i + 1)
        _histogram(axes, layer)
    return save(figure, to_file)


def _histogram(axes: Any, layer: Any) -> None:
    total = max(int(np.sum(layer.counts)), 1)
    percent = 100 * np.asarray(layer.counts) / total
    axes.stairs(percent, layer.edges, fill=True, color=COLOURS[0], alpha=0.75)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([])
    top = float(percent.max()) or 1.0
    axes.set_ylim(0, 1.65 * top)  # leaves space for the text
    axes.tick_params(labelsize=SMALL)
    axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(5))
    name = printable(layer.layer)
    name = name if len(name) <= 28 else "…" + name[-27:]
    axes.set_title(f"{name} · {layer.kind}", fontsize=SMALL, loc="left", parse_math=False)
    facts = [f"mean {layer.mean:.2g}", f"deviation {layer.deviation:.2g}"]
    if layer.dead:
        facts.append(f"dead {layer.dead:.0%}" if layer.dead >= 0.01 else "dead < 1%")
    if layer.saturated is not None:
        facts.append(f"saturated {layer.saturated:.0%}")
    problem = (layer.dead or 0) > 0.5 or (layer.saturated or 0) > 0.5
    axes.text(
        1.0,
        0.97,
        "\n".join(facts),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=SMALL - 1,
        color=COLOURS[1] if problem else "#4a5560",
    )
