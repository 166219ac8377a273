"""Losses as metrics: means of losses over all samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers import losses
from netlayers.metrics.base import Mean, checked_weights
from netlayers.registry import constructor_arguments, register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike


class LossMetric(Mean):
    """Mean of a loss over samples, computed in float64. Subclasses set ``loss_class``.

    A subclass with arguments sets them before it calls this constructor, which passes them to the
    loss.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
    """

    direction = "min"
    loss_class: ClassVar[type[losses.Loss]]

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        names = [a for a in constructor_arguments(type(self)) if a not in ("name", "dtype")]
        options = {name: getattr(self, name) for name in names}
        self._loss = self.loss_class(**options, reduction="mean_with_sample_weight", name=self.name)

    @classmethod
    def examples(cls) -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, *kinds) for _, *kinds in cls.loss_class.examples()[:1]]

    def update_state(  # type: ignore[override]  # takes targets and predictions, not values
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the losses of a batch with the weights of its samples, or of its targets."""
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        if sample_weight is not None:
            sample_weight = checked_weights(self, sample_weight)
        loss = self._loss
        loss.forward(self._float64("t", y_true), self._float64("p", y_pred), sample_weight)
        self._total += loss.numerator
        self._weight += loss.denominator or 0.0

    def _float64(self, name: str, array: Array) -> Array:
        """Return floats as float64, in a buffer: the square of 1e30 overflows in float32."""
        if array.dtype.kind != "f" or array.dtype == np.float64:
            return array
        buffer = self._loss.workspace(f"metric {name}", array.shape, np.dtype(np.float64))
        np.copyto(buffer, array)
        return buffer


@register("metric", "bce", "BCE")
class BinaryCrossentropy(LossMetric):
    """Mean of :class:`netlayers.losses.BinaryCrossentropy`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: the predictions are logits, not probabilities.
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / 2``.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.BinaryCrossentropy()(y, p), 4)
        0.367
    """

    loss_class = losses.BinaryCrossentropy

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        self.from_logits, self.label_smoothing = from_logits, label_smoothing
        super().__init__(name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "one-hot", "shares"),
            ({"from_logits": True, "label_smoothing": 0.25}, "one-hot", "numbers"),
        ]


@register("metric")
class CategoricalCrossentropy(LossMetric):
    """Mean of :class:`netlayers.losses.CategoricalCrossentropy`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: the predictions are logits, not probabilities.
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / classes``.
        axis: axis of the classes.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.CategoricalCrossentropy()(y, p), 4)
        0.367
    """

    loss_class = losses.CategoricalCrossentropy

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis
        super().__init__(name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "one-hot", "shares"),
            ({"from_logits": True, "label_smoothing": 0.25}, "one-hot", "numbers"),
            ({"axis": 1}, "shares", "shares", 2, 3),
        ]


@register("metric")
class SparseCategoricalCrossentropy(LossMetric):
    """Mean of :class:`netlayers.losses.SparseCategoricalCrossentropy`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: the predictions are logits, not probabilities.
        ignore_class: samples of this class are excluded from the mean.
        axis: axis of the classes.

    Example:
        >>> import netlayers as nl
        >>> y, p = [1, 0], [[0.2, 0.8], [0.3, 0.7]]
        >>> round(nl.metrics.SparseCategoricalCrossentropy()(y, p), 4)
        0.7136
    """

    loss_class = losses.SparseCategoricalCrossentropy

    def __init__(
        self,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis
        super().__init__(name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "classes", "shares"),
            ({"from_logits": True, "ignore_class": 0}, "classes", "numbers"),
            ({"axis": 1}, "classes", "shares", 2, 3),
        ]


@register("metric", "msle", "MSLE")
class MeanSquaredLogarithmicError(LossMetric):
    """Mean of :class:`netlayers.losses.MeanSquaredLogarithmicError`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.MeanSquaredLogarithmicError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        0.1554
    """

    loss_class = losses.MeanSquaredLogarithmicError


@register("metric", "logcosh")
class LogCoshError(LossMetric):
    """Mean of :class:`netlayers.losses.LogCosh`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.LogCoshError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        0.7226
    """

    loss_class = losses.LogCosh

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


@register("metric")
class Poisson(LossMetric):
    """Mean of :class:`netlayers.losses.Poisson`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.Poisson()(y, p), 4)
        0.6835
    """

    loss_class = losses.Poisson


@register("metric", "kld", "KLD", "kl_divergence")
class KLDivergence(LossMetric):
    """Mean of :class:`netlayers.losses.KLDivergence`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.KLDivergence()(y, p), 4)
        0.367
    """

    loss_class = losses.KLDivergence


@register("metric")
class Hinge(LossMetric):
    """Mean of :class:`netlayers.losses.Hinge`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.Hinge()([[1.0, -1.0]], [[0.5, 0.2]]), 4)
        0.85
    """

    loss_class = losses.Hinge


@register("metric")
class SquaredHinge(LossMetric):
    """Mean of :class:`netlayers.losses.SquaredHinge`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.SquaredHinge()([[1.0, -1.0]], [[0.5, 0.2]]), 4)
        0.845
    """

    loss_class = losses.SquaredHinge


@register("metric")
class CategoricalHinge(LossMetric):
    """Mean of :class:`netlayers.losses.CategoricalHinge`.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.CategoricalHinge()(y, p), 4)
        0.6
    """

    loss_class = losses.CategoricalHinge
