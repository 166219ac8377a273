"""Metrics: numbers that are reported, not minimized. Running means in integers and float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers import losses
from netlayers.checks import check_number
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.registry import Configurable, register, resolve, snake_case

if TYPE_CHECKING:
    from netlayers._typing import Array, Identifier, Shape

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Mean",
    "MeanAbsoluteError",
    "MeanMetric",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "get",
]


class Metric(Configurable):
    """Base class. A subclass writes :meth:`update_state`, :meth:`result` and :meth:`reset_state`.

    Args:
        name: the key in logs and history.

    Attributes:
        direction: ``"max"`` where more is better, ``"min"`` where less is; ``None`` where neither
            is known, and callbacks that look for the best have to be told.
    """

    direction: ClassVar[str | None] = None

    def __init__(self, name: str | None = None) -> None:
        self.name = snake_case(type(self).__name__) if name is None else name

    def update_state(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> None:
        """Take in a batch."""
        raise NotImplementedError

    def result(self) -> float:
        """Return the metric of everything since the last reset."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forget everything."""
        raise NotImplementedError


@register("metric")
class Mean(Metric):
    """Mean of numbers, each with a weight: for losses and norms.

    Args:
        name: the key in logs and history.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.reset_state()

    def add(self, value: float, weight: float = 1) -> None:
        """Take in ``value``, ``weight`` times."""
        self._total += value * weight
        self._weight += weight

    def result(self) -> float:
        """Return the mean, 0 of nothing."""
        return self._total / self._weight if self._weight else 0.0

    def reset_state(self) -> None:
        """Forget everything."""
        self._total = 0.0
        self._weight: float = 0  # an integer as long as the weights are


class MeanMetric(Mean):
    """Base class of metrics that are a mean over samples. A subclass writes :meth:`values`."""

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return one number, or a boolean, for each sample."""
        raise NotImplementedError

    def update_state(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> None:
        """Take in the samples of a batch, with their weights."""
        values = self.values(np.asarray(y_true), np.asarray(y_pred))
        if sample_weight is not None:
            weight = np.asarray(sample_weight, np.float64).reshape(-1)
            if not weight.size or values.size % weight.size:
                raise ShapeError(
                    f"metric {self.name!r}: sample_weight has the shape {np.shape(sample_weight)}, "
                    f"expected {values.shape[:1]}, one weight for each sample."
                )
            weight = np.repeat(weight, values.size // weight.size)
            self._total += float(np.dot(values.reshape(-1), weight))
            self._weight += float(weight.sum())
            return
        if values.dtype == bool:
            self._total += int(np.count_nonzero(values))
        else:
            self._total += float(np.add.reduce(values, axis=None, dtype=np.float64))
        self._weight += values.size


@register("metric")
class SparseCategoricalAccuracy(MeanMetric):
    """Share of samples whose largest output is the true class.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1) class numbers, ``y_pred`` (batch, ...,
    classes).
    """

    direction = "max"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``argmax(y_pred) == y_true``."""
        if y_true.shape == (*y_pred.shape[:-1], 1):
            y_true = y_true[..., 0]
        _same_shape(self, y_true, y_pred.shape[:-1])
        return np.equal(y_pred.argmax(axis=-1), y_true)


@register("metric")
class CategoricalAccuracy(MeanMetric):
    """Share of samples whose largest output is the largest target.

    Shapes: ``y_true`` (one-hot) and ``y_pred`` (batch, ..., classes).
    """

    direction = "max"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``argmax(y_pred) == argmax(y_true)``."""
        _same_shape(self, y_true, y_pred.shape)
        return np.equal(y_pred.argmax(axis=-1), y_true.argmax(axis=-1))


@register("metric")
class BinaryAccuracy(MeanMetric):
    """Share of outputs on the right side of a threshold.

    Shapes: ``y_true`` (0 or 1) and ``y_pred`` (batch, ..., outputs); (batch,) for one output.

    Args:
        name: the key in logs and history.
        threshold: above it the prediction counts as 1. For logits it is 0.
    """

    direction = "max"

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = check_number("BinaryAccuracy", "threshold", threshold)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``(y_pred > threshold) == y_true``."""
        if y_true.shape == y_pred.shape[:-1] and y_pred.shape[-1:] == (1,):
            y_true = y_true[..., None]
        _same_shape(self, y_true, y_pred.shape)
        return np.equal(y_pred > self.threshold, y_true)


class _LossMetric(MeanMetric):
    """The mean of a loss over samples."""

    direction = "min"
    _loss: ClassVar[type[losses.Loss]]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """One loss for each sample."""
        result: Any = self._loss(reduction="none").forward(y_true, y_pred)
        return np.asarray(result)


@register("metric", "mse")
class MeanSquaredError(_LossMetric):
    """Mean of the squared differences."""

    _loss = losses.MeanSquaredError


@register("metric", "mae")
class MeanAbsoluteError(_LossMetric):
    """Mean of the absolute differences."""

    _loss = losses.MeanAbsoluteError


def _same_shape(metric: Metric, y_true: Array, expected: Shape) -> None:
    if y_true.shape != expected:
        raise ShapeError(
            f"metric {metric.name!r}: y_true has the shape {y_true.shape}, expected {expected}."
        )


def get(
    identifier: Identifier,
    target_shape: Shape | None = None,
    output_shape: Shape | None = None,
    from_logits: bool = False,
) -> Metric:
    """Return a metric from a name, a configuration or an object.

    ``"accuracy"`` (or ``"acc"``) becomes the binary, sparse or categorical one by the shapes, and
    keeps the name that was typed.

    Args:
        identifier: what the user wrote.
        target_shape: shape of the targets, batch first; needed for ``"accuracy"``.
        output_shape: shape of the predictions, batch first; needed for ``"accuracy"``.
        from_logits: the outputs are logits: a binary prediction is then 1 above 0, not above 0.5.
    """
    if identifier in ("accuracy", "acc", "Accuracy"):
        if target_shape is None or output_shape is None:
            raise ConfigurationError(
                f"metric {identifier!r} depends on the shapes; pass BinaryAccuracy, "
                "CategoricalAccuracy or SparseCategoricalAccuracy."
            )
        if output_shape[-1] == 1:
            return BinaryAccuracy(identifier, threshold=0.0 if from_logits else 0.5)
        if target_shape[1:] == output_shape[1:]:
            return CategoricalAccuracy(identifier)
        return SparseCategoricalAccuracy(identifier)
    metric: Metric = resolve("metric", identifier, Metric)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric
