"""Metrics of a loss, on the targets and predictions that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netlayers.metrics.targets import drop_class, drop_unknown

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.metrics import Metric


@dataclass
class MetricGroup:
    """The metrics of a loss.

    Attributes:
        loss: the loss, which says what is left out.
        metrics: the metrics by their keys in the logs.
        weighted: the keys of the metrics that use sample weights.
    """

    loss: Any
    metrics: dict[str, Metric]
    weighted: frozenset[str] = frozenset()

    def update(self, y: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Add a batch to the metrics, without what the loss leaves out."""
        loss, weight = self.loss, None
        ignored = getattr(loss, "ignore_class", None)
        if ignored is not None:
            axis = getattr(loss, "axis", -1)
            y, y_pred, sample_weight = drop_class(ignored, y, y_pred, sample_weight, axis)
        elif getattr(loss, "mask_nan", None):
            y, y_pred, weight, sample_weight = drop_unknown(y, y_pred, sample_weight)
        if not len(y):
            return
        for name, metric in self.metrics.items():
            metric.update_state(y, y_pred, sample_weight if name in self.weighted else weight)
