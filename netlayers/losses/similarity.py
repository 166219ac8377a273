"""Cosine similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.losses.axis import AxisLoss
from netlayers.losses.base import EPSILON
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("loss")
class CosineSimilarity(AxisLoss):
    """``l = -cos(t, p) = -Σ t p / (|t| |p|)``, from -1 (same direction) to 1 (opposite).

    Norms below 1e-7 are replaced by 1e-7, as in Keras; the loss of a zero vector is 0. A predicted
    zero vector has no direction, and its gradient is 0. (In Keras it is 1e7 times the target, which
    destroys a network at the first such row.)

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs).

    Args:
        axis: axis of the vector components.
        reduction: see :class:`Loss`.
        name: name of the loss.
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(axis, reduction, name)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "numbers", "numbers"), ({"axis": 1}, "numbers", "numbers")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = -Σ u v`` with the unit vectors ``u = t / |t|`` and ``v = p / |p|``."""
        u, _ = self._normalize("u", y_true)
        v, self.cache.norm = self._normalize("v", y_pred)
        self.cache.u, self.cache.v = u, v
        self.cache.cosine = np.vecdot(u, v)
        return -self.cache.cosine

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl (v cos - u) / |p|``; ``-dl u / 1e-7`` for norms below 1e-7, but 0 for 0."""
        norm, v = self.cache.norm, self.cache.v
        tiny = norm < EPSILON
        along = np.where(tiny, 0, self.cache.cosine[..., None])
        dp = np.multiply(v, along, out=self.buffer("scratch", v))
        np.subtract(dp, self.cache.u, out=dp)
        return np.multiply(dp, np.where(norm == 0, 0, dl / np.where(tiny, EPSILON, norm)), out=dp)

    def _normalize(self, name: str, x: Array) -> tuple[Array, Array]:
        """Return ``x / max(|x|, 1e-7)`` and ``|x|``, (..., 1)."""
        u = np.abs(x, out=self.buffer(name, x))
        # Divide by the largest component first: squares of 1e30 would overflow.
        largest = np.maximum.reduce(u, axis=-1, keepdims=True)
        largest[largest == 0] = 1
        np.divide(x, largest, out=u)
        relative = np.sqrt(np.vecdot(u, u))[..., None]
        norm = largest * relative
        # u |x| / (relative max(|x|, 1e-7)), without the product of two large numbers.
        shrink = np.minimum(norm / EPSILON, 1) if norm.min() < EPSILON else 1
        relative[relative == 0] = 1
        return np.multiply(u, shrink / relative, out=u), norm
