"""Regression losses: squared, absolute, Huber, log-cosh, percentage and logarithmic errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.kernels.select import kernels
from netlayers.losses.base import EPSILON
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.losses.given import check_range
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


class _Difference(ElementwiseLoss):
    """Base class of losses of ``d = p - t``, averaged over the outputs of a sample."""

    def _difference(self, y_true: Array, y_pred: Array) -> Array:
        """Return and cache ``d = p - t``."""
        d = self.cache.d = np.subtract(y_pred, y_true, out=self.buffer("d", y_pred))
        return d

    def _scratch(self, d: Array) -> Array:
        """Return a temporary array like ``d``."""
        return self.buffer("scratch", d)


@register("loss", "mse", "MSE")
class MeanSquaredError(_Difference):
    """``l = Σ (p - t)² / k`` over the k outputs of a sample.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        R. Hyndman and A. Koehler, "Another look at measures of forecast accuracy", International
        Journal of Forecasting 22 (2006), section 2.1.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.MeanSquaredError()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        2.125
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ d² / k`` with ``d = p - t``."""
        d = self.cache.d = self.workspace("d", y_pred.shape, y_pred.dtype)
        losses = kernels.squared_error(y_pred, y_true, d)
        return losses if self.cache.weights is None else self.mean_outputs(d, d)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl 2 d / k``."""
        d = self.cache.d
        dp = self.workspace("scratch", d.shape, d.dtype)
        kernels.scale(d, dl * (2 / d.shape[-1]), dp)
        return dp


@register("loss", "mae", "MAE")
class MeanAbsoluteError(_Difference):
    """``l = Σ |p - t| / k`` over the k outputs of a sample.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        R. Hyndman and A. Koehler, "Another look at measures of forecast accuracy", International
        Journal of Forecasting 22 (2006), section 2.1.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.MeanAbsoluteError()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        1.25
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ |d| / k`` with ``d = p - t``."""
        d = self._difference(y_true, y_pred)
        return self.mean_outputs(np.abs(d, out=self._scratch(d)))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl sign(d) / k``; 0 at the kink."""
        d = self.cache.d
        dp = np.sign(d, out=self._scratch(d))
        return np.multiply(dp, dl * (1 / d.shape[-1]), out=dp)


@register("loss", "huber_loss")
class Huber(_Difference):
    """Huber loss: quadratic for small differences, linear for large ones.

    ``l = Σ h(d) / k`` with ``h = d² / 2`` where ``|d| <= delta``, else ``delta |d| - delta² / 2``.

    Args:
        delta: the difference at which the loss becomes linear, positive.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35
        (1964).

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.Huber()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        0.8125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(reduction, name, dtype, mask_nan)
        self.delta = check_number("Huber", "delta", delta, above=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [*ElementwiseLoss.examples(), ({"delta": 0.4}, "numbers", "numbers")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``h = c (d - c / 2)`` with ``c = clip(d, -delta, delta)``, which covers both cases."""
        d = self._difference(y_true, y_pred)
        c = np.clip(d, -self.delta, self.delta, out=self._scratch(d))
        return self.mean_outputs(c, d) - 0.5 * self.mean_outputs(c, c)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl c / k``."""
        d = self.cache.d
        c = np.clip(d, -self.delta, self.delta, out=self._scratch(d))
        return np.multiply(c, dl * (1 / d.shape[-1]), out=c)


@register("loss")
class LogCosh(_Difference):
    """``l = Σ log(cosh(p - t)) / k``: about ``d² / 2`` for small d, ``|d| - log 2`` for large d.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        R. Saleh and A. Saleh, "Statistical properties of the log-cosh loss function used in machine
        learning", arXiv:2208.04564 (2022).

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.LogCosh()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        0.7226
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``log cosh d = log(1 + 2 sinh²(c / 2)) + |d| - c`` with ``c = min(|d|, 40)``.

        It is right for small d, as ``cosh d - 1 = 2 sinh²(d / 2)``; from 40 on it grows as |d|.
        """
        a = np.abs(self._difference(y_true, y_pred), out=self.buffer("a", y_pred))
        l = np.minimum(a, 40, out=self._scratch(a))  # noqa: E741
        np.subtract(a, l, out=a)
        np.sinh(np.multiply(l, 0.5, out=l), out=l)
        np.multiply(np.multiply(l, l, out=l), 2, out=l)
        return self.mean_outputs(np.add(np.log1p(l, out=l), a, out=l))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl tanh(d) / k``."""
        d = self.cache.d
        dp = np.tanh(d, out=self._scratch(d))
        return np.multiply(dp, dl * (1 / d.shape[-1]), out=dp)


@register("loss", "mape", "MAPE")
class MeanAbsolutePercentageError(_Difference):
    """``l = 100 Σ |p - t| / max(|t|, 1e-7) / k``, in percent of the targets.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        R. Hyndman and A. Koehler, "Another look at measures of forecast accuracy", International
        Journal of Forecasting 22 (2006), section 2.2.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        75.0
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = 100 Σ |d| / m / k`` with ``d = p - t`` and ``m = max(|t|, 1e-7)``."""
        d = self._difference(y_true, y_pred)
        m = np.abs(y_true, out=self.buffer("m", d))
        self.cache.m = np.maximum(m, EPSILON, out=m)
        l = np.abs(d, out=self._scratch(d))  # noqa: E741
        return 100 * self.mean_outputs(np.divide(l, m, out=l))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl 100 sign(d) / m / k``; 0 at the kink."""
        d = self.cache.d
        dp = np.sign(d, out=self._scratch(d))
        np.divide(dp, self.cache.m, out=dp)
        return np.multiply(dp, dl * (100 / d.shape[-1]), out=dp)


@register("loss", "msle", "MSLE")
class MeanSquaredLogarithmicError(ElementwiseLoss):
    """``l = Σ (log(1 + p) - log(1 + t))² / k``, which penalizes relative errors.

    Targets must not be negative. Predictions below 1e-7 are clipped to it, as in Keras; there the
    gradient is 0, so use a softplus or exponential output.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        scikit-learn's user guide, "Mean squared logarithmic error".

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.MeanSquaredLogarithmicError()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        0.1554
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "counts", "numbers"), ({"mask_nan": True}, "counts", "numbers")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ r² / k`` with ``r = log(1 + c) - log(1 + t)`` and ``c = max(p, 1e-7)``."""
        c = np.maximum(y_pred, EPSILON, out=self.buffer("c", y_pred))
        self.cache.p, self.cache.c = y_pred, c
        log_t = np.maximum(y_true, EPSILON, out=self.buffer("scratch", c))
        np.log1p(log_t, out=log_t)
        r = np.log1p(c, out=self.buffer("r", c))
        self.cache.r = np.subtract(r, log_t, out=r)
        return self.mean_outputs(r, r)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl 2 r / (1 + c) / k`` where not clipped, else 0."""
        c, r = self.cache.c, self.cache.r
        dp = np.add(c, 1, out=self.buffer("scratch", c))
        np.divide(r, dp, out=dp)
        np.multiply(dp, self._unclipped(self.cache.p, c), out=dp)
        return np.multiply(dp, dl * (2 / c.shape[-1]), out=dp)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., outputs)."""
        t = super().targets(y_true, shape, dtype)
        check_range(
            f"loss {self.name!r}",
            t,
            0,
            None,
            "non-negative",
            "For targets of both signs use another loss.",
        )
        return t
