"""What a diagnosis knows of a model, and what it says."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.sparse import is_sparse
from netlayers.layers.containers import Container
from netlayers.layers.dense import Dense
from netlayers.layers.input import Input

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer


@dataclass
class Finding:
    """One thing that is wrong.

    Attributes:
        illness: its name: ``"vanishing gradient"``, ``"exploding gradient"``, ``"dead units"``,
            ``"saturation"``, ``"learning rate too high"``, ``"learning rate too low"``,
            ``"inputs not scaled"``, ``"targets not scaled"``, ``"initializer"``, ``"symmetry"``,
            ``"loss and activation"``, ``"target range"``, ``"constant labels"``,
            ``"missing classes"``, ``"not finite"``.
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
        others = [name for name in self.layers if name != self.layer]
        also = f" Also: {', '.join(f'`{name}`' for name in others)}." if others else ""
        text = f"{self.illness} ({self.severity}): {self.text}{also} Try: {self.advice}"
        return textwrap.fill(text, 96, subsequent_indent="   ", break_on_hyphens=False)


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
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    def see_input(self, x: Any) -> None:
        """Measure what comes to the first layer with weights, if that is Dense."""
        if is_sparse(x):
            return
        part: Layer = self.model
        while isinstance(part, Container) and type(part).__name__ in ("Sequential", "Chain"):
            below = None
            for layer in part.layers:
                if isinstance(layer, (Dense, Container)):
                    below = layer
                    break
                if layer.declared_parameters and not isinstance(layer, Input):
                    return  # a normalization stands before it
                x = layer.forward(x)
            if below is None:
                return
            part = below
        if isinstance(part, Dense):
            rows = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
            squares, there = (rows**2).sum(axis=0), (rows != 0).sum(axis=0)
            self.scales = np.sqrt(squares[there > 0] / there[there > 0])

    def see_gradients(self) -> None:
        """Look for layers whose units are all the same and are pushed the same way."""
        for layer in self.layers[:-1]:
            if isinstance(layer, Dense) and layer.units > 1 and layer._has_trainable_weights:
                kernel, gradient = layer.kernel, layer.d_kernel
                same = not np.ptp(kernel, axis=1).any()
                size = np.abs(gradient).max()
                if same and np.ptp(gradient, axis=1).max() <= 1e-4 * size:
                    self.symmetric.append(layer.path)
