"""What a diagnosis knows of a model, and what it says."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import PLAIN, escaped
from netlayers._printable import printable
from netlayers.arrays.sparse import is_sparse
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.containers import Container
from netlayers.layers.dense import Dense
from netlayers.layers.group_normalization import GroupNormalization
from netlayers.layers.input import InputLayer
from netlayers.layers.layer_normalization import (
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from netlayers.layers.normalization import Normalization
from netlayers.layers.parallel import Parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer

# Layers in which a large feature hides a small one, and normalizations that treat each alone.
_ADDS_UP_FEATURES = (
    *(Dense, GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization),
)
_BY_FEATURE = (BatchNormalization, Normalization)


@dataclass
class Finding:
    """One thing that is wrong.

    Attributes:
        illness: its name: ``"vanishing gradient"``, ``"exploding gradient"``, ``"dead units"``,
            ``"saturation"``, ``"learning rate too high"``, ``"learning rate too low"``,
            ``"frozen layers"``, ``"moments too large"``, ``"dropout too high"``,
            ``"linear layers"``, ``"inputs not scaled"``, ``"targets not scaled"``,
            ``"initializer"``, ``"symmetry"``, ``"loss and activation"``, ``"target range"``,
            ``"constant labels"``, ``"missing classes"``, ``"unrelated labels"``,
            ``"shared rows"``, ``"not finite"``.
        layer: path of the layer where it is worst; ``None`` if it is of no layer.
        severity: ``"serious"`` (the network can hardly learn) or ``"warning"``.
        evidence: the numbers that it follows from.
        text: what was found, in plain words.
        advice: what to try.
        layers: all layers that have it.
    """

    illness: str
    layer: str | None
    severity: str
    evidence: dict[str, float]
    text: str
    advice: str
    layers: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.illness} ({self.severity}): {self.text}{self._also} Try: {self.advice}"
        return textwrap.fill(printable(text), 96, subsequent_indent="   ", break_on_hyphens=False)

    def _repr_html_(self) -> str:
        text, advice = escaped(self.text + self._also), escaped(self.advice)
        title = f"<b>{escaped(self.illness)}</b> ({escaped(self.severity)})"
        return f"<p {PLAIN}>{title}: {text}<br>Try: {advice}</p>"

    @property
    def _also(self) -> str:
        others = [name for name in self.layers if name != self.layer]
        return f" Also: {', '.join(f'`{name}`' for name in others)}." if others else ""


@dataclass
class Comparison:
    """The losses of the same batches: before any step, after steps, after steps at a lower rate.

    Attributes:
        factor: the lower rate, divided by that of the optimizer.
        before: loss of each batch.
        after: loss of each batch, in the last round.
        slower: the same, at the lower rate.
        lost: whether a loss or gradient was not finite.
    """

    factor: float
    before: list[float]
    after: list[float]
    slower: list[float]
    lost: bool = False


class Evidence:
    """All that the rules of a diagnosis look at."""

    def __init__(
        self,
        model: Layer,
        loss: Loss,
        fused: bool,
        optimizer: Optimizer,
        layers: list[Layer],
        y: Array,
    ) -> None:
        self.model, self.loss, self.fused = model, loss, fused
        self.optimizer, self.layers, self.y = optimizer, layers, y
        self.fresh = True
        self.values: dict[str, dict[str, float]] = {}
        self.losses: list[float] = []
        self.loss_before = self.loss_after = self.loss_faster = math.nan
        self.peak_ratio = 0.0  # median over the layers of their largest update-to-weight ratio
        self.ratios: dict[str, list[float]] = {}  # update-to-weight ratios of the steps, by layer
        self.still = False  # there are gradients, and no step changed a weight
        self.lost = False  # a loss or gradient of the steps was not finite
        self.comparison: Comparison | None = None  # with a lower rate
        # Of frozen layers: all paths, those that were never trained, whether no other layer learns.
        self.frozen: tuple[list[str], list[str], bool] = [], [], False
        self.bad_moments: dict[str, int] = {}  # numbers that are too large, by layer
        self.scales: Array | None = None  # size of each input feature, of values that are not 0
        self.symmetric: list[str] = []
        # The steps change the weights before the rules look at them.
        self.kernels = {
            layer.path: (float(np.std(layer.kernel)), len(layer.kernel))
            for layer in layers
            if isinstance(layer, Dense)
        }
        self.bad_weights = [
            (p.layer.path, p.path, bad)
            for p in model.parameters.all
            if p.value is not None and (bad := p.size - int(np.count_nonzero(np.isfinite(p.value))))
        ]

    @property
    def heads(self) -> set[str]:
        """Paths of the layers in the branches that the model ends in, if it does."""
        last = getattr(self.model, "layers", [self.model])[-1:]
        return {
            layer.path
            for layer in self.layers
            if last and isinstance(last[0], Parallel) and layer.path.startswith(f"{last[0].path}/")
        }

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    def see_input(self, model: Layer, x: Any) -> None:
        """Measure what comes to the first layer that adds up features, if that is known.

        Args:
            model: a copy of the model, whose running statistics may change.
            x: a batch.
        """
        if isinstance(x, tuple):
            return
        for layer in _first_layers(model):
            if isinstance(layer, _ADDS_UP_FEATURES):
                self.scales = _sizes(x)
                return
            if layer.declared_parameters and not isinstance(layer, _BY_FEATURE):
                return
            x = layer.forward(x, training=isinstance(layer, BatchNormalization))

    def see_gradients(self) -> None:
        """Look for layers whose units are all the same and are pushed the same way."""
        for layer in self.layers[:-1]:
            if isinstance(layer, Dense) and layer.units > 1 and layer._has_trainable_weights:
                kernel, gradient = layer.kernel, layer.d_kernel
                same = not np.ptp(kernel, axis=1).any()
                size = np.abs(gradient).max()
                if same and np.ptp(gradient, axis=1).max() <= 1e-4 * size:
                    self.symmetric.append(layer.path)


def _first_layers(model: Layer) -> Iterator[Layer]:
    """Yield the layers that x comes through, up to the first that adds up features."""
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, Container):
            yield from _first_layers(layer)
            return
        if not isinstance(layer, InputLayer):
            yield layer


def _sizes(x: Any) -> Array:
    """Return the root mean square of each feature, of its values that are not 0."""
    if is_sparse(x):
        squares = np.asarray(x.multiply(x).sum(axis=0), np.float64).ravel()
        there = np.asarray((x != 0).sum(axis=0)).ravel()
    else:
        rows = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
        squares, there = (rows**2).sum(axis=0), (rows != 0).sum(axis=0)
    sizes: Array = np.sqrt(squares[there > 0] / there[there > 0])
    return sizes
