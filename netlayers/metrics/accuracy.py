"""Accuracies: fractions of correct predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_integer, check_number
from netlayers.metrics.base import MeanMetric
from netlayers.metrics.targets import (
    check_same_shape,
    class_indices,
    positives,
    same_outputs,
)
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


def _some_classes(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return predicted class numbers for examples."""
    return rng.integers(0, 3, shape)


class _Fraction(MeanMetric):
    """Mean of booleans."""

    direction = "max"

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "one-hot", "shares")]


@register("metric")
class Accuracy(_Fraction):
    """Fraction of predictions equal to their target, for predicted class indices.

    The name ``"accuracy"`` in ``compile`` selects one of the other accuracies by shape.

    Shapes: ``y_true`` and ``y_pred`` have equal shapes.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.Accuracy()([1, 2, 3, 4], [1, 2, 3, 0])
        0.75
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, _some_classes, _some_classes)]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``y_pred == y_true``."""
        return np.equal(*same_outputs(self, y_true, y_pred))


@register("metric")
class SparseCategoricalAccuracy(_Fraction):
    """Fraction of samples whose largest output is the true class.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1) class indices, ``y_pred`` (batch, ...,
    classes).

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [1, 0], [[0.2, 0.8], [0.3, 0.7]]
        >>> round(nl.metrics.SparseCategoricalAccuracy()(y, p), 4)
        0.5
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "classes", "shares")]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``argmax(y_pred) == y_true``."""
        y_true = _like_samples(self, y_true, y_pred)
        return np.equal(y_pred.argmax(axis=-1), class_indices(self, y_true, y_pred.shape[-1]))


@register("metric")
class CategoricalAccuracy(_Fraction):
    """Fraction of samples whose largest output is the largest target.

    Shapes: ``y_true`` (one-hot) and ``y_pred`` (batch, ..., classes).

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(nl.metrics.CategoricalAccuracy()(y, p), 4)
        1.0
    """

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``argmax(y_pred) == argmax(y_true)``."""
        check_same_shape(self, y_true, y_pred.shape)
        return np.equal(y_pred.argmax(axis=-1), y_true.argmax(axis=-1))


@register("metric")
class BinaryAccuracy(_Fraction):
    """Fraction of outputs on the correct side of a threshold.

    Shapes: ``y_true`` (0 or 1, or -1 or 1) and ``y_pred`` (batch, ..., outputs); (batch,) for one
    output.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        threshold: predictions above it count as 1; use 0 for logits.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.BinaryAccuracy()([0, 1, 1, 0], [0.1, 0.4, 0.9, 0.2])
        0.75
    """

    def __init__(
        self, name: str | None = None, dtype: str | None = None, threshold: float = 0.5
    ) -> None:
        super().__init__(name, dtype)
        self.threshold = check_number("BinaryAccuracy", "threshold", threshold)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "one-hot", "shares"), ({"threshold": 0.25}, "one-hot", "shares")]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``(y_pred > threshold) == y_true``."""
        y_true, y_pred = same_outputs(self, y_true, y_pred)
        return np.equal(y_pred > self.threshold, positives(self, y_true))


@register("metric")
class TopKCategoricalAccuracy(_Fraction):
    """Fraction of samples whose largest target is among the k largest outputs.

    Outputs equal to the k-th largest count as among the k largest, as in Keras. With k outputs or
    fewer every sample counts.

    Shapes: ``y_true`` (one-hot) and ``y_pred`` (batch, ..., classes).

    Args:
        k: number of largest outputs to consider.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0, 0, 1], [1, 0, 0]], [[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]
        >>> nl.metrics.TopKCategoricalAccuracy(k=2)(y, p)
        0.5
    """

    def __init__(self, k: int = 5, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.k = check_integer(type(self).__name__, "k", k, minimum=1)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "one-hot", "shares"), ({"k": 2}, "one-hot", "shares")]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Whether fewer than k outputs are larger than that of the true class."""
        check_same_shape(self, y_true, y_pred.shape)
        return _in_top(y_true.argmax(axis=-1), y_pred, self.k)


@register("metric")
class SparseTopKCategoricalAccuracy(_Fraction):
    """Fraction of samples whose true class is among the k largest outputs.

    Outputs equal to the k-th largest count as among the k largest, as in Keras. With k outputs or
    fewer every sample counts.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1) class indices, ``y_pred`` (batch, ...,
    classes).

    Args:
        k: number of largest outputs to consider.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_sorted_ids: ``y_pred`` holds class indices in order of decreasing probability.

    Example:
        >>> import netlayers as nl
        >>> y, p = [2, 0], [[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]
        >>> nl.metrics.SparseTopKCategoricalAccuracy(k=2)(y, p)
        0.5
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = None,
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        self.k = check_integer(owner, "k", k, minimum=1)
        self.from_sorted_ids = check_flag(owner, "from_sorted_ids", from_sorted_ids)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "classes", "shares"),
            ({"k": 2}, "classes", "shares"),
            ({"k": 2, "from_sorted_ids": True}, "classes", _some_classes),
        ]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Whether fewer than k outputs are larger than that of the true class."""
        y_true = _like_samples(self, y_true, y_pred)
        if self.from_sorted_ids:
            return (y_true[..., None] == y_pred[..., : self.k]).any(axis=-1)
        return _in_top(class_indices(self, y_true, y_pred.shape[-1]), y_pred, self.k)


def _like_samples(metric: MeanMetric, y_true: Array, y_pred: Array) -> Array:
    """Return class indices, one per sample of ``y_pred``: axes of length 1 are added or removed."""
    samples = y_pred.shape[:-1]
    if [n for n in y_true.shape if n != 1] == [n for n in samples if n != 1]:
        return y_true.reshape(samples)
    check_same_shape(metric, y_true, samples)
    return y_true


def _in_top(classes: Array, y_pred: Array, k: int) -> Array:
    own = np.take_along_axis(y_pred, classes[..., None], axis=-1)
    larger = np.count_nonzero(y_pred > own, axis=-1)
    return (larger < k) & ~np.isnan(own[..., 0])
