"""Recording the loss of a training step, of each output by itself."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.hooks import replaced
from netlayers.losses import Loss
from netlayers.losses.by_output import losses_by_output
from netlayers.trace.records import LossTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import Array
    from netlayers.data.batch import Batch
    from netlayers.losses.by_output import OutputLoss
    from netlayers.trace.records import LayerTrace


class LossRecorder:
    """Records what a loss is given, and what it returns; of several losses, each.

    Args:
        loss: the loss of a model.
        fused: whether the model computes logits for it.
        keep: returns a copy of an array.
    """

    def __init__(self, loss: Any, fused: bool, keep: Callable[[Any], Any]) -> None:
        self.loss, self.fused, self._keep = loss, fused, keep
        self._outputs = losses_by_output(loss)
        self._given: dict[str, Any] = {}  # the predictions, by the name of the output
        self._values: dict[str, float] = {}
        self._probabilities: dict[str, Array] = {}
        self._gradient: Any = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record the step that runs in the block."""
        backward = self.loss.backward

        def watched_backward(*denominator: float) -> Any:
            dy = backward(*denominator)
            self._gradient = self._keep(dy)
            return dy

        methods = [(its.loss, "forward", self._watched(its)) for its in self._outputs]
        with replaced([*methods, (self.loss, "backward", watched_backward)]):
            yield

    def _watched(self, its: OutputLoss) -> Callable[..., float]:
        forward = its.loss.forward

        def watched_forward(y_true: Any, y_pred: Array, *args: Any) -> float:
            self._given[its.name] = self._keep(y_pred)
            self._values[its.name] = value = forward(y_true, y_pred, *args)
            return value

        return watched_forward

    def complete(self, records: list[LayerTrace]) -> None:
        """Give layers whose activation was computed together with a loss their outputs."""
        made: dict[int, Array] = {}
        for name, place, loss, _ in self._outputs:
            if getattr(loss, "from_logits", False) and hasattr(loss, "probabilities"):
                self._probabilities[name] = np.array(loss.probabilities)
            if self._is_fused(loss, place):
                made[id(self._given[name])] = self._probabilities[name]
        for record in records if made else ():
            if record.y is not None:
                continue
            z: Any = record.z
            if isinstance(z, tuple):
                record.y, record.fused = tuple(made.get(id(a), a) for a in z), True
            else:
                record.y = made.get(id(z), next(iter(made.values())))
                record.fused = True

    def _is_fused(self, loss: Any, place: int | None) -> bool:
        return self.fused if place is None else getattr(loss, "fused", False)

    def trace(self, batch: Batch, total: float) -> LossTrace:
        """Return what happened.

        Args:
            batch: the batch of the step.
            total: the loss with all penalties.
        """
        _, targets, weights, _ = batch
        count = len(self._outputs)
        every = targets if isinstance(targets, tuple) else (targets,)
        shared = None if weights is None or isinstance(weights, tuple) else np.array(weights)
        parts = {}
        for i, its in enumerate(self._outputs):
            weight = weights[i] if isinstance(weights, tuple) else shared
            parts[its.name] = self._of(its, every[i], weight)
        first = next(iter(parts.values()))
        if self._outputs[0].place is None:
            first.total = total
            return first
        sum_weights: Any = tuple(part.sample_weight for part in parts.values())
        return LossTrace(
            loss=self.loss,
            fused=self.fused,
            y_true=tuple(part.y_true for part in parts.values()),
            y_pred=tuple(part.y_pred for part in parts.values()),
            gradient=self._gradient,
            value=sum(part.weight * part.value for part in parts.values()),
            total=total,
            sample_weight=sum_weights if count > 1 else first.sample_weight,
            parts=parts,
        )

    def _of(self, its: OutputLoss, targets: Any, sample_weight: Any) -> LossTrace:
        name, place, loss, weight = its
        fused, given = self._is_fused(loss, place), self._given[name]
        return LossTrace(
            loss=loss,
            fused=fused,
            y_true=np.array(targets),
            y_pred=self._probabilities[name] if fused else given,
            gradient=self._gradient if place is None else self._gradient[place],
            value=self._values[name],
            total=self._values[name],
            probabilities=self._probabilities.get(name),
            sample_weight=None if sample_weight is None else np.array(sample_weight),
            samples=_samples(loss, targets, given, sample_weight),
            weight=weight,
        )


def _samples(loss: Any, y: Array, y_pred: Array, sample_weight: Array | None) -> Array | None:
    """Return the losses of the samples, of a loss that has them."""
    if not isinstance(loss, Loss) or type(loss).forward is not Loss.forward:
        return None
    twin = copy.deepcopy(loss)
    twin.reduction = "none"
    return np.asarray(twin.forward(y, y_pred, sample_weight))
