"""What a diagnosis knows of a model, and what it says."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._html import PLAIN, escaped
from netlayers._printable import printable
from netlayers.arrays.several import listed
from netlayers.arrays.sparse import is_sparse
from netlayers.core.hooks import observed
from netlayers.diagnostics.channels import channels_first, channels_last, idle_maps
from netlayers.diagnostics.flow import Flow
from netlayers.diagnostics.layer_statistics import activation_of
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.containers import Container
from netlayers.layers.dense import AffineLayer, Dense
from netlayers.layers.dropout import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from netlayers.layers.group_normalization import GroupNormalization
from netlayers.layers.layer_normalization import (
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from netlayers.layers.normalization import Normalization
from netlayers.layers.parallel import Parallel
from netlayers.layers.spatial import SpatialLayer
from netlayers.losses.by_output import losses_by_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer

# Layers in which a large feature hides a small one, and normalizations that treat each alone.
_ADDS_UP_FEATURES = (
    *(Dense, GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization),
)
_BY_FEATURE = (BatchNormalization, Normalization)
_RANDOM = (AlphaDropout, Dropout, GaussianDropout, GaussianNoise)


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
            ``"shared rows"``, ``"outputs not balanced"``, ``"channels misplaced"``,
            ``"images not flattened"``, ``"dead filters"``, ``"constant feature maps"``,
            ``"vanishing gradient over time"``, ``"exploding gradient over time"``,
            ``"not finite"``.
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


class Output(NamedTuple):
    """An output of a model that has a loss.

    Attributes:
        name: its name; nothing if it is the only one.
        layer: what computes it.
        loss: its loss.
        fused: whether the loss is computed together with the last activation.
        y: its targets.
        shape: its shape.
    """

    name: str
    layer: Layer
    loss: Any
    fused: bool
    y: Array
    shape: tuple[int | None, ...]

    @property
    def of(self) -> str:
        """What to add to a sentence about it."""
        return f" of the output `{self.name}`" if self.name else ""


class SeenImages(NamedTuple):
    """Inputs with spatial axes, as they come to a layer that adds them up.

    Attributes:
        layer: the layer.
        shape: shape of the batch.
        low: smallest value.
        high: largest value.
    """

    layer: Layer
    shape: tuple[int, ...]
    low: float
    high: float


class Evidence:
    """All that the rules of a diagnosis look at."""

    def __init__(
        self,
        model: Layer,
        loss: Loss,
        fused: bool,
        optimizer: Optimizer,
        layers: list[Layer],
        y: Any,
    ) -> None:
        self.model, self.optimizer, self.layers = model, optimizer, layers
        self.flow = Flow(model)
        self.outputs = self._outputs(loss, fused, y)
        self.output_paths = {output.layer.path for output in self.outputs}
        self.first_losses: dict[str, float] = {}  # of the outputs, with their weights
        self.fresh = True
        self.values: dict[str, dict[str, float]] = {}
        self.time_steps: dict[str, Array] = {}  # norms of the gradient, of recurrent layers
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
        # Size of each input feature, of values that are not 0, by the layer that takes it.
        self.scales: dict[str, Array] = {}
        self._paths = {layer.path for layer in layers}
        self.images: dict[str, SeenImages] = {}  # by the layer that takes them
        self.maps: dict[str, float] = {}  # of outputs with channels: the share that is constant
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

    def _outputs(self, loss: Loss, fused: bool, y: Any) -> list[Output]:
        """Return the outputs that have a loss."""
        its, shapes = losses_by_output(loss), self.model.output_shape
        found = []
        for (name, place, part, _), targets in zip(its, listed(y), strict=True):
            layer, shape, by_logits = self.layers[-1], shapes, fused
            if place is not None:
                end = self.flow.ends[min(place, len(self.flow.ends) - 1)]
                layer = self.flow.layers[max(end)] if len(end) == 1 else layer
                shape, by_logits = shapes[place], getattr(part, "fused", False)  # type: ignore
            found.append(Output(name, layer, part, by_logits, targets, shape))  # type: ignore
        return found

    @property
    def heads(self) -> set[str]:
        """Paths of the layers in the branches that the model ends in, if it does."""
        last = getattr(self.model, "layers", [self.model])[-1:]
        return {
            layer.path
            for layer in self.layers
            if last and isinstance(last[0], Parallel) and layer.path.startswith(f"{last[0].path}/")
        }

    def see_input(self, model: Layer, x: Any) -> None:
        """Measure what comes to the first layers that add up features, as far as it is known.

        Args:
            model: a copy of the model, whose running statistics may change.
            x: a batch.
        """
        x = model.prepare(x)
        first = channels_first(model)
        known = {id(a): a for a in listed(x)}  # inputs, and what layers without weights make of it

        def around(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
            if isinstance(layer, _RANDOM):
                result: Any = type(layer).forward(layer, given, training=False)  # type: ignore
            else:
                result = run()
            self._see_maps(layer, method, result, first)
            if isinstance(layer, Container) or not all(id(a) in known for a in listed(given)):
                return result
            if isinstance(layer, _ADDS_UP_FEATURES) or is_convolution(layer):
                if not is_sparse(given) and given.ndim > 2:
                    seen = layer, given.shape, float(given.min()), float(given.max())
                    self.images.setdefault(layer.path, SeenImages(*seen))
                given = channels_last(given, first) if is_convolution(layer) else given
                self.scales.setdefault(layer.path, _sizes(given))
            elif isinstance(layer, _BY_FEATURE) or not layer.declared_parameters:
                known.update({id(a): a for a in listed(result)})
            return result

        with observed(model, around):
            model.forward(x, training=True)

    def _see_maps(self, layer: Layer, method: str, y: Any, first: bool) -> None:
        """Note which maps of a convolution, or of an activation of maps, are constant."""
        if method != "forward" or layer.path not in self._paths or not isinstance(y, np.ndarray):
            return
        if is_convolution(layer) or (activation_of(layer) is not None and y.ndim > 3):
            self.maps[layer.path] = float(np.mean(idle_maps(channels_last(y, first))[1]))

    def see_gradients(self) -> None:
        """Look for layers whose units are all the same and are pushed the same way."""
        for layer in self.layers:
            if layer.path in self.output_paths:
                continue
            if isinstance(layer, Dense) and layer.units > 1 and layer._has_trainable_weights:
                kernel, gradient = layer.kernel, layer.d_kernel
                same = not np.ptp(kernel, axis=1).any()
                size = np.abs(gradient).max()
                if same and np.ptp(gradient, axis=1).max() <= 1e-4 * size:
                    self.symmetric.append(layer.path)


def is_convolution(layer: Layer) -> bool:
    """Whether a layer is a convolution of any kind."""
    return isinstance(layer, AffineLayer) and isinstance(layer, SpatialLayer)


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
