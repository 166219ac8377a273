"""Metrics at a required level of another one, such as the recall at a precision of 0.9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.metrics.confusion import _Counts, confusion_counts, ratio
from netlayers.metrics.thresholds import check_num_thresholds, even_thresholds
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


class _AtLimit(_Counts):
    """Base class: the largest value of a metric where another one reaches a limit.

    Subclasses define :meth:`_pair`. The limit is the argument of the constructor that
    ``_limit_name`` names.
    """

    direction = "max"
    _limit_name = ""
    _example_limits = (0.6, 0.4, 0.4)

    def __init__(
        self,
        limit: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: str | None,
        from_logits: bool,
    ) -> None:
        owner = type(self).__name__
        self._limit = check_number(owner, self._limit_name, limit, minimum=0, maximum=1)
        self.num_thresholds = check_num_thresholds(owner, num_thresholds, 1)
        super().__init__(
            even_thresholds(self.num_thresholds), name, dtype, from_logits, class_id=class_id
        )

    @classmethod
    def examples(cls) -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        easy, limit, of_logits = cls._example_limits
        name = cls._limit_name
        return [
            ({name: easy}, "one-hot", "shares"),
            ({name: limit, "num_thresholds": 3, "class_id": 1}, "one-hot", "shares"),
            ({name: of_logits, "from_logits": True}, "one-hot", "numbers"),
        ]

    def result(self) -> float:
        """Return the metric at the best threshold that reaches the limit; 0 if none does."""
        limited, value = self._pair(*confusion_counts(self._counts))
        return float(np.max(value, where=limited >= self._limit, initial=0))

    def get_state(self) -> dict[str, Any]:
        """Return the counts."""
        return {"_counts": self._counts}

    def _pair(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, Array]:
        """Return the limited metric and the reported one, at each threshold."""
        raise NotImplementedError


@register("metric")
class PrecisionAtRecall(_AtLimit):
    """The largest precision at a threshold where the recall is ``recall`` or more; else 0.

    Shapes: see :class:`Precision`.

    Args:
        recall: the required recall, in [0, 1].
        num_thresholds: number of thresholds that are tried, evenly spaced in [0, 1].
        class_id: use only this output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`Precision`.

    Example:
        >>> import netlayers as nl
        >>> metric = nl.metrics.PrecisionAtRecall(0.6)
        >>> metric([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.4, 0.7, 0.3, 0.5, 0.8, 0.9])
        0.75
    """

    _limit_name = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype, from_logits)
        self.recall = self._limit

    def _pair(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, Array]:
        """``tp / (tp + fn)`` and ``tp / (tp + fp)``."""
        return ratio(tp, tp + fn), ratio(tp, tp + fp)


@register("metric")
class RecallAtPrecision(_AtLimit):
    """The largest recall at a threshold where the precision is ``precision`` or more; else 0.

    Shapes: see :class:`Precision`.

    Args:
        precision: the required precision, in [0, 1].
        num_thresholds: number of thresholds that are tried, evenly spaced in [0, 1].
        class_id: use only this output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`Precision`.

    Example:
        >>> import netlayers as nl
        >>> metric = nl.metrics.RecallAtPrecision(0.7)
        >>> metric([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.4, 0.7, 0.3, 0.5, 0.8, 0.9])
        0.75
    """

    _limit_name = "precision"
    _example_limits = (0.1, 0.45, 0.34)

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype, from_logits)
        self.precision = self._limit

    def _pair(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, Array]:
        """``tp / (tp + fp)`` and ``tp / (tp + fn)``."""
        return ratio(tp, tp + fp), ratio(tp, tp + fn)


@register("metric")
class SensitivityAtSpecificity(_AtLimit):
    """The largest sensitivity at a threshold where the specificity is enough; else 0.

    The sensitivity is ``tp / (tp + fn)``, the specificity ``tn / (tn + fp)``.

    Shapes: see :class:`Precision`.

    Args:
        specificity: the required specificity, in [0, 1].
        num_thresholds: number of thresholds that are tried, evenly spaced in [0, 1].
        class_id: use only this output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`Precision`.

    Source:
        T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006),
        section 2.

    Example:
        >>> import netlayers as nl
        >>> metric = nl.metrics.SensitivityAtSpecificity(0.6)
        >>> metric([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.4, 0.7, 0.3, 0.5, 0.8, 0.9])
        0.75
    """

    _limit_name = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype, from_logits)
        self.specificity = self._limit

    def _pair(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, Array]:
        """``tn / (tn + fp)`` and ``tp / (tp + fn)``."""
        return ratio(tn, tn + fp), ratio(tp, tp + fn)


@register("metric")
class SpecificityAtSensitivity(_AtLimit):
    """The largest specificity at a threshold where the sensitivity is enough; else 0.

    The specificity is ``tn / (tn + fp)``, the sensitivity ``tp / (tp + fn)``.

    Shapes: see :class:`Precision`.

    Args:
        sensitivity: the required sensitivity, in [0, 1].
        num_thresholds: number of thresholds that are tried, evenly spaced in [0, 1].
        class_id: use only this output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`Precision`.

    Source:
        T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006),
        section 2.

    Example:
        >>> import netlayers as nl
        >>> metric = nl.metrics.SpecificityAtSensitivity(0.75)
        >>> metric([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.4, 0.7, 0.3, 0.5, 0.8, 0.9])
        0.75
    """

    _limit_name = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype, from_logits)
        self.sensitivity = self._limit

    def _pair(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, Array]:
        """``tp / (tp + fn)`` and ``tn / (tn + fp)``."""
        return ratio(tp, tp + fn), ratio(tn, tn + fp)
