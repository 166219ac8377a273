"""The generalized cross-entropy, robust to wrong labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ConfigurationError
from netlayers.kernels.rows import flat_indices
from netlayers.losses.base import EPSILON
from netlayers.losses.crossentropy import ClassTargets
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("loss")
class CategoricalGeneralizedCrossEntropy(ClassTargets):
    """``l = (1 - p[t]^q) / q`` for class indices t and probabilities p.

    It lies between the cross-entropy (q near 0) and the mean absolute error (q near 1); the more q
    is, the less a wrong label counts. The gradient is that at p = 1e-7 for probabilities below
    that, where it would be unbounded.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1) class indices, ``y_pred`` (batch, ...,
    classes).

    Args:
        q: exponent, between 0 and 1, both excluded.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        Z. Zhang and M. Sabuncu, "Generalized cross entropy loss for training deep neural networks
        with noisy labels", NeurIPS 2018, equation 6.

    Example:
        >>> import netlayers as nl
        >>> nl.losses.CategoricalGeneralizedCrossEntropy(q=0.5).forward([0], [[0.25, 0.75]])
        1.0
    """

    _takes_probabilities = True

    link = "softmax"

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.q = check_number(type(self).__name__, "q", q, above=0)
        if self.q >= 1:
            raise ConfigurationError(f"{type(self).__name__}: q must be below 1, got {q}.")

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "classes", "shares"), ({"q": 0.8}, "classes", "shares")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = (1 - p[t]^q) / q``."""
        at = self.cache.at = flat_indices(y_true, y_pred.shape[-1])
        p = self.cache.p = np.maximum(y_pred.reshape(-1).take(at), 0)
        self.cache.like = y_pred
        return ((1 - p**self.q) / self.q).reshape(y_true.shape)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp[t] = -dl p[t]^(q - 1)``, and 0 for the other classes."""
        dp = self.buffer("dy", self.cache.like)
        dp.fill(0)
        steep = np.maximum(self.cache.p, EPSILON) ** (self.q - 1)
        dp.reshape(-1)[self.cache.at] = -(dl if isinstance(dl, float) else dl.reshape(-1)) * steep
        return dp
