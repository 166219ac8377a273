"""Regression metrics: errors and explained variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses
from netlayers.checks import check_choice, check_integer
from netlayers.errors import ShapeError
from netlayers.kernels.exact import inner
from netlayers.metrics.base import MeanMetric, Metric, broadcast_weights
from netlayers.metrics.confusion import ratio
from netlayers.metrics.from_loss import LossMetric
from netlayers.metrics.targets import float64_outputs
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike

AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@register("metric", "mse", "MSE")
class MeanSquaredError(LossMetric):
    """Mean of the squared differences.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.MeanSquaredError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        2.125
    """

    loss_class = losses.MeanSquaredError


@register("metric", "rmse", "RMSE")
class RootMeanSquaredError(LossMetric):
    """Square root of the mean of the squared differences, over the whole epoch.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.RootMeanSquaredError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        1.4577
    """

    loss_class = losses.MeanSquaredError

    def result(self) -> float:
        """``sqrt(Σ w (p - t)² / Σ w)``."""
        return math.sqrt(super().result())


@register("metric", "mae", "MAE")
class MeanAbsoluteError(LossMetric):
    """Mean of the absolute differences.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.MeanAbsoluteError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        1.25
    """

    loss_class = losses.MeanAbsoluteError


@register("metric", "mape", "MAPE")
class MeanAbsolutePercentageError(MeanMetric):
    """Mean of ``100 |t - p| / max(|t|, 1e-7)``.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Source:
        R. Hyndman and A. Koehler, "Another look at measures of forecast accuracy", International
        Journal of Forecasting 22 (2006), section 2.2.

    Example:
        >>> import netlayers as nl
        >>> round(nl.metrics.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 4.0]]), 4)
        75.0
    """

    direction = "min"

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "numbers", "numbers")]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """``100 |t - p| / max(|t|, 1e-7)``."""
        t, p = float64_outputs(self, y_true, y_pred)
        return 100 * np.abs(t - p) / np.maximum(np.abs(t), 1e-7)


class _Variance(Metric):
    """Base class of scores ``1 - residual / total`` per output, and their average.

    Means and sums of squared deviations of targets and errors are kept per output and merged with
    those of each batch, which avoids cancellation for data with a large mean.

    Source:
        T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance: analysis
        and recommendations", The American Statistician 37 (1983), equation 2.1.
    """

    direction = "max"
    _mean: Array | None  # means of targets and errors, (2, outputs)

    def __init__(self, class_aggregation: str | None, name: str | None, dtype: str | None) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        self.class_aggregation = check_choice(
            owner, "class_aggregation", class_aggregation, AGGREGATIONS
        )
        self.reset_state()

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the samples of a batch with their weights."""
        t, p = float64_outputs(self, y_true, y_pred)
        shape = t.shape
        t, p = (v.reshape(-1, shape[-1]) for v in (t, p))
        if self._mean is not None and self._mean.shape[1] != t.shape[1]:
            raise ShapeError(
                f"metric {self.name!r}: y_pred has {t.shape[1]} outputs, but previous batches had "
                f"{self._mean.shape[1]}; call reset_state() in between."
            )
        weight = np.ones(t.shape)
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, shape).reshape(t.shape)
        self._samples += len(t)
        self._merge(np.stack([t, t - p]), weight)

    def _merge(self, v: Array, weight: Array) -> None:
        """``M += Σ w (v - m')² + (m' - m)² W W' / (W + W')``, with the batch's weight and mean."""
        total = weight.sum(axis=0)
        if not total.any():
            return
        mean = ratio(np.einsum("no,jno->jo", weight, v), total)
        d = v - mean[:, None]
        m2 = np.einsum("no,jno,jno->jo", weight, d, d)
        if self._mean is None:
            self._mean, self._m2, self._weight = mean, m2, total
            return
        combined = self._weight + total
        delta = mean - self._mean
        self._m2 = self._m2 + m2 + delta**2 * (ratio(self._weight, combined) * total)
        self._mean = self._mean + delta * ratio(total, combined)
        self._weight = combined

    def result(self) -> float | Array:
        """Return a float (NaN if empty) or, without aggregation, an array of one score per output.

        An output with constant targets scores 1 if the predictions are exact, else 0, as in
        scikit-learn. One without weight scores NaN and is left out of averages.
        """
        if self._mean is None:
            return np.zeros(0) if self.class_aggregation is None else math.nan
        total, residual = self._m2[0], self._residual()
        scores = np.where(residual > 0, 0.0, 1.0)
        np.divide(residual, total, out=scores, where=total > 0)
        np.subtract(1, scores, out=scores, where=total > 0)
        known = np.broadcast_to(self._weight, scores.shape) > 0
        if self.class_aggregation is None:
            return self._adjusted(np.where(known, scores, math.nan))
        total, scores = total[known], scores[known]
        if self.class_aggregation == "uniform_average" or not total.any():
            return float(self._adjusted(scores.mean()))
        return float(self._adjusted(inner(total, scores) / total.sum()))

    def reset_state(self) -> None:
        """Reset the metric."""
        self._mean = None
        self._m2 = np.zeros((2, 0))
        self._weight = np.zeros(1)  # of each output, known with the first batch
        self._samples = 0

    def _residual(self) -> Array:
        """Return the residual sum of squares per output."""
        raise NotImplementedError

    def _adjusted(self, score: float | Array) -> float | Array:
        return score


@register("metric", "r2")
class R2Score(_Variance):
    """Coefficient of determination: ``1 - Σ w (t - p)² / Σ w (t - mean t)²`` per output.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs); (batch,) for one output.

    Args:
        class_aggregation: averaging over outputs: ``"uniform_average"`` is the mean,
            ``"variance_weighted_average"`` the mean weighted by the variance of the targets, and
            ``None`` returns an array of all scores.
        num_regressors: p > 0 gives the adjusted score, ``1 - (1 - R²) (n - 1) / (n - p - 1)`` for n
            samples; NaN unless n > p + 1.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Source:
        T. Kvålseth, "Cautionary note about R²", The American Statistician 39 (1985), the first of
        its forms; G. James et al., "An introduction to statistical learning", 2013, section 6.1.3
        (the adjusted score).

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])  # doctest: +ELLIPSIS
        0.571428...
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(class_aggregation, name, dtype)
        self.num_regressors = check_integer("R2Score", "num_regressors", num_regressors, minimum=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "numbers", "numbers"),
            ({"class_aggregation": "variance_weighted_average"}, "numbers", "numbers"),
            ({"num_regressors": 1}, "numbers", "numbers"),
        ]

    @property
    def weights_are_counts(self) -> bool:  # type: ignore[override]
        """Whether a weight of 2 is the sample twice; the adjusted score counts samples."""
        return not self.num_regressors

    def _residual(self) -> Array:
        """``Σ w d² = Σ w (d - mean d)² + W (mean d)²`` of the errors d."""
        assert self._mean is not None
        return self._m2[1] + self._weight * self._mean[1] ** 2

    def _adjusted(self, score: float | Array) -> float | Array:
        if not self.num_regressors:
            return score
        dof = self._samples - self.num_regressors - 1
        return 1 - (1 - score) * ((self._samples - 1) / dof if dof > 0 else math.nan)


@register("metric")
class ExplainedVariance(_Variance):
    """``1 - Var(t - p) / Var(t)`` per output: like :class:`R2Score`, but ignoring a constant error.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs); (batch,) for one output.

    Args:
        class_aggregation: averaging over outputs, see :class:`R2Score`.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Source:
        scikit-learn's user guide, "Explained variance score".

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.ExplainedVariance()([[1.0], [2.0], [3.0]], [[2.0], [3.0], [4.0]])
        1.0
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(class_aggregation, name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "numbers", "numbers"), ({"class_aggregation": None}, "numbers", "numbers")]

    def _residual(self) -> Array:
        """``Σ w (d - mean d)²`` of the errors d."""
        return self._m2[1]
