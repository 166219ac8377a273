"""Binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag
from netlayers.kernels.select import kernels
from netlayers.losses.base import EPSILON
from netlayers.losses.crossentropy import Crossentropy
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.losses.given import check_range
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


@register("loss", "bce", "BCE")
class BinaryCrossentropy(Crossentropy, ElementwiseLoss):
    """``l = -Σ (t log p + (1 - t) log(1 - p)) / k`` over the k outputs of a sample.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs); (batch,) for one output.

    Args:
        from_logits: the predictions are logits ``z``, and ``p = sigmoid(z)``. Otherwise they are
            probabilities, clipped to [1e-7, 1 - 1e-7] as in Keras.
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / 2``.
        axis: axis of the outputs.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        C. Bishop, "Pattern recognition and machine learning", 2006, eq. 4.90.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.BinaryCrossentropy()(y, p)), 4)
        0.367
    """

    link = "sigmoid"
    target_kind = "binary"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name, dtype, label_smoothing)
        self.mask_nan = check_flag(type(self).__name__, "mask_nan", mask_nan)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            *Crossentropy.examples(),
            ({"mask_nan": True}, "one-hot", "shares"),
            ({"mask_nan": True, "from_logits": True, "axis": 1}, "shares", "numbers"),
        ]

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """``l = Σ (max(z, 0) - z t + log(1 + exp(-|z|))) / k``, and ``p = sigmoid(z)``."""
        p = self.buffer("p", z)
        self.cache.p, self.cache.t = p, t
        l = self.buffer("l", z)  # noqa: E741
        losses = kernels.binary_crossentropy(z, t, p, l, self.buffer("dy", z))
        return losses if self.cache.weights is None else self.mean_outputs(l)

    def _backward_logits(self, dl: float | Array) -> Array:
        """``dz = dl (p - t) / k``."""
        p = self.cache.p
        dz = self.buffer("dy", p)
        kernels.scaled_difference(p, self.cache.t, dl * (1 / p.shape[-1]), dz)
        return dz

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """``l = -Σ (t log c + (1 - t) log(1 - c)) / k`` with ``c = clip(p)``."""
        return -self.mean_outputs(self._log_likelihoods(t, p))

    def _log_likelihoods(self, t: Array, p: Array) -> Array:
        """Return ``t log c + (1 - t) log(1 - c)`` with ``c = clip(p)``; cache both."""
        c = np.clip(p, EPSILON, 1 - EPSILON, out=self.buffer("clipped", p))
        self.cache.p, self.cache.c, self.cache.t = p, c, t
        l, other, scratch = self.buffer("l", p), self.buffer("other", p), self.buffer("dy", p)  # noqa: E741
        np.log(c, out=l)
        np.multiply(l, t, out=l)
        np.log1p(np.negative(c, out=other), out=other)
        np.multiply(other, np.subtract(1, t, out=scratch), out=other)
        return np.add(l, other, out=l)

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """``dp = dl (c - t) / (c (1 - c)) / k`` where not clipped, else 0."""
        p, c, t = self.cache.p, self.cache.c, self.cache.t
        dp = np.subtract(c, t, out=self.buffer("dy", p))
        variance = np.subtract(1, c, out=self.buffer("other", p))
        np.multiply(variance, c, out=variance)
        np.divide(dp, variance, out=dp)
        np.multiply(dp, self._unclipped(p, c), out=dp)
        return np.multiply(dp, dl * (1 / p.shape[-1]), out=dp)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., outputs)."""
        t = super().targets(y_true, shape, dtype)
        check_range(
            f"loss {self.name!r}",
            t,
            0,
            1,
            "within [0, 1]",
            "For class indices 0, 1, 2, ... use SparseCategoricalCrossentropy; for labels -1 and "
            "1 pass (y + 1) / 2.",
        )
        return t
