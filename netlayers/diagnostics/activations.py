"""How the outputs of every layer are distributed, for a batch."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import html_table, picture
from netlayers._notebook import Report
from netlayers._tables import text_table
from netlayers.activations.rectifiers import Linear
from netlayers.arrays.several import float_numbers
from netlayers.checks import check_integer
from netlayers.core.hooks import observed
from netlayers.diagnostics.channels import channels_first, channels_last
from netlayers.diagnostics.layer_statistics import (
    SATURATED_BELOW,
    activation_of,
    dead_share,
    watched_uses,
)
from netlayers.diagnostics.slopes import shape_of
from netlayers.plotting.figures import png_of
from netlayers.training.samples import one_input

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array
    from netlayers.activations import ActivationLayer
    from netlayers.core.layer import Layer
    from netlayers.training.compilation import CompilableModel


@dataclass(frozen=True)
class LayerActivations:
    """The outputs of a layer for a batch.

    Attributes:
        layer: its path, with the number of its use if it is a further one: ``"dense (call 2)"``.
        kind: the class of its activation, or its own.
        counts: how many outputs lie between two of ``edges``; NaN and infinities in none.
        edges: one more than ``counts``.
        mean: their mean.
        deviation: their standard deviation.
        dead: share of units whose activation has the slope 0 for every row; ``None`` where the
            layer has no activation that works element by element.
        saturated: share of outputs where the slope is under a twentieth of the largest one;
            ``None`` unless the activation is flat on both sides.
    """

    layer: str
    kind: str
    counts: Array
    edges: Array
    mean: float
    deviation: float
    dead: float | None
    saturated: float | None


@dataclass(frozen=True)
class ActivationHistograms(Report):
    """What :func:`activation_histograms` found; printed, it is a table.

    Attributes:
        layers: the layers from input to output, containers by their parts.
    """

    layers: Sequence[LayerActivations]

    def __str__(self) -> str:
        return "\n".join(text_table(self._table()))

    def _table(self) -> list[list[str]]:
        rows = [["layer", "mean", "deviation", "dead", "saturated"]]
        for a in self.layers:
            shares = ("-" if s is None else f"{s:.1%}" for s in (a.dead, a.saturated))
            rows.append([a.layer, f"{a.mean:.3g}", f"{a.deviation:.3g}", *shares])
        return rows

    def _repr_html_(self) -> str:
        png = png_of(self.plot)
        return html_table(self._table()) + picture(png, "A histogram of the outputs of each layer")

    def plot(self, to_file: str | os.PathLike[str] | None = None) -> Any:
        """Draw a histogram for each layer; return the ``matplotlib.figure.Figure``.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).

        Raises:
            ConfigurationError: matplotlib is not installed: ``pip install matplotlib``.
        """
        from netlayers.plotting.activations import plot_activations

        return plot_activations(self.layers, to_file)


def activation_histograms(model: CompilableModel, x: Any, bins: int = 60) -> ActivationHistograms:
    """Return how the outputs of each layer are distributed for a batch, at inference.

    Args:
        model: a model; it need not be compiled.
        x: inputs, (n, ...); of data that come in batches, the first batch is taken.
        bins: bars of each histogram.

    Returns:
        Printed, it is a table with mean, deviation, and shares of dead units and saturated
        outputs; its ``plot(to_file)`` draws the histograms.

    Raises:
        DataError, ShapeError: the input does not fit the model.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(8, "relu"), nl.layers.Dense(1)], seed=0)
        >>> found = model.activation_histograms(np.ones((4, 3)))
        >>> [(a.layer, a.kind, int(a.counts.sum())) for a in found.layers]
        [('dense', 'ReLU', 32), ('dense_1', 'Dense', 4)]
    """
    owner = "activation_histograms"
    bins = check_integer(owner, "bins", bins, minimum=2)
    x = one_input(model, owner, x)
    found = watched_uses(model)
    wanted = {id(layer) for layer in found.values()}
    owners = {
        id(activation): layer
        for layer in found.values()
        if (activation := activation_of(layer)) is not None and not isinstance(activation, Linear)
    }
    outputs: dict[str, Array] = {}
    given_to: dict[str, Array] = {}  # what the activation of each layer was given

    def around(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
        if id(layer) in owners:
            given_to[uses.name(owners[id(layer)])] = np.array(given)  # it may write into it
        result = run()
        numbers = float_numbers(result) if id(layer) in wanted else None
        if numbers is not None:
            outputs[uses.name(layer)] = np.array(numbers, np.float64)
        return result

    with observed(model, around) as uses:
        model.forward(x)
    first = channels_first(model)
    return ActivationHistograms(
        [
            _of_layer(name, layer, outputs[name], given_to.get(name), bins, first)
            for name, layer in found.items()
            if name in outputs
        ]
    )


def _of_layer(
    name: str, layer: Layer, y: Array, z: Array | None, bins: int, first: bool
) -> LayerActivations:
    activation: Any = getattr(layer, "activation", None)
    dead, saturated = (None, None) if z is None else _slopes(activation, z, first)
    good = y[np.isfinite(y)]
    counts, edges = np.histogram(good, bins=bins)
    named = type(activation).__name__
    kind = type(layer).__name__ if named in ("NoneType", "Linear") else named
    mean, deviation = (float(good.mean()), float(good.std())) if good.size else (np.nan,) * 2
    return LayerActivations(name, kind, counts, edges, mean, deviation, dead, saturated)


def _slopes(activation: ActivationLayer, z: Array, first: bool) -> tuple[float, float | None]:
    """Return the shares of dead units and of saturated outputs."""
    shape, probe = shape_of(activation), copy.deepcopy(activation)
    probe.forward(z, training=True)
    slope = np.abs(probe.backward(np.ones_like(z)))
    small = float(np.mean(slope < SATURATED_BELOW * shape.largest_slope))
    return dead_share(channels_last(slope, first)), small if shape.saturates else None
