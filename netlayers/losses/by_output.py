"""The losses of a model with several outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.arrays.convert import check_finite, each, one
from netlayers.checks import check_number
from netlayers.errors import ConfigurationError, NetlayersError
from netlayers.losses.base import Loss
from netlayers.losses.combined import CombinedLoss
from netlayers.registry import register, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype, Identifier, Shape


class OutputLoss(NamedTuple):
    """The loss of one output of a model.

    Attributes:
        name: name of the output; nothing for the loss of a model with one output.
        place: number of the output, ``None`` for the loss of a model with one output.
        loss: the loss.
        weight: its factor in the sum.
    """

    name: str
    place: int | None
    loss: Any
    weight: float


def losses_by_output(loss: Any) -> list[OutputLoss]:
    """Return the loss of each output that has one; a loss that is no sum over outputs alone."""
    if not isinstance(loss, OutputLosses):
        return [OutputLoss("", None, loss, 1.0)]
    its = zip(loss.names, loss.places, loss.losses, loss.factors, strict=True)
    return [OutputLoss(*entry) for entry in its]


@register("loss")
class OutputLosses(CombinedLoss):
    """``L = Σ weight_i L_i``, where loss ``i`` acts on output ``i`` of a model.

    ``compile(loss=[...])`` and ``compile(loss={"<output>": ...})`` make it.

    Shapes: targets and predictions are tuples of arrays, in the order of the losses.

    Args:
        losses: losses or their names, one for each output; a dict gives them by the names of the
            outputs. Outputs without a loss are left out.
        weights: weights of the losses, >= 0; ``None`` for all 1.
        names: names of the outputs, which begin the names in the logs: ``<output>_loss``.
        places: numbers of the outputs, by default 0, 1, 2, ...
        name: name of the loss.

    Attributes: see :class:`CombinedLoss`.
    """

    def __init__(
        self,
        losses: Sequence[Identifier],
        weights: Sequence[float] | None = None,
        names: Sequence[str] | None = None,
        places: Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        # "crossentropy" stays a name until the shapes decide which one it is.
        self.losses = [
            loss if loss in ("ce", "crossentropy") else resolve("loss", loss, Loss)
            for loss in losses
        ]
        count = len(self.losses)
        if not count:
            raise ConfigurationError("OutputLosses: losses must not be empty.")
        self.names = [f"y_{i}" for i in range(count)] if names is None else list(names)
        self.places = list(range(count)) if places is None else list(places)
        self.weights = weights
        if weights is not None:
            self.weights = [
                check_number("compile", "each of loss_weights", w, minimum=0) for w in weights
            ]
        for argument in (self.names, self.places, self.factors):
            if len(argument) != count:
                raise ConfigurationError(
                    f"OutputLosses: there are {count} losses, but {list(argument)} names others."
                )

    @property
    def value_names(self) -> list[str]:
        """Names of the values in the logs of a model: ``<output>_loss``."""
        return [f"{name}_loss" for name in self.names]

    def forward(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """``L = Σ weight_i L_i``.

        Args:
            y_true: the targets of each loss, a tuple.
            y_pred: the outputs of the model, a tuple.
            sample_weight: weights for all outputs, or a tuple of weights for each loss.
        """
        outputs = [y_pred[place] for place in self.places]
        y_true, weights = each(y_true), sample_weight
        if not isinstance(sample_weight, tuple):
            weights = (sample_weight,) * len(self.losses)
        self.cache.y_pred = y_pred
        parts = zip(self.losses, y_true, outputs, weights, strict=True)
        return self._add_up([part.forward(t, p, weight) for part, t, p, weight in parts])

    def backward(self, denominator: float | None = None) -> tuple[Array | None, ...]:  # type: ignore[override]
        """``dy_i = weight_i dL_i/dy_i``; ``None`` for an output without a loss."""
        found: list[Array | None] = [None] * len(self.cache.y_pred)
        for part, w, place in zip(self.losses, self.factors, self.places, strict=True):
            dy = part.backward(denominator)
            if w != 1:
                dy = np.multiply(dy, w, out=self.buffer(f"dy {place}", dy))
            found[place] = dy
        return tuple(found)

    @property
    def probabilities(self) -> tuple[Array, ...]:
        """The outputs of the model, probabilities where a loss got logits from it."""
        found = list(self.cache.y_pred)
        for part, place in zip(self.losses, self.places, strict=True):
            if getattr(part, "fused", False):
                found[place] = part.probabilities
        return tuple(found)

    def target_dtype(self, dtype: Dtype) -> Any:
        """Return the dtypes of the targets for predictions of ``dtype``."""
        return one([part.target_dtype(dtype) for part in self.losses])

    def check_targets(self, y: Any, output_shape: Shape) -> None:
        """Check all targets of a data set before training starts; see :meth:`Loss.check_targets`.

        Raises:
            ShapeError, DataError: the targets of an output are not valid; the message names it.
        """
        shapes: Any = output_shape
        parts = zip(self.losses, self.names, self.places, each(y), strict=True)
        for part, name, place, targets in parts:
            try:
                if not part.mask_nan:
                    check_finite("fit", "y", targets, mask_nan=part.mask_nan)
                part.check_targets(targets, shapes[place])
            except NetlayersError as error:
                raise type(error)(f"output {name!r}: {error}") from None
