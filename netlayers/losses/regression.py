"""Losses for numbers: squared, absolute, and Huber's in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.losses.base import Loss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


class _Difference(Loss):
    """A loss of the differences ``d = p - t``, averaged over the outputs of a sample."""

    def difference(self, y_true: Array, y_pred: Array) -> Array:
        """Return and keep ``d = p - t``."""
        d = self.workspace("d", y_pred.shape, y_pred.dtype)
        self.cache.d = np.subtract(y_pred, y_true, out=d)
        return d

    def scratch(self, d: Array) -> Array:
        """Return an array like ``d``."""
        return self.workspace("scratch", d.shape, d.dtype)


@register("loss", "mse", "MSE")
class MeanSquaredError(_Difference):
    """``l = Σ (p - t)² / k`` over the k outputs of a sample.

    Args:
        reduction: see :class:`Loss`.
        name: what it is called.
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ d² / k`` with ``d = p - t``."""
        d = self.difference(y_true, y_pred)
        return np.vecdot(d, d) / d.shape[-1]

    def backward_samples(self, dl: Any) -> Array:
        """``dp = dl 2 d / k``."""
        d = self.cache.d
        return np.multiply(d, dl * (2 / d.shape[-1]), out=self.scratch(d))


@register("loss", "mae", "MAE")
class MeanAbsoluteError(_Difference):
    """``l = Σ |p - t| / k`` over the k outputs of a sample.

    Args:
        reduction: see :class:`Loss`.
        name: what it is called.
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ |d| / k`` with ``d = p - t``."""
        d = self.difference(y_true, y_pred)
        return np.mean(np.abs(d, out=self.scratch(d)), axis=-1)

    def backward_samples(self, dl: Any) -> Array:
        """``dp = dl sign(d) / k``; 0 at the kink."""
        d = self.cache.d
        dp = np.sign(d, out=self.scratch(d))
        return np.multiply(dp, dl * (1 / d.shape[-1]), out=dp)


@register("loss", "huber_loss")
class Huber(_Difference):
    """Squared for small differences, absolute for large ones.

    ``l = Σ h(d) / k`` with ``h = d² / 2`` where ``|d| <= delta``, else ``delta |d| - delta² / 2``.

    Args:
        delta: where the one becomes the other, positive.
        reduction: see :class:`Loss`.
        name: what it is called.

    Source:
        P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35
        (1964).
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.delta = check_number("Huber", "delta", delta, above=0)

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``h = c (d - c / 2)`` with ``c = clip(d, -delta, delta)``: both branches in one."""
        d = self.difference(y_true, y_pred)
        c = np.clip(d, -self.delta, self.delta, out=self.scratch(d))
        return (np.vecdot(c, d) - 0.5 * np.vecdot(c, c)) / d.shape[-1]

    def backward_samples(self, dl: Any) -> Array:
        """``dp = dl c / k``."""
        d = self.cache.d
        c = np.clip(d, -self.delta, self.delta, out=self.scratch(d))
        return np.multiply(c, dl * (1 / d.shape[-1]), out=c)
