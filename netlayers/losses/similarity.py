"""Cosine similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.exact import row_dots
from netlayers.losses.axis import AxisLoss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("loss")
class CosineSimilarity(AxisLoss):
    """``l = -cos(t, p) = -Σ t p / (|t| |p|)``, from -1 (same direction) to 1 (opposite).

    Vectors of any length have a direction; the loss of a zero vector is 0, and so is its gradient.
    (Keras replaces norms below 1e-7 by 1e-7: short vectors count less, and the gradient of a
    predicted zero vector is 1e7 times the target, which destroys a network at the first such row.)

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs).

    Args:
        axis: axis of the vector components.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        C. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008,
        section 6.3.1.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.CosineSimilarity()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
        -0.9945
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(axis, reduction, name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "numbers", "numbers"), ({"axis": 1}, "numbers", "numbers")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = -Σ u v`` with the unit vectors ``u = t / |t|`` and ``v = p / |p|``."""
        u, _ = self._normalize("u", y_true)
        v, self.cache.norm = self._normalize("v", y_pred)
        self.cache.u, self.cache.v = u, v
        self.cache.cosine = row_dots(u, v)
        return -self.cache.cosine

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl (v cos - u) / |p|``, and 0 where p is 0."""
        v = self.cache.v
        dp = np.multiply(v, self.cache.cosine[..., None], out=self.buffer("scratch", v))
        np.subtract(dp, self.cache.u, out=dp)
        return np.multiply(dp, dl / self.cache.norm, out=dp)

    def _normalize(self, name: str, x: Array) -> tuple[Array, Array]:
        """Return ``x / |x|``, and ``|x|`` as (..., 1), which is infinite for a zero vector."""
        u = np.abs(x, out=self.buffer(name, x))
        # Divide by the largest component first: squares of 1e30 would overflow.
        largest = np.maximum.reduce(u, axis=-1, keepdims=True)
        largest[largest < 2 / np.finfo(u.dtype).max] = np.inf  # zero, as good as
        np.divide(x, largest, out=u)
        relative = np.sqrt(row_dots(u, u))[..., None]
        relative[relative == 0] = 1
        return np.divide(u, relative, out=u), largest * relative
