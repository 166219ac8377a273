"""Hinge losses, zero for predictions on the correct side of a margin of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import DataError
from netlayers.kernels.exact import row_dots
from netlayers.losses.axis import OneHotTargets
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


class _Margin(ElementwiseLoss):
    """Base class of losses of ``m = max(1 - t p, 0)`` for labels -1 and 1, or 0 and 1."""

    target_kind = "signs"

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "signs", "numbers"),
            ({}, "one-hot", "numbers"),
            ({"mask_nan": True}, "signs", "numbers"),
        ]

    def _margin(self, y_true: Array, y_pred: Array) -> Array:
        """Return and cache ``m = max(1 - t p, 0)``."""
        m = np.multiply(y_true, y_pred, out=self.buffer("m", y_pred))
        np.subtract(1, m, out=m)
        self.cache.t, self.cache.m = y_true, np.maximum(m, 0, out=m)
        return m

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets as -1 and 1, (batch, ..., outputs)."""
        t = super().targets(y_true, shape, dtype)
        if self._is_signs(t):
            return t
        labels = np.multiply(t, 2, out=self.buffer("labels", t))
        np.subtract(labels, 1, out=labels)
        if not self._is_signs(labels):
            raise DataError(
                f"loss {self.name!r}: y_true must be labels -1 and 1 (or 0 and 1, which become "
                f"-1 and 1), got values from {t.min():g} to {t.max():g}."
            )
        return labels

    def _is_signs(self, labels: Array) -> bool:
        magnitude = np.abs(labels, out=self.buffer("scratch", labels))
        return bool(magnitude.min() == 1 and magnitude.max() == 1)


@register("loss")
class Hinge(_Margin):
    """``l = Σ max(1 - t p, 0) / k`` for labels ``t`` in {-1, 1}.

    Labels 0 and 1 are converted to -1 and 1, as in Keras.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20 (1995).

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.Hinge()([[1.0, -1.0]], [[0.5, 0.2]])), 4)
        0.85
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ m / k`` with ``m = max(1 - t p, 0)``."""
        return self.mean_outputs(self._margin(y_true, y_pred))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = -dl t / k`` where ``m > 0``, else 0."""
        m = self.cache.m
        dp = np.sign(m, out=self.buffer("scratch", m))
        np.multiply(dp, self.cache.t, out=dp)
        return np.multiply(dp, dl * (-1 / m.shape[-1]), out=dp)


@register("loss")
class SquaredHinge(_Margin):
    """``l = Σ max(1 - t p, 0)² / k`` for labels ``t`` in {-1, 1} (0 and 1 as in :class:`Hinge`).

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        Y. Tang, "Deep learning using linear support vector machines", arXiv:1306.0239, 2013.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.SquaredHinge()([[1.0, -1.0]], [[0.5, 0.2]])), 4)
        0.845
    """

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ m² / k`` with ``m = max(1 - t p, 0)``."""
        m = self._margin(y_true, y_pred)
        return self.mean_outputs(m, m)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = -dl 2 m t / k``."""
        m = self.cache.m
        dp = np.multiply(m, self.cache.t, out=self.buffer("scratch", m))
        return np.multiply(dp, dl * (-2 / m.shape[-1]), out=dp)


@register("loss")
class CategoricalHinge(OneHotTargets):
    """``l = max(max (1 - t) p - Σ t p + 1, 0)``: the multi-class hinge loss.

    Shapes: ``y_true`` (one-hot rows) and ``y_pred`` (batch, ..., classes).

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based
        vector machines", JMLR 2 (2001); as in Keras, the true class enters the maximum as 0.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.CategoricalHinge()(y, p)), 4)
        0.6
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "one-hot", "numbers"), ({}, "shares", "numbers")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = max(n - Σ t p + 1, 0)`` with ``n = max (1 - t) p``."""
        other = np.subtract(1, y_true, out=self.buffer("other", y_pred))
        others = np.multiply(other, y_pred, out=self.buffer("scratch", y_pred))
        self.cache.t, self.cache.other = y_true, other
        self.cache.at = np.argmax(others, axis=-1)[..., None]
        n = np.take_along_axis(others, self.cache.at, -1)[..., 0]
        l = np.maximum(n - row_dots(y_true, y_pred) + 1, 0)  # noqa: E741
        self.cache.active = np.sign(l)[..., None]
        return l

    def backward_samples(self, dl: float | Array) -> Array:
        """Where ``l > 0``, ``dp = -dl t``, plus ``dl (1 - t)`` at the maximum."""
        t, other, at = self.cache.t, self.cache.other, self.cache.at
        dp = np.negative(t, out=self.buffer("scratch", other))
        np.put_along_axis(
            dp, at, np.take_along_axis(dp, at, -1) + np.take_along_axis(other, at, -1), -1
        )
        return np.multiply(dp, dl * self.cache.active, out=dp)
