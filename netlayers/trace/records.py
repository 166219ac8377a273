"""The records of one training step: of the layers, their weights, the loss and the optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations import ActivationLayer
from netlayers.core.binding import own_parameters
from netlayers.layers import Dense
from netlayers.layers.containers import Chain
from netlayers.layers.dense import AffineLayer
from netlayers.layers.graph import CallGraph
from netlayers.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer


@dataclass
class WeightTrace:
    """A weight in one step.

    Attributes:
        name: ``"kernel"``, ``"bias"``, ...
        before: its value at the start.
        gradient: dL/dweight as ``backward`` gave it, the sum over all uses of the layer; ``None``
            for a statistic or a frozen weight.
        parts: what each use of the layer gave, by its number.
        penalty: gradient of its regularizer, ``None`` if it has none.
        used: the gradient that the optimizer used: with the penalty, accumulated, clipped.
        after: its value at the end.
        change: ``after - before``.
    """

    name: str
    before: Array
    gradient: Array | None = None
    parts: dict[int, Array] = field(default_factory=dict)
    penalty: Array | None = None
    used: Array | None = None
    after: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def change(self) -> Array:
        """What the step added."""
        return self.after - self.before


@dataclass
class TimeStep:
    """One time step of a recurrent layer.

    The names are those of the equations: ``x``, ``h``, of LSTM also ``z``, ``i``, ``f``, ``g``,
    ``o``, ``c``, and ``a``, the activation of c, of GRU ``p``, ``q``, ``z``, ``r``, ``s``, ``g``;
    ``h-`` and ``c-`` are the states before the step.

    Attributes:
        number: its place in the order of computation, from 1.
        values: of the forward pass, by name.
        gradients: dL/dvalue by name. ``h`` is the sum of ``y``, from the output of the step, and
            ``h+``, from the step behind. Empty where no gradient arrives.
        absent: booleans (batch,), where the mask leaves the step out; ``None`` without a mask.
    """

    number: int
    values: dict[str, Array]
    gradients: dict[str, Array] = field(default_factory=dict)
    absent: Array | None = None


@dataclass
class LayerTrace:
    """A layer in one step; an array that there is not is ``None``, several are a tuple.

    Attributes:
        name: its path, such as ``"residual/dense"``; that of its second use ``"dense (call 2)"``.
        layer: the layer itself, of the copy that was traced.
        call: which use of the layer it is, from 1; the uses have common ``weights``.
        number: its place in the order of computation, from 1; 0 for a container that only calls
            its parts, and for ``Input``.
        x: input.
        z: what its activation was applied to.
        y: output, the book's a.
        dy: dL/dy, which came from above.
        slope: activation'(z), of an activation that works element by element.
        dz: dL/dz, the book's δ.
        dx: dL/dx, which goes on below.
        weights: by name; a recurrent layer has those of its cell.
        parts: the layers that it is made of, in the order of their computation.
        fused: its activation was computed together with the loss, so there is no dL/dy.
        mask: the mask that it was given, or ``None``.
        states: the states of a stateful layer before the step.
        time_steps: the steps of SimpleRNN, LSTM, GRU, or RNN with one of their cells; empty with
            dropout.
    """

    name: str
    layer: Layer
    call: int = 1
    number: int = 0
    x: Any = None
    z: Array | None = None
    y: Any = None
    dy: Any = None
    slope: Array | None = None
    dz: Array | None = None
    dx: Any = None
    weights: dict[str, WeightTrace] = field(default_factory=dict)
    parts: list[LayerTrace] = field(default_factory=list)
    fused: bool = False
    mask: Any = None
    states: tuple[Array, ...] = ()
    time_steps: list[TimeStep] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``"dense"``, ``"convolution"``, ``"recurrent"``, ``"activation"``, or one of the others.

        These are ``"chain"``, ``"graph"`` and ``"other"``. A chain only calls its parts, one after
        the other; a graph calls them in any way.
        """
        layer = self.layer
        if isinstance(layer, AffineLayer) and type(layer).forward is AffineLayer.forward:
            return "dense" if isinstance(layer, Dense) else "convolution"
        if isinstance(layer, Recurrent):
            return "recurrent"
        if isinstance(layer, ActivationLayer) or type(layer).__name__ == "Activation":
            return "activation"
        if isinstance(layer, CallGraph):
            return "chain" if layer._is_chain else "graph"
        plain = isinstance(layer, Chain) and type(layer)._connections is Chain._connections
        return "chain" if plain else "other"

    @property
    def sums_up(self) -> bool:
        """Whether the layer is dense or a convolution: an activation of weighted sums z."""
        return self.kind in ("dense", "convolution")

    @property
    def activation(self) -> Any:
        """The activation of a layer that sums up, or is an activation."""
        return self.layer.activation

    def walk(self) -> Iterator[LayerTrace]:
        """Yield this record and those of all its parts."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass
class LossTrace:
    """The loss in one step; of a model with several outputs the sum, with each loss in ``parts``.

    Of the sum, ``y_true``, ``y_pred`` and ``gradient`` are tuples of arrays.

    Attributes:
        loss: the loss itself; on logits if ``fused``.
        fused: it was computed together with the last activation, from z.
        y_true: targets.
        y_pred: the outputs of the model.
        probabilities: what a loss on logits makes of them, else ``None``.
        sample_weight: weights of the samples, or ``None``.
        samples: the losses of the samples, times their weights, where the loss gives them.
        value: the loss without penalties.
        penalty: all penalties, of weights and activations.
        total: what ``train_on_batch`` reports.
        gradient: dL/dy_pred, or dL/dz if ``fused``.
        before: loss of the batch as ``test_on_batch`` gives it before the step.
        after: the same after the step.
        parts: by the names of the outputs, the losses whose weighted sum this is; each has the
            ``gradient`` of the sum. Empty for a model with one output.
        weight: factor of the loss in the sum.
    """

    loss: Loss
    fused: bool
    y_true: Any
    y_pred: Any
    gradient: Any
    value: float
    total: float
    probabilities: Array | None = None
    sample_weight: Array | None = None
    samples: Array | None = None
    before: float = 0.0
    after: float = 0.0
    parts: dict[str, LossTrace] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def penalty(self) -> float:
        """What regularizers and layers added to the loss."""
        return self.total - self.value

    @property
    def by_output(self) -> dict[str, LossTrace]:
        """The loss of each output by its name; for a model with one output, this one."""
        return self.parts or {"": self}


@dataclass
class OptimizerTrace:
    """The update of one step.

    Attributes:
        optimizer: the optimizer itself, after the step.
        learning_rate: the rate of this update.
        updated: whether the weights were updated: gradients may be accumulated for a later update.
        norm: norm of all gradients before clipping, ``None`` where clipping is off.
    """

    optimizer: Optimizer
    learning_rate: float
    updated: bool
    norm: float | None


def parameters_of(layer: Layer) -> dict[str, Parameter]:
    """Return the parameters of a record by name: the layer's own, or those of its cells.

    A recurrent layer with several cells has their names in front: ``"lstm_cell/kernel"``.
    """
    if not isinstance(layer, Recurrent):
        return {p.name: p for p in own_parameters(layer)}
    alone = all(p.layer is layer.cell for p in layer.declared_parameters)
    return {
        p.name if alone else f"{p.layer.path.rpartition('/')[2]}/{p.name}": p
        for p in layer.declared_parameters
    }
