"""Similarities of the outputs of a sample: cosine, correlation, concordance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer
from netlayers.errors import ShapeError
from netlayers.kernels.exact import row_dots
from netlayers.metrics.base import MeanMetric
from netlayers.metrics.confusion import ratio
from netlayers.metrics.targets import float64_outputs
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("metric")
class CosineSimilarity(MeanMetric):
    """Mean of the cosine of the angle between target and prediction: ``Σ t p / (|t| |p|)``.

    It is 0 if one of them is zero. (The loss of this name is its negative.)

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        axis: the axis of the vectors.

    Source:
        C. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section
        6.3.1.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.CosineSimilarity()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        0.9945
    """

    direction = "max"

    def __init__(self, name: str | None = None, dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(name, dtype)
        self.axis = check_integer(type(self).__name__, "axis", axis)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "numbers", "numbers"), ({"axis": 1}, "numbers", "numbers", 2, 3)]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``Σ t p / (|t| |p|)``."""
        t, p = float64_outputs(self, y_true, y_pred)
        if not -t.ndim <= self.axis < t.ndim or self.axis % t.ndim == 0:
            raise ShapeError(
                f"metric {self.name!r}: axis={self.axis} is not an output axis of predictions of "
                f"shape {p.shape}."
            )
        return self._similarity(np.moveaxis(t, self.axis, -1), np.moveaxis(p, self.axis, -1))

    def _similarity(self, t: Array, p: Array) -> Array:
        """Return the similarity of vectors, (..., outputs)."""
        return row_dots(_normalized(t), _normalized(p))


@register("metric")
class PearsonCorrelation(CosineSimilarity):
    """Mean over samples of the correlation of target and prediction across outputs.

    ``Σ (t - mean t) (p - mean p) / (|t - mean t| |p - mean p|)``, 0 if one of them is constant
    (always the case for one output).

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        axis: the axis of the outputs.

    Source:
        J. Rodgers, W. Nicewander, "Thirteen ways to look at the correlation coefficient", The
        American Statistician 42 (1988), section 1.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.PearsonCorrelation()([[1.0, 2.0, 4.0]], [[1.5, 4.0, 5.0]]), 4)
        0.9078
    """

    def _similarity(self, t: Array, p: Array) -> Array:
        """Return the cosine of ``t - mean t`` and ``p - mean p``."""
        return super()._similarity(_centered(t), _centered(p))


@register("metric")
class ConcordanceCorrelation(CosineSimilarity):
    """Mean over samples of the concordance of target and prediction across outputs.

    ``2 cov(t, p) / (var t + var p + (mean t - mean p)²)``: 1 only if both are equal, where a
    correlation also allows another scale and offset. 0 if both are the same constant.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        axis: the axis of the outputs.

    Source:
        L. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45
        (1989), equation 1.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]])
        0.5714285714285714
    """

    def _similarity(self, t: Array, p: Array) -> Array:
        """``2 cov(t, p) / (var t + var p + (mean t - mean p)²)``."""
        mean_t, mean_p = t.mean(axis=-1, keepdims=True), p.mean(axis=-1, keepdims=True)
        t, p, n = t - mean_t, p - mean_p, t.shape[-1]
        difference = (mean_t - mean_p)[..., 0]
        return ratio(2 * row_dots(t, p), row_dots(t, t) + row_dots(p, p) + n * difference**2)


def _normalized(v: Array) -> Array:
    """``v / |v|`` along the last axis, 0 for a zero vector."""
    largest = np.abs(v).max(axis=-1, keepdims=True)
    # Dividing by the largest entry first keeps the squares finite.
    v = np.divide(v, largest, out=np.zeros_like(v), where=largest > 0)
    norm = np.sqrt(row_dots(v, v))[..., None]
    return np.divide(v, norm, out=v, where=norm > 0)


def _centered(v: Array) -> Array:
    """``v - mean v`` along the last axis; differences due to rounding are treated as zero."""
    d = v - v.mean(axis=-1, keepdims=True)
    noise = 8 * np.finfo(d.dtype).eps * np.abs(v).max(axis=-1, keepdims=True)
    return np.where(np.abs(d) > noise, d, 0)
